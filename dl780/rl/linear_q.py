"""Q-learning with function approximation (slide of that title): Q(s, a) = θ_aᵀ φ(s)."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor, nn

from dl780 import UserError
from dl780.data import generator_for
from dl780.recipes import LinearQ
from dl780.rl.envs import Array, Environments, Steps
from dl780.rl.networks import UNBOUNDED
from dl780.rl.qlearning import epsilon_greedy
from dl780.train.loop import schedule
from dl780.train.machine import Machine

Features = Callable[[Tensor], Tensor]


def linear_q_step(
    theta: Tensor, phi: Tensor, a: int, r: float, phi2: Tensor, terminated: bool, alpha: float, gamma: float
) -> float:
    """θ ← θ + α (r + γ max_a' Q(s', a') − Q(s, a)) ∇_θ Q(s, a), in place on θ (actions, n); returns the difference.

    φ = φ(s) and φ2 = φ(s'), (n,). The gradient of Q(s, a) = θ_aᵀ φ is φ in row a, and 0 in the others.
    """
    following = 0.0 if terminated else gamma * float((theta @ phi2).max())
    difference = r + following - float(theta[a] @ phi)
    theta[a].add_(phi, alpha=alpha * difference)
    return difference


def tiles(d: int, tilings: int, order: int) -> Features:
    """Shifted grids (Sutton & Barto 2018, section 9.5): x in [0, 1]^d, (m, d) -> (m, n), `tilings` ones in each row.

    Tiling i is shifted by i (1, 3, 5, …)/tilings of a tile, so that their corners do not stand in line.
    """
    shift = torch.arange(tilings).unsqueeze(1) * (2 * torch.arange(d) + 1) / tilings % 1  # (tilings, d)
    size = (order + 1) ** d
    place = (order + 1) ** torch.arange(d)

    def phi(x: Tensor) -> Tensor:
        tile = (x.unsqueeze(1) * order + shift).floor().long().clamp(0, order)  # (m, tilings, d)
        index = (tile * place).sum(2) + size * torch.arange(tilings)
        return torch.zeros(len(x), tilings * size).scatter_(1, index, 1.0)

    return phi


def fourier(d: int, tilings: int, order: int) -> Features:
    """cos(π cᵀx) for every c in {0, …, order}^d (Konidaris et al. 2011).

    x in [0, 1]^d: (m, d) -> (m, (order + 1)^d).
    """
    C = torch.tensor(list(product(range(order + 1), repeat=d)), dtype=torch.float32)
    return lambda x: torch.cos(torch.pi * x @ C.T)


FEATURES = {"tiles": tiles, "fourier": fourier}


class Linear(nn.Module):
    """Q(s, ·) = θ φ(s), θ (actions, n), of observations that a box bounds."""

    def __init__(self, space: Box, actions: int, recipe: LinearQ) -> None:
        """θ = 0."""
        super().__init__()
        self.low, self.width = torch.from_numpy(space.low), torch.from_numpy(space.high - space.low)
        self.phi = FEATURES[recipe.features](space.shape[0], recipe.tilings, recipe.order)
        n = self.features(self.low.unsqueeze(0)).shape[1]
        self.register_buffer("theta", torch.zeros(actions, n))
        self.theta: Tensor

    def features(self, observations: Tensor) -> Tensor:
        """φ(s): (m, d) -> (m, n)."""
        return self.phi((observations - self.low) / self.width)

    def forward(self, observations: Tensor) -> Tensor:
        """(m, d) -> (m, actions)."""
        return self.features(observations) @ self.theta.T


class LinearLearner:
    """Learns from every step once, in order, with α/|φ(s)|²."""

    def __init__(self, recipe: LinearQ, machine: Machine, envs: Environments) -> None:
        """θ = 0. Raises `UserError` where observations are not bounded."""
        space = envs.vector.single_observation_space
        if not (isinstance(space, Box) and len(space.shape) == 1 and np.abs([space.low, space.high]).max() < UNBOUNDED):
            raise UserError(f"--env {recipe.env} has observations {space}; features φ need bounded vectors: take dqn")
        self.recipe, self.loss = recipe, 0.0
        self.policy = Linear(space, envs.actions, recipe)
        self.generator = generator_for(recipe.seed, "learner")

    def act(self, observations: Array, epsilon: float) -> Array:
        """ε-greedy actions (N,)."""
        chosen: Array = epsilon_greedy(self.policy(torch.from_numpy(observations)), epsilon, self.generator).numpy()
        return chosen

    def learn(self, steps: Steps, spent: float) -> None:
        """The slide's update, for each step."""
        recipe, alpha = self.recipe, self.recipe.lr * schedule(spent, 0.0)
        both = self.policy.features(torch.from_numpy(np.concatenate([steps.observations, steps.following])))
        phi, phi2 = both.chunk(2)
        for i, (a, r, terminated) in enumerate(
            zip(steps.actions.tolist(), steps.rewards.tolist(), steps.terminated.tolist(), strict=True)
        ):
            step = alpha / float(phi[i] @ phi[i])
            self.loss = abs(linear_q_step(self.policy.theta, phi[i], a, r, phi2[i], terminated, step, recipe.gamma))

    def state(self) -> dict[str, Any]:
        """What goes on, beside θ."""
        return dict(generator=self.generator.get_state())

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on with a state; θ was loaded before."""
        self.generator.set_state(state["generator"])
