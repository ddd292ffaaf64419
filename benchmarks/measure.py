"""What a command costs: time, memory, and a process of its own to measure in.

Who measures imports no torch: a child's peak memory, as Linux counts it, begins with its parent's.
"""

import contextlib
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psutil

LOOK = 1.0  # seconds between two looks at memory


@dataclass(frozen=True)
class Cost:
    """What a command took: seconds, and MiB of its largest process and of all of them together."""

    wall: float
    cpu: float
    largest: float
    together: float


def measured(command: str, folder: Path, environment: dict[str, str] | None = None) -> Cost:
    """Run a command in a folder; exit with its words if it fails."""
    begin, peak, look = time.perf_counter(), 0.0, 0.0
    with tempfile.TemporaryFile() as log:
        shell = subprocess.Popen(command, shell=True, cwd=folder, env=environment, stdout=log, stderr=log)
        while not (ended := os.wait4(shell.pid, os.WNOHANG))[0]:
            if time.perf_counter() > look:  # not often: to look at a process's memory holds it up
                root = psutil.Process(shell.pid)
                peak = max(peak, resident([root, *root.children(recursive=True)]))
                look = time.perf_counter() + LOOK
            time.sleep(0.02)
        shell.returncode = os.waitstatus_to_exitcode(ended[1])
        log.seek(0)
        if shell.returncode:
            raise SystemExit(f"{command}\n{log.read().decode(errors='replace')[-4000:]}")
    used = ended[2]
    return Cost(time.perf_counter() - begin, used.ru_utime + used.ru_stime, used.ru_maxrss / 2**10, peak)


def resident(processes: list[psutil.Process]) -> float:
    """MiB of processes together: memory of their own, shared pages once, and the mapped files of one."""
    own, mapped = 0, 0
    for process in processes:
        with contextlib.suppress(OSError, ValueError):  # it has ended
            lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()[1:]
            kib = {name: int(size) for name, size, *_ in map(str.split, lines)}
            own, mapped = own + kib["Pss_Anon:"], max(mapped, kib["Rss:"] - kib["Anonymous:"])
    return (own + mapped) / 2**10


def peak() -> float:
    """MiB that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def apart(function: Callable[..., Any], *args: Any) -> Any:
    """What a function returns, in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *args).result()
