"""Autograd and libraries in a hand-written answer: refused where it is certain, flagged where it is not."""

from dataclasses import replace

import pytest

from dl780.check.registry import LabQuestions
from dl780.grade.extract import extract, parse, statements
from dl780.grade.scan import scan


def look(lab: LabQuestions, question: str, *cells: str) -> tuple[str, list[str]]:
    """What the scan says of a program."""
    found = extract(question, statements(list(cells)))
    assert found
    return scan(lab.questions[question], parse(lab.opening), [s.node for s in found])


BODY = "def linear_backward(G, Z, W, b):\n    return {}(Z, G)\n"


@pytest.mark.parametrize(
    ("opening", "call", "named"),
    [
        ("", "torch.autograd.grad", "torch.autograd.grad"),
        ("import torch.autograd", "torch.autograd.backward", "torch.autograd.backward"),
        ("import torch as t", "t.autograd.grad", "torch.autograd.grad"),
        ("import torch.autograd as ag", "ag.grad", "torch.autograd.grad"),
        ("from torch import autograd", "autograd.grad", "torch.autograd.grad"),
        ("from torch import autograd as ag", "ag.functional.jacobian", "torch.autograd.functional"),
        ("from torch.autograd import grad", "grad", "torch.autograd.grad"),
        ("from torch.autograd import grad as g", "g", "torch.autograd.grad"),
        ("from torch.autograd.functional import vjp", "vjp", "torch.autograd.functional.vjp"),
        ("from torch.func import grad", "grad", "torch.func.grad"),
        ("import torch.func as tf", "tf.vjp", "torch.func.vjp"),
        ("from torch import func", "func.jacrev", "torch.func.jacrev"),
        ("", "torch.Tensor.backward", "torch.Tensor.backward"),
        ("from torch import Tensor", "Tensor.backward", "torch.Tensor.backward"),
    ],
)
def test_autograd_by_every_import_is_refused(lab: LabQuestions, opening: str, call: str, named: str) -> None:
    sentence = f"calls autograd ({named}), but this question is to be written by hand"
    assert look(lab, "linear_backward", opening, BODY.format(call)) == (sentence, [])
    inside = BODY.format(call).replace("    return", f"    {opening or 'pass'}\n    return")
    assert look(lab, "linear_backward", inside)[0] == sentence
    helper = f"def helper(Z, G):\n    return {call}(Z, G)"
    assert look(lab, "linear_backward", opening, helper, BODY.format("helper"))[0] == sentence


def test_what_the_answer_does_not_use_is_not_held_against_it(lab: LabQuestions) -> None:
    mine = "def my_check(Z):\n    return torch.autograd.grad(Z.sum(), Z)"
    assert look(lab, "linear_backward", "from torch.autograd import grad", mine, BODY.format("torch.mul")) == ("", [])


def test_a_backward_of_ones_own_is_not_even_flagged(lab: LabQuestions, solved: dict[str, str]) -> None:
    cells = [
        "class V:\n    def backward(self):\n        return 1",
        "def tape(f, xs):\n    return [V().backward()]",
    ]
    assert look(lab, "tape", *cells) == ("", [])
    assert look(lab, "tape", *(solved[name] for name in ("Variable", "tape"))) == ("", [])


@pytest.mark.parametrize(
    ("line", "flags"),
    [
        ("(Z * G).sum().backward()", ["mentions .backward"]),
        ("Z.requires_grad_()", ["mentions .requires_grad_"]),
        ("torch.set_grad_enabled(True)", ["mentions torch.set_grad_enabled"]),
        ("with torch.enable_grad():\n        pass", ["mentions torch.enable_grad"]),
        ("with torch.inference_mode(False):\n        pass", ["mentions torch.inference_mode"]),
        ("with torch.no_grad():\n        pass", []),
        ("with torch.autograd.no_grad():\n        pass", []),
        ("grad = Z * G", []),
        ("autograd = 'a comment on torch.autograd.grad'", []),
        ("Z = Z.detach()", []),
    ],
)
def test_doubtful_calls_are_flagged_and_harmless_ones_are_not(lab: LabQuestions, line: str, flags: list[str]) -> None:
    cell = f"def linear_backward(G, Z, W, b):\n    {line}\n    return Z, G, b"
    assert look(lab, "linear_backward", cell) == ("", flags)


def test_the_packages_own_networks_are_no_answer_unseen(lab: LabQuestions) -> None:
    cell = "def tanh(a):\n    from dl780.models.attention import attend\n    return attend(a, a, a), a"
    assert "uses dl780.models.attention.attend" in look(lab, "tanh", cell)[1]


def test_a_librarys_optimiser_is_refused_only_where_it_is_asked_for(lab: LabQuestions) -> None:
    adam = "def adam_step(w, g, m, v, t, alpha, beta1, beta2, eps):\n    return torch.optim.Adam([w])"
    sentence = "uses a library's own version (torch.optim.Adam), but this question is to be written by hand"
    assert look(lab, "adam_step", adam) == (sentence, [])
    assert (
        look(lab, "adam_step", "from torch.optim import Adam", adam.replace("torch.optim.Adam", "Adam"))[0] == sentence
    )
    assert look(lab, "tanh", "def tanh(a):\n    return torch.optim.Adam, a") == ("", [])


@pytest.mark.parametrize("question", ["train_mlp", "tape", "mlp_backward"])
def test_solutions_pass_unflagged(lab: LabQuestions, right_cells: list[str], question: str) -> None:
    assert look(lab, question, *right_cells) == ("", [])


def test_what_is_refused_when_grading_is_refused_in_the_notebook(lab: LabQuestions) -> None:
    """ "Passes locally, fails on the autograder": torch.func.vmap differentiates nothing, and no trap holds it."""
    cell = "def tanh(a):\n    f = torch.func.vmap(torch.tanh)(a)\n    return f, 1 - f**2"
    assert look(lab, "tanh", cell)[0] == ""


@pytest.mark.parametrize(
    "slope",
    [
        "(f(x + 1e-5) - f(x)) / 1e-5",
        "(f(x + 1e-5) - f(x - 1e-5)) / (2 * 1e-5)",
        "(f(x + H) - f(x - H)) / H / 2",
        "(f(x + 10**-4) - f(x)) * 1e4",
        "f(x, step=1e-3) / step",
        "(lambda eps=1e-6: (f(x + eps) - f(x)) / eps)()",
        "(lambda *, eps=1e-6: (f(x + eps) - f(x)) / (2.0 * eps))()",
    ],
)
def test_a_division_by_a_step_is_flagged(lab: LabQuestions, slope: str) -> None:
    cells = ["H = 1e-4", "step = 2e-3", f"def tanh(x):\n    f = torch.tanh\n    H\n    return f(x), {slope}"]
    assert look(lab, "tanh", *cells) == ("", ["divides by a small constant, as differencing does"])


@pytest.mark.parametrize("line", ["x / 2", "x / len(x)", "x * 1e-8", "x + 1e-8", "x / (1 - 0.5)", "x / True", "x / 0"])
def test_other_divisions_are_not(lab: LabQuestions, line: str) -> None:
    assert look(lab, "tanh", f"def tanh(x):\n    return x, {line}") == ("", [])


def test_a_step_may_be_divided_by_where_autograd_is_allowed(lab: LabQuestions) -> None:
    question = replace(lab.questions["tanh"], not_allowed=())
    found = extract("tanh", statements(["def tanh(x):\n    return x, x / 1e-5"]))
    assert found
    assert scan(question, parse(lab.opening), [s.node for s in found]) == ("", [])
