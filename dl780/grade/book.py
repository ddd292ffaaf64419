"""A whole run: every submission graded once, each result written whole, the gradebook last."""

import csv
import fcntl
import io
import json
import os
import secrets
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dl780 import UserError
from dl780.check.registry import LabQuestions
from dl780.files import write_whole
from dl780.grade import feedback, log
from dl780.grade.pool import Task, here, on_cluster, stamp
from dl780.grade.read import Submission, find, take
from dl780.grade.roster import Course, Place, Student, places

Result = dict[str, Any]


def grade(
    lab: LabQuestions,
    paths: list[Path],
    out: Path,
    jobs: int,
    seed: int | None,
    dask: str | None = None,
    course: Course = Course(),  # noqa: B008, it is frozen
    only: Collection[str] | None = None,
) -> list[Result]:
    """Grade everything below the paths into a folder; what is there already and unchanged is kept.

    `jobs` submissions at a time here, or as many as a dask.distributed cluster has threads at the address `dask`.
    Returned are the results with the first message of each question: all of them stand in the files. With `only`,
    these submissions are graded anew, and every other one is kept as it is.
    """
    if sys.platform != "linux":
        raise UserError("grading needs Linux (a student's own checks do not: dl780 in a notebook runs anywhere)")
    submissions = find(paths, leave_out=out, layout=course.layout)
    places(submissions, [{"score": None}] * len(submissions), course)  # a roster's faults are told before the work
    with _folder(out):
        follow = course.follow_through
        task = Task(lab, master := _master(out, seed), stamp(lab, master, follow), follow)
        log.remember(out, lab, paths, course)
        left = submissions if only is None else [s for s in submissions if s.name not in only]
        kept = {s.name: done for s in left if (done := _earlier(s, out, None if only else task.stamp))}
        todo = [s for s in submissions if s.name not in kept]
        graded = on_cluster(dask, task, todo) if dask else here(jobs, task, todo)
        results = dict(kept)
        for result, page in tqdm(graded, total=len(submissions), initial=len(kept), unit="submission", desc=lab.name):
            name = result["submission"]
            write_whole(out / "feedback" / f"{name}.html", page)
            write_whole(out / "results" / f"{name}.json", json.dumps(result, indent=1, ensure_ascii=False))
            log.append(out, "graded", **{key: result[key] for key in ("submission", "status", "score", "stamp")})
            results[name] = _brief(result)
        ordered = [results[s.name] for s in submissions]
        standing, absent = places(submissions, ordered, course)
        for result, place in zip(ordered, standing, strict=True):
            result["note"] = "; ".join(filter(None, (result["note"], place.note)))
        write_gradebook(lab, ordered, standing, absent, out / "gradebook.csv")
        write_pages(lab, ordered, out)
        return ordered


def write_pages(lab: LabQuestions, results: list[Result], out: Path) -> None:
    """The pages for the instructor."""
    write_whole(out / "class.html", feedback.class_page(lab, results, log.requests(log.entries(out))))
    write_whole(out / "review.html", feedback.review_page(lab, results))


def read_result(out: Path, name: str) -> Result:
    """The result of a submission as it stands in its file. Raises `UserError`."""
    try:
        found: Result = json.loads((out / "results" / f"{name}.json").read_text(encoding="utf-8"))
        return found
    except (OSError, ValueError) as error:
        raise UserError(f"{name} has no result in {out}: run `dl780 grade` again") from error


def _brief(result: Result) -> Result:
    """What the class's pages need of a result: a fifth of its size, so that thousands fit into memory."""
    questions = {
        name: {key: q[key] for key in ("points", "out_of", "mistake", "flags")}
        | {"message": next((o["message"] for o in q["outputs"].values() if not o["ok"]), "")}
        for name, q in result["questions"].items()
    }
    return {key: value for key, value in result.items() if key not in ("layers", "content")} | dict(questions=questions)


def write_gradebook(
    lab: LabQuestions, results: list[Result], standing: list[Place], absent: list[Student], path: Path
) -> None:
    """One row a submission, and one for each student of the roster without any.

    A score, and a question's points, are empty where nothing was graded; a written question's until a human did.
    """
    known = any(place.students for place in standing)
    text = io.StringIO()
    rows = csv.writer(text)
    about = list(Place().columns) if known else []
    rows.writerow(["submission", *about, "status", "score", "out_of", *lab.questions, *lab.written, "note"])
    for r, place in zip(results, standing, strict=True):
        points = [r["questions"].get(name, {}).get("points") for name in lab.questions]
        points += [place.written.get(name) for name in lab.written]
        numbers = ["" if n is None else f"{n:g}" for n in (r["score"], r["out_of"], *points)]
        rows.writerow([r["submission"], *(place.columns[c] for c in about), r["status"], *numbers, _note(r)])
    for student in absent:
        columns = Place((student,)).columns | dict(counts="")
        empty = [""] * (len(lab.questions) + len(lab.written))
        rows.writerow(["", *columns.values(), "missing", "", f"{lab.out_of:g}", *empty, "nothing was handed in"])
    write_whole(path, text.getvalue())


def _note(result: Result) -> str:
    flags = [f"{name}: {flag}" for name, q in result["questions"].items() for flag in q["flags"]]
    return "; ".join([result["note"]] * bool(result["note"]) + flags)


@contextmanager
def _folder(out: Path) -> Iterator[None]:
    """The output folder, held by this run alone."""
    try:
        for folder in (out / "results", out / "feedback"):
            folder.mkdir(parents=True, exist_ok=True)
        lock = (out / ".lock").open("w")
    except OSError as error:
        raise UserError(f"cannot write into {out}: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(f"another run is grading into {out}: wait for it, or name another --out") from None
        yield


def _master(out: Path, seed: int | None) -> bytes:
    """The run's master seed: kept beside the results, for its owner's eyes only, before anything is graded."""
    path = out / "seed"
    if path.exists() and (master := path.read_bytes()):
        if seed is not None and master != str(seed).encode():
            raise UserError(f"{out} was graded with another seed: leave out --seed, or name another --out")
        return master
    master = secrets.token_hex(32).encode() if seed is None else str(seed).encode()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
        file.write(master)
        file.flush()
        os.fsync(file.fileno())
    return master


def _earlier(submission: Submission, out: Path, stamp: str | None) -> Result | None:
    """The result of an earlier run, if it is whole, of the same content, and, with a stamp, of these questions."""
    try:
        found: Result = json.loads((out / "results" / f"{submission.name}.json").read_text(encoding="utf-8"))
        same = (found["stamp"], found["content"]) == (stamp or found["stamp"], take(submission).digest)
        return _brief(found) if same and found["status"] != "error" else None
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return None
