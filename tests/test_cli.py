"""The command line: bad input is one line on standard error and exit 2, and nothing is written."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dl780 import cli
from dl780.grade.work import LAYERS

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def dl780(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """A function that runs a command in tmp_path: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "__stderr__", open(2, "w", closefd=False))  # noqa: SIM115

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["dl780", *arguments])
        code: object = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code or 0
        print(end="", file=sys.__stderr__, flush=True)
        assert isinstance(code, int)
        return code, *capfd.readouterr()

    return run


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("frobnicate", "frobnicate"),
        ("--frob", "--frob"),
        ("grade", ""),
        ("grade backprop", "--out"),
        ("grade backprop a.py", "--out"),
        ("grade backprop --out out", "at least one notebook"),
        ("grade backprop gone.ipynb --out out", "gone.ipynb"),
        ("grade backprop a.py gone.ipynb --out out", "gone.ipynb"),
        ("grade nolab a.py --out out", "there is no lab 'nolab'; there are: alphago"),
        ("grade backprop empty --out out", "empty"),
        ("grade backprop notes --out out", "no notebook (.ipynb) and no .py file"),
        ("grade backprop a.py --out out --jobs 0", "--jobs"),
        ("grade backprop a.py --out out --jobs -3", "--jobs"),
        ("grade backprop a.py --out out --jobs many", "--jobs"),
        ("grade backprop a.py --out out --seed abc", "--seed"),
        ("grade backprop a.py --out out --seed 1.5", "--seed"),
        ("grade backprop a.py --out out --frob", "--frob"),
        ("grade backprop a.py --out a.py/out", "cannot write into"),
        ("grade backprop a.py --out out --questions tan", "asks no 'tan'"),
        ("grade backprop a.py --out out --points a.py", "question,points"),
        ("grade backprop a.py --out out --roster a.py", "no student"),
        ("grade backprop a.py --out out --due monday", "--due"),
        ("grade backprop notes --out out --layout canvas", ""),
        ("grade backprop a.py --out out --policy worst", "--policy"),
        ("export notes --canvas", "no graded class"),
        ("export notes", "--canvas, --moodle or --gradescope"),
        ("release nolab", "there is no lab 'nolab'"),
        ("release backprop --check --out out", "is missing"),
        ("release backprop --check=maybe", ""),
        ("demo extra", "extra"),
        ("release backprop --out a.py/out", "a.py/out"),
        ("demo --out a.py/out", "a.py/out"),
    ],
)
def test_bad_input_is_one_line(dl780: Run, tmp_path: Path, line: str, words: str) -> None:
    (tmp_path / "a.py").write_text("a = 1")
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "notes.txt").write_text("no notebook")
    before = sorted(tmp_path.rglob("*"))
    code, out, err = dl780(*line.split())
    assert code == 2, out + err
    assert err.count("\n") == 1, err
    assert err.startswith("dl780: ")
    assert words in err
    assert len(err) < 300
    assert not any(mark in err for mark in ("│", "╭", "╰", "<class"))
    assert out == "" or line.startswith("demo")  # which says what it begins
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("line", "words"),
    [("--help", "grade"), ("grade --help", "--seed"), ("release --help", "--check"), ("demo --help", "--out")],
)
def test_help(dl780: Run, line: str, words: str) -> None:
    code, out, err = dl780(*line.split())
    assert (code, err) == (0, "")
    assert words in out


def test_no_command_says_what_there_is(dl780: Run) -> None:
    code, out, err = dl780()
    assert code == 2
    assert err.count("\n") == 1
    assert "grade" in out + err


def test_release_writes_and_checks(dl780: Run, tmp_path: Path) -> None:
    code, out, err = dl780("release", "backprop", "--out", "here")
    assert (code, out, err) == (0, f"{Path('here/02_backprop.ipynb')} written\n", "")
    assert dl780("release", "backprop", "--check", "--out", "here")[:2] == (
        0,
        f"{Path('here/02_backprop.ipynb')} is fresh\n",
    )
    (tmp_path / "here" / "02_backprop.ipynb").write_text("mine")
    code, out, err = dl780("release", "--out", "here")
    assert (code, err.count("\n")) == (2, 1)
    assert (tmp_path / "here" / "02_backprop.ipynb").read_text() == "mine"
    assert dl780("release", "--out", "here", "--force")[0] == 0


@pytest.mark.skipif(sys.platform != "linux", reason="grading needs Linux")
def test_grade_from_a_shell(tmp_path: Path) -> None:
    """Its results on standard output, its progress on standard error, exit 0 though a submission is unreadable."""
    (tmp_path / "cut.ipynb").write_text("{")
    (tmp_path / "ada.py").write_text("def relu(a):\n    return a.clamp(min=0), 1.0 * (a > 0)\n")
    command = [sys.executable, "-m", "dl780", "grade", "backprop", "ada.py", "cut.ipynb", "--out", "out", "--seed", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 of 2 graded: out/gradebook.csv")
    assert "2/2" in done.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        ".lock", "class.html", "review.html", "feedback", "gradebook.csv", "log.jsonl", "results", "run.json", "seed"
    }  # fmt: skip
    row = (tmp_path / "out" / "gradebook.csv").read_text().splitlines()[1]
    assert row.startswith("ada,graded,4,100,0,0,0,4,0,")


@pytest.mark.skipif(sys.platform != "linux", reason="grading needs Linux")
def test_doctor_tries_every_layer(dl780: Run) -> None:
    """On any Linux a child has limits and no new privileges, whatever else the kernel grants."""
    code, out, err = dl780("doctor")
    assert (code, err) == (0, "")
    tried = dict(line.split(" ", 1)[::-1] for line in out.splitlines() if line[0] in "✓✗")
    assert list(tried) == list(LAYERS)
    assert tried["limits"] == tried["no new privileges"] == "✓"
