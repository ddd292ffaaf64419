"""Recipes of the networks that read and write."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from dl780.recipes.base import Supervised


@dataclass(frozen=True, kw_only=True)
class CharRNN(Supervised):
    """The char-RNN: learns a text symbol by symbol, by truncated back-propagation through time with carried state."""

    name: ClassVar = "char-rnn"
    data: str = "auto"  # auto (the Python standard library's source), a text file, a folder, or a tar archive
    files: str = "*"  # of a folder or an archive, the names that are taken, such as *.c
    members: str = ""  # of an archive, the path they stand below, such as linux-source-6.1/kernel/
    unit: Literal["character", "byte"] = "character"  # what a symbol is
    held_out: float = 0.1  # share of the text that tests: whole files, or the end of a single one
    validation: float = 0.05  # share of the text that validates
    kind: Literal["rnn", "lstm", "gru"] = "lstm"  # the recurrence
    hidden: int = 512  # units of each layer
    layers: int = 1  # one above the other
    embedding: int = 0  # length of a symbol's vector; 0 feeds symbols one-hot
    dropout: float = 0.0  # share left out between layers and before the output
    length: int = 64  # symbols through which gradients flow back
    batch: int = 64  # streams that are read side by side
    epochs: int = 1  # passes over the text
    clip: float = 1.0  # the gradient's norm is made no longer than this; 0 leaves it

    @property
    def about(self) -> str:
        """The text."""
        return "python" if self.data in ("auto", "embedded") else Path(self.data).name.split(".")[0]
