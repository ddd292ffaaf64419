"""What is graded is a definition: which statements are taken for it, and that nothing else matters."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dl780.check.registry import LabQuestions
from dl780.grade.extract import LONG, broken, extract, statements
from dl780.grade.read import Submission, take
from dl780.grade.read import cells as read_cells
from dl780.student.call import attempt

TORCH = "import math\nimport torch\nimport numpy as np\n"


def taken(name: str, *cells: str) -> list[str] | None:
    found = extract(name, statements(list(cells)))
    return None if found is None else [s.source for s in found]


F = "def f(x):\n    return g(x) + 1"


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        pytest.param(["def f(): return 1", "def f(): return 2"], ["def f(): return 2"], id="last binding"),
        pytest.param(["def f(): return 1\nf = lambda: 2"], ["f = lambda: 2"], id="lambda"),
        pytest.param(["class f:\n    pass"], ["class f:\n    pass"], id="class"),
        pytest.param(["from math import tanh as f"], ["from math import tanh as f"], id="import"),
        pytest.param(["h = 1", "f, g = h, 2"], ["h = 1", "f, g = h, 2"], id="unpacking"),
        pytest.param(["f: object = abs"], ["f: object = abs"], id="annotated"),
        pytest.param(["a = 1; f = abs; b = f"], ["f = abs"], id="semicolons"),
        pytest.param(["é = '漢'; f = é"], ["é = '漢'", "f = é"], id="columns count bytes"),
        pytest.param(["def h(x): return K\nK = 3\nunused = 4", "def g(x): return h(x)", F],
                     ["def h(x): return K", "K = 3", "def g(x): return h(x)", F], id="transitively"),
        pytest.param(["def f(n): return f(n - 1)"], ["def f(n): return f(n - 1)"], id="recursion"),
        pytest.param(["import functools as ft, os", "@ft.cache\ndef f(): return 1"],
                     ["import functools as ft, os", "@ft.cache\ndef f(): return 1"], id="decorator"),
        pytest.param(["def f(): return 1", "def deco(g): return g", "f = deco(f)"],
                     ["def f(): return 1", "def deco(g): return g", "f = deco(f)"], id="f = decorate(f)"),
        pytest.param(["K = 2", "def f(x=K): return x"], ["K = 2", "def f(x=K): return x"], id="default argument"),
        pytest.param(["K = int", "def f(x: K) -> K: return x"],
                     ["K = int", "def f(x: K) -> K: return x"], id="annotation"),
        pytest.param(["T = {}", "T['a'] = 1", "T.update(b=2)", "U = []", "U.append(T)", "def f(): return T"],
                     ["T = {}", "T['a'] = 1", "T.update(b=2)", "def f(): return T"], id="items and calls"),
        pytest.param(["def f(): return f.k", "f.k = 3", "f.t = {}", "f.t['a'] = 1"],
                     ["def f(): return f.k", "f.k = 3", "f.t = {}", "f.t['a'] = 1"], id="attributes"),
        pytest.param(["K = 1", "K += 1", "K -= other", "other = 5", "del K.x", "def f(): return K"],
                     ["K = 1", "K += 1", "K -= other", "other = 5", "del K.x", "def f(): return K"], id="augmented"),
        pytest.param(["if True:\n    K = 1\nelse:\n    K = 2", "try:\n    import q\nexcept ImportError:\n    q = 0",
                      "for i in []:\n    z = i", "def f(): return K, q"],
                     ["if True:\n    K = 1\nelse:\n    K = 2", "try:\n    import q\nexcept ImportError:\n    q = 0",
                      "def f(): return K, q"], id="compound statements"),
        pytest.param(["with open('x') as h:\n    K = 1", "def f(): return K"],
                     ["with open('x') as h:\n    K = 1", "def f(): return K"], id="with"),
        pytest.param(["T = []\nfor i in range(3):\n    T.append(i)", "def f(): return T"],
                     ["T = []", "for i in range(3):\n    T.append(i)", "def f(): return T"], id="filled in a loop"),
        pytest.param(["from math import *", "def f(x): return sin(x)"],
                     ["from math import *", "def f(x): return sin(x)"], id="star import"),
        pytest.param(["def setup():\n    global K\n    K = 1", "setup()", "def f(): return K"],
                     ["def setup():\n    global K\n    K = 1", "def f(): return K"], id="global"),
        pytest.param(["W = [9] * 10**9", "def f(x):\n    W = x\n    return W"],
                     ["def f(x):\n    W = x\n    return W"], id="a local is no global"),
        pytest.param(["W = 1", "def f(x):\n    return [W for W in x], (lambda W: W)"],
                     ["def f(x):\n    return [W for W in x], (lambda W: W)"], id="comprehension and lambda"),
        pytest.param(["loss = 0", "class f:\n    loss = 1\n    def g(self): return self.loss"],
                     ["class f:\n    loss = 1\n    def g(self): return self.loss"], id="class attribute"),
        pytest.param(["W = 0\nfor step in range(10**9):\n    W = W - f(W)",
                      "plt.plot(W)\nprint(f(W))", "def f(x): return x"],
                     ["def f(x): return x"], id="training and plots"),
    ],
)  # fmt: skip
def test_what_is_taken(cells: list[str], wanted: list[str]) -> None:
    assert taken("f", *cells) == wanted


@pytest.mark.parametrize("cells", [[], ["g = 1"], ["f.x = 1"], ["def f(:"], ["def g():\n    f = 1"], ["print(f)"]])
def test_what_is_not_bound_is_not_there(cells: list[str]) -> None:
    assert taken("f", *cells) is None


@pytest.mark.parametrize(
    "cell",
    [
        "%matplotlib inline\n{}",
        "!pip install torch\n{}",
        "%%time\n{}",
        "{}\nf?",
        "{}\nf??",
        "?f\n{}",
        "if True:\n    %time 1 + 1\n{}",
        "files = !ls -l\n{}",
        "x = %timeit -o 1 + 1\n{}",
        "\r\n\f\n{}\r\n%time",
        "{}\0",
        "%%time\n\n\n{}",
    ],
)
def test_ipythons_own_lines_cost_nothing(cell: str) -> None:
    body = "def f(x):\n    return 'why?' + '%d' % x"
    found = taken("f", cell.format(body))
    assert found
    assert found[-1] == body


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("def f(x):\n    print('loss=%.3f' % x)\n    return x"),
        pytest.param("def f(x):\n    y = x + 1  # why?\n    return y"),
        'def f(x):\n    """What is it?"""\n    return x',
    ],
)
def test_a_magic_in_the_cell_leaves_its_python_as_it_is(body: str) -> None:
    assert taken("f", f"%matplotlib inline\n{body}") == [body]


def test_a_syntax_error_costs_only_its_own_cell() -> None:
    bad, deep = "def g(x:\n    return", "x = " + "(" * 500 + ")" * 500
    cells = ["K = 1", bad, "def f(): return K", deep, "def h(): return g"]
    assert taken("f", *cells) == ["K = 1", "def f(): return K"]
    assert taken("h", *cells) == ["def h(): return g"]
    assert broken([*cells, "", "%time", "  \n"]) == [bad, deep]


@pytest.mark.parametrize("cell", ["x = '\ud800'", "x = " + "-" * 100_000 + "1", "x" + ".a" * 20_000, "(" * 10_000])
def test_cells_that_break_parsers_break_no_others(cell: str) -> None:
    assert taken("f", cell, "def f(): return 1", cell) == ["def f(): return 1"]


def test_a_binding_that_a_later_one_replaces_still_brings_what_it_binds_besides() -> None:
    cells = ["from torch import tanh, exp", "def tanh(a): return exp(a)"]
    assert taken("tanh", *cells) == cells


@pytest.mark.parametrize(
    "call",
    [
        "torch.autograd.gradcheck(f, inputs)",
        "torch.save(weights, 'best.pt')",
        "for epoch in range(10**9):\n    torch.manual_seed(epoch)",
    ],
)
def test_calling_a_modules_function_changes_no_answer(call: str) -> None:
    """A student's own experiments: taken along, they are refused as autograd, or trained until time is up."""
    heavy = "weights = [train() for _ in range(10**9)]"
    assert taken("f", "import torch", heavy, call, "def f(x): return torch.tanh(x)") == [
        "import torch",
        "def f(x): return torch.tanh(x)",
    ]


CHAIN = [
    "import functools",
    "BASE = 2.0",
    "SCALE = BASE * 3",
    "TABLE = {'a': SCALE, 'b': BASE}",
    "def double(g):\n    @functools.wraps(g)\n    def h(*a): return 2 * g(*a)\n    return h",
    "class A:\n    k = SCALE",
    "class B(A):\n    def m(self): return self.k + helper(1)",
    "def helper(x, s=SCALE): return x * s + TABLE['b']",
    "@double\ndef f(x, b=BASE): return B().m() + helper(x) + b",
]
JUNK = [
    "print('x' * 1000)",
    "while True:\n    pass",
    "for i in iter(int, 1):\n    total = i",
    "raise RuntimeError('stop')",
    "1 / 0",
    "def broken(:\n    pass",
    "    indented = 1",
    "%matplotlib inline\n!rm -rf everything",
    "plt.plot([1, 2]); plt.show()",
    "assert f(1) == 2, 'mine'",
    "result = f(1)\nresult",
    "lab.progress()",
    "# only a comment",
    "",
    "import sys; sys.exit(1)",
    "'text'",
    "x = y = nowhere",
    "with nothing() as z:\n    pass",
    "del z",
    "torch.manual_seed(0)",
]


def in_any_order(cells: list[str]) -> st.SearchStrategy[list[str]]:
    """All cells in some order, some of them twice, with junk between."""
    more = st.lists(st.sampled_from(cells), max_size=4), st.lists(st.sampled_from(JUNK), max_size=12)
    return st.tuples(*more).flatmap(lambda extra: st.permutations([*cells, *extra[0], *extra[1]]))


Runner = Callable[..., tuple[dict[str, Any], list[str]]]
COMMON = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=150, deadline=None, suppress_health_check=COMMON)
@given(cells=in_any_order(CHAIN))
def test_any_order_with_any_junk_gives_the_same_function(cells: list[str], run_program: Runner) -> None:
    found = taken("f", *cells)
    assert found
    namespace, failures = run_program("", found)
    assert failures == []
    assert namespace["f"](5.0) == 2 * (6 + 6 + 2 + 5 * 6 + 2 + 2)
    assert set(found) <= {*CHAIN, "torch.manual_seed(0)"}


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=COMMON)
@given(data=st.data())
def test_solutions_in_any_order_behave_as_they_do_in_theirs(
    data: st.DataObject,
    solved: dict[str, str],
    lab: LabQuestions,
    run_program: Runner,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The lab's own cells through a notebook file: the same numbers, so the same grade."""
    cells = data.draw(in_any_order(list(solved.values())))
    kinds = data.draw(st.lists(st.booleans(), min_size=len(cells), max_size=len(cells)))
    entries: list[dict[str, Any]] = []
    for cell, noted in zip(cells, kinds, strict=True):
        entries += [{"cell_type": "markdown", "source": "def tanh(a): no code"}] * noted
        entries.append({"cell_type": "code", "source": cell.splitlines(keepends=True) if noted else cell})
    path = tmp_path_factory.mktemp("any") / "a.ipynb"
    path.write_text(json.dumps({"cells": entries}))
    all_statements = statements(read_cells(take(Submission("any", path))))
    original, _ = run_program(TORCH, list(solved.values()))
    for name in data.draw(st.permutations([n for n in lab.questions if n != "train_mlp"]))[:6]:
        question = lab.questions[name]
        found = extract(name, all_statements)
        assert found
        namespace, failures = run_program(TORCH, [s.source for s in found])
        assert failures == []
        case = question.case(1, 7)
        one, other = (
            attempt(space[name], question.adapter, question.sent_inputs(case), question.outputs, question.not_allowed)
            for space in (original, namespace)
        )
        assert other.error == ""
        assert flat(other.outputs) == flat(one.outputs)


def flat(outputs: dict[str, Any]) -> dict[str, Any]:
    return {n: v.tolist() if isinstance(v, torch.Tensor) else [i.tolist() for i in v] for n, v in outputs.items()}


def test_all_of_the_lab_is_taken_and_nothing_that_trains(right_cells: list[str], lab: LabQuestions) -> None:
    all_statements = statements(right_cells)
    for name in lab.questions:
        found = extract(name, all_statements)
        assert found
        bound = set().union(*(s.binds for s in found))
        assert name in bound
        assert not bound & {"X_train", "path", "figure", "curve"}, name


def test_a_long_cell_which_is_not_remembered_is_read_like_a_short_one():
    cell = "x = 1\n\n\ndef f():\n    return x"
    short, long = (extract("f", statements([text])) for text in (cell, f"{cell}\n{'#' * LONG}"))
    assert short == long
    assert short is not None


@pytest.mark.parametrize("padding", ["", "#" * 20_000])
def test_a_cell_that_cannot_be_parsed_is_broken_each_time(padding):
    cells = [f"def f(:\n    pass\n{padding}", "x = 1"]
    assert [broken(cells) for _ in range(2)] == [cells[:1]] * 2
    assert [s.source for s in statements(cells)] == ["x = 1"]
