"""Every learner on environments whose values are known; a probe that fails names its bug."""

from dataclasses import replace

import numpy as np
import probes  # noqa: F401
import pytest
import torch

from dl780.recipes import DQN, LinearQ, Reinforcement
from dl780.rl.loop import LEARNERS, Environments, episode_seed, make
from dl780.train.machine import Machine

GAMMA = 0.5
DEEP = DQN(hidden=(16,), begin=64, every=4, calls=8, batch=32, lr=2e-2, n_step=1, reward_scale=1, steps=1600, clip=0)
SMALL: dict[str, Reinforcement] = {
    "dqn": DEEP,
    "n-step dqn": replace(DEEP, n_step=3),
    "dueling": replace(DEEP, dueling=True, double=False),
    "linear": LinearQ(order=1, tilings=1, steps=1600, lr=0.3),
}
# probe -> the Q that is right at -1 and at 1, and the bug where it is not.
KNOWN = {
    "value": ({-1: [1]}, "the loss, or the optimiser: a constant is not learned"),
    "delay": ({-1: [GAMMA], 1: [1]}, "the target: a later reward does not come back, or γ is where it should not be"),
    "seen": ({-1: [-1], 1: [1]}, "the network, or replay: observation and reward are not of the same step"),
    "action": ({-1: [-1, 1]}, "the gather: a value went to another action"),
    "policy": ({-1: [1, -1], 1: [-1, 1]}, "replay: observation, action and reward are not of the same step"),
    "clock": ({-1: [2, 2]}, "a truncated step is treated as terminated: 1 instead of 1/(1 − γ)"),
}


@pytest.mark.parametrize("probe", KNOWN)
@pytest.mark.parametrize("learner", SMALL)
def test_values_are_those_that_are_known(learner: str, probe: str) -> None:
    recipe = replace(SMALL[learner], env=f"probe-{probe}-v0", gamma=GAMMA)
    envs = Environments(make(recipe.env, 8), lambda i, k: episode_seed(0, "train", i, k))
    made = LEARNERS[type(recipe)](recipe, Machine(torch.device("cpu"), "fp32"), envs)
    for step in range(0, recipe.steps, 8):
        made.learn(envs.step(made.act(envs.observations, 0.5))[0], step / recipe.steps)
    known, bug = KNOWN[probe]
    for seen, Q in known.items():
        with torch.no_grad():
            got = made.policy(torch.tensor([[float(seen)]]))[0]
        np.testing.assert_allclose(got.numpy(), Q, atol=0.1, err_msg=bug)
