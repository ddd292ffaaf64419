"""Tabular Q-learning (slide "Recall Q-learning setup"), and value iteration, which knows the environment."""

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Discrete
from torch import Tensor, nn

from dl780 import UserError
from dl780.data import generator_for
from dl780.recipes import QLearning
from dl780.rl.envs import Array, Environments, Steps
from dl780.train.loop import schedule
from dl780.train.machine import Machine


def q_update(Q: Array, s: int, a: int, r: float, s2: int, terminated: bool, alpha: float, gamma: float) -> float:
    """Q(s, a) ← Q(s, a) + α (r + γ max_a' Q(s', a') − Q(s, a)), in place on Q (states, actions).

    After a terminated step nothing more is won: the maximum is left out. After a truncated one it stays.
    Returns the difference that α multiplies.
    """
    difference = r + (0.0 if terminated else gamma * Q[s2].max()) - Q[s, a]
    Q[s, a] += alpha * difference
    return float(difference)


def epsilon_greedy(Q: Tensor, epsilon: float, generator: torch.Generator) -> Tensor:
    """Of each row of Q (m, k) the best action, or with probability ε any of the k, all alike: (m,)."""
    m, k = Q.shape
    explore = epsilon > torch.rand(m, generator=generator)
    return torch.where(explore, torch.randint(k, (m,), generator=generator), Q.argmax(1).cpu())


class Table(nn.Module):
    """Q as a table, (states, actions)."""

    def __init__(self, states: int, actions: int) -> None:
        """Zeros."""
        super().__init__()
        self.register_buffer("Q", torch.zeros(states, actions, dtype=torch.float64))
        self.Q: Tensor

    def forward(self, states: Tensor) -> Tensor:
        """(m,) -> (m, actions)."""
        return self.Q[states]


class TableLearner:
    """Learns from every step once, in order."""

    def __init__(self, recipe: QLearning, machine: Machine, envs: Environments) -> None:
        """A table of zeros. Raises `UserError` where states have no numbers."""
        space = envs.vector.single_observation_space
        if not isinstance(space, Discrete):
            raise UserError(
                f"--env {recipe.env} has observations {space}; a table needs numbered ones: take linear-q or dqn"
            )
        self.recipe, self.loss = recipe, 0.0
        self.policy = Table(int(space.n), envs.actions)
        self.Q: Array = self.policy.Q.numpy()  # shares its memory
        self.visits = torch.zeros_like(self.policy.Q)
        self.generator = generator_for(recipe.seed, "learner")

    def act(self, observations: Array, epsilon: float) -> Array:
        """ε-greedy actions (N,)."""
        chosen: Array = epsilon_greedy(self.policy(torch.from_numpy(observations)), epsilon, self.generator).numpy()
        return chosen

    def learn(self, steps: Steps, spent: float) -> None:
        """The slide's update, for each step."""
        visits, gamma = self.visits.numpy(), self.recipe.gamma
        alpha = self.recipe.lr * schedule(spent, 0.0)
        for s, a, r, s2, terminated, _ in zip(*(array.tolist() for array in steps), strict=True):
            visits[s, a] += 1
            self.loss = abs(q_update(self.Q, s, a, r, s2, terminated, alpha, gamma))

    def error(self, best: Array) -> float:
        """The table's error against Q*, by `table_error`, over what was visited."""
        return table_error(self.Q, best, self.visits.numpy())

    def state(self) -> dict[str, Any]:
        """What goes on, beside the table."""
        return dict(visits=self.visits, generator=self.generator.get_state())

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on with a state; the table was loaded before."""
        self.visits.copy_(state["visits"])
        self.generator.set_state(state["generator"])


def value_iteration(env: str, gamma: float, tolerance: float = 1e-10) -> Array | None:
    """Q*(s, a) = E[r + γ max_a' Q*(s', a')], (states, actions), of an environment that tells its model P; else None."""
    model = getattr(gymnasium.make(env).unwrapped, "P", None)
    if not model:
        return None
    Q = np.zeros((len(model), len(model[0])))
    rows = [(s, a, p, s2, r, end) for s in model for a in model[s] for p, s2, r, end in model[s][a]]
    s, a, p, s2, r, end = (np.array(column) for column in zip(*rows, strict=True))
    while True:
        new = np.zeros_like(Q)
        np.add.at(new, (s, a), p * (r + gamma * ~end.astype(bool) * Q.max(1)[s2]))
        if np.abs(new - Q).max() <= tolerance:
            return new
        Q = new


def table_error(Q: Array, best: Array, visits: Array) -> float:
    """The largest difference from Q* over what was visited, as a share of the largest |Q*| there."""
    seen = visits > 0
    return float(np.abs(Q - best)[seen].max() / np.abs(best)[seen].max())
