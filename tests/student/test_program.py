"""Running what was taken from a submission: in order, each statement failing alone."""

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import torch

from dl780.student.program import run


@pytest.fixture(autouse=True)
def _main_module_put_back() -> Iterator[None]:
    before: ModuleType = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = before


def ran(*statements: str, opening: str = "") -> tuple[dict[str, Any], list[str]]:
    return run(opening, list(statements))


def test_the_opening_stands_before_all() -> None:
    names, failures = ran("y = math.pi", opening="import math")
    assert (names["y"], failures) == (pytest.approx(3.14159, abs=1e-4), [])


def test_statements_run_in_order_and_the_last_binding_wins() -> None:
    names, failures = ran("x = 1", "x = x + 1", "def f():\n    return x", "x = 10 * x")
    assert (names["f"](), failures) == (20, [])


def test_one_that_fails_does_not_stop_the_others() -> None:
    names, failures = ran("x = 1", "1 / 0", "raise ValueError('mine')", "y = 2")
    assert (names["x"], names["y"]) == (1, 2)
    assert [failure.split(":")[0] for failure in failures] == ["raised ZeroDivisionError", "raised ValueError"]


def test_a_failure_names_the_students_line() -> None:
    _, failures = ran("def f():\n    return 1 / 0", "x = f()")
    assert failures == ["raised ZeroDivisionError: division by zero, in `f` at `return 1 / 0`"]


def test_a_syntax_error_is_one_failure() -> None:
    names, failures = ran("x = 1", "def f(:", "y = 2")
    assert (names["x"], names["y"], len(failures)) == (1, 2, 1)
    assert failures[0].startswith("raised SyntaxError: ")


@pytest.mark.parametrize(
    "order", [("z = y", "y = x", "x = 1"), ("z = y", "x = 1", "y = x"), ("y = x", "z = y", "x = 1")]
)
def test_names_out_of_order_are_tried_again(order: tuple[str, ...]) -> None:
    names, failures = ran(*order)
    assert (names["z"], failures) == (1, [])


def test_a_name_that_never_comes_is_told_once() -> None:
    names, failures = ran("y = nowhere", "x = 1", "z = y")
    assert names["x"] == 1
    assert [f.partition(",")[0] for f in failures] == [
        "raised NameError: name 'nowhere' is not defined",
        "raised NameError: name 'y' is not defined",
    ]


def test_other_failures_are_not_tried_again() -> None:
    names, _ = ran("count = []", "count.append(1) or 1 / 0", "y = x", "x = 1")
    assert (names["count"], names["y"]) == ([1], 1)


def test_one_that_fails_in_another_way_at_the_second_try_says_the_second() -> None:
    _, failures = ran("y = 1 / x", "x = 0")
    assert [failure.split(":")[0] for failure in failures] == ["raised ZeroDivisionError"]


@pytest.mark.parametrize("leave", ["raise SystemExit", "exit()", "import sys\nsys.exit(3)", "quit()"])
def test_leaving_is_a_failure_like_any_other(leave: str) -> None:
    names, failures = ran("x = 1", leave, "y = 2")
    assert (names["x"], names["y"], len(failures)) == (1, 2, 1)
    assert failures[0].startswith("raised SystemExit")


def test_an_unwritten_function_called_at_the_top_is_named() -> None:
    _, failures = ran("def tanh(a):\n    raise NotImplementedError('tanh')", "x = tanh(1)")
    assert failures == ["needs `tanh`, which is not written yet"]


def test_statements_see_float64_and_a_main_module() -> None:
    before = torch.get_default_dtype()
    names, failures = ran("w = torch.ones(1)", "name = __name__", "import __main__", opening="import torch")
    assert (names["w"].dtype, names["name"], failures) == (torch.float64, "__main__", [])
    assert names["__main__"].w is names["w"]
    assert torch.get_default_dtype() == before


def test_classes_and_dataclasses_find_their_module() -> None:
    code = "from dataclasses import dataclass", "@dataclass\nclass Node:\n    value: float\n    parents: tuple = ()"
    names, failures = ran(*code)
    assert failures == []
    assert names["Node"](2.0).parents == ()


def test_a_broken_opening_is_the_labs_fault_and_is_raised() -> None:
    with pytest.raises(ModuleNotFoundError):
        ran("x = 1", opening="import no_such_module_at_all")


def test_each_program_has_names_of_its_own() -> None:
    ran("leftover = 1")
    _, failures = ran("y = leftover")
    assert len(failures) == 1
