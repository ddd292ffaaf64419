"""A stack of autoencoders, to be trained one after the other (slide "What's changed since the 80s?"; Hinton &
Salakhutdinov 2006, Bengio et al. 2007).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Autoencoder(nn.Module):
    """One layer with tied weights: H = σ(X Wᵀ + b), X̂ = σ(H W + c); W is (k, n)."""

    def __init__(self, n: int, k: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(k, n))
        self.bias = nn.Parameter(torch.zeros(k))
        self.reconstruction_bias = nn.Parameter(torch.zeros(n))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, X: Tensor) -> Tensor:
        """H (m, k) of X (m, n)."""
        return F.linear(X, self.weight, self.bias).sigmoid()

    def reconstruct(self, H: Tensor) -> Tensor:
        """X̂ (m, n) of H (m, k)."""
        return F.linear(H, self.weight.T, self.reconstruction_bias).sigmoid()


class Stack(nn.ModuleList):
    """Autoencoders, each of the hidden units of the one before it."""

    def forward(self, X: Tensor, alone: int | None = None) -> Tensor:
        """X (m, n) -> the squared error (m,) of its reconstruction through all layers and back.

        With `alone`, that of one layer's reconstruction of its own input; the layers below it stay as they are.
        """
        layers = cast(list[Autoencoder], list(self))
        if alone is not None:
            with torch.no_grad():
                for below in layers[:alone]:
                    X = below(X)
            layers = [layers[alone]]
        Z = X
        for layer in layers:
            Z = layer(Z)
        for layer in reversed(layers):
            Z = layer.reconstruct(Z)
        return ((Z - X) ** 2).sum(1)


def autoencoder(sizes: Sequence[int] = (784, 256, 128)) -> Stack:
    """A stack whose encoders map sizes[0] inputs to sizes[1], then sizes[2], … hidden units."""
    return Stack(Autoencoder(n, k) for n, k in pairwise(sizes))


def encoder_weights(state: dict[str, Tensor]) -> list[tuple[Tensor, Tensor]]:
    """(W, b) of every encoder in a stack's `state_dict`, with which an MLP of the same sizes may start."""
    depth = len({name.split(".")[0] for name in state})
    return [(state[f"{i}.weight"], state[f"{i}.bias"]) for i in range(depth)]
