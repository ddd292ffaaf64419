"""Who is who: a roster as any LMS writes it, and for each submission its students, its lateness, and if it counts."""

import csv
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from dl780 import UserError
from dl780.grade.read import Submission

Policy = Literal["latest", "best"]
# A roster's headings, as this project, Canvas, Moodle and Gradescope write them; of ids a student may have several.
IDS = ("id", "student id", "sis user id", "sis login id", "sid", "identifier", "id number", "username", "email",
       "email address", "netid")  # fmt: skip
NAMES = ("name", "student", "full name")
GROUPS = ("group", "section", "team")
MOODLE_TIME = "%A, %d %B %Y, %I:%M %p"


@dataclass(frozen=True)
class Course:
    """What an instructor knows beside the files. Its fields are options of `dl780 grade`."""

    layout: Literal["auto", "plain", "canvas", "moodle", "gradescope", "nbgrader"] = "auto"  # of the download
    roster: Path | None = None  # CSV with id, name, group, extension (days or a time), slip_days; or an LMS's own
    due: str | None = None  # when it is due, such as 2026-03-02T23:59+01:00; without a zone, this machine's
    policy: Policy = "latest"  # which of several files by one student counts
    written: Path | None = None  # CSV of hand-given points: submission or id, and a column for each written question
    follow_through: bool = False  # give a question its points where its numbers follow from an earlier mistake


@dataclass(frozen=True)
class Student:
    """A line of the roster, or whoever a path names."""

    id: str
    name: str = ""
    group: str = ""
    extension: str = ""
    slip_days: int = 0
    submitted: datetime | None = None
    keys: tuple[str, ...] = ()
    row: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """Where a submission stands in the class."""

    students: tuple[Student, ...] = ()
    late: str = ""  # yes, no, or nothing where no time is known
    late_days: int | None = None
    slip_days: int = 0
    counts: bool = True
    note: str = ""
    written: Mapping[str, float | None] = field(default_factory=dict)
    back: str = ""

    @property
    def columns(self) -> dict[str, str]:
        """What the gradebook says of it beside the points."""
        return dict(
            student=" & ".join(s.id for s in self.students),
            name=" & ".join(s.name for s in self.students if s.name),
            group=" & ".join(sorted({s.group for s in self.students if s.group})),
            late=self.late,
            late_days="" if self.late_days is None else str(self.late_days),
            slip_days=str(self.slip_days or ""),
            counts="yes" if self.counts else "no",
        )


def read_roster(path: Path) -> list[Student]:
    """Every student of a CSV file; a line without an id is none (such as Canvas's "Points Possible")."""
    try:
        lines = list(csv.DictReader(path.read_text(encoding="utf-8-sig", errors="replace").splitlines()))
    except csv.Error as error:
        raise UserError(f"{path} is no CSV file: {error}") from error
    found = [student for line in lines if (student := _student(line))]
    if not found:
        raise UserError(f"{path}: no student in it; its first line names the columns, one of them `id`")
    return found


def places(
    submissions: Sequence[Submission], results: Sequence[Mapping[str, Any]], course: Course
) -> tuple[list[Place], list[Student]]:
    """A place for each submission, and the students of the roster who have none."""
    roster = read_roster(course.roster) if course.roster else []
    due, written = _time(course.due, "--due"), _written(course.written)
    found = []
    for s in submissions:
        students = tuple(_students(s, roster))
        given = next((written[key] for key in (s.name, *(k for x in students for k in x.keys)) if key in written), {})
        place = Place(students, written=given, back=s.owner.back if s.owner else "")
        found.append(_timed(place, s, due))
    present = {student.id for place in found for student in place.students}
    return _counted(found, submissions, results, course.policy), [s for s in roster if s.id not in present]


def _student(line: dict[str, str]) -> Student | None:
    """A line of a roster, whatever its columns are called."""
    row = {str(k).strip().lower().replace("_", " "): str(v or "").strip() for k, v in line.items() if k}
    keys = [re.sub(r"^\D*?(\d+)$", r"\1", row[c]) if c == "identifier" else row[c] for c in IDS if row.get(c)]
    if not keys:
        return None
    name = next((row[c] for c in NAMES if row.get(c)), f"{row.get('first name', '')} {row.get('last name', '')}")
    days = re.fullmatch(r"\d{1,4}", row.get("slip days", ""))
    submitted = None
    with suppress(ValueError):
        submitted = datetime.strptime(row.get("last modified (submission)", ""), MOODLE_TIME).astimezone()
    group = next((row[c] for c in GROUPS if row.get(c)), "")
    extension, slip = row.get("extension", ""), int(days[0]) if days else 0
    return Student(keys[0], name.strip(), group, extension, slip, submitted, tuple(keys), line)


def _students(submission: Submission, roster: list[Student]) -> Iterator[Student]:
    """Whose a submission is: by any id that the path tells, by a group's name, else whoever the path names."""
    owner = submission.owner
    told = {*owner.ids, owner.name} if owner else {submission.name, submission.name.split("__")[0]}
    by_id = [s for s in roster if told & set(s.keys)]
    known = by_id or [s for s in roster if s.group and s.group in told]
    if known or owner is None:
        yield from known
    else:
        yield Student(owner.ids[0], owner.name, keys=owner.ids)


def _timed(place: Place, submission: Submission, due: datetime | None) -> Place:
    """The place with its lateness: by the times where both are known, else as the LMS marked it."""
    owner = submission.owner
    when = owner.when if owner and owner.when else next((s.submitted for s in place.students if s.submitted), None)
    if when is None or due is None:
        marked = owner.late if owner else None
        return replace(place, late="" if marked is None else "yes" if marked else "no")
    ends = [_extended(due, s) for s in place.students] or [due]
    days = max(0, math.ceil((when - max(ends)) / timedelta(days=1)))
    slip = min([days, *(s.slip_days for s in place.students)]) if place.students else 0
    return replace(place, late="yes" if days else "no", late_days=days, slip_days=slip)


def _extended(due: datetime, student: Student) -> datetime:
    """When it is due for a student: so many days later, or at a time of its own."""
    if re.fullmatch(r"\d{1,4}(\.\d+)?", student.extension):
        return due + timedelta(days=float(student.extension))
    own = _time(student.extension or None, f"the extension of {student.id}")
    return own or due


def _time(said: str | None, what: str) -> datetime | None:
    if said is None:
        return None
    try:
        time = datetime.fromisoformat(said)
    except ValueError:
        raise UserError(f"{what}: a time reads 2026-03-02T23:59, not {said!r}") from None
    return time if time.tzinfo else time.astimezone()


def _counted(
    found: list[Place], submissions: Sequence[Submission], results: Sequence[Mapping[str, Any]], policy: Policy
) -> list[Place]:
    """The places with one that counts for each student who handed in several files, and a note at each of these."""
    of: dict[str, list[int]] = {}
    for i, place in enumerate(found):
        for student in place.students:
            of.setdefault(student.id, []).append(i)

    def latest(i: int) -> tuple[float, int, float, str]:
        s = submissions[i]
        when = s.owner.when.timestamp() if s.owner and s.owner.when else 0.0
        changed = s.path.stat().st_mtime if s.path.exists() else 0.0
        return when, s.owner.order if s.owner else 0, changed, s.name

    def best(i: int) -> Any:
        score = results[i]["score"]
        return (-1.0 if score is None else score, *latest(i))

    for several in (group for group in of.values() if len(group) > 1):
        chosen = max(several, key=best if policy == "best" else latest)
        for i in several:
            counts = f"{submissions[chosen].name} counts, the {policy}"
            note = f"{len(several)} files by this student: {counts}"
            found[i] = replace(found[i], counts=i == chosen, note=note)
    return found


def _written(path: Path | None) -> dict[str, dict[str, float | None]]:
    """Submission or id -> points of each written question; an empty cell is not graded yet."""
    if path is None:
        return {}
    lines = csv.reader(path.read_text(encoding="utf-8-sig").splitlines())
    heading, *rows = [[cell.strip() for cell in line] for line in lines if any(line)] or [[]]
    try:
        return {
            row[0]: {n: float(p) if p else None for n, p in zip(heading[1:], row[1:], strict=False)} for row in rows
        }
    except ValueError as error:
        raise UserError(f"{path}: hand-given points are numbers ({error})") from error
