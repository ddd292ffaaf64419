"""Environments side by side, where every episode begins from a seed of its own.

Most environments cannot be saved: neither Box2D's world nor ALE's vector interface. But an episode is its seed and its
actions, so a run that goes on replays the episodes that were under way. The copies stand in gymnasium's next-step mode,
yet never reset themselves: whoever ended is reset at once, by a mask, so that every step is a transition.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple, cast

import gymnasium
import numpy as np
import torch
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from gymnasium.spaces import Discrete
from gymnasium.vector import SyncVectorEnv, VectorEnv

from dl780 import UserError
from dl780.data import generator_for

Array = np.ndarray[Any, Any]


class Steps(NamedTuple):
    """One step of each of N copies, arrays (N, …): (s, a, r, s'), and how it ended.

    `terminated` is an end of the episode in the environment, after which nothing more is won; `truncated` is one by
    the clock, after which s' still has its value.
    """

    observations: Array
    actions: Array
    rewards: Array
    following: Array
    terminated: Array
    truncated: Array


def episode_seed(*keys: int | str) -> int:
    """A seed below 2³¹ for an episode: generator_for(*keys)'s."""
    seed, *rest = keys
    return int(generator_for(int(seed), *rest).initial_seed()) % 2**31


class Environments:
    """N copies; the k-th episode of copy i begins from `seed_of(i, k)`."""

    def __init__(self, vector: VectorEnv[Any, Any, Any], seed_of: Callable[[int, int], int]) -> None:
        """Begin the first episode of every copy."""
        self.vector, self.seed_of, self.n = vector, seed_of, vector.num_envs
        self.actions = int(cast(Discrete, vector.single_action_space).n)
        self.episodes = np.zeros(self.n, dtype=np.int64)  # index of the one under way
        self.begun = np.zeros(self.n, dtype=np.int64)  # the row of `past` with which it began
        self.past: list[Array] = []  # actions of all copies, a row a step, as far back as an episode under way
        self.returns, self.lengths = np.zeros(self.n), np.zeros(self.n, dtype=np.int64)
        vector.reset(seed=0)
        self.observations = self._restart(np.ones(self.n, dtype=np.bool_))

    def step(self, actions: Array) -> tuple[Steps, list[tuple[int, float, int]]]:
        """A step of every copy, and (copy, return, length) of each episode that ended with it."""
        before = self.observations
        following, rewards, terminated, truncated, _ = self.vector.step(actions)
        self.past.append(actions)
        self.returns += rewards
        self.lengths += 1
        self.observations, ended = following, []
        if (over := terminated | truncated).any():
            ended = [(int(i), float(self.returns[i]), int(self.lengths[i])) for i in np.flatnonzero(over)]
            self.returns[over], self.lengths[over] = 0, 0
            self.episodes[over] += 1
            self.begun[over] = len(self.past)
            self.observations = self._restart(over)
            if past := self.begun.min():
                del self.past[:past]
                self.begun -= past
        return Steps(before, actions, rewards, following, terminated, truncated), ended

    def state(self) -> dict[str, Any]:
        """What `load_state` goes on from."""
        rows = np.array(self.past, dtype=np.int64).reshape(len(self.past), self.n)
        arrays = dict(past=rows, begun=self.begun, episodes=self.episodes, returns=self.returns, lengths=self.lengths)
        return {name: torch.tensor(array) for name, array in arrays.items()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Replay the episodes under way, each from its own beginning to now."""
        found = {name: tensor.numpy().copy() for name, tensor in state.items()}
        self.past = list(found.pop("past"))
        vars(self).update(found)
        self.observations = self._restart(np.ones(self.n, dtype=np.bool_))
        for t, actions in enumerate(self.past):
            if t and (self.begun == t).any():
                self._restart(self.begun == t)
            self.observations, _, terminated, truncated, _ = self.vector.step(actions)
            if (before := terminated | truncated).any():  # of a copy whose episode is still to begin
                self._restart(before)
        if self.past and (self.begun == len(self.past)).any():
            self.observations = self._restart(self.begun == len(self.past))

    def _restart(self, mask: Array) -> Array:
        return restart(self.vector, mask, [self.seed_of(int(i), int(self.episodes[i])) for i in np.flatnonzero(mask)])


def restart(vector: VectorEnv[Any, Any, Any], mask: Array, seeds: list[int]) -> Array:
    """Begin an episode in each copy of a mask, from a seed for each of them; the observations of all copies."""
    if isinstance(vector, CartPoleVectorEnv):  # which resets all of its poles or none
        assert vector.state is not None
        for i, seed in zip(np.flatnonzero(mask), seeds, strict=True):
            vector.state[:, i] = np.random.default_rng(seed).uniform(vector.low, vector.high, 4)
        vector.steps[mask], vector.prev_done[mask] = 0, False
        return vector.state.T.astype(np.float32)
    if isinstance(vector, SyncVectorEnv):
        left = iter(seeds)
        each: Any = [next(left) if chosen else None for chosen in mask]
    else:
        each = np.array(seeds)
    observations: Array = vector.reset(seed=each, options={"reset_mask": mask})[0]
    return observations


def make(env: str, n: int, frame: int = 84, clip: bool = False) -> VectorEnv[Any, Any, Any]:
    """N copies of an environment. Raises `UserError` where there is none of that name, or its actions are no choice.

    Args:
        env: its name in gymnasium, ALE/… and MinAtar/… among them
        n: copies
        frame: side of Atari's frames, of which an observation holds four
        clip: give the signs of Atari's rewards only, as DQN learns from
    """
    try:
        vector = _make(env, n, frame, clip)
    except ModuleNotFoundError as error:
        raise UserError(
            f"--env {env} needs {error.name}: pip install {PACKAGES.get(str(error.name), error.name)}"
        ) from None
    except gymnasium.error.Error as error:
        raise UserError(f"--env {env}: {str(error).splitlines()[0]}") from None
    if not isinstance(vector.single_action_space, gymnasium.spaces.Discrete):
        raise UserError(
            f"--env {env} takes {vector.single_action_space} as actions; Q-learning needs a discrete choice"
        )
    return vector


PACKAGES = {"ale_py": "'dl780[atari]'", "Box2D": "'dl780[box2d]'", "minatar": "minatar"}


def _make(env: str, n: int, frame: int, clip: bool) -> VectorEnv[Any, Any, Any]:
    if env.startswith("ALE/"):
        return _atari(env, n, frame, clip)
    if env.startswith("MinAtar/"):
        minatar = import_module("minatar.gym")
        if env not in gymnasium.registry:
            minatar.register_envs()
    elif env.startswith("LunarLander"):
        import_module("Box2D")
    whole = str(gymnasium.spec(env).vector_entry_point).endswith(":CartPoleVectorEnv")
    return gymnasium.make_vec(env, n, vectorization_mode="vector_entry_point" if whole else "sync")


def _atari(env: str, n: int, frame: int, clip: bool) -> VectorEnv[Any, Any, Any]:
    """ALE's own vector environment: sticky actions as the name says, 4 frames a step, the larger of the last two."""
    gymnasium.register_envs(import_module("ale_py"))
    spec = gymnasium.spec(env)
    vector: VectorEnv[Any, Any, Any] = import_module("ale_py.vector_env").AtariVectorEnv(
        spec.kwargs["game"], n, img_height=frame, img_width=frame, num_threads=min(n, torch.get_num_threads()),
        repeat_action_probability=spec.kwargs["repeat_action_probability"], reward_clipping=clip,
    )  # fmt: skip
    return vector
