"""`dl780 arena A B`: games of two players, each opening with both colours, and the difference in Elo."""

import math
from dataclasses import dataclass

import numpy as np

from dl780.rl.alphago.games import Game, outcome
from dl780.rl.alphago.players import Player, at_random, rng

Z = 1.96  # standard deviations of an interval of 95 %


@dataclass(frozen=True)
class Score:
    """Games of A against B, counted for A."""

    wins: int
    draws: int
    losses: int

    @property
    def games(self) -> int:
        """All of them."""
        return self.wins + self.draws + self.losses

    @property
    def share(self) -> float:
        """Points by games; a draw is half a point."""
        return (self.wins + self.draws / 2) / self.games

    @property
    def interval(self) -> tuple[float, float]:
        """95 % of the share: Wilson's interval, as if a draw were half a win; with draws it is wider than need be."""
        n, share = self.games, self.share
        middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
        half = Z / (1 + Z**2 / n) * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self) -> str:
        low, high = (elo(share) for share in self.interval)
        told = f"{self.wins} won, {self.draws} drawn, {self.losses} lost of {self.games}: {100 * self.share:.1f} %"
        return f"{told}, Elo {elo(self.share):+.0f} (95 %: {low:+.0f} to {high:+.0f})"


def elo(share: float) -> float:
    """The difference in rating at which a share of the points is expected: 400 log10(s / (1 - s))."""
    if share in (0.0, 1.0):
        return math.copysign(math.inf, share - 0.5)
    return 400 * math.log10(share / (1 - share))


def match(game: Game, A: Player, B: Player, games: int, seed: int, opening: int = 0) -> Score:
    """Play games side by side; A begins in every second one.

    Args:
        opening: so many moves at random come first, the same for both colours; players that do not draw would
            otherwise play two games, again and again
    """  # fmt: skip
    generator = rng(seed, "arena", opening)
    states = []
    for _ in range(-(-games // 2)):
        while True:
            state = game.start()
            for _ in range(opening):
                if not state.is_terminal():
                    state.apply_action(at_random([state], generator)[0])
            if not state.is_terminal():
                break
        states += [state, state.clone()]
    states = states[:games]
    going = list(range(games))
    while going:
        for player, of_A in ((A, 1), (B, 0)):
            to_move = [i for i in going if (states[i].current_player() + i) % 2 != of_A]
            if to_move:
                moves = player([states[i] for i in to_move], generator)
                for i, move in zip(to_move, moves, strict=True):
                    states[i] = states[i].child(move)
                going = [i for i in going if not states[i].is_terminal()]
    ends = np.array([outcome(state, i % 2) for i, state in enumerate(states)])  # A is player i % 2
    return Score(int((ends > 0).sum()), int((ends == 0).sum()), int((ends < 0).sum()))
