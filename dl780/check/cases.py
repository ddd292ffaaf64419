"""Cases of a question: seeds, sizes and inputs, the same for the same seed on every machine."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dl780.student.arrays import Inputs, Value

PUBLIC = b"dl780 public seed"
PRIMES = (2, 3, 5, 7, 11)


def seed_for(master: bytes, *about: str) -> int:
    """A 64-bit seed: HMAC of what it is about under a master seed, so that one seed tells nothing of another."""
    return int.from_bytes(hmac.digest(master, "\0".join(about).encode(), "sha256")[:8], "big")


@dataclass(frozen=True)
class Case:
    """One drawn case: `inputs` go to the student (those that the question sends) and to the reference."""

    number: int  # 1, 2, …, as shown
    seed: int
    sizes: dict[str, int]
    edge: bool
    inputs: Inputs


class Draw:
    """Random inputs in float64 from one explicit generator."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed % 2**63)

    def normal(self, *shape: int, scale: float = 1.0) -> Tensor:
        """Entries of N(0, scale²)."""
        return scale * torch.randn(shape, generator=self.generator, dtype=torch.float64)

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Entries between low and high."""
        return low + (high - low) * torch.rand(shape, generator=self.generator, dtype=torch.float64)

    def number(self, low: float, high: float) -> float:
        """One number between low and high."""
        return self.uniform(low, high).item()

    def away_from_zero(self, *shape: int, scale: float = 1.0) -> Tensor:
        """Entries of either sign, none nearer to 0 than scale / 10: away from the kink of a ReLU."""
        z = self.normal(*shape)
        return scale * z.sign() * (z.abs() + 0.1)

    def integer(self, low: int, high: int) -> int:
        """One integer, low ≤ i < high."""
        return int(torch.randint(low, high, (), generator=self.generator))

    def labels(self, classes: int, m: int) -> Tensor:
        """m labels 0 … classes-1."""
        return torch.randint(classes, (m,), generator=self.generator)

    def permutation(self, n: int) -> Tensor:
        """A permutation of 0 … n-1."""
        return torch.randperm(n, generator=self.generator)

    def sizes(self, count: int) -> list[int]:
        """Distinct primes, so that no axis can pass for another."""
        return [PRIMES[i] for i in self.permutation(len(PRIMES))[:count]]

    def layers(self, sizes: list[int]) -> tuple[list[Tensor], list[Tensor]]:
        """Ws, bs of a network with the given layer sizes: W_i is (n_{i+1}, n_i), scaled to keep its input's size."""
        pairs = list(zip(sizes[1:], sizes, strict=False))
        return [self.normal(out, n, scale=n**-0.5) for out, n in pairs], [self.normal(out) for out, _ in pairs]

    def like(self, value: Tensor) -> Tensor:
        """An upstream gradient: random, never ones."""
        return self.normal(*value.shape)

    def until(self, clear: Callable[[Inputs], bool], draw: Callable[[], Inputs]) -> Inputs:
        """Draw again until the inputs are clear of kinks."""
        for _ in range(1000):
            inputs = draw()
            if clear(inputs):
                return inputs
        raise RuntimeError("1000 draws, and each stood at a kink: loosen the condition or make the case smaller")


def tensors(value: "Value | float") -> list[Tensor]:
    """The tensors of an input or output, in order; none for a number."""
    return [value] if isinstance(value, Tensor) else value if isinstance(value, list) else []
