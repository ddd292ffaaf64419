"""An adversarial suite: every file of tests/hostile is graded in one run, beside two clean submissions."""

import hashlib
import json
import os
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dl780.check.registry import LabQuestions
from dl780.grade.book import grade
from dl780.release import solutions

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="grading needs Linux")]

# Endless loops stand under linear_backward, where they are cheap; whoever starts another Python has time for it.
SECONDS = dict(tanh=10, softmax_cross_entropy=10, linear_backward=3, adam_step=3, train_mlp=10)
HELPERS = ("relu", "mlp_backward", "sgd_step")
NOBODY = 65534
MARK = f"# hostile-{os.getpid()}"
REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Attack:
    """A file of tests/hostile: what a student hands in under one question's name, and what it deserves."""

    name: str
    question: str
    deserves: float
    or_flag: bool
    known: str
    code: str


def _attack(path: Path) -> Attack:
    code = path.read_text(encoding="utf-8")
    header = dict(re.findall(r"(?m)^# (question|deserves|known): (.+)$", code.split("\n\n")[0]))
    deserves, _, or_flag = header["deserves"].partition(" or ")
    return Attack(path.stem, header["question"], float(deserves), or_flag == "flag", header.get("known", ""), code)


ATTACKS = [_attack(path) for path in sorted(Path(__file__).with_name("hostile").glob("*.py"))]


@dataclass(frozen=True)
class Graded:
    """The one run: results by submission, and the state of what it must leave alone, before and after it."""

    results: dict[str, Any]
    out: Path
    before: dict[str, Any]
    after: dict[str, Any]


@pytest.fixture(scope="module")
def graded(lab: LabQuestions, tmp_path_factory: pytest.TempPathFactory) -> Graded:
    folder = tmp_path_factory.mktemp("hostile")
    bait, handed_in = folder / "others", folder / "class"
    for path in (bait / "seed", bait / "results" / "ada.json", bait / "ada.ipynb", bait / "gradebook.csv"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
        path.chmod(0o666)
    bait.chmod(0o777)
    handed_in.mkdir()
    solved = solutions("backprop")
    for attack in ATTACKS:
        names = [n for n in (*SECONDS, *HELPERS) if attack.question != n != "train_mlp"]
        (handed_in / f"{attack.name}.ipynb").write_text(_notebook(*(solved[n] for n in names), attack.code))
    for name in ("0_first", "zz_last"):
        (handed_in / f"{name}.ipynb").write_text(_notebook(*(solved[n] for n in (*HELPERS, *SECONDS))))
    questions = {name: replace(lab.questions[name], seconds=seconds) for name, seconds in SECONDS.items()}
    before, dtype = _state(bait), torch.get_default_dtype()
    try:
        hostile_lab = replace(lab, questions=questions, opening=f"{lab.opening}\n{MARK}\n")
        results = grade(hostile_lab, [handed_in], folder / "out", jobs=2, seed=5)
    finally:
        torch.set_default_dtype(dtype)
    return Graded({result["submission"]: result for result in results}, folder / "out", before, _state(bait))


def _notebook(*cells: str) -> str:
    code = [dict(cell_type="code", metadata={}, outputs=[], source=cell) for cell in ("import torch", *cells)]
    return json.dumps(dict(cells=code, metadata={}, nbformat=4, nbformat_minor=4))


def _state(bait: Path) -> dict[str, Any]:
    """What a run may not change: files by their hash, folders by the names that are new or not ours in them."""
    watched = [bait, REPOSITORY / "dl780", REPOSITORY / "tests" / "hostile"]
    files = sorted(path for top in watched for path in top.rglob("*") if path.is_file() and path.suffix != ".pyc")
    state: dict[str, Any] = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    places = [Path.home(), REPOSITORY, *(Path(p) for p in ("/tmp", "/var/tmp", "/dev/shm", sys.prefix, *sys.path))]
    for place in filter(Path.is_dir, places):
        state[f"in {place}"] = sorted(path.name for path in place.iterdir() if _foreign(path))
    state["torch"] = hashlib.sha256(Path(torch.__file__).read_bytes()).hexdigest()
    return state


def _foreign(path: Path) -> bool:
    """Whether a file may come from a child: planted under a known name, or owned by nobody."""
    planted = "hostile_probe" in path.name or path.name in ("sitecustomize.py", "usercustomize.py", ".pythonrc.py")
    try:
        return planted or path.lstat().st_uid == NOBODY
    except OSError:
        return False


def _ours() -> list[str]:
    """Processes that this run's workers left, by the mark in their command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if MARK.encode() in (process / "cmdline").read_bytes() and int(process.name) != os.getpid():
                found.append(process.name)
        except OSError:
            continue
    return found


def test_there_are_enough_attacks() -> None:
    assert len(ATTACKS) >= 60
    assert {attack.question for attack in ATTACKS} <= set(SECONDS)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_earns_what_it_deserves(graded: Graded, attack: Attack, request: pytest.FixtureRequest) -> None:
    if attack.known:
        request.applymarker(pytest.mark.xfail(reason=attack.known, strict=True))
    result = graded.results[attack.name]
    assert result["status"] == "graded", result["note"]
    found = result["questions"][attack.question]
    assert found["points"] <= attack.deserves or (attack.or_flag and found["flags"]), found


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_the_rest_of_its_submission_is_unharmed(graded: Graded, attack: Attack) -> None:
    others = [name for name in SECONDS if name not in (attack.question, "train_mlp")]
    found = graded.results[attack.name]["questions"]
    clean = graded.results["0_first"]["questions"]
    assert {name: found[name]["points"] for name in others} == {name: clean[name]["out_of"] for name in others}


def test_a_clean_submission_is_graded_alike_before_and_after(graded: Graded) -> None:
    first, last = (graded.results[name] | {"submission": ""} for name in ("0_first", "zz_last"))
    assert first == last
    assert all(question["points"] == question["out_of"] for question in first["questions"].values())


def test_nothing_outside_scratch_is_changed(graded: Graded) -> None:
    assert graded.after == graded.before


def test_no_process_is_left(graded: Graded) -> None:
    assert _ours() == []


def test_every_submission_has_its_row_and_its_pages(graded: Graded) -> None:
    names = {attack.name for attack in ATTACKS} | {"0_first", "zz_last"}
    assert set(graded.results) == names
    assert {path.stem for path in (graded.out / "feedback").iterdir()} == names
    assert {path.stem for path in (graded.out / "results").iterdir()} == names
    assert len((graded.out / "gradebook.csv").read_text().splitlines()) == len(names) + 1


def test_no_page_carries_a_student_s_markup(graded: Graded) -> None:
    for page in [graded.out / "class.html", *(graded.out / "feedback").iterdir()]:
        text = page.read_text(encoding="utf-8")
        assert "<script>hostile" not in text
        assert "<img src=x" not in text
