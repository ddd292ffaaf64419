"""DQN (Mnih et al. 2015; slide "Deep Q-learning"): a network for Q, replay, and a second network for the targets."""

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dl780.data import generator_for
from dl780.recipes import DQN
from dl780.rl.envs import Array, Environments, Steps
from dl780.rl.networks import q_network
from dl780.rl.qlearning import epsilon_greedy
from dl780.rl.replay import FrameReplay, Replay, is_frames
from dl780.train.loop import schedule
from dl780.train.machine import Machine


def dqn_targets(returns: Tensor, discounts: Tensor, Q_following: Tensor, Q_online: Tensor | None = None) -> Tensor:
    """y = r + γ max_a' Q(s', a'; θ⁻), (m,), of returns (m,), discounts (m,) and Q_following = Q(s', ·; θ⁻), (m, k).

    A discount is 0 where the episode terminated. With Q_online = Q(s', ·; θ) it is double DQN's: θ chooses a', θ⁻
    values it (van Hasselt et al. 2016).
    """
    chosen = (Q_following if Q_online is None else Q_online).argmax(1, keepdim=True)
    return returns + discounts * Q_following.gather(1, chosen).squeeze(1)


def dqn_loss(Q: Tensor, actions: Tensor, y: Tensor, delta: float = 1.0) -> Tensor:
    """Mean Huber loss of Q(s, a) against y: e²/2 where |e| ≤ δ, δ(|e| − δ/2) beyond; Q (m, k), actions and y (m,)."""
    return F.huber_loss(Q.gather(1, actions.unsqueeze(1)).squeeze(1), y, delta=delta)


class DeepQ:
    """A learner: acts ε-greedily by the online network, learns from replay; the target network is what is kept.

    The target network follows the online one, an average of its weights over the last calls: it gives the targets, and
    it is the policy that is evaluated and saved.
    """

    def __init__(self, recipe: DQN, machine: Machine, envs: Environments) -> None:
        """Random weights and an empty replay. Raises `UserError` where no network takes the observations."""
        self.recipe, self.machine, self.envs = recipe, machine, envs.n
        space, like = envs.vector.single_observation_space, torch.from_numpy(envs.observations[:1])[0]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(generator_for(recipe.seed, "weights").initial_seed())
            self.online: Any = q_network(space, envs.actions, recipe.hidden, recipe.dueling)
        self.online = self.online.to(machine.device, machine.dtype)
        self.policy: nn.Module = copy.deepcopy(self.online).requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.online.parameters(), recipe.lr, fused=machine.device.type != "mps")
        self.replay = (FrameReplay if is_frames(space) else Replay)(
            recipe.replay, envs.n, like, recipe.n_step, recipe.gamma, machine.device
        )
        self.generator = generator_for(recipe.seed, "learner")
        self.steps, self.updates, self.loss = 0, 0, 0.0
        self.pairs = list(self.policy.parameters()), list(self.online.parameters())

    def act(self, observations: Array, epsilon: float) -> Array:
        """ε-greedy actions (N,)."""
        with torch.inference_mode():
            Q = self.online(torch.from_numpy(observations).to(self.machine.device))
        chosen: Array = epsilon_greedy(Q, epsilon, self.generator).numpy()
        return chosen

    def learn(self, steps: Steps, spent: float) -> None:
        """Keep a step of every environment, and make the updates that are due."""
        self.replay.add(steps._replace(rewards=self.recipe.reward_scale * steps.rewards))
        self.steps += self.envs
        recipe = self.recipe
        while self.steps >= recipe.begin and self.updates + recipe.calls <= (self.steps - recipe.begin) / recipe.every:
            for group in self.optimizer.param_groups:
                group["lr"] = recipe.lr * schedule(spent, 0.0)
            self._call()

    def _call(self) -> None:
        batch = self.replay.draw(self.recipe.batch * self.recipe.calls, self.generator)
        with torch.no_grad():
            Q_online = self.online(batch.following) if self.recipe.double else None
            y = dqn_targets(batch.returns, batch.discounts, self.policy(batch.following), Q_online)
        parts = (torch.split(part, self.recipe.batch) for part in (batch.observations, batch.actions, y))
        for observations, actions, targets in zip(*parts, strict=True):
            self.optimizer.zero_grad()
            with self.machine.autocast():
                loss = dqn_loss(self.online(observations), actions, targets, self.recipe.huber)
            loss.backward()  # type: ignore[no-untyped-call]
            if self.recipe.clip:
                nn.utils.clip_grad_norm_(self.online.parameters(), self.recipe.clip)
            self.optimizer.step()
        self.loss = float(loss.detach())
        self.updates += self.recipe.calls
        with torch.no_grad():
            torch._foreach_lerp_(*self.pairs, self.recipe.tau)

    def state(self) -> dict[str, Any]:
        """What goes on, beside the policy."""
        return dict(
            online=self.online.state_dict(), optimizer=self.optimizer.state_dict(), replay=self.replay.state(),
            generator=self.generator.get_state(), steps=self.steps, updates=self.updates,
        )  # fmt: skip

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on with a state; the policy was loaded before."""
        self.online.load_state_dict(state["online"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.replay.load_state(state["replay"])
        self.generator.set_state(state["generator"])
        self.steps, self.updates = state["steps"], state["updates"]
