"""Copies are found under other names; right answers that people wrote by themselves are not."""

import csv
import re
from pathlib import Path
from typing import Any

import pytest

from dl780.bank import read_bank
from dl780.check.registry import LabQuestions
from dl780.grade.similar import SOLUTION, pairs, runs, similar
from dl780.release import ROOT, source_of

pytestmark = pytest.mark.skipif(not (ROOT / "labs").is_dir(), reason="needs a checkout")


@pytest.fixture(scope="module")
def honest(lab: LabQuestions) -> dict[str, list[str]]:
    """Six who each wrote right answers in their own words: the n-th variant of each question."""
    by_question: dict[str, list[str]] = {}
    for (question, _), code in read_bank(source_of(lab.name).with_suffix(".variants.py")).items():
        by_question.setdefault(question, []).append(code)
    return {f"honest{i}": [codes[i] for codes in by_question.values() if i < len(codes)] for i in range(5)}


def disguised(cells: list[str]) -> list[str]:
    """The same code with other names, comments, docstrings and layout."""
    found = []
    for cell in reversed(cells):
        names = dict.fromkeys(re.findall(r"(?m)^ +([a-z]\w*) = ", cell))
        for i, name in enumerate(names):
            cell = re.sub(rf"(?<![.\w]){name}(?!\w|\s*=[^=\s])", f"my_{i}", cell) if len(name) > 1 else cell
        cell = re.sub(r"(?m)^(def .*:)$", r'\1\n    """My own work."""\n    # hm', cell)
        found.append(cell)
    return found


def test_a_disguised_copy_is_found_and_honest_work_is_not(lab: LabQuestions, honest: dict[str, list[str]]) -> None:
    cells = {**honest, "copy": disguised(honest["honest2"])}
    assert cells["copy"] != list(reversed(honest["honest2"]))
    found = list(pairs({who: runs(lab, code) for who, code in cells.items()}, 0.8))
    assert [(p.one, p.other) for p in found] == [("copy", "honest2")]
    assert found[0].likeness > 0.9
    assert len(found[0].questions) == 3


def test_a_class_with_the_solution_in_it(
    grade_all: Any, right: list[str], ipynb: Any, tmp_path: Path, honest: dict[str, list[str]]
) -> None:
    files = {f"{who}.ipynb": ipynb("import torch", *code) for who, code in honest.items()}
    grade_all({**files, "taken.ipynb": ipynb(*disguised(right)), "cut.ipynb": "{", "empty.py": "a = 1"})
    found = similar(tmp_path / "out")
    assert [(p.one, p.other) for p in found] == [("taken", SOLUTION)]
    with (tmp_path / "out" / "similar.csv").open(newline="") as file:
        assert [row[:2] for row in csv.reader(file)] == [["submission", "other"], ["taken", SOLUTION]]


def test_names_comments_and_docstrings_make_no_difference(lab: LabQuestions) -> None:
    one = 'def relu(a):\n    """Text."""\n    on = a > 0  # where\n    return on * a, on.double()'
    other = "def relu(x: object) -> tuple:\n    mask = x > 0\n    return (mask * x,\n            mask.double())"
    else_ = "def relu(a):\n    return a.clamp(min=0), (a > 0).double()"
    a, b, c = (runs(lab, [code])["relu"] for code in (one, other, else_))
    assert a == b != c
