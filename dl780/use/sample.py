"""`dl780 sample`: text from a char-RNN, symbol by symbol, as it comes."""

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dl780 import UserError
from dl780.data.text import UNKNOWN
from dl780.recipes import CharRNN
from dl780.train.checkpoint import Which, load_weights
from dl780.train.language import network, vocabulary_of
from dl780.train.run import read_recipe


def load(run: Path, which: Which = "last") -> tuple[nn.Module, tuple[str, ...]]:
    """A run's char-RNN, and the characters that its symbols are; none where they are bytes. Raises `UserError`."""
    recipe = read_recipe(run)
    if not isinstance(recipe, CharRNN):
        raise UserError(f"{run} is a run of {recipe.name}: text comes from a run of char-rnn")
    vocabulary = vocabulary_of(run)
    model = network(recipe, len(vocabulary) or 256)
    model.load_state_dict(load_weights(run, which))
    return model.eval(), vocabulary


def sample(
    run: Path,
    prompt: str = "\n",
    length: int = 500,
    temperature: float = 0.8,
    top_k: int = 0,
    seed: int = 0,
    which: Which = "last",
) -> Iterator[str]:
    """Pieces of text that go on after a prompt: each symbol drawn from softmax(logits / temperature).

    Args:
        temperature: 0 takes the likeliest symbol
        top_k: draw among so many of the likeliest; 0 among all
    Raises `UserError`.
    """  # fmt: skip
    if temperature < 0 or top_k < 0 or length < 0:
        raise UserError("--temperature, --top-k and --length take numbers from 0")
    model, vocabulary = load(run, which)
    fed, generator, decoder = read(prompt or "\n", vocabulary), torch.Generator().manual_seed(seed), _decoder()
    state: Any = None
    with torch.inference_mode():
        for _ in range(length):
            logits, state = model(fed, state)
            symbol = draw(logits[0, -1], temperature, top_k, generator, unknown=bool(vocabulary))
            yield vocabulary[symbol] if vocabulary else decoder.decode(bytes([symbol]))
            fed = torch.tensor([[symbol]])


def read(text: str, vocabulary: tuple[str, ...]) -> Tensor:
    """A text as symbols (1, T): indices into a vocabulary, 0 for what it does not hold; without one, its bytes."""
    if not vocabulary:
        return torch.tensor([list(text.encode())])
    place = {symbol: i for i, symbol in enumerate(vocabulary)}
    return torch.tensor([[place.get(symbol, place[UNKNOWN]) for symbol in text]])


def draw(logits: Tensor, temperature: float, top_k: int, generator: torch.Generator, unknown: bool = False) -> int:
    """A symbol, by its logits (V,); never the first one where that stands for unknown symbols."""
    logits = logits.float().clone()
    if unknown:
        logits[0] = -torch.inf
    if temperature == 0:
        return int(logits.argmax())
    if top_k:
        logits[logits < logits.topk(min(top_k, len(logits))).values[-1]] = -torch.inf
    return int(torch.multinomial((logits / temperature).softmax(0), 1, generator=generator))


def _decoder() -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder("utf-8")(errors="replace")
