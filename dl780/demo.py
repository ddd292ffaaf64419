"""What this package does, in a minute and a half: a made-up class is graded, and a network is trained by hand."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import torch
from torch import Tensor

from dl780.bank import read_bank
from dl780.check.registry import LabQuestions, load_lab
from dl780.files import write_whole
from dl780.grade.book import Result, grade
from dl780.release import solution_notebook, solutions, source_of, student_notebook

Cells = list[str]


def run(out: Path) -> None:
    """Build the class, grade it, print the table, train by hand and by autograd, and say where to look."""
    start = time.monotonic()
    lab = load_lab("backprop")
    print(f"1. A class of strangers hands in the lab {lab.name!r}: {out / 'class'}")
    write_class(lab, out / "class")
    print("2. Every notebook is graded against autograd, in processes of its own")
    results = grade(lab, [out / "class"], out / "graded", jobs=2, seed=780)
    print(table(results))
    print("3. The digits network, by hand-written backpropagation and by autograd (scikit-learn's digits, 8×8)")
    print(train_side_by_side(out / "curves.png"))
    print(f"\nDone in {time.monotonic() - start:.0f} s. Look at {out / 'graded' / 'class.html'},")
    print(f"at a student's page, {out / 'graded' / 'feedback' / 'bernhard.html'}, and at {out / 'curves.png'}.")


def write_class(lab: LabQuestions, folder: Path) -> None:
    """Fifteen submissions: right ones, known mistakes, and what goes wrong with notebooks."""
    folder.mkdir(parents=True, exist_ok=True)
    source = source_of(lab.name)
    right = [c.source for c in solution_notebook(source).cells if c.cell_type == "code"]
    bank = read_bank(source.with_suffix(".mistakes.py"))

    def mistaken(*chosen: tuple[str, int]) -> Cells:
        """The right answers with the n-th listed mistake of some questions."""
        listed = [(q, list(lab.questions[q].mistakes)[n]) for q, n in chosen]
        return right + [bank[key] for key in listed]

    cut_off = _notebook(right)[:20_000]
    students: dict[str, Cells] = {
        "ada": right,
        "bernhard": mistaken(("linear_backward", 0)),
        "chien": mistaken(("softmax_cross_entropy", 1), ("tanh", 0)),
        "dorothy": mistaken(("numerical_gradient", 0), ("momentum_step", 0), ("adam_step", 2)),
        "emmy": mistaken(("backpropagation", 0), ("linear_backward", 0)),
        "fatima": mistaken(("dropout", 0), ("autoencoder_backward", 0)),
        "george": [*right, AUTOGRAD],
        "hypatia": _edited(right, "linear_backward", lambda cell: cell.replace("return", "return (")),
        "ibn": _edited(right, "adam_step", lambda cell: ""),
        "katherine": [*right, ENDLESS],
        "leonhard": _edited(right, "relu", lambda cell: cell.replace("    return ", f"{TALK}    return ")),
        "maryam": _shuffled(right),
    }
    for name, cells in students.items():
        write_whole(folder / f"{name}.ipynb", _notebook(cells))
    write_whole(folder / "joan.ipynb", student_notebook(lab, source))
    write_whole(folder / "noether.ipynb", cut_off)
    bare = [{"cell_type": "code", "source": cell} for cell in right]
    write_whole(folder / "olga.ipynb", json.dumps({"cells": bare, "nbformat": 4, "nbformat_minor": 5}))


AUTOGRAD = """\
def linear_backward(G, Z, W, b):
    Z, W, b = (t.clone().requires_grad_() for t in (Z, W, b))
    (Z @ W.T + b).backward(G)
    return Z.grad, W.grad, b.grad
"""
ENDLESS = """\
def sigmoid(a):
    while True:
        pass
"""
TALK = '    print("x" * 100_000)  # in training, fifty megabytes in all\n'


def table(results: list[Result]) -> str:
    """Each submission with its score and what was found in it."""
    return "\n".join(f"   {r['submission']:<12}{_score(r):>10}  {_found(r)}" for r in results)


def train_side_by_side(picture: Path, epochs: int = 20, alpha: float = 0.1) -> str:
    """The same batches through the solution's own `mlp_backward` and through autograd: the same weights."""
    import matplotlib
    from sklearn.datasets import load_digits

    matplotlib.use("Agg")

    images, labels = load_digits(return_X_y=True)
    space: dict[str, Any] = {}
    exec("\n\n".join([load_lab("backprop").opening, *solutions("backprop").values()]), space)
    generator = torch.Generator().manual_seed(780)
    order = torch.randperm(1797, generator=generator)
    X, y = torch.from_numpy(images)[order] / 16, torch.from_numpy(labels).long()[order]
    sizes = [(32, 64), (10, 32)]
    first = [torch.randn(s, generator=generator, dtype=torch.float64) * (2 / s[1]) ** 0.5 for s in sizes]
    first += [torch.zeros(k, dtype=torch.float64) for k, _ in sizes]
    batches = [b for _ in range(epochs) for b in torch.split(torch.randperm(1200, generator=generator), 32)]
    runs = {}
    for name, gradient in (("by hand", _by_hand(space["mlp_backward"])), ("autograd", _by_autograd)):
        parameters, losses, begin = first, [], time.perf_counter()
        for batch in batches:
            loss, gradients = gradient(X[batch], y[batch], parameters)
            parameters = [p - alpha * g for p, g in zip(parameters, gradients, strict=True)]
            losses.append(float(loss))
        runs[name] = (parameters, losses, time.perf_counter() - begin)
    largest = max(float((a - b).abs().max()) for a, b in zip(runs["by hand"][0], runs["autograd"][0], strict=True))
    W1, W2, b1, b2 = runs["by hand"][0]
    right = ((X[1200:] @ W1.T + b1).relu() @ W2.T + b2).argmax(1) == y[1200:]
    _draw({name: losses for name, (_, losses, _) in runs.items()}, picture)
    seconds = ", ".join(f"{name} {took:.2f} s" for name, (_, _, took) in runs.items())
    return (
        f"   {len(batches)} steps: {seconds}; largest difference of a weight at the end {largest:.0e}; "
        f"{right.double().mean():.1%} of 597 held-out digits right"
    )


def _by_hand(mlp_backward: Callable[..., Any]) -> Callable[..., Any]:
    def gradient(X: Tensor, y: Tensor, parameters: list[Tensor]) -> Any:
        loss, g_Ws, g_bs = mlp_backward(X, y, parameters[:2], parameters[2:])
        return loss, [*g_Ws, *g_bs]

    return gradient


def _by_autograd(X: Tensor, y: Tensor, parameters: list[Tensor]) -> Any:
    W1, W2, b1, b2 = leaves = [p.detach().requires_grad_() for p in parameters]
    loss = torch.nn.functional.cross_entropy((X @ W1.T + b1).relu() @ W2.T + b2, y)
    return loss.detach(), torch.autograd.grad(loss, leaves)


def _draw(curves: dict[str, list[float]], picture: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for (name, losses), width in zip(curves.items(), (4, 1), strict=True):
        axes.plot(losses, label=name, lw=width)
    axes.set(xlabel="step", ylabel="loss of the mini-batch", yscale="log", title="scikit-learn digits, 64-32-10, SGD")
    axes.legend(frameon=False)
    figure.savefig(picture, dpi=120)
    plt.close(figure)


def _notebook(cells: Cells) -> str:
    code = [nbformat.v4.new_code_cell(cell, id=f"cell-{i}") for i, cell in enumerate(cells)]
    return f"{nbformat.writes(nbformat.v4.new_notebook(cells=code))}\n"


def _edited(cells: Cells, question: str, edit: Callable[[str], str]) -> Cells:
    return [edit(cell) if cell.startswith(f"def {question}(") else cell for cell in cells]


def _shuffled(cells: Cells) -> Cells:
    """Every cell twice, last cell first."""
    return [cell for cell in reversed(cells) for _ in range(2)]


def _score(result: Result) -> str:
    return "–" if result["score"] is None else f"{result['score']:g} of {result['out_of']:g}"


def _found(result: Result) -> str:
    """What a line of the table says: the status where nothing was graded, else each question that lost points."""
    if result["status"] != "graded":
        return f"{result['status'].replace('_', ' ')}: {result['note']}"
    lost = {n: q for n, q in result["questions"].items() if q["points"] < q["out_of"]}
    if len(lost) == len(result["questions"]):
        return f"{_short(next(iter(lost.values()))['message'])}: all {len(lost)} questions"
    told = [f"{name}: {q['mistake'] or _short(q['message'])}" for name, q in lost.items()]
    return f"\n{'':25}".join(told) or "all right"


def _short(message: str) -> str:
    return message if len(message) < 100 else message[:97] + "…"
