"""Where the tests of a lab's bank take its solutions from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jupytext
import pytest
import torch

from dl780.questions import backprop

LAB = Path(__file__).parents[2] / "labs" / "02_backprop.py"


def solutions_of(lab: Path, opening: str) -> str:
    """The opening imports of a lab, less its `Lab`, and every code cell of its source that holds a solution."""
    imports = "\n".join(line for line in opening.splitlines() if "Lab" not in line)
    cells = [cell.source for cell in jupytext.read(lab).cells if cell.cell_type == "code"]
    return "\n\n".join([imports, *(cell for cell in cells if "### BEGIN SOLUTION" in cell)])


@pytest.fixture(scope="session")
def solutions() -> Any:
    """The solutions of the lab, compiled."""
    return compile(solutions_of(LAB, backprop.OPENING), "solutions", "exec")


@pytest.fixture
def after_solutions(solutions: Any) -> Callable[..., dict[str, Any]]:
    """A function that runs code after all solutions, in one fresh namespace, and returns it."""

    def run(code: str = "") -> dict[str, Any]:
        namespace: dict[str, Any] = {"__name__": "student"}
        exec(solutions, namespace)
        exec(compile(code, "cell", "exec"), namespace)
        return namespace

    return run


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)
