"""The autograder's zip, in the folders that Gradescope makes, run as its harness runs it."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from dl780 import UserError
from dl780.check.registry import LabQuestions
from dl780.grade.gradescope import pack
from dl780.release import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="grading needs Linux"),
    pytest.mark.skipif(not (ROOT / "setup.cfg").exists(), reason="needs a checkout"),
]
Notebook = Callable[..., str]
MOST = 1536 * 2**20  # bytes: 1.5 GB, a small container of Gradescope's
WRONG = "def linear_backward(G, Z, W, b):\n    return G @ W, G.T @ Z, G.mean(0)"
BARE = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_DATA, ({most}, {most}))
os.execv("/bin/bash", ["bash", "-c", "echo 0 > /proc/sys/user/max_user_namespaces; exec ./run_autograder"])
"""


@pytest.fixture(scope="module")
def autograder(lab: LabQuestions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Gradescope's container holds after setup: source/, run_autograder, and an environment with the zip's wheel.

    The environment has this one's packages but dl780, which comes from the zip alone.
    """
    root = tmp_path_factory.mktemp("gradescope") / "autograder"
    pack(lab, root / "autograder.zip")
    with zipfile.ZipFile(root / "autograder.zip") as archive:
        names = archive.namelist()
        modes = {i.filename: i.external_attr >> 16 & 0o777 for i in archive.infolist()}
        archive.extractall(root / "source")
    (wheel,) = [name for name in names if name.endswith(".whl")]
    assert sorted(names) == sorted(["setup.sh", "run_autograder", wheel])
    assert modes["setup.sh"] == modes["run_autograder"] == 0o755
    subprocess.run(["bash", "-n", str(root / "source" / "setup.sh")], check=True)
    shutil.copy(root / "source" / "run_autograder", root)
    (root / "run_autograder").chmod(0o755)
    venv.create(root / "venv", with_pip=False)
    site = next((root / "venv" / "lib").glob("python*/site-packages"))
    (site / "others.pth").write_text("\n".join(path for path in sys.path if path.endswith("-packages")))
    install = [sys.executable, "-m", "pip", "--python", str(root / "venv/bin/python"), "install", "-q", "--no-deps"]
    subprocess.run([*install, str(root / "source" / wheel)], check=True)
    assert (site / "dl780" / "cli.py").exists()
    return root


def grade(root: Path, files: dict[str, str], command: list[str] | None = None) -> tuple[dict[str, Any], int]:
    """The results of a run on these files, and the most memory that its processes held together (PSS)."""
    for folder in ("submission", "results"):
        shutil.rmtree(root / folder, ignore_errors=True)
        (root / folder).mkdir()
    for name, text in files.items():
        (root / "submission" / name).write_text(text, encoding="utf-8")
    run = subprocess.Popen(
        command or ["./run_autograder"], cwd=root, env=os.environ | {"AUTOGRADER": str(root)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    peak = [0]

    def watch() -> None:
        while run.poll() is None:
            peak[0] = max(peak[0], _held(run.pid))
            time.sleep(0.2)

    watcher = threading.Thread(target=watch)
    watcher.start()
    said, _ = run.communicate(timeout=300)
    watcher.join()
    assert run.returncode == 0, said
    return json.loads((root / "results" / "results.json").read_text()), peak[0]


def _held(pid: int) -> int:
    total = 0
    try:
        for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
            total += process.memory_full_info().pss
    except psutil.Error:
        pass
    return total


def test_a_submission_is_graded_from_the_zip_alone(
    autograder: Path, right_cells: list[str], ipynb: Notebook, lab: LabQuestions
) -> None:
    found, peak = grade(autograder, {"hw.ipynb": ipynb(*right_cells, WRONG), "notes.py": "a = 1"})
    by_name = {t["name"]: t for t in found["tests"]}
    assert list(by_name) == list(lab.questions)
    lost = {n: t["max_score"] - t["score"] for n, t in by_name.items() if t["score"] < t["max_score"]}
    assert lost.pop("linear_backward") == 3
    assert found["score"] == lab.out_of - 3 - sum(lost.values())
    assert all("follows from your `linear_backward`" in by_name[name]["output"] for name in lost), lost
    assert "2 files: hw was graded" in found["output"]
    assert by_name["linear_backward"]["score"] == 7
    assert "you averaged the bias gradient over the batch" in by_name["linear_backward"]["output"]
    assert 'lab.replay("linear_backward", "1:' in by_name["linear_backward"]["output"]
    assert 2**27 < peak < MOST


def test_with_little_memory_and_no_namespaces(
    autograder: Path, right: list[str], ipynb: Notebook, lab: LabQuestions
) -> None:
    """As in a small container whose kernel grants nothing: the same points, and hostile code is still stopped."""
    if subprocess.run(["unshare", "-Ur", "true"], capture_output=True).returncode:
        pytest.skip("this kernel grants no namespace in which to forbid them")
    hog = "def tanh(a):\n    return bytearray(2**34), a"
    code = BARE.format(most=MOST)
    found, peak = grade(
        autograder, {"hw.ipynb": ipynb(*right, WRONG, hog)}, ["unshare", "-Ur", sys.executable, "-c", code]
    )
    scores = {t["name"]: t["score"] for t in found["tests"]}
    assert {n: scores[n] for n in ("tanh", "relu", "linear_backward", "sgd_step")} == dict(
        tanh=0, relu=4, linear_backward=7, sgd_step=2
    )
    assert peak < MOST


@pytest.mark.parametrize(("files", "words"), [({}, "no notebook"), ({"hw.ipynb": "{"}, "cut off or broken")])
def test_what_cannot_be_graded_is_told(autograder: Path, files: dict[str, str], words: str) -> None:
    found, _ = grade(autograder, files)
    assert words in found["output"]
    assert found["tests"] == []


def test_a_wheel_of_something_else(lab: LabQuestions, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no wheel of dl780"):
        pack(lab, tmp_path / "autograder.zip", tmp_path / "numpy-1.whl")
    assert not (tmp_path / "autograder.zip").exists()
