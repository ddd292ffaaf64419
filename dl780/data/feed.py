"""From splits to batches: orders that a seed fixes, slices on the device, normalisation.

A small set lives on the device as uint8 and is sliced by a permutation; a large one streams through a DataLoader
(`dl780.data.stream`). What is random is keyed: `generator_for(seed, epoch)` orders an epoch and
`generator_for(seed, epoch, step)` augments a step, so that a run that goes on at any step draws what it would have.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from dl780 import UserError


class Examples(Protocol):
    """What is trained on: N examples, fed in batches in an order that a generator draws."""

    def __len__(self) -> int:
        """N."""

    def to(self, device: torch.device | str) -> "Examples":
        """The same examples, fed to a device."""

    def few(self, size: int, generator: torch.Generator) -> "Examples":
        """One batch of them."""

    def steps(self, size: int, world: int = 1) -> int:
        """Batches of an epoch, of which every one of `world` processes has a share."""

    def order(
        self, size: int, generator: torch.Generator | None, *, start: int = 0, share: tuple[int, int] = (0, 1)
    ) -> Iterator[Tensor]:
        """Indices of one epoch's batches, arguments as in `indices`."""

    def feed(self, batches: Iterable[Tensor]) -> Iterator[tuple[Any, Any]]:
        """For each tensor of indices, the inputs and targets of that batch."""


def generator_for(seed: int, *keys: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator that a seed and keys determine, independent of those of all other keys.

    Keys are an epoch, an epoch and a step, or a purpose: `generator_for(seed, "dropout", epoch, step)`.
    """
    digest = hashlib.blake2b(repr((seed, *keys)).encode(), digest_size=8).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest, "big") >> 1)


def indices(
    n: int, size: int, generator: torch.Generator | None = None, *, start: int = 0, share: tuple[int, int] = (0, 1)
) -> Iterator[Tensor]:
    """Indices (m,) of one epoch's batches, m ≤ size.

    Args:
        n: number of examples
        size: examples a batch, over all processes
        generator: draws the order; without it the examples come as they stand
        start: the first batch that is given, where an epoch is resumed
        share: (rank, world): this process's part of every batch, for data-parallel training
    """
    if size < 1:
        raise UserError(f"a batch takes at least one example, not {size}")
    order = torch.arange(n) if generator is None else torch.randperm(n, generator=generator)
    rank, world = share
    for batch in torch.split(order, size)[start:]:
        yield batch[rank::world]


def batches(
    examples: Examples,
    size: int,
    generator: torch.Generator | None = None,
    *,
    start: int = 0,
    share: tuple[int, int] = (0, 1),
) -> Iterator[tuple[Any, Any]]:
    """Inputs and targets of one epoch's batches, on the examples' device; arguments as in `indices`.

    Of pictures, `X` (m, C, H, W) uint8 and `y` (m,).
    """
    yield from examples.feed(examples.order(size, generator, start=start, share=share))


def normalise(X: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """(X/255 - mean) / std, a channel at a time: (N, C, H, W) uint8 -> the default float, on X's device."""
    dtype = torch.get_default_dtype()
    m, s = (torch.tensor(values, dtype=dtype, device=X.device).view(-1, 1, 1) * 255 for values in (mean, std))
    return (X.to(dtype) - m) / s
