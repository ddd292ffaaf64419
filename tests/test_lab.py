"""`Lab`, as a notebook talks to it: cells are executed in a namespace that holds `lab`."""

import threading
from _thread import interrupt_main
from collections.abc import Iterator
from dataclasses import replace
from pkgutil import resolve_name
from typing import Any

import pytest
import torch

import dl780.lab
from dl780 import Lab, UserError
from dl780.check.cases import PUBLIC, Case
from dl780.check.question import Question
from dl780.check.registry import load_lab
from dl780.check.verdict import token
from dl780.student.traps import AUTOGRAD, KERNELS

LAB = load_lab("backprop")
LINEAR = LAB.questions["linear_backward"]
FULL = """
def linear_backward(G, Z, W, b):
    return torch.einsum("mk,kn->mn", G, W), torch.einsum("mk,mn->kn", G, Z), torch.einsum("mk->k", G)
"""
AVERAGED = FULL.replace('torch.einsum("mk->k", G)', 'torch.einsum("mk->k", G) / G.shape[0]')
UNWRITTEN = "def linear_backward(G, Z, W, b):\n    raise NotImplementedError('linear_backward')\n"


def cell(code: str, **names: Any) -> dict[str, Any]:
    """Run a cell in a fresh notebook; a check in it is bound to `v`."""
    namespace: dict[str, Any] = {"torch": torch, "lab": Lab("backprop"), "__name__": "__main__", **names}
    exec(compile(code, "<cell>", "exec"), namespace)
    return namespace


def state() -> list[Any]:
    """What a check must leave as it was."""
    return [
        *(resolve_name(name) for name in AUTOGRAD if name != KERNELS),
        torch.get_default_dtype(),
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
    ]


@pytest.fixture(autouse=True)
def _everything_is_left_as_it_was() -> Iterator[None]:
    before = state()
    yield
    assert all(now is then or now == then for now, then in zip(state(), before, strict=True))
    leaf = torch.ones(2, requires_grad=True)
    leaf.sum().backward()  # type: ignore[no-untyped-call]
    assert leaf.grad is not None


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lab with half a second for each question."""
    questions: dict[str, Question] = {name: replace(q, seconds=0.5) for name, q in LAB.questions.items()}
    monkeypatch.setattr(dl780.lab, "load_lab", lambda name: replace(LAB, questions=questions))


# --- check -----------------------------------------------------------------------------------------------------------


def test_a_right_function_earns_all_points_and_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    v = cell(FULL + "v = lab.check(linear_backward)")["v"]
    assert (v.passed, v.points, v.out_of, v.mistake, v.replay) == (True, 10, 10, None, "")
    out, err = capsys.readouterr()
    assert out.count("agrees with autograd") == 3
    assert err == ""


def test_a_wrong_function_is_told_its_mistake_and_the_way_back(capsys: pytest.CaptureFixture[str]) -> None:
    v = cell(AVERAGED + "v = lab.check(linear_backward)")["v"]
    assert (v.passed, v.points) == (False, 7)
    assert v.mistake == "averaged the bias gradient over the batch"
    assert v.replay == 'lab.replay("linear_backward", 1)'
    out = capsys.readouterr().out
    assert "you averaged the bias gradient over the batch" in out
    assert 'again: lab.replay("linear_backward", 1)' in out


def test_an_unwritten_function_says_so_and_nothing_more(capsys: pytest.CaptureFixture[str]) -> None:
    v = cell(UNWRITTEN + "v = lab.check(linear_backward)")["v"]
    assert (v.unwritten, v.points, v.replay) == (True, 0, "")
    out = capsys.readouterr().out
    assert "is not written yet" in out
    assert "Traceback" not in out
    assert "replay" not in out


@pytest.mark.parametrize(
    "code",
    [
        "linear_backward = lambda G, Z, W, b: f(G, Z, W, b)\nv = lab.check(linear_backward)",
        "from functools import partial\nlinear_backward = partial(f)\nv = lab.check(linear_backward)",
        "linear_backward = f\nv = lab.check(linear_backward)",
        "v = lab.check(f, 'linear_backward')",
        "class F:\n    def __call__(self, *a): return f(*a)\nlinear_backward = F()\nv = lab.check(linear_backward)",
    ],
    ids=["lambda", "partial", "another name", "named", "object"],
)
def test_a_function_is_known_by_the_name_it_stands_under(code: str) -> None:
    v = cell(FULL.replace("linear_backward", "f") + code)["v"]
    assert (v.question, v.points) == ("linear_backward", 10)


def test_an_unwritten_partial_is_unwritten_too() -> None:
    code = UNWRITTEN.replace("def linear_backward", "def f")
    assert cell(code + "from functools import partial\nv = lab.check(partial(f), 'linear_backward')")["v"].unwritten


@pytest.mark.parametrize(
    "code", ["lab.check(lambda G: G)", "lab.check(None)", "lab.check(3)", "def f(): ...\nlab.check(f)"]
)
def test_a_function_without_a_question_is_asked_for_its_name(code: str) -> None:
    with pytest.raises(UserError, match=r"no question is called .*; name it: lab\.check\(f, 'numerical_gradient'\)"):
        cell(code)


@pytest.mark.parametrize("code", ["lab.check(print, 'softmaxx')", "lab.replay('softmaxx', 1)", "lab.hint('softmaxx')"])
def test_an_unknown_question_is_one_line_that_names_those_there_are(code: str) -> None:
    with pytest.raises(UserError) as error:
        cell(code)
    assert str(error.value) == f"backprop asks no 'softmaxx'; it asks: {', '.join(LAB.questions)}"


def test_a_name_that_holds_no_function_is_told() -> None:
    v = cell("linear_backward = 3\nv = lab.check(linear_backward)")["v"]
    assert v.points == 0
    assert "not callable" in v.outputs[0].message


def test_the_public_inputs_are_not_the_students_to_change() -> None:
    spoils = "def linear_backward(G, Z, W, b):\n    out = f(G, Z, W, b)\n    Z.zero_()\n    return out\n"
    v = cell(FULL.replace("linear_backward", "f") + spoils + "v = lab.check(linear_backward)")["v"]
    assert (v.points, v.flags) == (10, ["changes its input Z in place"])


def test_the_answers_are_computed_before_the_students_code_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "relu", torch.relu)  # puts it back
    code = "def relu(a):\n    torch.relu = lambda a: a\n    return a, torch.ones_like(a)\nv = lab.check(relu)"
    assert cell(code)["v"].points == 0


def test_a_check_runs_on_one_thread_as_grading_does() -> None:
    before, seen = torch.get_num_threads(), list[int]()
    torch.set_num_threads(2)
    try:
        code = "def tanh(a):\n    seen.append(torch.get_num_threads())\nlab.check(tanh)"
        cell(code, seen=seen)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert set(seen) == {1}


# --- what may go wrong while a student's function runs ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("W.requires_grad_()\n    (G * (Z @ W.T + b)).sum().backward()\n    g = W.grad", "torch.Tensor.backward"),
        ("W.requires_grad_()\n    g = torch.autograd.grad((G * (Z @ W.T + b)).sum(), W)[0]", "torch.autograd.grad"),
        ("g = torch.func.grad(lambda W: (G * (Z @ W.T + b)).sum())(W)", "torch.func.grad"),
        ("g = torch.func.jvp(lambda W: Z @ W.T + b, (W,), (W,))[1]", "torch.func.jvp"),
        (
            "g = torch.autograd.functional.jacobian(lambda W: (G * (Z @ W.T + b)).sum(), W)",
            "torch.autograd.functional.jacobian",
        ),
    ],
)
def test_autograd_earns_its_sentence_and_no_points(code: str, name: str) -> None:
    function = f"def linear_backward(G, Z, W, b):\n    {code}\n    return G @ W, g, g\n"
    v = cell(function + "v = lab.check(linear_backward)")["v"]
    assert v.points == 0
    sentence = f"calls autograd ({name}), but this question is to be written by hand"
    assert [output.message for output in v.outputs] == [sentence] * 3


def test_autograd_in_the_value_costs_the_value_too() -> None:
    v = cell(
        "def tanh(a):\n    return torch.tanh(a), torch.func.vmap(torch.func.grad(torch.tanh))(a)\nv = lab.check(tanh)"
    )
    assert v["v"].points == 0


@pytest.mark.parametrize("error", ["ValueError('mine')", "AssertionError", "ZeroDivisionError()", "StopIteration"])
def test_an_exception_is_a_sentence(error: str) -> None:
    v = cell(f"def linear_backward(G, Z, W, b):\n    raise {error}\nv = lab.check(linear_backward)")["v"]
    assert v.points == 0
    assert v.outputs[0].message.startswith(f"raised {error.partition('(')[0]}")
    assert v.replay


@pytest.mark.usefixtures("quick")
def test_an_endless_loop_is_ended() -> None:
    v = cell("def linear_backward(G, Z, W, b):\n    while True: pass\nv = lab.check(linear_backward)")["v"]
    assert v.points == 0
    assert {output.message for output in v.outputs} == {"took longer than 0.5 s"}


@pytest.mark.usefixtures("quick")
def test_a_loop_in_a_later_case_does_not_take_the_earlier_ones() -> None:
    code = FULL.replace("    return", "    while len(Z) == 1: pass\n    return")
    v = cell(code + "v = lab.check(linear_backward)")["v"]
    assert {output.message for output in v.outputs} == {"took longer than 0.5 s"}
    assert v.outputs[0].case == 4


def test_an_interrupt_by_hand_comes_through() -> None:
    timer = threading.Timer(0.3, interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        cell("def linear_backward(G, Z, W, b):\n    while True: pass\nlab.check(linear_backward)")
    timer.join()


def test_a_check_after_an_interrupt_is_as_good_as_before() -> None:
    code = "def linear_backward(G, Z, W, b):\n    raise KeyboardInterrupt\n"
    names = cell(code)
    with pytest.raises(KeyboardInterrupt):
        names["lab"].check(names["linear_backward"])
    assert names["lab"].check(cell(FULL)["linear_backward"]).passed


# --- replay ----------------------------------------------------------------------------------------------------------


def assert_same(inputs: dict[str, Any], case: Case) -> None:
    """The inputs of a case, as the student gets them."""
    assert list(inputs) == LINEAR.arguments
    assert all(torch.equal(inputs[name], case.inputs[name]) for name in inputs)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", range(1, len(LINEAR.variants) + 1))
def test_replay_by_number_gives_the_inputs_of_the_public_case(number: int) -> None:
    case = list(LINEAR.cases(PUBLIC))[number - 1]
    assert_same(Lab("backprop").replay("linear_backward", number), case)
    assert_same(Lab("backprop").replay("linear_backward", str(number)), case)
    assert_same(Lab("backprop").replay("linear_backward", token(case)), case)


def test_replay_by_token_gives_the_inputs_of_a_graded_case() -> None:
    for case in LINEAR.cases(b"secret", "a submission"):
        assert_same(Lab("backprop").replay("linear_backward", token(case)), case)


def test_replay_finds_the_notebooks_function_and_shows_its_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    cell(AVERAGED + "lab.replay('linear_backward', 2)")
    out = capsys.readouterr().out
    assert "you averaged the bias gradient over the batch" in out
    assert "7 of 10 points" in out
    cell(AVERAGED.replace("linear_backward", "g") + "lab.replay('linear_backward', 2, g)")
    assert capsys.readouterr().out == out


def test_replay_without_a_function_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    cell("inputs = lab.replay('linear_backward', 2)")
    assert capsys.readouterr().out == ""


def test_replayed_inputs_are_ones_own() -> None:
    lab = Lab("backprop")
    lab.replay("linear_backward", 1)["Z"].zero_()
    assert_same(lab.replay("linear_backward", 1), next(iter(LINEAR.cases(PUBLIC))))


@pytest.mark.parametrize("case", [0, 7, -1, "", "x", "0:ff", "99:ff", 1.5, None])
def test_a_case_that_is_not_there_is_one_line(case: Any) -> None:
    with pytest.raises(UserError, match="linear_backward has the cases 1 to 6, not "):
        Lab("backprop").replay("linear_backward", case)


@pytest.mark.parametrize("case", ["2:zz", "2:9f3c…", "2: ", "²"])
def test_a_mistyped_token_is_one_line(case: Any) -> None:
    with pytest.raises(UserError):
        Lab("backprop").replay("linear_backward", case)


# --- show, hint, progress --------------------------------------------------------------------------------------------


def test_show_names_what_is_returned(capsys: pytest.CaptureFixture[str]) -> None:
    cell(FULL + "A = torch.ones(1, 1)\nlab.show(linear_backward, 2 * A, 3 * A, 5 * A, A[0])")
    assert capsys.readouterr().out == "G_Z = tensor([[10.]])\nG_W = tensor([[6.]])\nG_b = tensor([2.])\n"


@pytest.mark.parametrize(
    ("code", "line"),
    [
        (UNWRITTEN + "lab.show(linear_backward, 1, 2, 3, 4)", "linear_backward is not written yet"),
        ("def tanh(a):\n    return 1 / 0\nlab.show(tanh, 1)", "tanh raised ZeroDivisionError: division by zero"),
        ("def tanh(a):\n    return a\nlab.show(tanh, 1)", "tanh = 1"),
        ("sgd_step = lambda w: w\nlab.show(sgd_step, 0.1)", "w = 0.1"),
        ("def helper(a):\n    return a + 1\nlab.show(helper, 1)", "helper = 2"),
        ("lab.show(lambda a: a, torch.tensor(0.25))", "<lambda> = 0.25"),
    ],
)
def test_show_is_one_line_whatever_happens(code: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    cell(code)
    out = capsys.readouterr().out
    assert out.startswith(line)
    assert out.count("\n") == 1


def test_hints_come_one_by_one_and_end(capsys: pytest.CaptureFixture[str]) -> None:
    cell("for _ in range(4): lab.hint('linear_backward')")
    lines = capsys.readouterr().out.splitlines()
    assert lines == [*LINEAR.hints, *["There is no further hint."] * (4 - len(LINEAR.hints))]


def progress_of(code: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines of `lab.progress()` after a cell."""
    names = cell(code)
    capsys.readouterr()
    names["lab"].progress()
    return capsys.readouterr().out.splitlines()


def test_progress_lists_every_question_and_the_points_so_far(capsys: pytest.CaptureFixture[str]) -> None:
    lines = progress_of("", capsys)
    assert [line.split()[1] for line in lines[:-1]] == list(LAB.questions)
    assert {line[0] for line in lines[:-1]} == {"·"}
    assert lines[-1] == "0 of 100 points so far"


@pytest.mark.parametrize(
    ("code", "mark", "total"),
    [(FULL, "✓", "10 of 100"), (AVERAGED, "✗", "7 of 100"), (UNWRITTEN, "·", "0 of 100")],
)
def test_progress_counts_what_was_checked(code: str, mark: str, total: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = progress_of(code + "lab.check(linear_backward)", capsys)
    assert [line[0] for line in lines if " linear_backward " in line] == [mark]
    assert lines[-1] == f"{total} points so far"


def test_progress_takes_the_last_check(capsys: pytest.CaptureFixture[str]) -> None:
    code = FULL + "lab.check(linear_backward)\n" + AVERAGED + "lab.check(linear_backward)"
    assert progress_of(code, capsys)[-1] == "7 of 100 points so far"


def test_extra_points_stand_beside_the_hundred(capsys: pytest.CaptureFixture[str]) -> None:
    code = "def products(Ws):\n    n = len(Ws)\n    return torch.tensor(range(n + 1)).sum(), n\nv = lab.check(products)"
    lines = progress_of(code, capsys)
    assert next(line for line in lines if "products" in line).split() == ["✓", "products", "4", "of", "4", "(extra)"]
    assert lines[-1] == "0 of 100 points so far"
