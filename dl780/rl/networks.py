"""Networks that give a value to every action: Q(s, ·) for s (m, …), as (m, actions)."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from gymnasium.spaces import Box, Discrete, Space
from torch import Tensor, nn

from dl780 import UserError

UNBOUNDED = 1e6  # a bound from here on is none


class Scale(nn.Module):
    """Observations as float32, each entry divided by its bound, so that what is bounded lies in [-1, 1]."""

    def __init__(self, space: Box) -> None:
        super().__init__()
        bound = np.maximum(np.abs(space.low.astype(np.float64)), np.abs(space.high.astype(np.float64)))
        bound[(bound >= UNBOUNDED) | (bound == 0)] = 1
        if bound.size and (bound == bound.flat[0]).all():
            bound = bound.reshape(-1)[:1].reshape(())
        self.register_buffer("factor", torch.tensor(1 / bound, dtype=torch.float32), persistent=False)
        self.factor: Tensor

    def forward(self, observations: Tensor) -> Tensor:
        """(m, …) -> (m, …)."""
        return observations * self.factor


class OneHot(nn.Module):
    """Numbers of states (m,) -> (m, n)."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n

    def forward(self, observations: Tensor) -> Tensor:
        """(m,) -> (m, n)."""
        return F.one_hot(observations, self.n).float()


class ChannelsFirst(nn.Module):
    """Pictures (m, H, W, C) -> (m, C, H, W)."""

    def forward(self, X: Tensor) -> Tensor:
        """(m, H, W, C) -> (m, C, H, W)."""
        return X.permute(0, 3, 1, 2)


class QNetwork(nn.Module):
    """Q(s, ·) by a body of features and one linear layer, or two that duel: Q = V + A − mean A (Wang et al. 2016)."""

    def __init__(self, body: nn.Module, features: int, actions: int, dueling: bool = False) -> None:
        """`body` maps observations to (m, features)."""
        super().__init__()
        self.body = body
        self.advantage = nn.Linear(features, actions)
        self.value = nn.Linear(features, 1) if dueling else None

    def forward(self, observations: Tensor) -> Tensor:
        """(m, …) -> (m, actions)."""
        z: Tensor = self.body(observations)
        Q: Tensor = self.advantage(z)
        if self.value is not None:
            Q = self.value(z) + Q - Q.mean(1, keepdim=True)
        return Q


def perceptron(n: int, hidden: Sequence[int]) -> nn.Sequential:
    """ReLU layers on vectors of n entries, (m, n) -> (m, hidden[-1])."""
    layers = [(nn.Linear(i, k), nn.ReLU()) for i, k in pairwise((n, *hidden))]
    return nn.Sequential(*(module for layer in layers for module in layer))


def convolutions(shape: Sequence[int], filters: Sequence[tuple[int, int, int]], units: int) -> nn.Sequential:
    """Convolutions with ReLU, each of (filters, size, stride), then a linear layer: (m, C, H, W) -> (m, units)."""
    layers: list[nn.Module] = []
    channels, *sides = shape
    for k, size, stride in filters:
        layers += [nn.Conv2d(channels, k, size, stride), nn.ReLU()]
        channels, sides = k, [(side - size) // stride + 1 for side in sides]
    if min(sides) < 1:
        raise UserError(f"frames of {shape[1]}×{shape[2]} are too small for this network: give a larger --frame")
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * sides[0] * sides[1], units), nn.ReLU())


NATURE = ((32, 8, 4), (64, 4, 2), (64, 3, 1))  # Mnih et al. 2015, methods: 1,687,206 weights for 6 actions
MINATAR = ((16, 3, 1),)  # Young & Tian 2019


def q_network(space: Space, actions: int, hidden: Sequence[int] = (128, 64), dueling: bool = False) -> QNetwork:  # type: ignore[type-arg]
    """The network for observations of a space, with random weights. Raises `UserError` where there is none."""
    match space:
        case Discrete():
            return QNetwork(
                nn.Sequential(OneHot(int(space.n)), perceptron(int(space.n), hidden)), hidden[-1], actions, dueling
            )
        case Box(shape=(n,)):
            return QNetwork(nn.Sequential(Scale(space), perceptron(n, hidden)), hidden[-1], actions, dueling)
        case Box(shape=(frames, height, width), dtype=np.uint8):
            return QNetwork(
                nn.Sequential(Scale(space), convolutions((frames, height, width), NATURE, 512)), 512, actions, dueling
            )
        case Box(shape=(height, width, channels)):
            body = nn.Sequential(Scale(space), ChannelsFirst(), convolutions((channels, height, width), MINATAR, 128))
            return QNetwork(body, 128, actions, dueling)
    raise UserError(f"no network takes observations of {space}")
