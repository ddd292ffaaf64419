"""What a recipe trains and what it is measured by."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from dl780.data import Examples
from dl780.train.machine import Machine


class About(Protocol):
    """What a run is made from, as its manifest says it."""

    @property
    def name(self) -> str:
        """What it really is: "mnist-5k"."""

    @property
    def title(self) -> str:
        """The same for people."""

    @property
    def source(self) -> str:
        """Where it was found."""

    @property
    def counts(self) -> dict[str, int]:
        """Of what there is how much."""


class Data(About, Protocol):
    """A data set as the loop sees it: three splits, and what they really are."""

    @property
    def train(self) -> Examples: ...
    @property
    def validation(self) -> Examples: ...
    @property
    def test(self) -> Examples: ...

    def to(self, device: torch.device | str) -> "Data":
        """The same set on a device."""


def _unchanged(X: Any, generator: torch.Generator) -> Any:
    return X


def _examples(X: Any, y: Any) -> int:
    return len(y)


def _nothing_more(model: nn.Module, machine: Machine, found: dict[str, float]) -> dict[str, float]:
    return {}


@dataclass(frozen=True)
class Task:
    """A model, its loss, and what is counted of it, on batches as the data set feeds them.

    `loss(model, X, y, progress)` is the mean over a batch, a scalar, where progress in [0, 1) is the share of the
    budget that is spent; `sums(model, X, y)` are sums over a batch of what is reported as means, `loss` among them.
    """

    model: nn.Module
    loss: Callable[[nn.Module, Any, Any, float], Tensor]
    sums: Callable[[nn.Module, Any, Any], dict[str, Tensor]]
    prepare: Callable[[Any], Any] = lambda X: X  # what is fed -> what the model takes
    augment: Callable[[Any, torch.Generator], Any] = _unchanged  # of what is fed, in training
    counted: Callable[[Any, Any], int] = _examples  # what a mean is taken over
    report: Callable[[nn.Module, Machine, dict[str, float]], dict[str, float]] = _nothing_more  # more of the test set
    initial_loss: float | None = None  # of a model that knows nothing
    in_parts: bool = False  # whether a step may leave some weights without a gradient
    together: int = 1000  # examples that are evaluated at a time
    files: dict[str, str] = field(default_factory=dict)  # name -> text, of the run's folder
    memory: dict[str, Any] = field(default_factory=dict)  # from batch to batch of an epoch; checkpoints keep it
