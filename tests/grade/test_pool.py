"""Where submissions are graded: a few at a time here, or on a real cluster, one of whose workers is killed."""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from dl780 import UserError
from dl780.check.registry import LabQuestions
from dl780.grade import pool
from dl780.grade.book import grade
from dl780.grade.pool import Task, here, on_cluster
from dl780.grade.read import Submission
from dl780.student import confine

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="grading needs Linux")


def test_submissions_are_taken_as_they_are_needed(small: LabQuestions, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, few are in memory: who reads slowly is not overrun."""
    begun: list[str] = []

    def graded(lab: Any, handed: Any, *_: Any) -> tuple[dict[str, Any], str]:
        begun.append(handed.name)
        return dict(submission=handed.name), "page"

    monkeypatch.setattr(pool, "graded", graded)
    submissions = [Submission(f"{i}", Path("nowhere")) for i in range(500)]
    seen = []
    for result, _ in here(2, Task(small, b"", ""), submissions):
        seen.append(result["submission"])
        time.sleep(0.002)
        assert len(begun) <= len(seen) + 2 * 2
    assert sorted(seen) == sorted(s.name for s in submissions)


def test_a_failure_to_write_stops_the_run(small: LabQuestions, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []

    def graded(lab: Any, handed: Any, *_: Any) -> tuple[dict[str, Any], str]:
        begun.append(handed.name)
        return {}, ""

    monkeypatch.setattr(pool, "graded", graded)
    results = here(2, Task(small, b"", ""), [Submission(f"{i}", Path("nowhere")) for i in range(500)])
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert len(begun) <= 5


@pytest.mark.slow
def test_a_cluster_gives_the_same_files_also_when_a_worker_is_killed(
    small: LabQuestions, right: list[str], ipynb: Any, tmp_path: Path
) -> None:
    distributed = pytest.importorskip("distributed", reason="needs the extra `cluster`")
    (tmp_path / "class").mkdir()
    wrong = "def linear_backward(G, Z, W, b):\n    return G @ W, G.T @ Z, G.mean(0)"
    for i in range(12):
        (tmp_path / "class" / f"{i}.ipynb").write_text(ipynb(*right, *[wrong] * (i % 2), f"number = {i}"))
    (tmp_path / "class" / "cut.ipynb").write_text("{")
    paths = [tmp_path / "class"]
    grade(small, paths, tmp_path / "here", 2, 5)
    killed = []
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        victim = min(client.run(os.getpid).values())

        def kill_in_the_middle() -> None:
            results = tmp_path / "there" / "results"
            while len(list(results.glob("*.json"))) < 3:
                time.sleep(0.01)
            os.kill(victim, signal.SIGKILL)
            killed.append(len(list(results.glob("*.json"))))

        killer = threading.Thread(target=kill_in_the_middle)
        killer.start()
        grade(small, paths, tmp_path / "there", 1, 5, dask=cluster.scheduler_address)
        killer.join()
    assert 3 <= killed[0] < 13
    for part in ("results", "feedback"):
        names = sorted(path.name for path in (tmp_path / "here" / part).iterdir())
        assert names == sorted(path.name for path in (tmp_path / "there" / part).iterdir())
        for name in names:
            assert (tmp_path / "here" / part / name).read_bytes() == (tmp_path / "there" / part / name).read_bytes()
    for name in ("gradebook.csv", "class.html", "review.html"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()


def test_nobody_reads_the_seed_out_of_the_judge(small: LabQuestions, tmp_path: Path) -> None:
    """A process that may not be dumped may not be read or traced by others of its user either."""
    before = confine.libc.prctl(3, 0, 0, 0, 0)
    try:
        list(here(1, Task(small, b"", ""), []))
        assert confine.libc.prctl(3, 0, 0, 0, 0) == 0
    finally:
        confine.prctl(confine.PR_SET_DUMPABLE, before)


def test_an_address_where_nobody_answers_is_one_clear_line(small: LabQuestions) -> None:
    pytest.importorskip("distributed", reason="needs the extra `cluster`")
    for address in ("tcp://127.0.0.1:9", "nonsense://x"):
        with pytest.raises(UserError, match="no dask scheduler answers at") as caught:
            list(on_cluster(address, Task(small, b"", ""), [Submission("a", Path("nowhere"))]))
        assert "\n" not in str(caught.value)


def test_another_version_on_the_cluster_is_refused(small: LabQuestions) -> None:
    with pytest.raises(UserError, match="another version"):
        pool.remotely(small.name, {}, Any, b"", "dl780 of last year")  # type: ignore[arg-type]
