"""The answers of a network beside the pictures, as the lecture's panel of AlexNet's (slide "Some classification results
from AlexNet"; Krizhevsky et al. 2012, figure 4).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from dl780 import UserError
from dl780.files import whole
from dl780.use.draw import COLOURS, describe, show
from dl780.use.network import Network


class Answer(NamedTuple):
    """A picture's file, its classes with their probabilities, likeliest first, and its true class, if known."""

    path: Path
    top: tuple[tuple[str, float], ...]
    truth: str | None

    def __str__(self) -> str:
        """One line."""
        told = ", ".join(f"{name} {p:.1%}" for name, p in self.top)
        return f"{self.path}: {told}"


def classify(network: Network, paths: Sequence[Path], top: int = 5) -> list[Answer]:
    """The `top` likeliest classes of each picture.

    Where a picture lies in a folder of a class's name, that class is the true one. Raises `UserError`.
    """
    if not 1 <= top <= len(network.classes):
        raise UserError(f"--top takes 1 to {len(network.classes)}, the number of classes, not {top}")
    return [_answer(network, path, top) for path in paths]


def draw(network: Network, answers: Sequence[Answer], out: Path) -> None:
    """Pictures in rows of up to four, under each its classes with bars; the true class in the other colour."""
    from matplotlib.figure import Figure

    columns = min(4, len(answers))
    rows = -(-len(answers) // columns)
    bars = 0.3 * max(len(answer.top) for answer in answers)
    figure = Figure(figsize=(2.6 * columns, rows * (2.5 + bars) + 0.5), layout="constrained")
    grid = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=[2.2, bars] * rows)
    for place in range(columns * rows):
        above, below = grid[2 * (place // columns)][place % columns], grid[2 * (place // columns) + 1][place % columns]
        if place >= len(answers):
            above.axis("off")
            below.axis("off")
            continue
        answer = answers[place]
        show(above, network.picture(answer.path))
        above.set_title(answer.truth or answer.path.name, fontsize=10)
        for i, (name, p) in enumerate(answer.top):
            below.barh(i, p, color=COLOURS[name == answer.truth], height=0.85)
            below.text(0.02, i, f"{name}  {p:.0%}", va="center", fontsize=8)
        below.set(xlim=(0, 1), ylim=(len(answer.top) - 0.4, -0.6), xticks=[], yticks=[])
    figure.suptitle(network.title, fontsize=8)
    with whole(out) as part:
        figure.savefig(part, dpi=150, format="png", metadata=describe("; ".join(map(str, answers))))


def _answer(network: Network, path: Path, top: int) -> Answer:
    with torch.inference_mode():
        logits = network.model(network.prepare(network.picture(path)[None]))
    if logits.shape != (1, len(network.classes)):
        raise UserError(f"{network.title}: it gives no probabilities of classes; name a classifier's run")
    found = logits.softmax(1)[0].topk(top)
    named = tuple((network.classes[i], p) for p, i in zip(found.values.tolist(), found.indices.tolist(), strict=True))
    folder = path.resolve().parent.name
    return Answer(path, named, folder if folder in network.classes else None)
