"""Sentences as numbers: a vocabulary by frequency, padded rows, and pairs that are fed in batches of like length.

0 pads, 1 starts, 2 ends, 3 stands for every word that the vocabulary does not hold (`dl780.models.decode`).
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

import torch
from torch import Tensor

from dl780.data.feed import indices

SPECIAL = ("<pad>", "<start>", "<end>", "<unk>")
PAD, START, END, UNKNOWN = range(4)
TOKEN = re.compile(r"\w+(?:'\w+)?|[^\w\s]")
NEAR = 32  # batches that are drawn together and sorted by length


def words_of(sentence: str) -> list[str]:
    """Lower-case words and signs: "It's red." -> it's, red, ."""
    return TOKEN.findall(sentence.lower())


def said(row: Iterable[int], vocabulary: Sequence[str]) -> list[str]:
    """A row of numbers as words, up to the end symbol."""
    return [vocabulary[word] for word in takewhile(lambda word: word != END, row) if word not in (PAD, START)]


def sentence_of(words: Iterable[str]) -> str:
    """Words as a sentence: no space before a sign that ends something."""
    return re.sub(r" ([.,!?;:)…])", r"\1", " ".join(words))


def vocabulary_of(sentences: Iterable[Sequence[str]], least: int = 1, most: int = 20_000) -> tuple[str, ...]:
    """The words that occur `least` times or more, the most frequent first, ties in alphabetical order."""
    count = Counter(word for sentence in sentences for word in sentence)
    found = sorted((word for word, n in count.items() if n >= least), key=lambda word: (-count[word], word))
    return (*SPECIAL, *found[: most - len(SPECIAL)])


def rows(sentences: Sequence[Sequence[str]], vocabulary: Sequence[str], longest: int) -> Tensor:
    """(N, T) int64: each sentence's words, cut to `longest`, END and padding."""
    place = {word: i for i, word in enumerate(vocabulary)}
    coded = [[*(place.get(word, UNKNOWN) for word in sentence[:longest]), END] for sentence in sentences]
    y = torch.full((len(coded), max(map(len, coded), default=1)), PAD)
    for row, words in zip(y, coded, strict=True):
        row[: len(words)] = torch.tensor(words)
    return y


@dataclass(frozen=True)
class Pairs:
    """N sentences, each with what it answers: a picture, or another sentence.

    A batch is X = (what is answered, the words before each) and y, the words: (m, T) int64 each, T the length of the
    longest of that batch.
    """

    given: Tensor  # (M, C, H, W) uint8 pictures, or (M, S) int64 sentences
    which: Tensor  # (N,) the place in `given` of what a sentence answers
    y: Tensor  # (N, T) words, END, padding
    bucketed: bool = True  # batches of like length; else as they are drawn

    def __len__(self) -> int:
        return len(self.y)

    def to(self, device: torch.device | str) -> "Pairs":
        """The same pairs on a device."""
        return replace(self, given=self.given.to(device), which=self.which.to(device), y=self.y.to(device))

    def take(self, index: Tensor) -> "Pairs":
        """The pairs at `index` (n,), in that order."""
        at = index.to(self.y.device)
        return replace(self, which=self.which[at], y=self.y[at])

    def few(self, size: int, generator: torch.Generator) -> "Pairs":
        """One batch of them."""
        return self.take(next(indices(len(self), size, generator)))

    def steps(self, size: int, world: int = 1) -> int:
        """Batches of an epoch; a last one is left out where not every process would have an example of it."""
        whole, rest = divmod(len(self), size)
        return max(1, whole + (rest >= world))

    def order(
        self, size: int, generator: torch.Generator | None, *, start: int = 0, share: tuple[int, int] = (0, 1)
    ) -> Iterator[Tensor]:
        """Indices of one epoch's batches: of `NEAR` batches drawn together, those of like length stand side by side."""
        drawn = torch.cat(list(indices(len(self), size, generator)))
        if generator is not None and self.bucketed:
            lengths = (self.y != PAD).sum(1).cpu()
            if self.given.ndim == 2:
                lengths = lengths + (self.given != PAD).sum(1).cpu()[self.which.cpu()]
            near = torch.split(drawn, NEAR * size)
            drawn = torch.cat([part[lengths[part].argsort(stable=True)] for part in near])
            full = len(drawn) // size
            places = torch.randperm(full, generator=generator)
            drawn = torch.cat([drawn[: full * size].view(full, size)[places].flatten(), drawn[full * size :]])
        rank, world = share
        for batch in torch.split(drawn, size)[start:]:
            yield batch[rank::world]

    def feed(self, batches: Iterable[Tensor]) -> Iterator[tuple[tuple[Tensor, Tensor], Tensor]]:
        """X and y of each batch."""
        for index in batches:
            at = index.to(self.y.device)
            y = _trimmed(self.y[at])
            given = self.given[self.which[at]]
            before = torch.cat([torch.full_like(y[:, :1], START), y[:, :-1]], 1)
            yield (given if given.ndim == 4 else _trimmed(given), before), y


def _trimmed(y: Tensor) -> Tensor:
    """Without columns of nothing but padding."""
    return y[:, : max(1, int((y != PAD).sum(1).max()))]


@dataclass(frozen=True)
class Spoken:
    """Pairs in three splits, and what they really are."""

    name: str
    title: str
    source: str
    vocabulary: tuple[str, ...]
    splits: tuple[Pairs, Pairs, Pairs]
    references: tuple[tuple[str, ...], ...] = ()  # of each of the test split's `given`, every right answer
    mean: tuple[float, ...] = ()  # of pictures
    std: tuple[float, ...] = ()

    @property
    def train(self) -> Pairs:
        """What is learned from."""
        return self.splits[0]

    @property
    def validation(self) -> Pairs:
        """What is watched."""
        return self.splits[1]

    @property
    def test(self) -> Pairs:
        """What is looked at once."""
        return self.splits[2]

    @property
    def counts(self) -> dict[str, int]:
        """Split -> number of pairs."""
        return {name: len(getattr(self, name)) for name in ("train", "validation", "test")}

    def describe(self) -> str:
        """One line: what it is, where from, how many in which split."""
        counts = ", ".join(f"{number:,} {name}" for name, number in self.counts.items())
        return f"data: {self.title}, from {self.source}: {counts} pairs; {len(self.vocabulary):,} words"

    def to(self, device: torch.device | str) -> "Spoken":
        """The same pairs on a device."""
        train, validation, test = self.splits
        return replace(self, splits=(train.to(device), validation.to(device), test.to(device)))
