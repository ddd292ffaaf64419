"""A whole run: the files it leaves, and that it can be stopped, repeated and disturbed without harm."""

import csv
import fcntl
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import psutil
import pytest

from dl780 import UserError
from dl780.check.registry import LabQuestions
from dl780.grade import book, judge, submission

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="grading needs Linux")

Grade = Callable[..., dict[str, Any]]
Notebook = Callable[..., str]
WRONG = "def linear_backward(G, Z, W, b):\n    return G @ W, G.T @ Z, G.mean(0)"


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "gradebook.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_gradebook(grade_all: Grade, right: list[str], ipynb: Notebook, tmp_path: Path, lab: LabQuestions) -> None:
    grade_all(
        {
            "ada.ipynb": ipynb(*right),
            "b/bea.py": "\n".join([*right, WRONG]),
            "cut.ipynb": ipynb(*right)[:-30],
            "list.ipynb": "[]",
            "none.ipynb": ipynb(),
            "open.ipynb": ipynb("def tanh(a):\n    raise NotImplementedError('tanh')", "def relu(:"),
        }
    )
    lines = (tmp_path / "out" / "gradebook.csv").read_text().splitlines()
    points = lab.questions["linear_backward"].points
    partly = f"{sum(points[:2]):g}"
    questions = "tanh,relu,linear_backward,sgd_step,products,why_cache,why_relu,why_dropout"
    assert lines[0] == f"submission,status,score,out_of,{questions},note"
    assert lines[1] == "ada,graded,20,20,4,4,10,2,4,,,,"
    assert lines[2] == f"b__bea,graded,{20 - points[2]:g},20,4,4,{partly},2,4,,,,"
    assert lines[3].startswith("cut,unreadable,,20,,,,,,,,,")
    assert lines[4].startswith("list,not_a_notebook,,20,,,,,,,,,")
    assert lines[5].startswith("none,empty,,20,,,,,,,,,")
    assert lines[6] == "open,graded,0,20,0,0,0,0,0,,,,cells with a syntax error: 1"
    assert len(lines) == 7
    assert all(row["note"] for row in rows(tmp_path / "out") if row["status"] != "graded")


def test_result_files_have_the_documented_keys(
    grade_all: Grade, right: list[str], ipynb: Notebook, tmp_path: Path
) -> None:
    returned = grade_all({"ada.ipynb": ipynb(*right, WRONG), "cut.ipynb": "{"})
    read = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "out" / "results").iterdir()}
    assert read == returned
    for name, result in read.items():
        assert {"submission", "lab", "status", "score", "out_of", "questions"} <= set(result)
        assert (result["submission"], result["lab"]) == (name, "backprop")
    assert (read["cut"]["status"], read["cut"]["score"], read["cut"]["questions"]) == ("unreadable", None, {})
    assert list(read["ada"]["questions"]) == ["tanh", "relu", "linear_backward", "sgd_step", "products"]
    for question in read["ada"]["questions"].values():
        assert set(question) == {"points", "out_of", "outputs", "mistake", "flags", "replay"}
        assert all(set(output) == {"ok", "message"} for output in question["outputs"].values())
    core = [q["points"] for n, q in read["ada"]["questions"].items() if n != "products"]
    assert read["ada"]["score"] == sum(core)
    assert not list((tmp_path / "out").rglob("*.part"))


def test_flags_stand_in_the_note(grade_all: Grade, right: list[str], ipynb: Notebook, tmp_path: Path) -> None:
    in_place = "def sgd_step(w, g, alpha):\n    w -= alpha * g\n    return w"
    grade_all({"ada.ipynb": ipynb(*right, in_place)})
    (row,) = rows(tmp_path / "out")
    assert (row["score"], row["note"]) == ("20", "sgd_step: changes its input w in place")


def test_a_second_run_grades_only_what_is_new(
    grade_all: Grade, right: list[str], ipynb: Notebook, tmp_path: Path
) -> None:
    grade_all({"ada.ipynb": ipynb(*right), "bea.ipynb": ipynb(*right), "cut.ipynb": "{"})
    results = tmp_path / "out" / "results"
    before = {path.name: path.stat().st_mtime_ns for path in results.iterdir()}
    gradebook = (tmp_path / "out" / "gradebook.csv").read_bytes()
    grade_all()
    assert {path.name: path.stat().st_mtime_ns for path in results.iterdir()} == before
    assert (tmp_path / "out" / "gradebook.csv").read_bytes() == gradebook
    again = grade_all({"bea.ipynb": ipynb(*right, WRONG), "new.ipynb": ipynb(*right)})
    changed = {path.name for path in results.iterdir() if before.get(path.name) != path.stat().st_mtime_ns}
    assert changed == {"bea.json", "new.json"}
    assert again["ada"]["score"] == again["new"]["score"] == 20 > again["bea"]["score"]


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{",
        "{}",
        *(other for other in ("null", "[]")),
    ],
)
def test_a_damaged_result_is_graded_again(
    grade_all: Grade, right: list[str], ipynb: Notebook, tmp_path: Path, damage: str
) -> None:
    first = grade_all({"ada.ipynb": ipynb(*right)})
    (tmp_path / "out" / "results" / "ada.json").write_text(damage)
    assert grade_all() == first


@pytest.mark.parametrize("change", ["version", "lab"])
def test_results_of_another_version_are_not_kept(
    grade_all: Grade, right: list[str], ipynb: Notebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    grade_all({"ada.ipynb": ipynb(*right)})
    path = tmp_path / "out" / "results" / "ada.json"
    before = path.stat().st_mtime_ns
    if change == "version":
        monkeypatch.setattr("dl780.__version__", "0.0.0")
    else:
        monkeypatch.setattr("inspect.getsource", lambda module: "other questions")
    grade_all()
    assert path.stat().st_mtime_ns != before


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A judge that fails on submissions that begin with `# bea`, and a function that mends it."""
    real = judge.verdicts

    def fails(lab: LabQuestions, sources: list[str], *rest: Any) -> Any:
        if sources[0] == "# bea":
            raise RuntimeError("a cosmic ray")
        return real(lab, sources, *rest)

    monkeypatch.setattr(submission, "verdicts", fails)
    return lambda: monkeypatch.setattr(submission, "verdicts", real)


def test_a_fault_of_the_grader_is_one_row(grade_all: Grade, right: list[str], ipynb: Notebook, faulty: Any) -> None:
    found = grade_all({"ada.ipynb": ipynb(*right), "bea.ipynb": ipynb("# bea", *right)})
    assert (found["ada"]["status"], found["ada"]["score"]) == ("graded", 20)
    assert (found["bea"]["status"], found["bea"]["score"], found["bea"]["questions"]) == ("error", None, {})
    assert "a cosmic ray" in found["bea"]["note"]


def test_a_fault_of_the_grader_is_tried_again(
    grade_all: Grade, right: list[str], ipynb: Notebook, faulty: Callable[[], None]
) -> None:
    grade_all({"bea.ipynb": ipynb("# bea", *right)})
    faulty()
    assert grade_all()["bea"]["score"] == 20


def test_the_seed_is_kept_for_its_owner_and_used_again(
    grade_all: Grade, right: list[str], ipynb: Notebook, tmp_path: Path
) -> None:
    first = grade_all({"ada.ipynb": ipynb(*right, WRONG)}, seed=None)
    path = tmp_path / "out" / "seed"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_bytes()) >= 32
    for result in (tmp_path / "out").rglob("*.*"):
        assert path.read_text() not in result.read_text(), f"the master seed stands in {result}"
    (tmp_path / "out" / "results" / "ada.json").unlink()
    assert grade_all(seed=None) == first
    with pytest.raises(UserError, match="another seed"):
        grade_all(seed=6)


def test_a_given_seed_goes_on_and_another_is_refused(
    grade_all: Grade, right: list[str], ipynb: Notebook, tmp_path: Path
) -> None:
    first = grade_all({"ada.ipynb": ipynb(*right, WRONG)}, seed=5)
    gradebook = (tmp_path / "out" / "gradebook.csv").read_bytes()
    with pytest.raises(UserError, match="another seed") as caught:
        grade_all(seed=6)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "out" / "gradebook.csv").read_bytes() == gradebook
    (tmp_path / "out" / "results" / "ada.json").unlink()
    assert grade_all(seed=None) == first


def test_an_empty_seed_file_is_no_seed(grade_all: Grade, right: list[str], ipynb: Notebook, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "seed").write_bytes(b"")
    grade_all({"ada.ipynb": ipynb(*right)}, seed=None)
    assert len((tmp_path / "out" / "seed").read_bytes()) >= 32


def test_two_runs_at_once(grade_all: Grade, right: list[str], ipynb: Notebook, tmp_path: Path) -> None:
    files = {"ada.ipynb": ipynb(*right)}
    grade_all(files)
    with (tmp_path / "out" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another run is grading into"):
            grade_all(files)
    assert grade_all(files)["ada"]["score"] == 20


def test_a_folder_that_cannot_be_written(small: LabQuestions, tmp_path: Path) -> None:
    (tmp_path / "ada.py").write_text("a = 1")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write into") as caught:
        book.grade(small, [tmp_path / "ada.py"], tmp_path / "file" / "out", 1, 5)
    assert "\n" not in str(caught.value)


ODD = ["=1+2", "two words", 'it\'s "quoted"', "é漢字", "a,b;c", "<b>bold</b>", "100%", "#7?x=1&y", "line\nbreak", "-"]


def test_odd_names_survive(grade_all: Grade, right: list[str], ipynb: Notebook, tmp_path: Path) -> None:
    safe = [name.replace("/", "∕") for name in ODD]
    grade_all({f"{name}.ipynb": ipynb(*right) for name in safe})
    assert sorted(row["submission"] for row in rows(tmp_path / "out")) == sorted(safe)
    assert {row["score"] for row in rows(tmp_path / "out")} == {"20"}
    for folder, suffix in (("results", "json"), ("feedback", "html")):
        assert {path.name for path in (tmp_path / "out" / folder).iterdir()} == {f"{name}.{suffix}" for name in safe}


@pytest.mark.parametrize("where", ["name", "message"])
def test_half_characters_stop_nothing(
    grade_all: Grade, right: list[str], ipynb: Notebook, tmp_path: Path, where: str
) -> None:
    """A name from a zip in another encoding; an error message with half of an emoji."""
    cell = "def tanh(a):\n    raise ValueError('\\ud83d')"
    files = {"ada.ipynb": ipynb(*right), "zoe.ipynb": ipynb(*right)}
    if where == "message":
        files["bea.ipynb"] = ipynb(*right, cell)
    else:
        (tmp_path / "class").mkdir()
        Path(os.fsdecode(os.fsencode(tmp_path / "class") + b"/b\xe9a.ipynb")).write_text(ipynb(*right))
    found = grade_all(files)
    assert len(found) == 3
    assert found["ada"]["score"] == found["zoe"]["score"] == 20
    assert len(rows(tmp_path / "out")) == 3


def test_a_long_path_stops_nothing(grade_all: Grade, right: list[str], ipynb: Notebook, tmp_path: Path) -> None:
    long = "/".join(["assignsubmission_file_" + "x" * 100] * 2)
    found = grade_all({"ada.ipynb": ipynb(*right), f"{long}/hw.ipynb": ipynb(*right)})
    assert [result["score"] for result in found.values()] == [20, 20]


# --- runs of their own ------------------------------------------------------------------------------------------------

RUN = """
import sys
from dataclasses import replace
from pathlib import Path
from dl780.check.registry import load_lab
from dl780.grade.book import grade
lab = load_lab("backprop")
names = ("tanh", "relu", "linear_backward", "sgd_step", "products")
grade(replace(lab, questions={n: replace(lab.questions[n], seconds=2) for n in names}),
      [Path(sys.argv[1])], Path(sys.argv[2]), int(sys.argv[3]), 5)
"""
HOSTILE = {
    "loop": "X = [i for i in iter(int, 1)]\ndef tanh(a): return X",
    "exit": "import os\ndef _go(): os._exit(0)\nX = _go()\ndef tanh(a): return X\nrelu = tanh",
    "kill": "import os\ndef tanh(a): os.kill(os.getppid(), 9)",
    "group": "import os\ndef tanh(a): os.killpg(0, 9)",
    "print": "import sys\ndef tanh(a):\n    for _ in range(100): print('x' * 10**5, file=sys.stderr)\n"
    "    t = a.tanh()\n    return t, 1 - t**2",
    "patch": "import torch\ntorch.allclose = lambda *_, **__: True\ntorch.Tensor.__eq__ = lambda *_: True\n"
    "def tanh(a):\n    torch.tanh = torch.relu\n    return a, a",
}  # fmt: skip


def write_class(folder: Path, ipynb: Notebook, right: list[str]) -> None:
    folder.mkdir()
    for name in ("a clean", "z clean"):
        (folder / f"{name}.ipynb").write_text(ipynb(*right, WRONG))
    for name, cell in HOSTILE.items():
        (folder / f"{name}.ipynb").write_text(ipynb(*right, cell))


@pytest.mark.slow
def test_kill_and_hostile_company_change_nothing(tmp_path: Path, ipynb: Notebook, right: list[str]) -> None:
    """One class: graded undisturbed by two workers, and by one in a run that is killed in its middle."""
    write_class(tmp_path / "class", ipynb, right)
    command = [sys.executable, "-c", RUN, str(tmp_path / "class")]
    subprocess.run([*command, str(tmp_path / "calm"), "2"], check=True, capture_output=True, timeout=100)

    results = tmp_path / "cut" / "results"
    with subprocess.Popen([*command, str(tmp_path / "cut"), "1"], stderr=subprocess.DEVNULL) as run:
        deadline = time.monotonic() + 60
        while len(list(results.glob("*.json"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(run.pid, signal.SIGKILL)
    done = {path.name: path.stat().st_mtime_ns for path in results.glob("*.json")}
    assert 2 <= len(done) < 8, "the run was not killed in its middle"
    assert not (tmp_path / "cut" / "gradebook.csv").exists()
    assert all(json.loads((results / name).read_text())["questions"] for name in done)
    subprocess.run([*command, str(tmp_path / "cut"), "1"], check=True, capture_output=True, timeout=100)
    assert {name: (results / name).stat().st_mtime_ns for name in done} == done
    for name in ("gradebook.csv", "class.html"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "calm" / name).read_bytes()

    found = {row["submission"]: row for row in rows(tmp_path / "calm")}
    assert {row["status"] for row in found.values()} == {"graded"}
    first, last = (json.loads((tmp_path / "calm" / "results" / f"{n} clean.json").read_text()) for n in "az")
    assert first | {"submission": ""} == last | {"submission": ""}
    clean = {name: found["a clean"][name] for name in ("relu", "sgd_step", "products", "tanh")}
    assert clean == {"relu": "4", "sgd_step": "2", "products": "4", "tanh": "4"}
    lost = {"loop": ["tanh"], "exit": ["tanh", "relu"], "kill": ["tanh"], "group": ["tanh"], "print": [],
            "patch": ["tanh"]}  # fmt: skip
    for name, questions in lost.items():
        less = [q for q in ("tanh", "relu", "linear_backward", "sgd_step", "products") if found[name][q] != FULL[q]]
        assert less == questions, name


def everything(out: Path) -> dict[str, bytes]:
    """Every file of a run but its lock, and its log, which tells of every attempt."""
    return {
        str(p.relative_to(out)): p.read_bytes()
        for p in out.rglob("*")
        if p.is_file() and p.name not in (".lock", "log.jsonl")
    }


@pytest.mark.slow
def test_killed_at_random_again_and_again_and_then_run_again(tmp_path: Path, ipynb: Notebook, right: list[str]) -> None:
    """Kill -9 of judge, preloaded process or child, at random moments: the files are those of a calm run."""
    (tmp_path / "class").mkdir()
    for i in range(8):
        cells = [*right, WRONG] if i % 2 else right
        (tmp_path / "class" / f"{i}.ipynb").write_text(ipynb(*cells, f"number = {i}"))
    command = [sys.executable, "-c", RUN, str(tmp_path / "class")]
    subprocess.run([*command, str(tmp_path / "calm"), "2"], check=True, capture_output=True, timeout=100)
    chance, killed, out = Random(780), Counter[str](), tmp_path / "cut"
    for _ in range(6):
        with subprocess.Popen([*command, str(out), "2"], stderr=subprocess.DEVNULL) as run:
            judge = psutil.Process(run.pid)
            end = time.monotonic() + chance.uniform(4, 8)
            while time.monotonic() < end and run.poll() is None:
                time.sleep(chance.uniform(0.1, 0.7))
                with suppress(psutil.Error, IndexError):
                    name, victim = "outer", chance.choice(judge.children())
                    for deeper in ("inner", "child"):  # of the preloaded process's namespaces, of a question
                        if chance.random() < 0.7 and (below := victim.children()):
                            name, victim = deeper, below[0]
                    victim.kill()
                    killed[name] += 1
            killed["judge"] += run.poll() is None
            run.kill()
    subprocess.run([*command, str(out), "2"], check=True, capture_output=True, timeout=100)
    assert killed["judge"] >= 1
    assert killed["outer"] + killed["inner"] + killed["child"] >= 3, killed
    assert everything(out) == everything(tmp_path / "calm")


@pytest.mark.slow
def test_a_full_disk_is_one_clear_line_and_what_was_graded_is_kept(
    tmp_path: Path, ipynb: Notebook, right: list[str]
) -> None:
    (tmp_path / "class").mkdir()
    for i in range(9):
        (tmp_path / "class" / f"{i}.ipynb").write_text(ipynb(*right, f"number = {i}"))
    (tmp_path / "small").mkdir()
    full = 'mount -t tmpfs -o size=160k none "$2" && { "$0" -m dl780 grade backprop "$1" --out "$2/out"; code=$?; '
    full += 'ls "$2/out/results"; exit $code; }'
    run = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", full, sys.executable, str(tmp_path / "class"), str(tmp_path / "small")],
        capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    if "unshare" in run.stderr or "mount:" in run.stderr:
        pytest.skip("this kernel grants no mount to try it on")
    assert run.returncode == 2, run.stderr
    last = run.stderr.strip().splitlines()[-1]
    assert re.fullmatch(r"dl780: cannot write .*: No space left on device; mend that and run it again", last)
    assert "Traceback" not in run.stderr
    assert 0 < len(run.stdout.split()) < 9
    assert ".part" not in run.stdout


FULL = {"tanh": "4", "relu": "4", "linear_backward": "10", "sgd_step": "2", "products": "4"}
