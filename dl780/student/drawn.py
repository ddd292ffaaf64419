"""Functions that are handed to students, rebuilt from drawn coefficients: none is asked for by a question."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Activation = Callable[[Tensor], tuple[Tensor, Tensor]]
Loss = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
Gradient = Callable[[Tensor, Tensor, Tensor], Tensor]
Step = Callable[[Tensor, Any], tuple[Tensor, Tensor]]


def polynomial(c: Tensor) -> Callable[[Tensor], Tensor]:
    """f(x) = Σ_i (c_1 x_i + c_2 x_i² + c_3 x_i³) + (Σ_i x_i)²: a scalar function of a tensor of any shape."""
    return lambda x: (c[0] * x + c[1] * x**2 + c[2] * x**3).sum() + x.sum() ** 2


def wave(c: Tensor) -> Activation:
    """f(a) = c_1 a + c_2 sin(a + c_3), elementwise; the function returns (f(a), f'(a))."""
    return lambda a: (c[0] * a + c[1] * torch.sin(a + c[2]), c[0] + c[1] * torch.cos(a + c[2]))


def weighted_squares(s: Tensor) -> Loss:
    """ℓ(z, y) = Σ_j s_j (z_j - y_j)²; the function returns (ℓ, ∂ℓ/∂z)."""
    return lambda z, y: ((s * (z - y) ** 2).sum(), 2 * s * (z - y))


def example_gradient(c: Tensor) -> Gradient:
    """∂ℓ/∂θ of ℓ = c_1 (θᵀx - y)² / 2 - c_2 Σ_j cos θ_j, for one example x (n,), y a number."""
    return lambda theta, x, y: c[0] * (theta @ x - y) * x + c[1] * torch.sin(theta)


def lipschitz(c: Tensor, offset: float) -> Callable[[Tensor], Tensor]:
    """f(x) = offset + Σ_j s_j p_j/2π arcsin(r_j sin 2π(x/p_j + φ_j)), elementwise, for the rows (s, p, φ, r) of c.

    Each term has slopes of s_j at most: a wave of period p_j where r_j is small, a saw of slopes ±s_j where r_j is 1.
    """

    def f(x: Tensor) -> Tensor:
        x, y = torch.as_tensor(x), offset + torch.zeros_like(torch.as_tensor(x))
        for s, p, phi, r in c.tolist():
            y = y + s * p / math.tau * torch.arcsin(r * torch.sin(math.tau * (x / p + phi)))
        return y

    return f


def speaker(E: Tensor, A: Tensor, O: Tensor, kind: Tensor) -> Step:
    """A small recurrent net that says words: step(z, word) returns log p (V,) of the next word, and the next state.

    z' = tanh(A z + E_k), k the word's kind; words of one kind are alike, and have the same p to the last bit.
    """

    def step(z: Tensor, word: Any) -> tuple[Tensor, Tensor]:
        z = torch.tanh(A @ z + E[kind[int(word)]])
        scores = O @ z
        return (scores - scores[kind].logsumexp(0))[kind], z

    return step


def expression(choice: int) -> Callable[..., Tensor]:
    """A scalar expression of three n×n variables A, B, C made of + * @ tanh sum; some use a variable twice."""
    return _EXPRESSIONS[choice % len(_EXPRESSIONS)]


_EXPRESSIONS: tuple[Callable[..., Tensor], ...] = (
    lambda A, B, C: ((A @ B).tanh() * C).tanh().sum(),
    lambda A, B, C: ((A + B) @ C + A * A).tanh().sum(),
    lambda A, B, C: (_twice(A @ B) * _twice(C)).sum(),
    lambda A, B, C: (A @ B @ C + B).tanh().sum() * (A @ C).sum() + (C * B).sum(),
    lambda A, B, C: _long_and_short(A @ B, C).tanh().sum(),
)


def _long_and_short(H: Tensor, C: Tensor) -> Tensor:
    """H reaches the sum by a long way and by a short one: a walk that is not in topological order loses one."""
    return (H.tanh() @ C).tanh() + H


def _twice(V: Tensor) -> Tensor:
    H = V.tanh()
    return H * H + H
