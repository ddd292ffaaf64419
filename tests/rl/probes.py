"""Probe environments with known answers, each for one bug (after Andy Jones, "Debugging reinforcement learning")."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete


class Probe(gymnasium.Env[Any, Any]):
    """One number in [-1, 1] is seen, of two actions one is taken."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.observation_space = Box(-1, 1, (1,), np.float32)
        self.action_space = Discrete(1 if kind in ("value", "delay", "seen") else 2)
        self.at, self.seen = 0, 0.0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.at, self.seen = 0, float(self.np_random.choice([-1.0, 1.0])) if self.kind in ("seen", "policy") else -1.0
        return np.array([self.seen], np.float32), {}

    def step(self, action: Any) -> Any:
        self.at += 1
        after, reward, over, cut = self.seen, 1.0, True, False
        if self.kind == "delay":  # nothing, then 1
            over, reward, after = self.at == 2, float(self.at == 2), 1.0
        elif self.kind == "seen":
            reward = self.seen
        elif self.kind == "action":
            reward = (-1.0, 1.0)[action]
        elif self.kind == "policy":
            reward = self.seen * (-1.0, 1.0)[action]
        elif self.kind == "clock":  # never ends: the clock cuts each step off
            over, cut = False, True
        return np.array([after], np.float32), reward, over, cut, {}


for kind in ("value", "delay", "seen", "action", "policy", "clock"):
    gymnasium.register(f"probe-{kind}-v0", lambda kind=kind, **_: Probe(kind))
