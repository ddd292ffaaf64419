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


@dataclass(frozen=True, kw_only=True)
class Captioner(Supervised):
    """The captioner: a CNN looks at a picture, a recurrent network tells of it."""

    name: ClassVar = "captioner"
    data: str = "auto"  # auto (drawn shapes), a folder of captions and pictures, or a file of captions
    side: int = 96  # pixels that pictures of a folder are fitted to
    least: int = 3  # times that a word must occur in training
    look: Literal["small", "resnet20", "resnet18"] = "small"  # the CNN; small has four convolutions
    start: Path | None = None  # a run of the recipe resnet with the same depth, whose weights start the CNN
    frozen: bool = False  # whether the CNN stays as it is
    form: Literal["lstm", "multimodal"] = "lstm"  # or the slide's multimodal RNN
    attention: bool = False  # whether the decoder looks at places of the CNN's last maps
    hidden: int = 256  # units
    embedding: int = 128  # length of a word's vector
    dropout: float = 0.0  # share left out around the recurrent network
    bucketed: bool = True  # batches of sentences of like length
    width: int = 3  # of the beam that test captions are searched with
    augment: tuple[str, ...] = ()  # of shift, crop, flip, affine, zoom, cutout; no flip where captions tell sides
    epochs: int = 12  # passes over the captions
    lr: float = 3e-3  # learning rate at its highest: it rises over the first part of the budget and falls to 0
    clip: float = 5.0  # the gradient's norm is made no longer than this; 0 leaves it

    @property
    def about(self) -> str:
        """The pictures."""
        return "shapes" if self.data in ("auto", "embedded") else Path(self.data).name.split(".")[0]


@dataclass(frozen=True, kw_only=True)
class Seq2Seq(Supervised):
    """Sequence to sequence: an LSTM reads a sentence, another one answers."""

    name: ClassVar = "seq2seq"
    data: str = "auto"  # auto (chatterbot's corpus), reverse, a TSV of pairs, or a folder of conversations
    least: int = 1  # times that a word must occur in training
    attention: bool = False  # whether the decoder looks at the words read
    hidden: int = 256  # units of each layer
    embedding: int = 128  # length of a word's vector
    layers: int = 1  # of the encoder, and of the decoder
    dropout: float = 0.0  # share left out around the recurrent networks
    bucketed: bool = True  # batches of sentences of like length
    width: int = 3  # of the beam that test answers are searched with
    epochs: int = 12  # passes over the pairs
    clip: float = 5.0  # the gradient's norm is made no longer than this; 0 leaves it

    @property
    def about(self) -> str:
        """The conversations."""
        return "chatterbot" if self.data in ("auto", "embedded") else Path(self.data).name.split(".")[0]
