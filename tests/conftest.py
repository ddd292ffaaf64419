"""What several tests share: the lab, its solutions as cells, a small lab, and one worker process."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from dl780.check.registry import LabQuestions, load_lab
from dl780.grade.book import grade
from dl780.grade.work import Worker
from dl780.release import solution_notebook, solutions, source_of

SMALL = ("tanh", "relu", "linear_backward", "sgd_step", "products")


@pytest.fixture(autouse=True)
def float32_by_default() -> Iterator[None]:
    """Whatever a test or a lab's cells make the default."""
    torch.set_default_dtype(torch.float32)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="session")
def lab() -> LabQuestions:
    """The backpropagation lab."""
    return load_lab("backprop")


@pytest.fixture(scope="session")
def solved() -> dict[str, str]:
    """What a solution cell defines -> its source."""
    return solutions("backprop")


@pytest.fixture(scope="session")
def right_cells() -> list[str]:
    """All code cells of the lab with its solutions."""
    return [cell.source for cell in solution_notebook(source_of("backprop")).cells if cell.cell_type == "code"]


@pytest.fixture(scope="session")
def small(lab: LabQuestions) -> LabQuestions:
    """Four core questions and one extra, each under a short time limit."""
    return replace(lab, questions={name: replace(lab.questions[name], seconds=3) for name in SMALL})


@pytest.fixture(scope="session")
def right(solved: dict[str, str]) -> list[str]:
    """The small lab's right answers, one cell each."""
    return ["import torch", *(solved[name] for name in SMALL)]


@pytest.fixture(scope="session")
def worker(small: LabQuestions) -> Iterator[Worker]:
    """One preloaded process, started from the main thread: it dies with the thread that starts it."""
    shared = Worker(small.opening)
    question = small.questions["sgd_step"]
    shared.ask(question, ["sgd_step = None"], list(question.cases(b"warm")))
    yield shared
    shared.close()


@pytest.fixture(scope="session")
def ipynb() -> Callable[..., str]:
    """A function that makes a notebook, as text, of code cells."""

    def make(*cells: str, **more: Any) -> str:
        code = [{"cell_type": "code", "metadata": {}, "outputs": [], "source": cell} for cell in cells]
        return json.dumps({"cells": code, "metadata": {}, "nbformat": 4, "nbformat_minor": 4, **more})

    return make


@pytest.fixture(scope="session")
def grade_below(small: LabQuestions, worker: Worker) -> Callable[..., dict[str, Any]]:
    """A function that writes files into folder/class and grades them into folder/out: name -> result."""
    if sys.platform != "linux":
        pytest.skip("grading needs Linux")

    class Shared:
        def __init__(self, _opening: str) -> None: ...

        held = worker.held
        ask = staticmethod(worker.ask)

        def close(self) -> None: ...

    def run(folder: Path, files: dict[str, str] | None = None, seed: int | None = 5, **more: Any) -> dict[str, Any]:
        for name, text in (files or {}).items():
            path = folder / "class" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        before = torch.get_default_dtype()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("dl780.grade.pool.Worker", Shared)
            returned = grade(small, [folder / "class"], folder / "out", 1, seed, **more)
        torch.set_default_dtype(before)
        files = [folder / "out" / "results" / f"{result['submission']}.json" for result in returned]
        return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files}

    return run


@pytest.fixture
def grade_all(grade_below: Callable[..., dict[str, Any]], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """The same for the test's own folder."""
    return partial(grade_below, tmp_path)


@pytest.fixture
def run_program(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[dict[str, Any], list[str]]]:
    """`program.run` in this process, whose own `__main__` is put back afterwards."""
    from dl780.student.program import run

    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    return run
