"""Thousands of submissions through dl780 in one run: the rate, and whether the judge's memory stays bounded."""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from course import write_many
from measure import apart, peak
from report import about, table

QUESTION = "sgd_step"
MARK = 1000  # submissions between two looks at the memory


def section(number: int) -> str:
    """The section of docs/results.md."""
    begun = about(f"python benchmarks/grading.py --many {number}")
    with tempfile.TemporaryDirectory(prefix="dl780-bench-") as temporary:
        folder = Path(temporary)
        apart(write_many, folder / "class", QUESTION, number)
        seconds, peaks, graded = apart(run, folder)
    rows = [(f"{n:,}", f"{60 * n / s:.0f}", f"{mib:.0f}") for n, s, mib in peaks]
    first, last = peaks[0], peaks[-1]
    head = ("submissions", "a minute so far", "the judge's peak MiB")
    return (
        f"## Many submissions in one run\n\n{begun}\n\n"
        f"**{number:,} submissions in one run with bounded memory: {seconds / 60:.1f} minutes with two jobs, "
        f"{60 * number / seconds:.0f} a minute; the judge's peak resident memory was {first[2]:.0f} MiB after "
        f"{first[0]:,} and {last[2]:.0f} MiB at the end.** Each is one small answer (`{QUESTION}`), no two the same; "
        f"{graded:,} got all points. What grows is what the gradebook and the class's pages need of each.\n\n"
        f"{table(head, rows)}"
    )


def run(folder: Path) -> tuple[float, list[tuple[int, float, float]], int]:
    """Grade the folder; seconds, the peaks on the way (submissions, seconds, MiB), and how many got all points."""
    from dl780.check.registry import load_lab
    from dl780.grade import book, pool

    lab = load_lab("backprop")
    lab = replace(lab, questions={QUESTION: lab.questions[QUESTION]})
    begin, peaks = time.perf_counter(), list[tuple[int, float, float]]()

    def here(*args: Any) -> Iterator[Any]:
        for n, done in enumerate(pool.here(*args), start=1):
            yield done
            if not n % MARK:
                peaks.append((n, time.perf_counter() - begin, peak()))

    book.here = here
    results = book.grade(lab, [folder / "class"], folder / "graded", jobs=2, seed=780)
    seconds = time.perf_counter() - begin
    peaks = [p for p in peaks if p[0] < len(results)] + [(len(results), seconds, peak())]  # with the class's pages
    return seconds, peaks, sum(result["score"] == lab.out_of for result in results)
