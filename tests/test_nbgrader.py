"""The lab through nbgrader itself: generate_assignment, autograde, generate_feedback, and the same points as here."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from dl780.bank import read_bank
from dl780.check.registry import LabQuestions
from dl780.release import ROOT, source_of, student_notebook

NBGRADER = os.environ.get("DL780_NBGRADER") or shutil.which("nbgrader")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not NBGRADER, reason="needs nbgrader 0.9.6 on PATH, or in DL780_NBGRADER"),
    pytest.mark.skipif(not (ROOT / "labs").is_dir(), reason="needs a checkout"),
]
POINTS = """
import json
from nbgrader.api import Gradebook
with Gradebook("sqlite:///gradebook.db") as book:
    print(json.dumps({s.student.id: {g.name: [g.auto_score, g.max_score, bool(g.needs_manual_grade)]
        for n in s.notebooks for g in n.grades} for s in book.assignment_submissions("backprop")}))
"""
ASKED = ("tanh", "relu", "linear_backward", "sgd_step")


@pytest.fixture(scope="module")
def released(lab: LabQuestions) -> Any:
    """The released notebook without the cells that plot, load data or train: its texts, answers and checks."""
    notebook = nbformat.reads(student_notebook(lab, source_of("backprop")), as_version=4)
    kept = [c for c in notebook.cells if "nbgrader" in c.metadata or "lab = Lab(" in c.source]
    known = {f"check-{name}" for name in ASKED} | set(ASKED) | set(lab.written)
    notebook.cells = [c for c in kept if c.metadata.get("nbgrader", {}).get("grade_id") in known | {None}]
    return notebook


@pytest.fixture(scope="module")
def course(
    released: Any, lab: LabQuestions, solved: dict[str, str], tmp_path_factory: Any
) -> tuple[Path, dict[str, str]]:
    """A course of nbgrader with three students: all right, one known mistake, nothing written."""
    folder = tmp_path_factory.mktemp("course")
    write(folder / "source" / "backprop" / "lab.ipynb", nbformat.writes(released))
    (folder / "nbgrader_config.py").write_text("c = get_config()\nc.CourseDirectory.course_id = 'dl780'\n")
    kernel = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Python 3",
    }
    write(folder / "jupyter" / "kernels" / "python3" / "kernel.json", json.dumps(kernel | {"language": "python"}))
    assert NBGRADER
    mine = {name: str(folder / name.lower()) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
    path = f"{Path(NBGRADER).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | mine | {"JUPYTER_PATH": str(folder / "jupyter"), "PATH": path, "MPLBACKEND": "Agg"}
    run(folder, environment, "generate_assignment", "backprop")
    text = (folder / "release" / "backprop" / "lab.ipynb").read_text()
    assert "G.T @ Z" not in text, "no solution in the release"
    bank = read_bank(source_of("backprop").with_suffix(".mistakes.py"))
    mistaken = {"linear_backward": bank["linear_backward", "averaged the bias gradient over the batch"]}
    for who, answers in dict(ada=solved, bea={**solved, **mistaken}, cai={}).items():
        handed = nbformat.reads(text, as_version=4)
        for cell in handed.cells:
            name = cell.metadata.get("nbgrader", {}).get("grade_id")
            if name in answers:
                cell.source = answers[name]
            elif name in lab.written and who == "ada":  # nbgrader gives 0 to one that was left as it was
                cell.source = "Since it is needed again on the way back."
        write(folder / "submitted" / who / "backprop" / "lab.ipynb", nbformat.writes(handed))
    run(folder, environment, "autograde", "backprop")
    run(folder, environment, "generate_feedback", "backprop")
    return folder, environment


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def run(folder: Path, environment: dict[str, str], *command: str) -> None:
    done = subprocess.run([str(NBGRADER), *command], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def test_the_same_points_as_here(course: tuple[Path, dict[str, str]], lab: LabQuestions) -> None:
    folder, environment = course
    python = str(Path(str(NBGRADER)).parent / "python")
    done = subprocess.run(
        [python, "-c", POINTS], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    full = {f"check-{name}": lab.questions[name].out_of for name in ASKED}
    auto = {who: {n: g[0] for n, g in grades.items() if n in full} for who, grades in found.items()}
    assert auto["ada"] == full
    assert auto["bea"] == full | {"check-linear_backward": 7}
    assert auto["cai"] == dict.fromkeys(full, 0)
    assert {n: g[1] for n, g in found["ada"].items()} == full | lab.written
    assert all(found["ada"][name][2] for name in lab.written), "written questions wait for a human"


def test_feedback_is_there_and_says_why(course: tuple[Path, dict[str, str]]) -> None:
    folder, _ = course
    page = (folder / "feedback" / "bea" / "backprop" / "lab.html").read_text()
    assert "averaged the bias gradient over the batch" in page
