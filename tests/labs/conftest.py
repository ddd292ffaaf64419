"""Where the tests of a lab's bank take its solutions from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jupytext
import pytest
import torch

from dl780.check.registry import lab_names, load_lab
from dl780.release import source_of

LABS = lab_names()


def solutions_of(lab: Path, opening: str) -> str:
    """The opening imports of a lab, less its `Lab`, and every code cell of its source that holds a solution."""
    imports = "\n".join(line for line in opening.splitlines() if "Lab" not in line)
    cells = [cell.source for cell in jupytext.read(lab).cells if cell.cell_type == "code"]
    return "\n\n".join([imports, *(cell for cell in cells if "### BEGIN SOLUTION" in cell)])


@pytest.fixture(scope="session")
def solutions() -> dict[str, Any]:
    """The solutions of each lab, compiled."""
    return {lab: compile(solutions_of(source_of(lab), load_lab(lab).opening), lab, "exec") for lab in LABS}


@pytest.fixture
def after_solutions(solutions: dict[str, Any]) -> Callable[..., dict[str, Any]]:
    """A function that runs code after all solutions of a lab, in one fresh namespace, and returns it."""

    def run(lab: str, code: str = "") -> dict[str, Any]:
        namespace: dict[str, Any] = {"__name__": "student"}
        exec(solutions[lab], namespace)
        exec(compile(code, "cell", "exec"), namespace)
        return namespace

    return run


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)
