"""Many cart-poles side by side, and the scrambled ones on which a trained question is played."""

import torch
from torch import Tensor

Step = tuple[Tensor, Tensor, Tensor, Tensor]


class CartPoles:
    """`n` poles of gymnasium's CartPole-v1 (Barto, Sutton & Anderson 1983), whose physics and senses may be changed.

    A state is what is observed, `(scale * x)[order]` of x = (position, velocity, angle, angular velocity);
    `swapped` exchanges left and right. An episode ends *terminated* when the pole falls or the cart leaves the track,
    and *truncated* after 500 steps. The step after an end is no step: whatever the action, it gives the first
    state of the next episode, a reward of 0 and no end (gymnasium's autoreset mode NEXT_STEP).
    """

    def __init__(
        self,
        n: int,
        seed: int,
        gravity: float = 9.8,
        length: float = 0.5,
        order: Tensor | None = None,
        scale: Tensor | None = None,
        swapped: int = 0,
    ) -> None:
        from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv  # imported late: `gymnasium` takes 0.1 s

        self.n, self._swapped = n, swapped
        self._order = torch.arange(4) if order is None else order
        self._scale = torch.ones(4) if scale is None else scale
        self._poles = CartPoleVectorEnv(n)
        self._poles.reset(seed=seed)
        self._poles.gravity, self._poles.length = gravity, length
        self._poles.polemass_length = self._poles.masspole * length

    def reset(self) -> Tensor:
        """S (n, 4): the first states of n new episodes."""
        return self._seen(self._poles.reset()[0])

    def step(self, a: Tensor) -> Step:
        """S (n, 4), r (n,), terminated (n,), truncated (n,) after the actions a (n,), each 0 or 1."""
        actions = torch.as_tensor(a).long() ^ self._swapped
        S, r, terminated, truncated, _ = self._poles.step(actions.numpy())
        ends = torch.from_numpy(terminated), torch.from_numpy(truncated)
        return self._seen(S), torch.from_numpy(r).to(torch.get_default_dtype()), *ends

    def _seen(self, S: object) -> Tensor:
        return (torch.as_tensor(S) * self._scale)[:, self._order].to(torch.get_default_dtype())


def mean_return(poles: CartPoles, Ws: list[Tensor], bs: list[Tensor]) -> float:
    """The mean return of each pole's first episode, played greedily by the Q-network W_2 relu(W_1 s + b_1) + b_2."""
    S, alive, total = poles.reset(), torch.ones(poles.n, dtype=torch.bool), 0
    while alive.any():
        Q = (S.to(Ws[0].dtype) @ Ws[0].T + bs[0]).relu() @ Ws[1].T + bs[1]
        S, _, terminated, truncated = poles.step(Q.argmax(1))
        total += int(alive.sum())
        alive &= ~(terminated | truncated)
    return total / poles.n
