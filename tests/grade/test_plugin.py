"""The pytest plugin, in a pytest of its own: an item for each question, its sentences instead of a traceback."""

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="grading needs Linux"),
    pytest.mark.skipif(
        not [e for e in entry_points(group="pytest11") if e.name == "dl780"], reason="dl780 was installed without it"
    ),
]


def run(folder: Path, *options: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


def test_an_item_for_each_question(right: list[str], ipynb: Callable[..., str], tmp_path: Path) -> None:
    wrong = "def linear_backward(G, Z, W, b):\n    return G @ W, G.T @ Z, G.mean(0)"
    (tmp_path / "student.ipynb").write_text(ipynb(*right, wrong))
    (tmp_path / "test_other.py").write_text("def test_other():\n    assert False\n")
    chosen = "tanh or linear_backward or adam_step"
    both = ("--dl780-lab", "backprop", "--dl780-submission", "student.ipynb")
    code, said = run(tmp_path, *both, "-k", chosen, "--junit-xml=out.xml")
    assert code == 1
    assert "2 failed, 1 passed" in said
    assert "tanh PASSED" in said
    assert "you averaged the bias gradient over the batch" in said
    assert "adam_step" in said
    assert "is not defined" in said
    assert "Traceback" not in said
    assert "test_other" not in said
    assert '<property name="points" value="7.0"' in (tmp_path / "out.xml").read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--dl780-lab", "backprop"), "go together"),
        (("--dl780-lab", "nolab", "--dl780-submission", "a.py"), "there is no lab 'nolab'"),
        (("--dl780-lab", "backprop", "--dl780-submission", "gone.ipynb"), "cannot be read"),
    ],
)
def test_bad_options_are_told(tmp_path: Path, options: tuple[str, ...], words: str) -> None:
    code, said = run(tmp_path, *options)
    assert code == 4
    assert words in said
    assert "Traceback" not in said


def test_without_its_options_it_does_and_imports_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("import sys\n\ndef test_it():\n    assert 'torch' not in sys.modules\n")
    code, said = run(tmp_path)
    assert code == 0, said
