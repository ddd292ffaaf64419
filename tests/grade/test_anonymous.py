"""An example shows the mistake and nothing of whose it is."""

import ast

import pytest

from dl780.grade.anonymous import MOST_LINES, anonymous

CODE = '''
import torch
from ada_tools import helper

# Ada Lovelace, 4711
def ada_product(a, b):
    """By Ada."""
    return torch.einsum("ij,jk->ik", a, b)

class Lovelace:
    """Mine."""

def linear_backward(G, Z, W, b):
    """Ada wrote this."""
    note = "ask Ada"  # or Lovelace
    print(f"Ada {note}", b"Ada")
    by_ADA = lambda x, lovelace=1: x
    return ada_product(G, W), by_ADA(G.T @ Z, lovelace=2), G.mean(0)
'''


@pytest.mark.parametrize("submission", ["lovelaceada_4711", "Ada Lovelace_4711", "ada", "x__Lovelace_ada"])
def test_an_example_tells_the_mistake_and_nobody(submission: str) -> None:
    shown = anonymous(CODE, submission, "linear_backward")
    ast.parse(shown)
    for told in ("4711", "wrote", "ask", "Mine", "#", "import", '"""'):
        assert told not in shown
    if submission != "lovelaceada_4711":
        assert "ada" not in shown.lower()
    assert "def linear_backward(G, Z, W, b):" in shown
    assert "G.mean(0)" in shown
    assert "'ij,jk->ik'" in shown


def test_what_cannot_be_read_is_left_out_and_what_is_long_is_cut() -> None:
    assert anonymous("def f(:", "ada", "f") == ""
    long = anonymous("def f(x):\n" + "    x = x + 1\n" * 100, "ada", "f").splitlines()
    assert (len(long), long[-1]) == (MOST_LINES + 1, "…")
