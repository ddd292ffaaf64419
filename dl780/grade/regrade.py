"""Grade again after a fix: one student, one question, or the queue of requests; and say what changed."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dl780 import UserError
from dl780.grade import log
from dl780.grade.book import Result, grade, read_result, write_pages


def request(out: Path, submission: str, question: str, comment: str) -> None:
    """Put a request for a regrade into the log of a graded class, and show it in its page. Raises `UserError`."""
    lab, _, _ = log.recall(out)
    if not (out / "results" / f"{submission}.json").exists():
        raise UserError(f"{out} holds no submission {submission!r}: its gradebook.csv names them")
    if question not in lab.questions:
        raise UserError(f"{lab.name} asks no {question!r}; it asks: {', '.join(lab.questions)}")
    log.append(out, "request", submission=submission, question=question, comment=comment)
    write_pages(lab, [read_result(out, name) for name in _names(out)], out)


def regrade(out: Path, students: Sequence[str], question: str | None, jobs: int) -> list[str]:
    """Grade these submissions again, or all for a question, or those that wait in the queue; what changed, in lines.

    A submission is graded whole, with its old seed, so that what no fix concerns stays as it was. Everything else
    of the class is kept, also where the questions have changed since.
    """
    lab, paths, course = log.recall(out)
    waiting = {r["submission"] for r in log.requests(log.entries(out)) if not r["answered"]}
    names = set(students) or (set(_names(out)) if question else waiting)
    if question and question not in lab.questions:
        raise UserError(f"{lab.name} asks no {question!r}; it asks: {', '.join(lab.questions)}")
    if unknown := names - set(_names(out)):
        raise UserError(f"{out} holds no submission {min(unknown)!r}: its gradebook.csv names them")
    if not names:
        raise UserError("no request waits: name submissions, or a --question")
    before = {name: read_result(out, name) for name in sorted(names)}
    results = grade(lab, paths, out, jobs, None, course=course, only=names)
    told = []
    for name, old in before.items():
        changed = "; ".join(_changes(old, read_result(out, name)))
        log.append(out, "regraded", submission=name, changed=changed)
        told += [f"{name}: {changed}"] * bool(changed)
    write_pages(lab, results, out)
    return [*told, f"{len(names)} graded again, {len(told)} changed"]


def _changes(old: Result, new: Result) -> Iterator[str]:
    if old["status"] != new["status"]:
        yield f"{old['status']} → {new['status']}"
    if old["score"] != new["score"]:
        yield f"score {_number(old['score'])} → {_number(new['score'])}"
    for name in {**old["questions"], **new["questions"]}:
        was, now = (r["questions"].get(name, {}).get("points") for r in (old, new))
        if was != now:
            yield f"{name} {_number(was)} → {_number(now)}"


def _number(points: Any) -> str:
    return "nothing" if points is None else f"{points:g}"


def _names(out: Path) -> list[str]:
    """Submissions with a result, in the order of the gradebook."""
    return sorted(path.name.removesuffix(".json") for path in (out / "results").glob("*.json"))
