"""Who is who, who is late, which of several files counts, and what counts: through a whole run, and by itself."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dl780 import UserError
from dl780.check.registry import LabQuestions
from dl780.check.verdict import OutputVerdict, Verdict
from dl780.grade import choice
from dl780.grade.read import find
from dl780.grade.roster import Course, Place, places, read_roster

Notebook = Callable[..., str]
GRADESCOPE = """\
submission_1:
  :submitters:
  - {':name': Ada, ':sid': '11', ':email': ada@x}
  :created_at: 2026-03-02 20:00:00 +00:00
submission_2:
  :submitters:
  - {':name': Bea, ':sid': '12', ':email': bea@x}
  :created_at: 2026-03-03 00:30:00 +00:00
submission_3:
  :submitters:
  - {':name': Cai, ':sid': '13', ':email': cai@x}
  :created_at: 2026-03-05 12:00:00 +00:00
"""


def standing(
    root: Path, course: Course, scores: list[float | None] | None = None
) -> tuple[dict[str, Place], list[str]]:
    found = find([root], root.parent / "out", course.layout)
    results = [dict(score=score) for score in scores or [None] * len(found)]
    here, absent = places(found, results, course)
    return {s.name: place for s, place in zip(found, here, strict=True)}, [s.id for s in absent]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("id,name,group,extension\n7,Ada,A,2\n", ("7", "Ada", "A", "2", ("7",))),
        ("\ufeffID,Name\n7,Ada\n", ("7", "Ada", "", "", ("7",))),
        (
            "Student,ID,SIS User ID,SIS Login ID,Section,Lab (12)\n    Points Possible,,,,,100\n"
            '"Lovelace, Ada",7,s7,ada,A,\n',
            ("7", "Lovelace, Ada", "A", "", ("7", "s7", "ada")),
        ),
        (
            "Identifier,Full name,Email address,Status,Grade,Maximum grade\nParticipant 7,Ada,ada@x,,,100\n",
            ("7", "Ada", "", "", ("7", "ada@x")),
        ),
        ("First Name,Last Name,SID,Email\nAda,Lovelace,7,ada@x\n", ("7", "Ada Lovelace", "", "", ("7", "ada@x"))),
    ],
    ids=["own", "with a mark", "Canvas", "Moodle", "Gradescope"],
)
def test_rosters_of_every_lms(tmp_path: Path, text: str, wanted: tuple[Any, ...]) -> None:
    (student,) = read_roster(write(tmp_path / "roster.csv", text))
    assert (student.id, student.name, student.group, student.extension, student.keys) == wanted


@pytest.mark.parametrize("text", ["", "nothing\nof use\n", "id,name\n,\n"])
def test_a_roster_without_students_is_one_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match="no student"):
        read_roster(write(tmp_path / "roster.csv", text))


def test_late_days_extensions_and_slip_days(tmp_path: Path) -> None:
    root = tmp_path / "export"
    write(root / "submission_metadata.yml", GRADESCOPE)
    for i in (1, 2, 3):
        write(root / f"submission_{i}" / "hw.py", "a = 1")
    roster = "id,name,extension,slip_days\n11,Ada,,1\n12,Bea,,5\n13,Cai,1,1\n14,Dee,,\n"
    course = Course(roster=write(tmp_path / "roster.csv", roster), due="2026-03-02T23:59+00:00")
    found, absent = standing(root, course)
    assert {n: (p.late, p.late_days, p.slip_days) for n, p in found.items()} == {
        "Ada_11": ("no", 0, 0),
        "Bea_12": ("yes", 1, 1),
        "Cai_13": ("yes", 2, 1),
    }
    assert absent == ["14"]
    own = Course(roster=write(tmp_path / "own.csv", "id,extension\n13,2026-03-05T12:00+00:00\n"), due=course.due)
    assert standing(root, own)[0]["Cai_13"].late == "no"
    assert standing(root, Course())[0]["Bea_12"].late == ""
    with pytest.raises(UserError, match="--due"):
        standing(root, Course(due="tomorrow"))
    with pytest.raises(UserError, match="extension of 13"):
        standing(root, Course(roster=write(tmp_path / "bad.csv", "id,extension\n13,a week\n"), due=course.due))


def test_canvas_s_own_mark_stands_where_no_time_is_known(tmp_path: Path) -> None:
    for name in ("ada_1_10_hw.py", "bea_LATE_2_11_hw.py"):
        write(tmp_path / "got" / name, "a = 1")
    found, _ = standing(tmp_path / "got", Course(due="2026-03-02T23:59"))
    assert [(p.late, p.late_days) for p in found.values()] == [("no", None), ("yes", None)]


@pytest.mark.parametrize(("policy", "chosen"), [("latest", "ada_1_2"), ("best", "ada_1")])
def test_two_files_by_one_student_are_flagged_and_one_counts(tmp_path: Path, policy: Any, chosen: str) -> None:
    for name in ("ada_1_10_hw.py", "ada_1_20_hw.py", "bea_2_11_hw.py"):
        write(tmp_path / "got" / name, "a = 1")
    found, _ = standing(tmp_path / "got", Course(policy=policy), [9.0, 4.0, None])
    assert [n for n, p in found.items() if p.counts] == [chosen, "bea_2"]
    assert found["ada_1"].note == f"2 files by this student: {chosen} counts, the {policy}"
    assert found["bea_2"].note == ""


def test_a_group_hands_in_once(tmp_path: Path) -> None:
    write(tmp_path / "got" / "team7.py", "a = 1")
    write(tmp_path / "got" / "dee.py", "a = 1")
    roster = write(tmp_path / "roster.csv", "id,name,group\nada,Ada,team7\nbea,Bea,team7\ndee,Dee,\n")
    found, absent = standing(tmp_path / "got", Course(roster=roster))
    assert found["team7"].columns["student"] == "ada & bea"
    assert found["dee"].columns["student"] == "dee"
    assert absent == []


def test_the_gradebook_of_a_class_with_a_roster(
    grade_all: Any, right: list[str], ipynb: Notebook, tmp_path: Path
) -> None:
    roster = write(tmp_path / "roster.csv", "id,name\n1,Ada\n2,Bea\n3,Cai\n")
    written = write(tmp_path / "written.csv", "id,why_cache,why_relu\n1,3.5,\n")
    files = {"ada_1_10_hw.ipynb": ipynb(*right), "ada_1_20_hw.ipynb": ipynb(*right[:3]), "bea_2_11_hw.ipynb": "{"}
    grade_all(files, course=Course(roster=roster, written=written))
    with (tmp_path / "out" / "gradebook.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["submission"], r["student"], r["name"], r["counts"], r["status"], r["score"]) for r in rows] == [
        ("ada_1", "1", "Ada", "no", "graded", "20"),
        ("ada_1_2", "1", "Ada", "yes", "graded", "8"),
        ("bea_2", "2", "Bea", "yes", "unreadable", ""),
        ("", "3", "Cai", "", "missing", ""),
    ]
    assert [(r["why_cache"], r["why_relu"], r["out_of"]) for r in rows] == [("3.5", "", "20")] * 2 + [
        ("", "", "20")
    ] * 2
    assert "2 files by this student" in rows[0]["note"]
    log = [json.loads(line) for line in (tmp_path / "out" / "log.jsonl").read_text().splitlines()]
    assert {(e["event"], e["submission"], e["score"]) for e in log} == {
        ("graded", "ada_1", 20.0), ("graded", "ada_1_2", 8.0), ("graded", "bea_2", None)
    }  # fmt: skip


def test_an_instructor_picks_what_counts(lab: LabQuestions, tmp_path: Path) -> None:
    points = write(tmp_path / "points.csv", "question,points\nlinear_backward,20\n")
    chosen = choice.choose(lab, "tanh, linear_backward", points)
    assert {n: q.points for n, q in chosen.questions.items()} == {"tanh": (2, 2), "linear_backward": (6.0, 8.0, 6.0)}
    assert chosen.out_of == 24
    assert choice.choose(lab, None, None).questions == lab.questions
    odd = choice.choose(lab, None, write(tmp_path / "odd.csv", "linear_backward,1\n")).questions["linear_backward"]
    assert odd.out_of == 1
    with pytest.raises(UserError, match="asks no 'tan'"):
        choice.choose(lab, "tan", None)
    for text in ("tanh\n", "tanh,many\n", "", "tanh,-1\n"):
        with pytest.raises(UserError, match="question,points"):
            choice.choose(lab, None, write(tmp_path / "bad.csv", text))


def test_follow_through_needs_the_earlier_mistake_itself() -> None:
    def verdicts(made: str | None) -> list[Verdict]:
        first = Verdict("linear_backward", [OutputVerdict("G_b", 3, mistake=made)])
        later = OutputVerdict("g_bs", 5, message="follows", follows=("linear_backward", "averaged"))
        return [first, Verdict("mlp_backward", [later, OutputVerdict("loss", 2, points=0)])]

    for made, earned in (("averaged", 5), ("transposed", 0), (None, 0)):
        found = verdicts(made)
        choice.follow_through(found)
        assert (found[0].points, found[1].points) == (0, earned)
        assert bool(found[1].flags) == bool(earned)
