"""What a greedy policy earns: episodes whose seeds are fixed, so that every policy plays the same ones."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from torch import Tensor, nn

from dl780.rl.envs import Array, Environments, episode_seed

TEST_EPISODES = 100


def greedy(Q: Tensor) -> Tensor:
    """The best action of each row of Q (m, actions), the first of equals, as (m,)."""
    return Q.argmax(1)


def play(
    vector: VectorEnv[Any, Any, Any], policy: Callable[[Array], Array], part: str, episodes: int
) -> Iterator[tuple[float, int]]:
    """(return, length) of each of the first episodes of a part, "validation" or "test"; copies play them in turn."""
    n = vector.num_envs
    envs = Environments(vector, lambda i, k: episode_seed(0, part, i + n * k))
    wanted = {i + n * k for i in range(n) for k in range(episodes) if i + n * k < episodes}
    while wanted:
        numbers = np.arange(n) + n * envs.episodes
        _, ended = envs.step(policy(envs.observations))
        for i, total, length in ended:
            if numbers[i] in wanted:
                wanted.remove(numbers[i])
                yield total, length


def greedy_policy(model: nn.Module, device: torch.device) -> Callable[[Array], Array]:
    """Observations (N, …) -> the best actions (N,) by a network."""

    def policy(observations: Array) -> Array:
        with torch.inference_mode():
            return greedy(model(torch.from_numpy(observations).to(device))).cpu().numpy()

    return policy


def summary(played: list[tuple[float, int]]) -> dict[str, float]:
    """Mean, spread and least of the returns, and the mean length."""
    returns, lengths = np.array(played, dtype=np.float64).T
    return dict(
        return_mean=returns.mean().item(), return_std=returns.std().item(), return_min=returns.min().item(),
        length_mean=lengths.mean().item(), episodes=len(played),
    )  # fmt: skip
