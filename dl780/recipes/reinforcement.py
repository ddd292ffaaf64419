"""Recipes of the reinforcement chapter."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from dl780 import UserError
from dl780.recipes.base import Recipe


@dataclass(frozen=True, kw_only=True)
class Reinforcement(Recipe):
    """Settings that every recipe of this chapter has; a step is one of one environment, whatever their number."""

    trainer: ClassVar = "dl780.rl.loop"

    env: str = "CartPole-v1"  # a gymnasium environment with discrete actions; ALE/… and MinAtar/… where installed
    envs: int = 16  # copies of it side by side
    steps: int = 50_000  # environment steps
    minutes: float | None = None  # or so much time; every schedule follows whichever is given
    gamma: float = 0.99  # discount γ
    lr: float = 1e-3  # learning rate α at its highest: it falls along a cosine to 0 at the end
    epsilon: float = 0.05  # share of random actions once exploration has ended
    exploration: float = 0.2  # share of the budget over which ε falls from 1 to that
    evaluations: int = 5  # how often the greedy policy plays the validation episodes
    episodes: int = 20  # validation episodes: none of the 100 of the test
    seed: int = 0  # of weights, episodes, exploration and replay
    threads: int = 1  # of torch on CPU; 0 leaves its own choice

    def check(self) -> None:
        """Raise `UserError` for a setting that cannot be."""
        if self.minutes is None:
            super().check()
        for name in ("envs", "evaluations", "episodes"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name} takes a number from 1, not {getattr(self, name)}")
        for name in ("gamma", "epsilon", "exploration"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"--{name} takes a share from 0 to 1, not {getattr(self, name)}")
        for name in ("lr", "minutes"):
            if (value := getattr(self, name)) is not None and value <= 0:
                raise UserError(f"--{name} takes a number above 0, not {value}")
        if self.precision not in ("fp32", "bf16") or self.compile:
            raise UserError("this chapter's networks train in fp32 or bf16, without --compile")

    @property
    def about(self) -> str:
        """The environment."""
        return self.env.replace("/", "-")


@dataclass(frozen=True, kw_only=True)
class QLearning(Reinforcement):
    """Tabular Q-learning: a number for every state and action (slide "Recall Q-learning setup")."""

    name: ClassVar = "qlearning"
    env: str = "FrozenLake-v1"  # an environment of gymnasium with discrete observations: FrozenLake, Taxi, CliffWalking
    steps: int = 1_000_000  # environment steps
    lr: float = 0.05  # learning rate α at its highest, 1 where nothing is random: falls along a cosine to 0
    epsilon: float = 0.3  # share of random actions once exploration has ended


@dataclass(frozen=True, kw_only=True)
class LinearQ(Reinforcement):
    """Q-learning with Q(s, a) = θ_aᵀ φ(s) (slide "Q-learning with function approximation")."""

    name: ClassVar = "linear-q"
    env: str = "MountainCar-v0"  # a gymnasium environment with discrete actions and bounded observations
    envs: int = 8  # copies of it side by side
    steps: int = 200_000  # environment steps
    gamma: float = 1.0  # discount γ
    lr: float = 0.5  # learning rate α, divided by |φ(s)|²: it falls along a cosine to 0 at the end
    epsilon: float = 0.0  # share of random actions once exploration has ended; θ = 0 is optimistic, and explores
    exploration: float = 0.0  # share of the budget over which ε falls from 1 to that
    features: Literal["tiles", "fourier"] = "tiles"  # φ: shifted grids, or cosines up to an order
    tilings: int = 16  # grids, each shifted by another part of a tile
    order: int = 8  # tiles along an axis, or the order of the cosines


@dataclass(frozen=True, kw_only=True)
class DQN(Reinforcement):
    """Deep Q-learning (Mnih et al. 2015; slide "Deep Q-learning")."""

    name: ClassVar = "dqn"
    lr: float = 5e-3  # learning rate α at its highest: it falls along a cosine to 0 at the end
    epsilon: float = 0.1  # share of random actions once exploration has ended
    hidden: tuple[int, ...] = (128, 64)  # units of each hidden layer, where observations are vectors
    batch: int = 64  # transitions an update
    replay: int = 50_000  # transitions kept
    begin: int = 1_000  # steps before the first update
    every: float = 8.0  # environment steps an update
    calls: int = 16  # updates a call, whose targets are one forward pass of the target network
    tau: float = 0.5  # after a call the target network moves by this share towards the online one; 1 copies it
    n_step: int = 5  # rewards summed before the target network's value
    reward_scale: float = 0.02  # what rewards are multiplied by in learning, so that values are of order 1
    double: bool = True  # the online network chooses a', the target network values it (van Hasselt et al. 2016)
    dueling: bool = False  # Q = V + A − mean A (Wang et al. 2016)
    huber: float = 1.0  # δ of the Huber loss
    clip: float = 0.0  # largest norm of a gradient; 0 lets all pass
    frame: int = 84  # side of Atari's frames, four of which are an observation


@dataclass(frozen=True, kw_only=True)
class Atari(DQN):
    """DQN on an Atari game with the hyper-parameters of Mnih et al. 2015, but Adam, and a target network that follows.

    Rewards are clipped in learning, not in what is reported; actions stick with probability 1/4 (Machado et al. 2018),
    and a lost life ends no episode.
    """

    name: ClassVar = "atari"
    env: str = "ALE/Pong-v5"  # a game: ALE/…-v5
    envs: int = 8  # copies of it side by side
    steps: int = 10_000_000  # environment steps, of four frames each
    exploration: float = 0.1  # share of the budget over which ε falls from 1 to that
    lr: float = 1e-4  # learning rate α at its highest: it falls along a cosine to 0 at the end
    batch: int = 32  # transitions an update
    replay: int = 1_000_000  # transitions kept, of 7 kB each
    begin: int = 50_000  # steps before the first update
    every: float = 4.0  # environment steps an update
    calls: int = 8  # updates a call, whose targets are one forward pass of the target network
    tau: float = 0.002  # after a call the target network moves by this share towards the online one; 1 copies it
    n_step: int = 1  # rewards summed before the target network's value
    reward_scale: float = 1.0  # what rewards are multiplied by in learning, so that values are of order 1
    double: bool = False  # the online network chooses a', the target network values it (van Hasselt et al. 2016)


@dataclass(frozen=True, kw_only=True)
class AtariCPU(Atari):
    """The recipe atari made small: frames of 42×42, few steps, double DQN with five-step returns."""

    name: ClassVar = "atari-cpu"
    steps: int = 150_000  # environment steps, of four frames each
    exploration: float = 0.2  # share of the budget over which ε falls from 1 to that
    epsilon: float = 0.02  # share of random actions once exploration has ended
    evaluations: int = 5  # how often the greedy policy plays the validation episodes
    episodes: int = 4  # validation episodes: none of the 100 of the test
    lr: float = 5e-4  # learning rate α at its highest: it falls along a cosine to 0 at the end
    replay: int = 100_000  # transitions kept, of 1.8 kB each
    begin: int = 2_000  # steps before the first update
    tau: float = 0.05  # after a call the target network moves by this share towards the online one; 1 copies it
    n_step: int = 5  # rewards summed before the target network's value
    double: bool = True  # the online network chooses a', the target network values it (van Hasselt et al. 2016)
    frame: int = 42  # side of Atari's frames, four of which are an observation
