"""Grading again after a fix: only what was asked for, what changed is told, and the log keeps everything."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dl780 import UserError
from dl780.check.registry import LabQuestions
from dl780.grade import log, regrade

WRONG = "def linear_backward(G, Z, W, b):\n    return G @ W, G.T @ Z, G.mean(0)"


@pytest.fixture
def graded(
    grade_all: Any, right: list[str], ipynb: Callable[..., str], tmp_path: Path, small: LabQuestions, monkeypatch: Any
) -> Path:
    """Two graded students; from here on a fixed question gives full points for everything."""
    grade_all({"ada.ipynb": ipynb(*right, WRONG), "bea.ipynb": ipynb(*right, WRONG, "n = 1")})
    asked = small.questions["linear_backward"]
    fixed = replace(asked, rtol=1e9, atol=1e9)
    mended = replace(small, questions=small.questions | {"linear_backward": fixed})
    monkeypatch.setattr("dl780.grade.log.load_lab", lambda name: mended)
    monkeypatch.setattr("dl780.grade.pool.dl780.__version__", "9.9")
    return tmp_path / "out"


def score(out: Path, name: str) -> float:
    return float(json.loads((out / "results" / f"{name}.json").read_text())["score"])


def test_one_student_alone(graded: Path) -> None:
    bea = (graded / "results" / "bea.json").read_bytes()
    assert regrade.regrade(graded, ["ada"], None, 1) == [
        "ada: score 17 → 20; linear_backward 7 → 10",
        "1 graded again, 1 changed",
    ]
    assert (graded / "results" / "bea.json").read_bytes() == bea
    assert (score(graded, "ada"), score(graded, "bea")) == (20, 17)
    assert [line.split(",")[2] for line in (graded / "gradebook.csv").read_text().splitlines()[1:]] == ["20", "17"]


def test_a_question_is_graded_again_for_all(graded: Path) -> None:
    *told, last = regrade.regrade(graded, [], "linear_backward", 1)
    assert len(told) == 2
    assert last == "2 graded again, 2 changed"
    assert regrade.regrade(graded, [], "linear_backward", 1) == ["2 graded again, 0 changed"]


def test_the_queue_of_requests(graded: Path) -> None:
    regrade.request(graded, "bea", "linear_backward", "The slide <averages>.")
    page = (graded / "class.html").read_text()
    assert "The slide &lt;averages&gt;." in page
    assert "waits" in page
    before = (graded / "log.jsonl").read_bytes()
    assert regrade.regrade(graded, [], None, 1)[-1] == "1 graded again, 1 changed"
    page = (graded / "class.html").read_text()
    assert "score 17 → 20; linear_backward 7 → 10" in page
    assert "waits" not in page
    assert (graded / "log.jsonl").read_bytes().startswith(before), "what stands in the log is never changed"
    events = [(e["event"], e["submission"], e["version"]) for e in log.entries(graded)][2:]
    assert [e[:2] for e in events] == [("request", "bea"), ("graded", "bea"), ("regraded", "bea")]
    assert {e[2] for e in events} == {"9.9"}
    with pytest.raises(UserError, match="no request waits"):
        regrade.regrade(graded, [], None, 1)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda out: regrade.regrade(out, ["zoe"], None, 1), "no submission 'zoe'"),
        (lambda out: regrade.regrade(out, [], "tan", 1), "asks no 'tan'"),
        (lambda out: regrade.request(out, "zoe", "tanh", ""), "no submission 'zoe'"),
        (lambda out: regrade.request(out, "ada", "tan", ""), "asks no 'tan'"),
        (lambda out: regrade.regrade(out.parent, ["ada"], None, 1), "no graded class"),
    ],
)
def test_bad_input_is_one_line(graded: Path, call: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        call(graded)


def test_a_line_cut_off_by_a_crash_costs_nothing_else(tmp_path: Path) -> None:
    log.append(tmp_path, "request", submission="ada", question="tanh", comment="é\nx")
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"event": "req\n')
    log.append(tmp_path, "regraded", submission="ada", changed="")
    (entry,) = log.requests(log.entries(tmp_path))
    assert (entry["comment"], entry["answered"]) == ("é\nx", "nothing changed")
