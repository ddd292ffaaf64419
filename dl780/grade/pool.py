"""Where submissions are graded: on this machine's threads, or on a dask.distributed cluster."""

import hashlib
import inspect
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from queue import SimpleQueue
from typing import Any

import torch

import dl780
from dl780 import UserError
from dl780.check.registry import LabQuestions, load_lab
from dl780.grade.choice import Points, points_of, with_points
from dl780.grade.read import Handed, Submission, take
from dl780.grade.submission import Result, graded
from dl780.grade.work import Worker
from dl780.student import confine

Done = Iterator[tuple[Result, str]]
AHEAD = 2  # submissions on their way to the cluster, for each of its threads
_of_thread = threading.local()


@dataclass(frozen=True)
class Task:
    """What every submission of a run has in common."""

    lab: LabQuestions
    master: bytes
    stamp: str
    follow_through: bool = False


def stamp(lab: LabQuestions, master: bytes, follow_through: bool = False) -> str:
    """What a result depends on beside its submission: package, questions, their points, and master seed."""
    source = inspect.getsource(import_module(lab.module))
    parts = (dl780.__version__, lab.name, source, hashlib.sha256(master).hexdigest(), points_of(lab), follow_through)
    return f"{dl780.__version__}+{hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}"


def here(jobs: int, task: Task, submissions: Sequence[Submission]) -> Done:
    """Results as they come, `jobs` submissions at a time, each on a preloaded process of its own."""
    judge_alone()
    workers: SimpleQueue[Worker] = SimpleQueue()
    for _ in range(jobs):
        workers.put(Worker(task.lab.opening))
    todo = iter(submissions)

    def one(submission: Submission) -> tuple[Result, str]:
        worker = workers.get()
        try:
            return graded(task.lab, take(submission), worker, task.master, task.stamp, task.follow_through)
        finally:
            workers.put(worker)

    try:
        with ThreadPoolExecutor(jobs) as pool:
            running = {pool.submit(one, s) for s in islice(todo, jobs)}
            while running:
                future = next(as_completed(running))
                running.remove(future)
                running |= {pool.submit(one, s) for s in islice(todo, 1)}
                yield future.result()
    finally:
        while not workers.empty():
            workers.get().close()


def on_cluster(address: str, task: Task, submissions: Sequence[Submission]) -> Done:
    """Results as they come from a cluster, whose workers have this package; one that dies costs nothing."""
    try:
        from distributed import Client
        from distributed import as_completed as as_they_come
    except ImportError:
        raise UserError("--dask needs dask.distributed: pip install 'dl780[cluster]'") from None
    try:
        client = Client(address, timeout=10)
    except (OSError, ValueError, TimeoutError):
        raise UserError(f"no dask scheduler answers at {address}") from None
    with client:
        threads = sum(client.nthreads().values())
        if not threads:
            raise UserError(f"the scheduler at {address} has no workers: start some with dask worker {address}")
        lab, todo = (task.lab.name, dict(points_of(task.lab))), iter(submissions)

        def send(number: int) -> list[Any]:
            handed = map(take, islice(todo, number))
            rest = (task.master, task.stamp, task.follow_through)
            return [client.submit(remotely, *lab, h, *rest, pure=False) for h in handed]

        running = as_they_come(send(AHEAD * threads))
        for future in running:
            yield future.result()
            running.update(send(1))


def remotely(
    name: str, points: Points, handed: Handed, master: bytes, wanted: str, follow_through: bool = False
) -> tuple[Result, str]:
    """One submission on a cluster's worker, which keeps a preloaded process for each of its threads."""
    lab = load_lab(name)
    if points.keys() <= lab.questions.keys():
        lab = with_points(lab, points)
    if stamp(lab, master, follow_through) != wanted:
        raise UserError("a worker of the cluster has another version of dl780 or of the lab: install the same one")
    if not hasattr(_of_thread, "worker"):
        judge_alone()
        _of_thread.worker = Worker(lab.opening)
    return graded(lab, handed, _of_thread.worker, master, wanted, follow_through)


def judge_alone() -> None:
    """One thread for each judge, float64 as in a check, and nobody reads the master seed out of this process."""
    confine.prctl(confine.PR_SET_DUMPABLE, 0)
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
