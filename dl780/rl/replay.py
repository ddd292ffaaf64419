"""Experience replay: the last steps of N environments, preallocated on the device (Mnih et al. 2015)."""

from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium.spaces import Box, Space
from torch import Tensor

from dl780.rl.envs import Steps


class Batch(NamedTuple):
    """Transitions (m, …): state, action, the n rewards' discounted sum, the state after them, and what γ became.

    `discounts` is γⁿ, and 0 where the episode terminated: a truncated one still bootstraps.
    """

    observations: Tensor
    actions: Tensor
    returns: Tensor
    following: Tensor
    discounts: Tensor


class Replay:
    """Row t of each tensor is a step of all N copies; the oldest row is overwritten first.

    Args:
        capacity: steps kept, over all copies
        n: copies
        like: an observation, for its shape and dtype
        n_step: rewards summed in a return; fewer where the episode ended
        gamma: discount γ
    """

    def __init__(
        self, capacity: int, n: int, like: Tensor, n_step: int = 1, gamma: float = 0.99, device: Any = "cpu"
    ) -> None:
        self.rows, self.n, self.n_step, self.gamma = max(n_step + 1, capacity // n), n, n_step, gamma
        self.observations = torch.zeros(self.rows, n, *like.shape, dtype=like.dtype, device=device)
        self.following = torch.zeros_like(self.observations)
        self.actions = torch.zeros(self.rows, n, dtype=torch.int64, device=device)
        self.rewards = torch.zeros(self.rows, n, device=device)
        self.terminated = torch.zeros(self.rows, n, dtype=torch.bool, device=device)
        self.over = torch.zeros(self.rows, n, dtype=torch.bool, device=device)
        self.added = 0  # rows, since the beginning

    def __len__(self) -> int:
        """Steps held."""
        return min(self.added, self.rows) * self.n

    def add(self, steps: Steps) -> None:
        """Keep a step of every copy."""
        self.following[self.added % self.rows] = torch.from_numpy(steps.following)
        self._add(steps)

    def _add(self, steps: Steps) -> None:
        row = self.added % self.rows
        self.observations[row] = torch.from_numpy(steps.observations)
        self.actions[row] = torch.from_numpy(steps.actions)
        self.rewards[row] = torch.from_numpy(steps.rewards)
        self.terminated[row] = torch.from_numpy(steps.terminated)
        self.over[row] = torch.from_numpy(steps.terminated | steps.truncated)
        self.added += 1

    def draw(self, m: int, generator: torch.Generator) -> Batch:
        """M transitions, each of those held as likely as any other, with replacement."""
        return self.at(*self._choose(m, generator))

    def at(self, rows: Tensor, copies: Tensor) -> Batch:
        """The transitions that begin at rows and copies, both (m,)."""
        returns, last, discounts = self._window(rows, copies)
        discounts = discounts * ~self.terminated[last, copies]
        return Batch(
            self._before(rows, copies), self.actions[rows, copies], returns, self._after(last, copies), discounts
        )

    def _choose(self, m: int, generator: torch.Generator, first: int = 0, left: int = 0) -> tuple[Tensor, Tensor]:
        """Rows and copies, without the `first` oldest rows, and the `left` newest beside those of open windows."""
        held, oldest = min(self.added, self.rows), max(0, self.added - self.rows)
        rows = held - first - (self.n_step - 1) - left
        index = torch.randint(rows * self.n, (m,), generator=generator).to(self.actions.device, non_blocking=True)
        return (oldest + first + index // self.n) % self.rows, index % self.n

    def _window(self, rows: Tensor, copies: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The discounted sum of up to n rewards, the row of the last of them, and the γ to its power."""
        last, discounts = rows, torch.full_like(rows, self.gamma, dtype=self.rewards.dtype)
        returns, going = self.rewards[rows, copies], ~self.over[rows, copies]
        for _ in range(self.n_step - 1):
            last = torch.where(going, (last + 1) % self.rows, last)
            returns = returns + going * discounts * self.rewards[last, copies]
            discounts = torch.where(going, self.gamma * discounts, discounts)
            going = going & ~self.over[last, copies]
        return returns, last, discounts

    def _before(self, rows: Tensor, copies: Tensor) -> Tensor:
        return self.observations[rows, copies]

    def _after(self, rows: Tensor, copies: Tensor) -> Tensor:
        return self.following[rows, copies]

    def state(self) -> dict[str, Any]:
        """What is held, and how many rows there have been."""
        held = min(self.added, self.rows)
        return {"added": self.added} | {name: tensor[:held].cpu() for name, tensor in self._tensors().items()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Hold what `state` gave."""
        self.added = state["added"]
        for name, tensor in self._tensors().items():
            tensor[: len(state[name])] = state[name]

    def _tensors(self) -> dict[str, Tensor]:
        return {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}


class FrameReplay(Replay):
    """Replay of stacks of frames, each frame kept once, as uint8, and stacked when it is read.

    A row holds the newest frame of its observation; what follows stands in the next row, but for the last row of an
    episode. Where that was terminated nothing follows, and where it was truncated the transition is not drawn.
    """

    def __init__(
        self, capacity: int, n: int, like: Tensor, n_step: int = 1, gamma: float = 0.99, device: Any = "cpu"
    ) -> None:
        """`like` is a stack (frames, H, W)."""
        self.stack = len(like)
        least = n * (self.stack + n_step + 1)
        super().__init__(max(capacity, least), n, like[-1], n_step, gamma, device)
        del self.following

    def add(self, steps: Steps) -> None:
        """Keep a step of every copy."""
        self._add(steps._replace(observations=steps.observations[:, -1]))

    def _choose(self, m: int, generator: torch.Generator, first: int = 0, left: int = 0) -> tuple[Tensor, Tensor]:
        rows, copies = super()._choose(m, generator, first=self.stack - 1, left=1)
        while (cut := self._cut(rows, copies)).any():
            again = super()._choose(m, generator, first=self.stack - 1, left=1)
            rows, copies = torch.where(cut, again[0], rows), torch.where(cut, again[1], copies)
        return rows, copies

    def _cut(self, rows: Tensor, copies: Tensor) -> Tensor:
        _, last, _ = self._window(rows, copies)
        return self.over[last, copies] & ~self.terminated[last, copies]

    def _before(self, rows: Tensor, copies: Tensor) -> Tensor:
        """The stack (m, frames, H, W) of a row; frames before the episode's first are 0, as ALE gives them."""
        back = torch.arange(self.stack - 1, -1, -1, device=rows.device)
        index = (rows.unsqueeze(1) - back) % self.rows
        older = self.over[
            index[:, :-1], copies.unsqueeze(1)
        ]  # an episode ended with that row: all up to it is another's
        other = older.flip(1).cumsum(1).flip(1) > 0
        frames = self.observations[index, copies.unsqueeze(1)]
        frames[:, :-1] *= ~other[:, :, None, None]
        return frames

    def _after(self, rows: Tensor, copies: Tensor) -> Tensor:
        return self._before((rows + 1) % self.rows, copies)


def is_frames(space: Space) -> bool:  # type: ignore[type-arg]
    """Whether observations are stacks of frames, (frames, H, W) of uint8."""
    return isinstance(space, Box) and len(space.shape) == 3 and space.dtype == np.uint8
