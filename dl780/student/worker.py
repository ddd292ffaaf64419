"""The untrusted half of the grader: a preloaded process that forks one child for each question.

It holds torch, the opening imports of the lab, and nothing secret. For each request on its control socket, which
carries one end of a fresh socket pair, it forks a child, waits for it no longer than it is told, and kills
whatever the child has left. The child talks to the judge over the pair alone: a program and inputs in, arrays out.
"""

import contextlib
import ctypes
import gc
import json
import os
import re
import resource
import select
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import torch

import dl780
from dl780 import student
from dl780.student import adapters, confine, wire
from dl780.student.arrays import Inputs
from dl780.student.call import attempt, sentence
from dl780.student.inert import InertLab
from dl780.student.program import run
from dl780.student.traps import AUTOGRAD, ENGINE_ASKED, engine_setter, forbid_engine

HIDDEN = (
    *("dl780.questions", "dl780.check", "dl780.grade", "dl780.lab", "dl780.release", "dl780.cli", "dl780.bank"),
    *("dl780.data", "dl780.recipes", "dl780.train", "dl780.use"),
    "dl780.rl",  # what an adapter needs of it is loaded before
)
ADAPTERS = {  # those of all labs, and a lab's own; loaded here, since a child cannot import them any more
    module.name: import_module(f"{student.__name__}.{module.name}")
    for module in iter_modules(student.__path__)
    if module.name.startswith("adapters")
}
MOST_FILE = 64 * 2**20
LOOK = 0.1  # seconds between two looks at the memory of a child and of all that it has forked
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def main() -> None:
    """Serve fork requests until the judge closes the control socket."""
    control = socket.socket(fileno=int(sys.argv[1]))
    confine.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    torch.set_num_threads(1)  # before the first operation: a fork of a process that used threads hangs
    setattr(dl780, "Lab", InertLab)  # noqa: B010
    sys.meta_path.insert(0, _Hide())
    exec(compile(sys.argv[2], "<opening>", "exec"), {})
    _warm_up()
    layers, processes = confine.enter()
    layers += ["autograd engine"] * _engine_can_be_forbidden()
    confine.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    confine.prctl(PR_SET_CHILD_SUBREAPER, 1)
    confine.prctl(confine.PR_SET_DUMPABLE, 0)
    gc.freeze()
    _huge_pages()
    _withdraw()
    control.send(json.dumps(layers).encode())
    while True:
        message, pair, _, _ = socket.recv_fds(control, 4096, 1)
        if not message:
            os._exit(0)
        control.send(_serve(control, pair[0], processes, json.loads(message)).encode())


def _warm_up() -> None:
    """One question from end to end, so that no child has to load or build what all of them need."""
    engine_setter()
    inputs: Inputs = {"x": torch.ones(2, 3)}
    outcome = attempt(lambda x: x @ x.T, adapters.call, inputs, ["y"], AUTOGRAD)
    for values in (inputs, outcome.outputs):
        one, other = socket.socketpair()
        with one, other:
            wire.send(one, {}, dict(values))
            wire.receive(other)


def _withdraw() -> None:
    """Take this module and its neighbours out of reach: who imports them from here on patches a copy."""
    for name in [name for name in sys.modules if name.startswith("dl780.student")]:
        del sys.modules[name]
    vars(dl780).pop("student", None)


def _serve(control: socket.socket, pair: int, processes: int | None, limits: dict[str, Any]) -> str:
    """Fork a child for one question and wait for its end; say how it was, as in "ended" or "killed by SIGSEGV"."""
    scratch = confine.SCRATCH if processes else tempfile.mkdtemp(prefix="dl780-")
    if processes:
        confine.call("unshare", confine.NEWPID)
    pid = os.fork()
    if pid == 0:
        control.close()
        with contextlib.suppress(BaseException):
            _child(socket.socket(fileno=pair), scratch, processes, limits)
        os._exit(0)
    os.close(pair)
    if processes:
        confine.call("setns", processes, confine.NEWPID)
    try:
        stopped = _wait(pid, control, limits)
    finally:
        status, used = _sweep(pid)
        if not processes:
            shutil.rmtree(scratch, ignore_errors=True)
    if stopped:
        return stopped
    if os.WIFSIGNALED(status):
        if os.WTERMSIG(status) == signal.SIGKILL and used >= limits["seconds"]:
            return "timed out"  # on more than one thread
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return "asked for the engine" if os.waitstatus_to_exitcode(status) == ENGINE_ASKED else "ended"


def _wait(pid: int, control: socket.socket, limits: dict[str, Any]) -> str:
    """Wait for a child's own end, or say why it must be stopped."""
    watched, end = os.pidfd_open(pid), time.monotonic() + limits["seconds"]
    try:
        while (left := end - time.monotonic()) > 0:
            if ready := select.select([watched, control.fileno()], [], [], min(left, LOOK))[0]:
                return "" if watched in ready else "called off"
            if _held() > limits["memory"]:
                return "used too much memory"
        return "timed out"
    finally:
        os.close(watched)


def _child(judge: socket.socket, scratch: str, processes: int | None, limits: dict[str, Any]) -> None:
    """Load the program, then answer the cases one by one, each as soon as it is there."""
    if processes:
        os.close(processes)
        confine.own_namespaces()
    wire.send(judge, {"layers": _confine(scratch, limits, viewed=processes is not None)}, {})
    request = wire.receive(judge)
    assert request
    head, _ = request
    module, _, name = head["adapter"].rpartition(".")
    call = getattr(ADAPTERS[module.rpartition(".")[2]], name)
    if AUTOGRAD[0] in head["not_allowed"]:
        forbid_engine()
    namespace, failures = run(head["opening"], head["statements"])
    function = namespace.get(head["name"])
    wire.send(judge, {"defined": function is not None, "callable": callable(function), "failures": failures}, {})
    while callable(function) and (case := wire.receive(judge)):
        outcome = attempt(function, call, case[1], head["outputs"], head["not_allowed"], head["name"], head["products"])
        rest = {
            "problems": outcome.problems,
            "error": outcome.error,
            "changed": outcome.changed,
            "doubts": outcome.doubts,
        }
        try:
            wire.send(judge, rest, dict(outcome.outputs))
        except Exception as error:
            wire.send(judge, {**rest, "error": sentence(error, head["name"])}, {})


def _confine(scratch: str, limits: dict[str, Any], viewed: bool) -> list[str]:
    """A session of its own, an empty folder to write in, no standard streams, and limits on all it may use."""
    os.setsid()
    confine.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.chdir(scratch)
    os.environ.update(HOME=scratch, TMPDIR=scratch)
    tempfile.tempdir = scratch
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()  # noqa: SIM115
    seconds = int(limits["seconds"]) + 1
    for what, most in (
        (resource.RLIMIT_AS, used + limits["memory"]),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, MOST_FILE),
        (resource.RLIMIT_NPROC, limits["processes"]),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
    return ["limits", *confine.give_up(scratch, viewed)]


def _sweep(pid: int) -> tuple[int, float]:
    """Kill the child, its session and every orphan that came back here; return the child's status and CPU seconds."""
    status, used, alive = 0, 0.0, [pid]
    while True:
        for group in alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                os.kill(group, signal.SIGKILL)
        try:
            dead, ended, usage = os.wait4(-1, 0)
        except ChildProcessError:
            return status, used
        if dead == pid:
            status, used = ended, usage.ru_utime + usage.ru_stime
        alive = _children(os.getpid())


def _children(of: int) -> list[int]:
    """Living and dead children of every thread of a process."""
    found: list[int] = []
    for task in Path(f"/proc/{of}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, task.read_text().split())
    return found


def _descendants(of: int) -> Iterator[int]:
    for child in _children(of):
        yield child
        yield from _descendants(child)


def _held() -> int:
    """Bytes that all descendants hold together, each beyond what it shares with this process."""
    shared = _anonymous(os.getpid())
    return sum(max(0, _anonymous(process) - shared) for process in _descendants(os.getpid()))


def _anonymous(process: int) -> int:
    """Bytes of memory of its own that a process has touched, what it shares with its parent included."""
    with contextlib.suppress(OSError):
        found = re.search(r"RssAnon:\s*(\d+) kB", Path(f"/proc/{process}/status").read_text())
        return int(found[1]) * 1024 if found else 0
    return 0


def _engine_can_be_forbidden() -> bool:
    """Whether a process that forbade the autograd engine ends where it asks for it: tried in a child."""
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            forbid_engine()
            torch.ones(1, requires_grad=True).exp().sum().backward()  # type: ignore[no-untyped-call]
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == ENGINE_ASKED


def _huge_pages() -> None:
    """Put this process's memory into huge pages, where the kernel can (6.1+).

    A fork copies page tables and an exit takes them down: an empty child costs 6 ms of processor time, not 18.
    """
    collapse, size = 25, 2**21
    libc = ctypes.CDLL(None)
    for line in Path("/proc/self/maps").read_text().splitlines():
        if found := re.match(r"(\w+)-(\w+) rw-p \w+ 00:00 0 *(\[heap\])?$", line):
            first, last = (int(end, 16) for end in found.groups()[:2])
            for start in range(-(-first // size) * size, last - size + 1, size):
                libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(size), collapse)


class _Hide:
    """An import finder before all others: what holds an answer is not there."""

    def find_spec(self, name: str, *_: object) -> None:
        if name.startswith(HIDDEN):
            raise ModuleNotFoundError(f"No module named {name!r} while grading", name=name)


if __name__ == "__main__":
    main()
