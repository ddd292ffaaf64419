"""One call of a student's function: outputs, or the one sentence that says why there are none."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dl780.student.adapters import call
from dl780.student.arrays import Inputs
from dl780.student.call import Outcome, WrongOutputs, attempt, sentence, unpack
from dl780.student.traps import AUTOGRAD


def tried(function: Any, names: tuple[str, ...] = ("y",), **inputs: Any) -> Outcome:
    """The outcome of a function on some inputs; on one small matrix, if none are named."""
    given: Inputs = inputs or {"a": torch.arange(6.0, dtype=torch.float64).reshape(2, 3)}
    return attempt(function, call, given, names, AUTOGRAD)


def test_outputs_are_named_in_order() -> None:
    found = tried(lambda a: (a, 2 * a, 3.0), ("one", "two", "three"))
    assert list(found.outputs) == ["one", "two", "three"]
    assert torch.equal(found.outputs["two"], 2 * found.outputs["one"])  # type: ignore[arg-type]
    assert (found.error, found.problems, found.changed) == ("", {}, [])


def test_a_single_output_may_be_a_list() -> None:
    assert len(tried(lambda a: [a, a]).outputs["y"]) == 2
    assert isinstance(tried(lambda a: [a, a]).outputs["y"], list)


@pytest.mark.parametrize("several", [lambda a: (a, a), lambda a: [a, a], lambda a: (a.numpy(), a.tolist())])
def test_two_outputs_may_come_as_tuple_or_list(several: Any) -> None:
    found = tried(several, ("f", "df"))
    assert torch.equal(found.outputs["f"], found.outputs["df"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda a: None, "returned nothing (None), where 2 values are expected: f, df"),
        (lambda a: a, "returned one Tensor, where 2 values are expected: f, df"),
        (lambda a: a.numpy(), "returned one ndarray, where 2 values are expected: f, df"),
        (lambda a: {"f": a}, "returned a dict without df"),
        (lambda a: {"F": a}, "returned a dict without f, df"),
        (lambda a: {"f": a, "df": a, 3: a}, "returned a dict with 3, where only f, df are expected"),
        (lambda a: (a,), "returned 1 values, where 2 are expected: f, df"),
        (lambda a: (a, a, a), "returned 3 values, where 2 are expected: f, df"),
        (lambda a: (), "returned 0 values, where 2 are expected: f, df"),
    ],
)
def test_a_wrong_number_of_outputs(function: Any, words: str) -> None:
    found = tried(function, ("f", "df"))
    assert (found.error, found.outputs) == (words, {})


def test_an_output_that_is_no_array_does_not_cost_the_others() -> None:
    found = tried(lambda a: (a, None, {"x": a}), ("f", "g", "h"))
    assert list(found.outputs) == ["f"]
    assert found.problems == {
        "g": "is nothing (None), where an array is expected",
        "h": "is a dict, where an array is expected",
    }


def test_an_array_that_torch_does_not_know_does_not_break_the_check() -> None:
    found = tried(lambda a: (a, a.numpy().astype(np.longdouble)), ("f", "df"))
    assert list(found.outputs) == ["f"]
    assert list(found.problems) == ["df"]


# --- why there is nothing --------------------------------------------------------------------------------------------


def tanh(a: Tensor) -> Any:
    raise NotImplementedError("tanh")


def nameless(a: Tensor) -> Any:
    raise NotImplementedError


def calls_another(a: Tensor) -> Any:
    return tanh(a)


def raises(a: Tensor) -> Any:
    b = a + 1
    return helper(b)


def helper(b: Tensor) -> Any:
    raise ValueError("two\n   lines")  # here


def torch_refuses(a: Tensor) -> Any:
    return a @ a  # not square


class Unreadable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def unreadable(a: Tensor) -> Any:
    raise Unreadable


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (tanh, "is not written yet"),
        (nameless, "is not written yet"),
        (calls_another, "needs `tanh`, which is not written yet"),
        (raises, 'raised ValueError: two lines, in `helper` at `raise ValueError("two\\n   lines")  # here`'),
        (unreadable, "raised Unreadable: (its message cannot be read), in `unreadable` at `raise Unreadable`"),
    ],
)
def test_why_a_call_gave_nothing(function: Any, words: str) -> None:
    assert tried(function).error == words


def test_an_error_of_torch_names_the_students_line() -> None:
    error = tried(torch_refuses).error
    assert error.startswith("raised RuntimeError: ")
    assert error.endswith("in `torch_refuses` at `return a @ a  # not square`")


def test_what_torch_has_not_implemented_is_not_taken_for_a_question() -> None:
    def f(a: Tensor) -> Any:
        raise NotImplementedError("could not run with these arguments")

    assert tried(f).error.startswith("raised NotImplementedError: could not run with these arguments, in `f` at ")


def test_wrong_arguments_are_told() -> None:
    assert tried(lambda: 1).error.startswith("raised TypeError: ")
    assert "takes 0 positional arguments but 1 was given" in tried(lambda: 1).error


def test_a_message_without_end_is_cut() -> None:
    def long(a: Tensor) -> Any:
        raise ValueError("x" * 100_000)

    assert len(tried(long).error) < 600


def test_endless_recursion_is_told() -> None:
    def again(a: Tensor) -> Any:
        return again(a)

    assert tried(again).error.startswith("raised RecursionError: maximum recursion depth exceeded")


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_what_ends_a_process_is_no_answer(stop: type[BaseException]) -> None:
    def ends(a: Tensor) -> Any:
        raise stop

    with pytest.raises(stop):
        tried(ends)


# --- inputs ----------------------------------------------------------------------------------------------------------


def test_inputs_changed_in_place_are_flagged_and_stay_the_judges() -> None:
    a, ws = torch.ones(2, dtype=torch.float64), [torch.ones(2, dtype=torch.float64), torch.ones(3, dtype=torch.float64)]

    def spoils(a: Tensor, ws: list[Tensor], p: float) -> Any:
        ws[1] -= 5
        ws.reverse()
        return a.mul_(2)

    found = tried(spoils, a=a, ws=ws, p=0.5)
    assert found.changed == ["a", "ws"]
    assert found.outputs["y"].tolist() == [2, 2]  # type: ignore[union-attr]
    assert a.tolist() == [1, 1]
    assert [w.tolist() for w in ws] == [[1, 1], [1, 1, 1]]


def test_rounding_in_place_is_no_change() -> None:
    assert tried(lambda a: a.add_(1e-14)).changed == []


def test_an_output_is_no_view_of_an_input() -> None:
    a = torch.ones(2, dtype=torch.float64)
    found = tried(lambda a: a, a=a)
    a.zero_()
    assert found.outputs["y"].tolist() == [1, 1]  # type: ignore[union-attr]


def test_a_float32_copy_put_into_a_list_is_no_crash() -> None:
    def casts(Ws: list[Tensor]) -> Any:
        for i, W in enumerate(Ws):
            Ws[i] = W.float()
        return Ws[0]

    assert tried(casts, Ws=[torch.ones(2, dtype=torch.float64)]).changed == ["Ws"]


def test_a_student_works_in_float64_without_recording() -> None:
    def looks(a: Tensor) -> Any:
        return torch.ones(1), float(torch.is_grad_enabled()), float((a.clone().requires_grad_() * 2).requires_grad)

    found = tried(looks, ("made", "enabled", "recorded"))
    assert found.outputs["made"].dtype == torch.float64  # type: ignore[union-attr]
    assert found.outputs["enabled"].item() == found.outputs["recorded"].item() == 0  # type: ignore[union-attr]


def test_unpack_names_what_is_missing() -> None:
    with pytest.raises(WrongOutputs, match=r"returned 1 values, where 2 are expected: w, v"):
        unpack([1], ["w", "v"])
    assert unpack(None, ["w"]) == [None]


@pytest.mark.parametrize("message", ["tanh", "'tanh'", '"tanh"', " tanh ", ""])
def test_an_unwritten_function_is_known_by_its_name_in_any_quotes(message: str) -> None:
    assert sentence(NotImplementedError(message), "tanh") == "is not written yet"


def test_outputs_may_come_as_a_dict_in_any_order() -> None:
    found = tried(lambda a: {"df": 2 * a, "f": a}, ("f", "df")).outputs
    assert list(found) == ["f", "df"]
    assert torch.equal(found["df"], 2 * found["f"])  # type: ignore[operator,arg-type]


def test_how_many_products_are_many_is_the_callers_to_say() -> None:
    def loop(a: Tensor) -> Any:
        for _ in range(150):
            torch.einsum("ij,ij->", a, a)
        return a

    flagged = attempt(loop, call, {"a": torch.ones(2, 3)}, ["y"], AUTOGRAD)
    assert flagged.doubts == ["calls einsum over 99 times in one case, as differencing does"]
    assert attempt(loop, call, {"a": torch.ones(2, 3)}, ["y"], AUTOGRAD, products=150).doubts == []
