"""One class of the lab `backprop`, as each grader wants it: the same answers in every file."""

import copy
import json
import re
from pathlib import Path
from typing import Any

from report import write

# Who hands in what: the n-th listed mistake of a question, in place of its solution.
STUDENTS: dict[str, dict[str, int]] = {
    "ada": {},
    "bernhard": {"linear_backward": 0},
    "chien": {"softmax_cross_entropy": 1, "tanh": 0},
    "dorothy": {"numerical_gradient": 0, "momentum_step": 0, "adam_step": 2},
    "emmy": {"backpropagation": 0, "linear_backward": 3},
    "fatima": {"dropout": 0, "autoencoder_backward": 0},
    "george": {},
    "hypatia": {"sigmoid": 0, "dropout_backward": 0},
    "ibn": {"relu": 0, "layer_jacobians": 2},
    "joan": {"mlp_backward": 0, "tape": 0},
    "katherine": {"sgd_step": 0, "products": 1},
    "leonhard": {"numerical_gradient": 2, "softmax_cross_entropy": 0, "adam_step": 0},
}
COPIES = 4  # of each submission in the longer class, every answer in it with a comment of its own
KEPT = re.compile(r"(?m)^lab(?: = Lab|\.show|\.check)\(")  # imports, small examples, checks: no figure, no data
OTTER_TEST = """\
from otter.test_files import test_case

OK_FORMAT = False
name = "{name}"


@test_case(points={points:g})
def full(lab, {name}):
    assert lab.check({name}).points == {points:g}
"""
Notebook = dict[str, Any]


def write_class(folder: Path, trained: bool) -> list[str]:
    """Write the class with or without what trains, draws figures and needs data; return the questions' names."""
    from dl780.bank import read_bank
    from dl780.check.question import Trained
    from dl780.check.registry import load_lab
    from dl780.release import solutions, source_of, student_notebook

    lab, source = load_lab("backprop"), source_of("backprop")
    notebook = json.loads(student_notebook(lab, source))
    left_out = {name for name, question in lab.questions.items() if isinstance(question, Trained) and not trained}
    if not trained:
        notebook["cells"] = [cell for cell in notebook["cells"] if _kept(cell, left_out)]
    right, bank = solutions("backprop"), read_bank(source.with_suffix(".mistakes.py"))
    write(folder / "course/source/backprop/lab.ipynb", json.dumps(_answered(notebook, right, "the course")))
    write(folder / "course/nbgrader_config.py", 'get_config().CourseDirectory.course_id = "bench"\n')
    for student, mistakes in STUDENTS.items():
        answers = right | {name: bank[name, list(lab.questions[name].mistakes)[n]] for name, n in mistakes.items()}
        text = json.dumps(mine := _answered(notebook, answers, student))
        write(folder / f"class/{student}.ipynb", text)
        write(folder / f"course/submitted/{student}/backprop/lab.ipynb", text)
        write(folder / f"otter/class/{student}.ipynb", json.dumps(_unchecked(mine)))
        for n in range(COPIES):
            again = _answered(notebook, answers, f"{student}, {n}")
            write(folder / f"longer/{student}_{n}.ipynb", json.dumps(again))
    asked = [name for name in lab.questions if name not in left_out]
    for name in asked:
        test = OTTER_TEST.format(name=name, points=lab.questions[name].out_of)
        write(folder / f"otter/tests/{name}.py", test)
    return asked


def write_many(folder: Path, question: str, number: int) -> None:
    """As many small notebooks, each a right answer to one question, no two the same."""
    from dl780.release import solutions

    answer = solutions("backprop")[question].rstrip()
    for n in range(number):
        cell = dict(cell_type="code", metadata={}, outputs=[], execution_count=None, source=f"{answer}\n# student {n}")
        notebook = dict(cells=[cell], metadata={}, nbformat=4, nbformat_minor=4)
        write(folder / f"{n:05d}.ipynb", json.dumps(notebook))


def _kept(cell: dict[str, Any], left_out: set[str]) -> bool:
    asked, source = _asked(cell), "".join(cell["source"])
    wanted = cell["cell_type"] == "markdown" or asked or KEPT.search(source)
    return bool(wanted) and asked not in left_out and not any(f"({name})" in source for name in left_out)


def _answered(notebook: Notebook, answers: dict[str, str], by: str) -> Notebook:
    """The notebook with every answer, signed in a comment: in no class is everybody's code the same."""
    notebook = copy.deepcopy(notebook)
    for cell in notebook["cells"]:
        if asked := _asked(cell):
            cell["source"] = f"{answers[asked].rstrip()}\n# {by}"
    return notebook


def _unchecked(notebook: Notebook) -> Notebook:
    """Without the checks: otter runs its tests in their place."""
    return notebook | {"cells": [c for c in notebook["cells"] if not "".join(c["source"]).startswith("lab.check(")]}


def _asked(cell: dict[str, Any]) -> str | None:
    """The name of the answer that a cell holds."""
    about = cell["metadata"].get("nbgrader", {})
    return about["grade_id"] if cell["cell_type"] == "code" and about.get("solution") else None
