"""pytest --dl780-lab LAB --dl780-submission FILE: a test item for each question, run as the grader runs it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dl780 import UserError

LAB, FILE = "--dl780-lab", "--dl780-submission"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Two options; without them this plugin does nothing, and imports nothing."""
    group = parser.getgroup("dl780", "dl780: a student's notebook, a test for each question")
    group.addoption(LAB, help="the lab's name, such as backprop")
    group.addoption(FILE, help="the submission, a notebook or a .py file")


def pytest_collection(session: pytest.Session) -> bool | None:
    """Instead of test files the questions, when both options are there."""
    lab, file = session.config.getoption(LAB), session.config.getoption(FILE)
    if not lab and not file:
        return None
    if not lab or not file:
        raise pytest.UsageError(f"{LAB} and {FILE} go together")
    try:
        notebook = Notebook(lab, Path(file))
    except UserError as error:
        raise pytest.UsageError(str(error)) from error
    session.items[:] = [Asked.from_parent(session, name=name, notebook=notebook) for name in notebook.lab.questions]
    session.config.hook.pytest_collection_modifyitems(session=session, config=session.config, items=session.items)
    session.config.hook.pytest_collection_finish(session=session)
    session.testscollected = len(session.items)
    session.config.add_cleanup(notebook.worker.close)
    return True


class Notebook:
    """A submission with what judges it: a preloaded process, and a seed that is drawn anew for each run."""

    def __init__(self, lab: str, path: Path) -> None:
        import secrets

        from dl780.check.registry import load_lab
        from dl780.grade.read import Submission, Unreadable, cells, take
        from dl780.grade.work import Worker

        self.path, self.lab = path, load_lab(lab)
        self.handed = take(Submission(path.stem, path))
        try:
            self.cells = cells(self.handed)
        except Unreadable as error:
            raise UserError(f"{path}: {error}") from error
        self.worker, self.master = Worker(self.lab.opening), secrets.token_bytes(32)


class Asked(pytest.Item):
    """One question of a submission: it passes with all its points."""

    def __init__(self, *, notebook: Notebook, **about: Any) -> None:
        super().__init__(**about)
        self.notebook = notebook

    def runtest(self) -> None:
        """Judge the question as `dl780 grade` does, and fail with the sentences of the student's page."""
        from dl780.check import show
        from dl780.grade.judge import verdicts

        n = self.notebook
        with _float64():
            (verdict,) = verdicts(n.lab, n.cells, n.worker, n.master, n.handed.digest, only=self.name)
        self.user_properties += [("points", verdict.points), ("out_of", verdict.out_of)]
        if not verdict.passed:
            raise Wrong(show.text(verdict))

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        """The verdict as in a terminal, instead of a traceback."""
        return str(excinfo.value) if isinstance(excinfo.value, Wrong) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """The submission, and the question."""
        return self.notebook.path, None, self.name


class Wrong(Exception):
    """A question that has not all its points; the message is its verdict."""


@contextmanager
def _float64() -> Iterator[None]:
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
