"""The other graders, each in a virtual environment of its own: how they are set up, called, and read."""

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from measure import Cost, measured
from report import write

Points = dict[str, dict[str, float | None]]  # student -> question -> points
GRADEBOOK = """\
import json; from nbgrader.api import Gradebook
with Gradebook("sqlite:///gradebook.db") as book:
    print(json.dumps({s.student.id: {g.name.removeprefix("check-"): g.auto_score for n in s.notebooks for g in n.grades}
        for s in book.assignment_submissions("backprop")}))
"""


@dataclass(frozen=True)
class Peer:
    """A grader: what pip installs, the class's folder, commands before (not counted) and of the grading itself."""

    name: str
    packages: tuple[str, ...]
    folder: str
    before: str
    command: str
    points: Callable[[Path, Path, dict[str, str]], Points]

    def grade(self, venv: Path, folder: Path) -> tuple[Cost, Points]:
        """Grade the class that stands in a folder."""
        ours = folder / self.folder
        environment = _environment(venv, ours)
        measured(self.before, ours, environment)
        cost = measured(self.command, ours, environment)
        return cost, self.points(venv, ours, environment)

    def ready(self, venv: Path) -> None:
        """Make the environment, where there is none."""
        if not (venv / "bin" / self.name).exists():
            subprocess.run([sys.executable, "-m", "venv", venv], check=True)
            subprocess.run([venv / "bin/pip", "install", "--quiet", *self.packages], check=True)


def _environment(venv: Path, folder: Path) -> dict[str, str]:
    """No user's settings, and after the grader's own packages those of this environment: torch, an editable dl780."""
    packages = sysconfig.get_paths()["purelib"]
    write(folder / "path/sitecustomize.py", f"import site\n\nsite.addsitedir({packages!r})\n")
    mine = {name: str(folder / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
    path = f"{venv / 'bin'}:{os.environ['PATH']}"  # nbgrader calls alembic by its bare name
    quiet = dict(PYTHONWARNINGS="ignore", MPLBACKEND="Agg")
    return os.environ | mine | quiet | dict(PATH=path, PYTHONPATH=str(folder / "path"))


def _of_nbgrader(venv: Path, folder: Path, environment: dict[str, str]) -> Points:
    command = [str(venv / "bin/python"), "-c", GRADEBOOK]
    found = subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True).stdout
    points: Points = json.loads(found)
    return points


def _of_otter(venv: Path, folder: Path, environment: dict[str, str]) -> Points:
    found = {path.parent.name: json.loads(path.read_text()) for path in folder.glob("graded/*/results.json")}
    return {who: {t["name"].split(" - ")[0]: t.get("score") for t in r["tests"]} for who, r in found.items()}


NBGRADER = Peer(
    name="nbgrader",
    packages=("nbgrader==0.9.6", "ipykernel"),
    folder="course",
    before="nbgrader generate_assignment backprop",
    command="nbgrader autograde backprop && nbgrader generate_feedback backprop",
    points=_of_nbgrader,
)
OTTER = Peer(
    name="otter",
    packages=("otter-grader[grading]==7.0.0",),
    folder="otter",
    before="otter generate -t tests -o autograder.zip --no-config --no-requirements --no-environment",
    command="for f in class/*.ipynb; do o=graded/$(basename $f .ipynb); mkdir -p $o; "
    "otter run $f -a autograder.zip -o $o --no-logo || exit 1; done",
    points=_of_otter,
)
