"""The judge's handle on the untrusted half: one preloaded process, a forked child for each question."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from dl780 import UserError
from dl780.check.cases import Case, tensors
from dl780.check.question import Question
from dl780.student import wire
from dl780.student.arrays import Inputs, Value
from dl780.student.call import Outcome
from dl780.student.traps import BY_HAND

MEMORY = 2 * 2**30  # a child's own, over what the preloaded process has mapped
PROCESSES = 512
START = 120.0  # seconds for the preloaded process to import torch
TRIES = 3
MOST_ANSWERS = 2**28  # bytes that a child may send for one question
GRACE = 2.0  # seconds between a child's limit and the judge's own


LAYERS = (
    "user namespace",
    "view of the file system",
    "process namespace",
    "network namespace",
    "ipc namespace",
    "autograd engine",
    "limits",
    "no new privileges",
    "landlock",
    "no capabilities",
    "seccomp",
)


@dataclass
class Work:
    """What a child gave for one question: outcomes of the cases it reached, and how it ended."""

    outcomes: list[Outcome] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    error: str = ""  # why the question could not run at all
    late: bool = False
    doubts: list[str] = field(default_factory=list)


class Worker:
    """A preloaded process for one lab; `ask` forks a child of it. Restarted when it has died."""

    def __init__(self, opening: str) -> None:
        self.opening = opening
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self.layers: list[str] = []  # of LAYERS, those around the preloaded process
        self.held: list[str] = []  # of LAYERS, those around its last child

    def ask(self, question: Question, program: Sequence[str], cases: Sequence[Case]) -> Work:
        """Run a program in a fresh child on the cases of one question.

        Once more, and once again, where the preloaded process died or somebody killed the child: inside its
        namespaces no student can.
        """
        for _ in range(TRIES):
            work, how = self._ask(question, program, cases)
            if how not in ("lost", "killed by SIGKILL"):
                break
        if how == "lost":
            work.doubts.append(f"the process that ran it was killed {TRIES} times")
        work.outcomes += [Outcome(error=work.error)] * bool(work.error and (work.outcomes or work.failures))
        return work

    def _ask(self, question: Question, program: Sequence[str], cases: Sequence[Case]) -> tuple[Work, str]:
        work = Work()
        with self._child(question.seconds) as (judge, ended):
            deadline = time.monotonic() + question.seconds + GRACE
            try:
                self._talk(judge, question, program, cases, work, deadline)
            except (wire.Broken, OSError) as error:
                judge.close()
                work.late = (how := ended()) == "timed out"
                work.error = _how(how, question, error)
                return work, how
        return work, ""

    def close(self) -> None:
        """End the preloaded process, and with it every child: it ends by itself when nobody asks any more."""
        if self._control:
            self._control.close()
        if self._process:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE)
            self._process.kill()
            self._process.wait()
        self._process = self._control = None

    def _talk(
        self,
        judge: socket.socket,
        question: Question,
        program: Sequence[str],
        cases: Sequence[Case],
        work: Work,
        deadline: float,
    ) -> None:
        """One message with the program, then one with each case, and an answer to each."""
        judge.settimeout(question.seconds + GRACE)
        head = dict(
            name=question.name,
            opening=self.opening,
            statements=list(program),
            adapter=f"{question.adapter.__module__}.{question.adapter.__name__}",
            outputs=question.outputs,
            not_allowed=list(question.not_allowed),
            products=question.products,
        )
        confined, _ = _answer(judge, deadline)  # the child says so before it is given any code
        self.held = [*self.layers, *map(str, confined["layers"])]
        wire.send(judge, head, {})
        state, _ = _answer(judge, deadline)
        failures = state.get("failures")
        work.failures = [str(failure) for failure in failures] if isinstance(failures, list) else []
        if not state.get("defined") or not state.get("callable"):
            why = f": {work.failures[-1]}" if work.failures else ""
            work.error = "is not callable" if state.get("defined") else f"could not be defined{why}"
            return
        left = MOST_ANSWERS
        for case in cases:
            wire.send(judge, {}, dict(question.sent_inputs(case)))
            head, values = _answer(judge, deadline, left)
            left -= sum(tensor.nbytes for value in values.values() for tensor in tensors(value))
            work.outcomes.append(_outcome(question, head, values))

    @contextmanager
    def _child(self, seconds: float) -> Iterator[tuple[socket.socket, Any]]:
        """A forked child's socket, and a function that waits for the child's end and says how it was."""
        self._start()
        assert self._control
        judge, theirs = socket.socketpair()
        limits = dict(seconds=seconds, memory=MEMORY, processes=PROCESSES)
        how: list[str] = []
        control = self._control
        try:
            socket.send_fds(control, [json.dumps(limits).encode()], [theirs.fileno()])
        except OSError:  # the preloaded process is gone: the next question starts another
            how.append("lost")
        theirs.close()

        def ended() -> str:
            if not how:
                control.settimeout(seconds + 3 * GRACE)
                with suppress(OSError):
                    how.append(control.recv(4096).decode())
                if not how or not how[0]:
                    how[:] = ["lost"]
            return how[0]

        try:
            yield judge, ended
        finally:
            judge.close()
            if ended() == "lost":
                self.close()

    def _start(self) -> None:
        if self._process and self._process.poll() is None:
            return
        if not any(self._launch() for _ in range(TRIES)):
            raise UserError("the worker process did not start: what it printed stands above")

    def _launch(self) -> bool:
        """Start a preloaded process; False if it ended before it was ready."""
        self.close()
        self._control, theirs = socket.socketpair()
        command = [sys.executable, "-I", "-m", "dl780.student.worker", str(theirs.fileno()), self.opening]
        self._process = subprocess.Popen(
            command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=_environment()
        )
        theirs.close()
        self._control.settimeout(START)
        answer = b""
        with suppress(OSError):
            answer = self._control.recv(4096)
        self.layers = json.loads(answer or "[]")
        return bool(answer)


def _environment() -> dict[str, str]:
    """One thread, no display, and nothing of the judge's own environment but what Python needs."""
    kept = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "OPENBLAS_CORETYPE")
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    found = {name: os.environ[name] for name in kept if name in os.environ}
    return found | threads | {"MPLBACKEND": "Agg"}


def _answer(judge: socket.socket, deadline: float, most: int = MOST_ANSWERS) -> tuple[dict[str, Any], Inputs]:
    message = wire.receive(judge, deadline, most)
    if message is None:
        raise wire.Broken("ended without an answer")
    return message


def _outcome(question: Question, head: dict[str, Any], values: Inputs) -> Outcome:
    """An answer as an outcome: only named outputs, only numbers and short sentences."""
    outputs: dict[str, Value] = {
        n: v for n, v in values.items() if n in question.outputs and not isinstance(v, int | float)
    }
    said, touched = head.get("problems"), head.get("changed")
    problems = {n: str(said[n])[:500] for n in question.outputs if n in said} if isinstance(said, dict) else {}
    changed = [n for n in question.sent if n in touched] if isinstance(touched, list) else []
    doubts = [str(d)[:100] for d in head["doubts"][:9]] if isinstance(head.get("doubts"), list) else []
    return Outcome(outputs, problems, str(head.get("error") or "")[:800], changed, doubts)


def _how(how: str, question: Question, error: Exception) -> str:
    """Why a child gave no answer, in the words of a student's page."""
    if how == "timed out":
        return f"took longer than {question.seconds:g} s"
    if how == "asked for the engine":
        return f"calls autograd{BY_HAND}"
    if how == "used too much memory":
        return f"used more than {MEMORY >> 30} GiB of memory"
    if how.startswith("killed by"):
        return f"ended the process ({how.removeprefix('killed by ')})"
    return str(error) if isinstance(error, wire.Broken) else "ended the process"
