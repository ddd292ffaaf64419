"""One submission through the judge and a real worker: verdicts, records, and what the student's side cannot do."""

import ast
import gc
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from dl780.check.registry import LabQuestions
from dl780.grade.extract import statements
from dl780.grade.judge import record, verdicts
from dl780.grade.work import Worker

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="grading needs Linux")

Judge = Callable[..., dict[str, Any]]


@pytest.fixture
def judged(small: LabQuestions, worker: Worker) -> Judge:
    """A function that judges cells: question -> record."""

    def run(*cells: str, master: bytes = b"m", content: str = "c") -> dict[str, Any]:
        return {v.question: record(v) for v in verdicts(small, list(cells), worker, master, content)}

    return run


def points(found: dict[str, Any]) -> dict[str, float]:
    return {name: q["points"] for name, q in found.items()}


FULL = {"tanh": 4.0, "relu": 4.0, "linear_backward": 10.0, "sgd_step": 2.0, "products": 4.0}


def told(question: dict[str, Any]) -> set[str]:
    return {output["message"] for output in question["outputs"].values()}


def test_a_record_has_the_documented_keys(judged: Judge, right: list[str]) -> None:
    found = judged(*right)
    assert points(found) == FULL
    for question in found.values():
        assert list(question) == ["points", "out_of", "outputs", "mistake", "flags", "replay"]
        assert question["points"] == question["out_of"]
        assert (question["mistake"], question["flags"], question["replay"]) == (None, [], None)
        assert all(set(output) == {"ok", "message"} and output["ok"] for output in question["outputs"].values())
    assert list(found["linear_backward"]["outputs"]) == ["G_Z", "G_W", "G_b"]


def test_only_the_wrong_output_loses_its_points(judged: Judge, right: list[str], small: LabQuestions) -> None:
    mistaken = "def linear_backward(G, Z, W, b):\n    return G @ W, G.T @ Z, G.mean(0)"
    found = judged(*right, mistaken)
    question = found["linear_backward"]
    by_output = dict(zip(("G_Z", "G_W", "G_b"), small.questions["linear_backward"].points, strict=True))
    assert question["points"] == by_output["G_Z"] + by_output["G_W"]
    assert {name: o["ok"] for name, o in question["outputs"].items()} == {"G_Z": True, "G_W": True, "G_b": False}
    assert question["mistake"] == "averaged the bias gradient over the batch"
    assert question["mistake"] in question["outputs"]["G_b"]["message"]
    assert question["replay"].startswith('lab.replay("linear_backward", "1:')
    assert points(found) == FULL | {"linear_backward": question["points"]}


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ("def tanh(a): raise NotImplementedError('tanh')", "is not written yet"),
        ("def tanh(a): return relu2(a)", "raised NameError: name 'relu2' is not defined"),
        ("def tanh(a): return 1 / 0", "raised ZeroDivisionError: division by zero"),
        ("def tanh(a): return a", "returned one Tensor, where 2 values are expected: f, df"),
        ("def tanh(a): pass", "returned nothing (None)"),
        ("tanh = 3", "is not callable"),
        ("tanh = None", "could not be defined"),
        ("tanh = 1 / 0", "could not be defined: raised ZeroDivisionError"),
        ("def tanh(a): import os; os._exit(0)", "ended without an answer"),
        ("import os\nos.abort()\ntanh = os.abort()", "ended the process (SIG"),
        ("def tanh(a):\n    import sys\n    sys.exit('done')", "ended"),
        ("def tanh(a):\n    import ctypes\n    ctypes.string_at(0)", "ended the process (SIGSEGV)"),
        ("def tanh(a): return a.tolist() * 10**9, a", "raised MemoryError"),
        ("def tanh(a):\n    b = a.clone().requires_grad_()\n    b.sum().backward()\n    return b, b.grad",
         "calls autograd (torch.Tensor.backward), but this question is to be written by hand"),
        ("from torch.autograd import *\ndef tanh(a): return a, grad(a.sum(), a)",
         "calls autograd (torch.autograd"),
    ],
)  # fmt: skip
def test_what_gives_no_answer_is_told_why_and_costs_only_itself(
    judged: Judge, right: list[str], cell: str, sentence: str
) -> None:
    found = judged(*right, cell)
    assert points(found) == FULL | {"tanh": 0.0}
    assert all(message.startswith(sentence) for message in told(found["tanh"])), told(found["tanh"])


@pytest.mark.parametrize(
    "cell",
    [
        "def tanh(a):\n    while True: pass",
        "while True: tanh = 1",
        "import time\ndef tanh(a):\n    try: time.sleep(60)\n    except BaseException: time.sleep(60)",
        "import os, time\ndef tanh(a):\n    if os.fork() == 0: os.setsid()\n    time.sleep(60)",
    ],
)
def test_an_endless_answer_ends_in_time(small: LabQuestions, worker: Worker, right: list[str], cell: str) -> None:
    tanh_only = LabQuestions(small.name, small.module, "", small.opening, {"tanh": small.questions["tanh"]}, {})
    start = time.monotonic()
    (verdict,) = verdicts(tanh_only, [*right, cell], worker, b"m", "c")
    assert time.monotonic() - start < small.questions["tanh"].seconds + 5
    assert verdict.points == 0
    assert {o.message for o in verdict.outputs} == {"took longer than 3 s"}


def test_a_missing_question_costs_only_what_needs_it(judged: Judge) -> None:
    cells = [
        "def relu(a):\n    return tanh(a)",
        "def linear_backward(G, Z, W, b)\n    return G",
        "def products(Ws):\n    n = len(Ws)\n    return n * (n + 1) // 2, n",
        "def sgd_step(w, g, alpha):\n    tanh = w\n    return tanh - alpha * g",
    ]
    found = judged(*cells)
    assert points(found) == {"tanh": 0.0, "relu": 0.0, "linear_backward": 0.0, "sgd_step": 2.0, "products": 4.0}
    assert told(found["tanh"]) == {"is not defined"}
    assert told(found["relu"]) == {"needs `tanh`, which is not defined"}
    assert told(found["linear_backward"]) == {"stands in a cell with a syntax error"}


def test_a_star_import_supplies_what_no_cell_defines(judged: Judge) -> None:
    found = judged("from torch import *\ndef relu(a):\n    return a.clamp(min=0), (a > 0) * 1.0 + 0 * tanh(a)")
    assert found["relu"]["points"] == 4


def test_a_syntax_error_is_blamed_only_where_the_name_is_defined(judged: Judge) -> None:
    assert told(judged("y = torch.tanh(")["tanh"]) == {"is not defined"}


def test_seeds_are_bound_to_master_and_content(judged: Judge) -> None:
    wrong = "def sgd_step(w, g, alpha):\n    return w"
    replays = [
        judged(wrong, master=master, content=content)["sgd_step"]["replay"]
        for master, content in ((b"m", "c"), (b"m", "c"), (b"n", "c"), (b"m", "d"))
    ]
    assert replays[0] == replays[1]
    assert len(set(replays)) == 3


def test_a_program_finds_neither_answer_nor_seed(judged: Judge, right: list[str]) -> None:
    """What gives an answer away is not importable, and no module of the judge is loaded."""
    spy = """
def sgd_step(w, g, alpha):
    import sys, importlib
    found = [m for m in sys.modules if m.startswith(("dl780.questions", "dl780.check", "dl780.grade"))]
    for name in ("dl780.questions.backprop", "dl780.check.question", "dl780.grade.judge", "dl780.release"):
        try:
            found.append(importlib.import_module(name))
        except ImportError:
            pass
    return w - alpha * g if not found else w
"""
    assert points(judged(*right, spy)) == FULL


@pytest.mark.parametrize("message", ['{"head": [], "forms": {}}', '{"head": {"problems": 3}, "forms": {}}'])
def test_a_forged_message_costs_only_its_own_question(judged: Judge, right: list[str], message: str) -> None:
    forge = f"""
import os, socket, struct
def tanh(a):
    body = struct.pack("<Q", 2) + b"{{}}"
    head = {message!r}.encode()
    for fd in range(3, 64):
        try:
            os.write(fd, struct.pack("<II", len(head), len(body)) + head + body)
        except OSError:
            pass
    return a, a
"""
    found = judged(*right, forge)
    assert points(found) == FULL | {"tanh": 0.0}


def test_points_are_not_to_be_had_by_writing_to_the_judge(judged: Judge, right: list[str]) -> None:
    noise = """
import os
def tanh(a):
    for fd in range(3, 64):
        try:
            os.write(fd, b"x" * 64)
        except OSError:
            pass
"""
    assert points(judged(*right, noise)) == FULL | {"tanh": 0.0}


def test_two_submissions_are_parsed_at_a_time(right_cells: list[str]) -> None:
    """The judge's threads take turns in the middle of ast.parse: each must still give a tree."""
    source = "\n".join(cell for cell in right_cells if _parses(cell))
    failed: list[BaseException] = []

    def parse() -> None:
        try:
            for _ in range(30):
                statements([source])
        except BaseException as error:
            failed.append(error)

    def yield_to_others(*_: object) -> None:
        time.sleep(0)

    before = gc.get_threshold()
    gc.callbacks.append(yield_to_others)
    gc.set_threshold(50, 5, 5)
    try:
        threads = [threading.Thread(target=parse) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(yield_to_others)
    assert failed == []


def _parses(cell: str) -> bool:
    try:
        return bool(ast.parse(cell))
    except SyntaxError:
        return False
