"""The untrusted half, through the judge's handle: honest code is answered, hostile code costs itself alone."""

import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from textwrap import indent
from typing import Any

import psutil
import pytest
import torch

from dl780 import UserError
from dl780.check.cases import PUBLIC
from dl780.check.question import Question, Values
from dl780.check.verdict import Verdict, judge
from dl780.grade.work import Work, Worker

OPENING = "import ctypes, os, sys, time, signal, socket, struct, json, threading\nimport torch\nfrom dl780 import Lab\n"
DOUBLE = Values(
    signature="double(x) -> y",
    of=lambda x: 2 * x,
    draw=lambda d, m, n: dict(x=d.normal(m, n)),
    points=(3,),
    slide="",
    difficulty=1,
    minutes=1,
    seconds=20,
)
QUICK = replace(DOUBLE, seconds=1.5)
CASES = list(DOUBLE.cases(PUBLIC))
SECRET = "DL780_TEST_SECRET"
RIGHT = "def double(x):\n    return x + x\n"
MARK = f"d780-{os.getpid()}"  # a process name: 15 characters at most
DAEMON = """
def double(x):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            ctypes.CDLL(None).prctl(15, MARK.encode())
            time.sleep(1234)
        os._exit(0)
    for _ in range(500):
        time.sleep(0.02)
        for process in filter(str.isdigit, os.listdir("/proc")):
            try: found = open(f"/proc/{process}/comm").read().strip() == MARK
            except OSError: continue
            if found: raise ValueError("it runs")
    return x
"""
SWALLOWS = "while True:\n    try: time.sleep(600)\n    except BaseException: pass"
HOP = """
end = time.time() + 8
if os.fork() == 0:
    while time.time() < end:
        if os.fork(): os._exit(0)
        os.setsid()
    os._exit(0)
"""

Ask = Callable[..., Work]


def double(first: str, then: str = "return x + x") -> str:
    """A student's function that does something else first."""
    return f"def double(x):\n{indent(first, '    ')}\n{indent(then, '    ')}\n"


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    os.environ[SECRET] = "42"
    shared = Worker(OPENING)
    yield shared
    shared.close()
    del os.environ[SECRET]


@pytest.fixture
def ask(worker: Worker) -> Iterator[Ask]:
    """A function that asks the worker; after it, the next submission must be answered at once, as if nothing was."""

    def asking(*program: str, question: Question = DOUBLE) -> Work:
        return worker.ask(question, list(program), CASES)

    yield asking
    assert points(asking(RIGHT)) == 3


def points(work: Work) -> float:
    return verdict_on(work).points


def verdict_on(work: Work) -> Verdict:
    return judge(DOUBLE, CASES, work.outcomes)


def sentence(work: Work) -> str:
    """What the student is told."""
    return work.error or work.outcomes[0].error


def processes_with(mark: str) -> list[str]:
    """Processes that carry a mark as their name."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "comm").read_text().strip() == mark:
                found.append(process.name)
        except OSError:
            continue
    return found


WHERE = """
calls = []
def where():
    calls.append(1)
    if len(calls) == 1: raise ValueError(f"here<{os.getcwd()}>{len(os.listdir('.'))} files")
"""


def folder_of(work: Work) -> Path:
    """The folder that the first call of WHERE names; it must have been empty then."""
    found = re.search("here<(.*)>0 files", work.outcomes[0].error)
    assert found
    return Path(found[1])


# --- honest code -----------------------------------------------------------------------------------------------------


def test_a_right_answer_comes_back_case_by_case(ask: Ask) -> None:
    work = ask(RIGHT)
    assert (work.error, work.late, work.failures) == ("", False, [])
    assert len(work.outcomes) == len(CASES)
    for case, outcome in zip(CASES, work.outcomes, strict=True):
        assert torch.equal(outcome.outputs["y"], 2 * case.inputs["x"])  # type: ignore[arg-type]


def test_a_wrong_answer_is_judged_here(ask: Ask) -> None:
    assert points(ask("def double(x):\n    return x")) == 0


def test_each_question_has_a_process_of_its_own(ask: Ask) -> None:
    remembers = "import builtins\nbuiltins.seen = getattr(builtins, 'seen', 0) + 1\n"
    for _ in range(2):
        assert points(ask(remembers + "def double(x):\n    return x + x if seen == 1 else x\n")) == 3


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (["x = 1"], "could not be defined"),
        (["double = 3"], "is not callable"),
        (["raise ValueError('early')"], "could not be defined: raised ValueError: early"),
        (["def double(x):\n    raise NotImplementedError('double')"], "is not written yet"),
        (["def double(x):\n    raise KeyError('late')"], "raised KeyError: 'late', in `double` at `raise KeyError("),
        (["def double(x):\n    return x.clone().requires_grad_().sum().backward()"], "calls autograd (torch.Tensor.b"),
    ],
)
def test_why_there_is_no_answer(ask: Ask, program: list[str], words: str) -> None:
    assert sentence(ask(*program)).startswith(words)


def test_inputs_changed_in_place_are_flagged(ask: Ask) -> None:
    work = ask("def double(x):\n    return x.mul_(2)")
    assert points(work) == 3
    assert work.outcomes[0].changed == ["x"]


@pytest.mark.parametrize("returned", ["None", "{'y': x}", "x + 0j", "x.to('meta')", "[x, None]", "lambda: x"])
def test_what_is_no_array_is_told(ask: Ask, returned: str) -> None:
    work = ask(f"def double(x):\n    return {returned}")
    assert points(work) == 0
    assert work.outcomes[0].problems["y"].endswith(", where an array is expected")


def test_prints_and_warnings_cost_nothing(ask: Ask) -> None:
    noisy = (
        "import warnings\nfor _ in range(50):\n    print('x' * 2**20)\nprint('e', file=sys.stderr)\nwarnings.warn('w')"
    )
    assert points(ask(double(noisy))) == 3
    assert points(ask(double("os.write(1, bytes(2**20))\nos.write(2, bytes(2**20))"))) == 3


def test_threads_that_outlive_the_call_cost_nothing(ask: Ask) -> None:
    assert points(ask(double("threading.Thread(target=time.sleep, args=(600,)).start()"))) == 3
    assert points(ask(double("threading.Thread(target=lambda: [0 for _ in iter(int, 1)]).start()"))) == 3


# --- code that takes too much ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "program",
    ["while True: pass", double("while True: pass"), double("signal.pause()"), double(SWALLOWS)],
    ids=["at the top", "inside", "asleep", "deaf to errors"],
)
def test_what_never_ends_is_late(ask: Ask, program: str) -> None:
    work = ask(program, question=QUICK)
    assert (work.late, work.error, points(work)) == (True, "took longer than 1.5 s", 0)


def test_a_case_that_is_late_leaves_those_before_it(ask: Ask) -> None:
    slow = "n = []\ndef double(x):\n    n.append(1)\n    if len(n) == 3: time.sleep(600)\n    return x + x"
    work = ask(slow, question=replace(DOUBLE, seconds=4))
    assert [bool(outcome.error) for outcome in work.outcomes] == [False, False, True]
    assert points(work) == 0


@pytest.mark.parametrize(
    "hog", ["torch.ones(10**10 // 4)", "bytearray(10**10)", "[bytes(2**24) for _ in range(10**4)]"]
)
def test_memory_has_a_limit(ask: Ask, hog: str) -> None:
    work = ask(double(hog))
    assert points(work) == 0
    assert sentence(work).startswith(("raised MemoryError", "raised RuntimeError"))


def test_memory_is_limited_over_all_processes_of_a_question(ask: Ask) -> None:
    """Each of them stays below its own limit."""
    forks = (
        "for _ in range(8):\n    if os.fork() == 0:\n        x = b'1' * 2**29\n        time.sleep(60)\ntime.sleep(60)"
    )
    work = ask(double(forks))
    assert (work.late, sentence(work), points(work)) == (False, "used more than 2 GiB of memory", 0)


def test_memory_that_is_shared_with_the_preloaded_process_is_not_counted(ask: Ask) -> None:
    idle = "for _ in range(40):\n    if os.fork() == 0: time.sleep(60)\ntime.sleep(0.5)"
    assert points(ask(double(idle))) == 3


def test_a_file_has_a_limit(ask: Ask) -> None:
    work = ask(double("with open('big', 'wb') as file:\n    for _ in range(1024): file.write(bytes(2**20))"))
    assert sentence(work).startswith("raised OSError: [Errno 27] File too large")
    assert points(work) == 0


def test_a_return_value_has_a_limit(ask: Ask) -> None:
    work = ask("def double(x):\n    return torch.zeros(2**25 + 1, dtype=torch.float64)")
    assert points(work) == 0
    assert sentence(work) == "returned more than 256 MiB"


def test_all_return_values_of_a_question_have_a_limit_together(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dl780.grade.work.MOST_ANSWERS", 2**20)
    work = ask("def double(x):\n    return torch.zeros(2**16, dtype=torch.float64)")
    assert [bool(outcome.error) for outcome in work.outcomes] == [False, True]


def test_processor_time_on_several_threads_is_limited(ask: Ask) -> None:
    spin = "torch.set_num_threads(4)\nx = torch.ones(2000, 2000)\nwhile True: x @ x"
    work = ask(double(spin), question=replace(DOUBLE, seconds=3))
    assert (work.late, points(work)) == (True, 0)


# --- code that ends, breaks or outlives its process ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("os._exit(0)", "ended without an answer"),
        ("raise SystemExit", "ended without an answer"),
        ("import ctypes\nctypes.string_at(0)", "ended the process (SIGSEGV)"),
        ("os.abort()", "ended the process (SIG"),  # SIGABRT, or SIGSEGV where it is the first of its namespace
    ],
)
def test_an_end_is_told(ask: Ask, end: str, words: str) -> None:
    work = ask(double(end))
    assert sentence(work).startswith(words)
    assert (work.late, points(work)) == (False, 0)


@pytest.mark.parametrize("number", ["SIGSEGV", "SIGKILL", "SIGTERM"])
@pytest.mark.parametrize("kill", ["os.kill(os.getpid(), {})", "os.killpg(0, {})"])
def test_a_signal_hits_the_sender_or_nobody(ask: Ask, kill: str, number: str) -> None:
    work = ask(double(kill.format(f"signal.{number}")))
    assert not work.late
    assert points(work) == 3 or sentence(work) in (f"ended the process ({number})", "ended without an answer")


def test_a_daemon_is_gone_afterwards(ask: Ask) -> None:
    work = ask(f"MARK = {MARK!r}", DAEMON)
    assert work.outcomes[0].error.startswith("raised ValueError: it runs")
    assert processes_with(MARK) == []


def test_the_daemon_of_the_test_above_would_be_seen() -> None:
    with subprocess.Popen(["bash", "-c", f"printf %s {MARK}s > /proc/$$/comm; read"], stdin=subprocess.PIPE) as process:
        try:
            end = time.monotonic() + 20
            while not processes_with(f"{MARK}s") and time.monotonic() < end:
                time.sleep(0.02)
            assert processes_with(f"{MARK}s") == [str(process.pid)]
        finally:
            process.kill()


def test_children_that_hop_from_process_to_process_are_caught(ask: Ask) -> None:
    assert points(ask(double(HOP))) == 3


@pytest.mark.parametrize("then", ["open('left', 'w').close()", "os.makedirs('a/b')", "os.chmod('.', 0)", "os._exit(0)"])
def test_a_process_works_in_an_empty_folder_that_is_gone_afterwards(ask: Ask, then: str) -> None:
    program = WHERE, "def double(x):\n" + indent(f"where()\n{then}\nreturn x + x", "    ")
    for _ in range(2):
        assert not folder_of(ask(*program)).exists()


# --- code that looks for the answer, or forges it --------------------------------------------------------------------


def test_what_holds_answers_is_not_there(ask: Ask) -> None:
    for module in (
        "dl780.questions.backprop",
        "dl780.check.question",
        "dl780.grade.work",
        "dl780.lab",
        "dl780.bank",
        "dl780.data",
    ):
        work = ask(double(f"import {module}"))
        assert sentence(work).startswith("raised ModuleNotFoundError: No module named 'dl780.")
        assert points(work) == 0


def test_the_networks_of_the_lecture_are_there(ask: Ask) -> None:
    counts = "from dl780.models import get_model\nassert len(list(get_model('lenet5').parameters())) == 10"
    assert points(ask(double(counts))) == 3


def test_a_lab_is_inert_inside(ask: Ask) -> None:
    quiet = "lab = Lab('backprop')\nassert lab.check(double) is None\nlab.show(double, x)\nlab.progress()"
    assert points(ask(double(quiet))) == 3


def test_the_judges_environment_stays_outside(ask: Ask) -> None:
    names = sentence(ask(double("raise ValueError(sorted(os.environ))")))
    assert "'HOME'" in names
    assert SECRET not in names


SOCKETS = """
def sockets():
    for fd in map(int, os.listdir('/proc/self/fd')):
        try:
            if os.readlink(f'/proc/self/fd/{fd}').startswith('socket:'): yield socket.socket(fileno=os.dup(fd))
        except OSError: pass
def forge(head, forms={}, body=struct.pack('<Q', 2) + b'{}'):
    first = json.dumps({'head': head, 'forms': forms}).encode()
    for s in sockets(): s.sendall(struct.pack('<II', len(first), len(body)) + first + body)
"""


@pytest.mark.parametrize(
    "write",
    [
        "[s.sendall(b'garbage' * 99) for s in sockets()]",
        "[s.sendall(bytes(99)) for s in sockets()]",
        "[s.shutdown(socket.SHUT_RDWR) for s in sockets()]",
        "forge({'points': 3, 'ok': True, 'passed': True, 'error': ''})",
        "forge({}, {'y': 4096})",
        "forge({}, {'y': 'tensor'})",
        "forge({}, {'y': ['number', 1e999], 'points': ['number', 3]})",
        "forge({'error': ['x'] * 9999, 'problems': {'y': 5, 'z': 6}, 'changed': ['nothing', {}]})",
        "forge({'failures': ['none'], 'defined': True, 'callable': True})",
    ],
)
def test_forged_messages_earn_nothing(ask: Ask, write: str) -> None:
    work = ask(SOCKETS, double(write))
    assert points(work) == 0
    assert all(output.message for output in verdict_on(work).outputs)


@pytest.mark.parametrize(
    "head", ["[]", "None", "'x'", "{'problems': 5}", "{'problems': 'abc'}", "{'changed': 5}", "{'problems': [[[], 1]]}"]
)
def test_forged_heads_stay_within_the_question(ask: Ask, head: str) -> None:
    assert points(ask(SOCKETS, double(f"forge({head})"))) == 0


@pytest.mark.parametrize("head", ["[]", "None", "{'defined': True, 'callable': True, 'failures': 5}"])
def test_forged_states_stay_within_the_question(ask: Ask, head: str) -> None:
    assert points(ask(f"{SOCKETS}\nforge({head})", RIGHT)) == 0


def test_the_right_numbers_under_a_broken_torch_are_judged_by_an_unbroken_one(ask: Ask) -> None:
    patched = "torch.equal = torch.allclose = lambda *_, **__: True\ntorch.Tensor.__eq__ = lambda *_: True"
    assert points(ask(patched, "def double(x):\n    return torch.zeros(1)")) == 0


# --- the preloaded process itself ------------------------------------------------------------------------------------


def preloaded(worker: Worker) -> Any:
    assert worker._process
    return worker._process


def test_a_preloaded_process_that_is_gone_is_started_again(ask: Ask, worker: Worker) -> None:
    assert points(ask(RIGHT)) == 3
    preloaded(worker).kill()
    preloaded(worker).wait()
    assert points(ask(RIGHT)) == 3


def test_one_that_dies_during_a_question_costs_that_question_alone(ask: Ask, worker: Worker) -> None:
    assert points(ask(RIGHT)) == 3
    killer = threading.Timer(0.5, lambda: preloaded(worker).kill())
    killer.start()
    work = ask(double("time.sleep(10)"))
    killer.join()
    assert (bool(work.error), points(work)) == (True, 0)


def test_a_child_that_somebody_kills_is_asked_again(ask: Ask, worker: Worker) -> None:
    """In its own namespace a child cannot be killed from inside: whoever did it, the student did not."""
    assert points(ask(RIGHT)) == 3
    if not worker.layers:
        pytest.skip("without namespaces a student may have done it")
    victims: list[int] = []

    def kill() -> None:
        inner = psutil.Process(preloaded(worker).pid).children()[0]
        for child in inner.children():
            victims.append(child.pid)
            child.kill()

    killer = threading.Timer(0.5, kill)
    killer.start()
    work = ask(double("time.sleep(0.3)"))
    killer.join()
    assert len(victims) == 1
    assert points(work) == 3


def test_who_is_killed_again_and_again_is_looked_at(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_ask", lambda *_: (Work(error="ended the process"), "lost"))
    work = worker.ask(DOUBLE, [RIGHT], CASES)
    assert (work.error, work.doubts) == ("ended the process", ["the process that ran it was killed 3 times"])


def test_a_preloaded_process_that_does_not_start_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dl780.grade.work.sys.executable", "/bin/true")
    with pytest.raises(UserError, match="did not start"):
        Worker(OPENING).ask(DOUBLE, [RIGHT], CASES)


def test_a_preloaded_process_that_is_killed_leaves_no_folder(ask: Ask, worker: Worker) -> None:
    kills = "def double(x):\n    where()\n    os.kill(os.getppid(), signal.SIGKILL)\n    os._exit(1)"
    folder = folder_of(ask(WHERE, kills))
    if folder.exists():
        folder.rmdir()
        assert worker.layers == []
        pytest.xfail("without namespaces only the preloaded process removes a child's folder: killed, it leaves it")
