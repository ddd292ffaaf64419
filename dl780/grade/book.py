"""A whole run: every submission graded once, each result written whole, the gradebook last."""

import csv
import fcntl
import hashlib
import inspect
import io
import json
import os
import secrets
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import torch
from tqdm import tqdm

import dl780
from dl780 import UserError
from dl780.check.registry import LabQuestions
from dl780.files import write_whole
from dl780.grade import feedback
from dl780.grade.extract import broken
from dl780.grade.judge import record, verdicts
from dl780.grade.read import Submission, Unreadable, cells, find
from dl780.grade.work import Worker

Result = dict[str, Any]


def grade(lab: LabQuestions, paths: list[Path], out: Path, jobs: int, seed: int | None) -> list[Result]:
    """Grade everything below the paths into a folder; what is there already and unchanged is kept."""
    if sys.platform != "linux":
        raise UserError("grading needs Linux (a student's own checks do not: dl780 in a notebook runs anywhere)")
    submissions = find(paths, leave_out=out)
    with _folder(out):
        master = _master(out, seed)
        stamp = _stamp(lab, master)
        torch.set_num_threads(1)
        torch.set_default_dtype(torch.float64)
        results = list(_run(lab, submissions, out, jobs, master, stamp))
        _write_gradebook(lab, results, out / "gradebook.csv")
        write_whole(out / "class.html", feedback.class_page(lab, results))
    return results


def _run(
    lab: LabQuestions, submissions: list[Submission], out: Path, jobs: int, master: bytes, stamp: str
) -> Iterator[Result]:
    """The results in the order of the submissions, graded `jobs` at a time, each on a preloaded process of its own."""
    workers: SimpleQueue[Worker] = SimpleQueue()
    for _ in range(jobs):
        workers.put(Worker(lab.opening))

    def one(submission: Submission) -> Result:
        worker = workers.get()
        try:
            return _one(lab, submission, out, worker, master, stamp)
        finally:
            workers.put(worker)

    try:
        with ThreadPoolExecutor(jobs) as pool:
            yield from tqdm(pool.map(one, submissions), total=len(submissions), unit="submission", desc=lab.name)
    finally:
        while not workers.empty():
            workers.get().close()


def _one(lab: LabQuestions, submission: Submission, out: Path, worker: Worker, master: bytes, stamp: str) -> Result:
    """Grade one submission, or take its result from an earlier run; whatever goes wrong stays in its own row."""
    path = out / "results" / f"{submission.name}.json"
    content = _digest(submission.path)
    done = _earlier(path)
    if done and done["stamp"] == stamp and done["content"] == content:
        return done
    result: Result = dict(submission=submission.name, lab=lab.name, status="graded", score=None, out_of=lab.out_of)
    result |= dict(questions={}, note="", content=content, stamp=stamp)
    found = []
    try:
        sources = cells(submission.path)
        if syntax_errors := len(broken(sources)):
            result["note"] = f"cells with a syntax error: {syntax_errors}"
        found = list(verdicts(lab, sources, worker, master, content))
        result["layers"] = worker.held
        result["questions"] = {verdict.question: record(verdict) for verdict in found}
        core = [v.points for v in found if not lab.questions[v.question].extra]
        result["score"] = round(sum(core), 2)
    except Unreadable as error:
        result |= dict(status=error.status, note=str(error))
    except Exception as error:  # a fault of the grader: this row says so, the others go on
        result |= dict(status="error", note=f"the grader failed: {type(error).__name__}: {error}", questions={})
    write_whole(out / "feedback" / f"{submission.name}.html", feedback.student_page(lab, result, found))
    write_whole(path, json.dumps(result, indent=1, ensure_ascii=False))
    return result


def _write_gradebook(lab: LabQuestions, results: list[Result], path: Path) -> None:
    """One row a submission; a score, and a question's points, are empty where nothing was graded."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["submission", "status", "score", "out_of", *lab.questions, "note"])
    for r in results:
        points = [r["questions"].get(name, {}).get("points") for name in lab.questions]
        numbers = ["" if n is None else f"{n:g}" for n in (r["score"], r["out_of"], *points)]
        rows.writerow([r["submission"], r["status"], *numbers, _note(r)])
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


def _stamp(lab: LabQuestions, master: bytes) -> str:
    """What a result depends on beside its submission: package, questions and master seed."""
    source = inspect.getsource(import_module(lab.module))
    parts = (dl780.__version__, lab.name, source, hashlib.sha256(master).hexdigest())
    return f"{dl780.__version__}+{hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}"


def _digest(path: Path) -> str:
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _earlier(path: Path) -> Result | None:
    try:
        found: Result = json.loads(path.read_text(encoding="utf-8"))
        return found if {"stamp", "content", "questions"} <= found.keys() and found["status"] != "error" else None
    except (OSError, ValueError, AttributeError, KeyError):
        return None
