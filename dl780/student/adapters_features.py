"""Adapters of the lab `features`: what its questions hand to a function beside arrays is rebuilt here."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from dl780.student.drawn import Activation, example_gradient, lipschitz, wave

Function = Callable[..., Any]


def with_drawn_gradient(
    sgd: Function, c: Tensor, theta: Tensor, X: Tensor, y: Tensor, alpha: float, epochs: int
) -> object:
    """`sgd(gradient, theta, X, y, alpha, epochs)` with the gradient of a drawn loss."""
    return sgd(example_gradient(c), theta, X, y, alpha, epochs)


def with_drawn_activations(
    mlp_forward: Function, X: Tensor, Ws: list[Tensor], bs: list[Tensor], cs: list[Tensor]
) -> object:
    """`mlp_forward(X, Ws, bs, fs)` with drawn activations."""
    return mlp_forward(X, Ws, bs, [_value(wave(c)) for c in cs])


def _value(f: Activation) -> Callable[[Tensor], Tensor]:
    return lambda a: f(a)[0]


def of_lipschitz(universal: Function, c: Tensor, offset: float, eps: float) -> object:
    """`universal(f, eps)` of a drawn function f."""
    return universal(lipschitz(c, offset), eps)
