"""Points and pages in the forms that an LMS takes back."""

import csv
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dl780 import UserError
from dl780.check.registry import LabQuestions
from dl780.files import whole, write_whole
from dl780.grade.book import Result, read_result
from dl780.grade.log import recall
from dl780.grade.read import find
from dl780.grade.roster import Place, Student, places


@dataclass(frozen=True)
class Line:
    """A student with the submission that counts for them; without one, nothing is graded."""

    student: Student
    place: Place
    result: Result


def export(out: Path, lms: str) -> list[Path]:
    """Write OUT/<lms>/: the table and the pages that the LMS takes. Returns the files written. Raises `UserError`.

    What was not graded has an empty cell, never a 0. Written questions are columns of their own.
    """
    lab, paths, course = recall(out)
    submissions = find(paths, out, course.layout)
    results = [read_result(out, s.name) for s in submissions]
    standing, _ = places(submissions, results, course)
    if not any(place.students for place in standing):
        raise UserError(f"{out}: nobody knows whose these files are: grade them with --roster, or as the LMS gave them")
    lines = [
        Line(student, place, result)
        for result, place in zip(results, standing, strict=True)
        for student in place.students
        if place.counts
    ]
    return list(FORMS[lms](lab, lines, out))


def _canvas(lab: LabQuestions, lines: Sequence[Line], out: Path) -> Iterator[Path]:
    """A gradebook to import (Grades › Import), and a zip for Upload Submissions, whose pages become comments."""
    columns = {f"{lab.title}": "score", **{f"{lab.title}: {name}": name for name in lab.written}}
    table = [["Student", "ID", "SIS User ID", "SIS Login ID", "Section", *columns]]
    table.append(["    Points Possible", "", "", "", "", *(f"{p:g}" for p in (lab.out_of, *lab.written.values()))])
    for line in lines:
        row = {k.strip().lower(): v for k, v in line.student.row.items() if k}
        own = [row.get(c, "") for c in ("sis user id", "sis login id", "section")]
        number = row.get("id") or line.student.id
        table.append([line.student.name, number, *own, *(_points(line, source) for source in columns.values())])
    yield _csv(out / "canvas" / "gradebook.csv", table)
    yield _pages(out, out / "canvas" / "feedback.zip", lines)


def _moodle(lab: LabQuestions, lines: Sequence[Line], out: Path) -> Iterator[Path]:
    """A grading worksheet to upload, and a zip for "Upload multiple feedback files in a zip"."""
    table = [["Identifier", "Full name", "Email address", "Grade", "Maximum grade", "Feedback comments", *lab.written]]
    for line in lines:
        row = {k.strip().lower(): v for k, v in line.student.row.items() if k}
        identifier = row.get("identifier") or f"Participant {line.student.id}"
        graded = [_points(line, "score"), f"{lab.out_of:g}", _lost(line)]
        written = [_points(line, name) for name in lab.written]
        table.append([identifier, line.student.name, row.get("email address", ""), *graded, *written])
    yield _csv(out / "moodle" / "grades.csv", table)
    yield _pages(out, out / "moodle" / "feedback.zip", lines)


def _gradescope(lab: LabQuestions, lines: Sequence[Line], out: Path) -> Iterator[Path]:
    """A table with Gradescope's own columns, and for each submission the results.json that an autograder gives."""
    heading = ["Name", "SID", "Email", "Total Score", "Max Points", "Status", "Submission ID"]
    table = [[*heading, *(f"{n} ({q.out_of:g} pts)" for n, q in lab.questions.items()), *lab.written]]
    for line in lines:
        email = next((key for key in line.student.keys if "@" in key), "")
        folder = line.place.back.split("/")[0]
        number, status = (
            folder.removeprefix("submission_"),
            "Graded" if line.result["status"] == "graded" else "Ungraded",
        )
        about = [line.student.name, line.student.id, email, _points(line, "score"), f"{lab.out_of:g}", status, number]
        table.append([*about, *(_points(line, name) for name in (*lab.questions, *lab.written))])
        path = out / "gradescope" / (folder or line.result["submission"]) / "results.json"
        write_whole(path, json.dumps(gradescope_results(lab, line.result), indent=1, ensure_ascii=False))
    yield _csv(out / "gradescope" / "scores.csv", table)
    yield out / "gradescope"


FORMS = dict(canvas=_canvas, moodle=_moodle, gradescope=_gradescope)


def gradescope_results(lab: LabQuestions, result: Result) -> dict[str, Any]:
    """A result as Gradescope's results.json: a test for each question, with its sentences; nothing secret in it.

    What could not be graded has no score there either, but says why.
    """
    tests = []
    for name, q in result["questions"].items():
        said = [f"{out}: {o['message']}" for out, o in q["outputs"].items()]
        said += [f"again, in your notebook: {q['replay']}"] * bool(q["replay"])
        extra = {"extra_credit": True} if lab.questions[name].extra else {}
        status = "passed" if q["points"] == q["out_of"] else "failed"
        tests.append(
            dict(name=name, score=q["points"], max_score=q["out_of"], status=status, output="\n".join(said), **extra)
        )
    if result["status"] != "graded":
        return dict(output=f"Not graded: {result['note']}", tests=tests)
    return dict(score=result["score"], output=result["note"], output_format="text", tests=tests)


def _points(line: Line, source: str) -> str:
    """The score, or the points of a question or of a written one; empty where nobody gave any."""
    if source == "score":
        number = line.result["score"]
    else:
        number = line.place.written.get(source, line.result["questions"].get(source, {}).get("points"))
    return "" if number is None else f"{number:g}"


def _lost(line: Line) -> str:
    """Where points were lost, in one line of a cell."""
    if line.result["status"] != "graded":
        return f"Not graded: {line.result['note']}"
    lost = {n: q for n, q in line.result["questions"].items() if q["points"] < q["out_of"]}
    return "; ".join(f"{name} {q['points']:g} of {q['out_of']:g}" for name, q in lost.items())


def _csv(path: Path, table: Sequence[Sequence[str]]) -> Path:
    """A CSV file in which no cell is a formula: what a student typed must not run in a spreadsheet."""
    text = io.StringIO()
    csv.writer(text).writerows([[_plain(cell) for cell in row] for row in table])
    write_whole(path, text.getvalue())
    return path


def _plain(cell: str) -> str:
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) and not _is_number(cell) else cell


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _pages(out: Path, path: Path, lines: Sequence[Line]) -> Path:
    """Every page where the LMS looks for it; a page that is shared by a group goes in once."""
    pages = {line.place.back or f"{line.student.id}.html": line.result["submission"] for line in lines}
    with whole(path, alone=True) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for back, name in sorted(pages.items()):
            entry = zipfile.ZipInfo(back)  # with a fixed date: the same bytes from the same results
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, (out / "feedback" / f"{name}.html").read_bytes())
    return path
