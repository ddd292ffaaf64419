"""Text, symbol by symbol: the char-RNN's task, with the state carried from window to window."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from dl780 import UserError, recipes
from dl780.data.text import Text, load_text
from dl780.models import get_model
from dl780.train.task import Task

VOCABULARY = "vocabulary.json"
STREAMS = 256  # at most, that a text is read as where it is evaluated


def data_of(recipe: recipes.CharRNN, source: str, say: Callable[[str], object] | None, run: Path | None = None) -> Text:
    """The recipe's text, in a run's vocabulary if one is named. Raises `UserError`."""
    shares = (recipe.validation, recipe.held_out)
    if not (min(shares) >= 0 and sum(shares) < 1):
        raise UserError(f"--validation {shares[0]} and --held-out {shares[1]} leave nothing to learn from")
    return load_text(
        source, files=recipe.files, members=recipe.members, unit=recipe.unit, length=recipe.length, shares=shares,
        vocabulary=vocabulary_of(run) if run else (), say=say,
    )  # fmt: skip


def vocabulary_of(run: Path) -> tuple[str, ...]:
    """The characters of a run's checkpoint; none where it reads bytes. Raises `UserError`."""
    try:
        return tuple(json.loads((run / VOCABULARY).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise UserError(f"{run / VOCABULARY} cannot be read: {error}") from None


def network(recipe: recipes.CharRNN, symbols: int) -> nn.Module:
    """The recipe's network for so many symbols."""
    return get_model(
        "char_rnn", recipe.seed, symbols=symbols, kind=recipe.kind, hidden=recipe.hidden, layers=recipe.layers,
        embedding=recipe.embedding, dropout=recipe.dropout,
    )  # fmt: skip


def task_of(recipe: recipes.CharRNN, data: Text) -> Task:
    """Cross-entropy of the next symbol, in nats; the state goes on from batch to batch, gradients do not."""
    symbols = len(data.vocabulary) or 256
    if data.train.steps(recipe.batch) * recipe.batch > len(data.train):
        raise UserError(
            f"{data.title} is too short for {recipe.batch} streams of {recipe.length}: lower --batch or --length"
        )
    memory: dict[str, Any] = {}

    def logits(model: nn.Module, X: Tensor) -> Tensor:
        out, state = model(X, memory.get("state"))
        memory["state"] = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
        return out.flatten(0, 1)  # type: ignore[no-any-return]

    def loss(model: nn.Module, X: Tensor, y: Tensor, progress: float) -> Tensor:
        return F.cross_entropy(logits(model, X), y.flatten())

    def sums(model: nn.Module, X: Tensor, y: Tensor) -> dict[str, Tensor]:
        nats = F.cross_entropy(logits(model, X).float(), y.flatten(), reduction="sum")
        return {
            "loss": nats,
            f"nats_per_{data.unit}": nats,
            f"bits_per_{data.unit}": nats / math.log(2),
        }

    return Task(
        network(recipe, symbols), loss, sums, counted=lambda X, y: y.numel(), initial_loss=math.log(symbols),
        together=STREAMS, memory=memory, files={VOCABULARY: json.dumps(data.vocabulary)},
    )  # fmt: skip
