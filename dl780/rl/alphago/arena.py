"""`dl780 arena A B`: games of two players, each opening with both colours, and the difference in Elo."""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dl780 import UserError
from dl780.files import write_whole
from dl780.rl.alphago.games import Game, State, game_of, outcome
from dl780.rl.alphago.players import Player, at_random, player_of, rng, searcher
from dl780.rl.alphago.runs import in_earnest, network_of

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

    def as_json(self) -> dict[str, float]:
        """Counts, the share of the points, and its interval."""
        low, high = self.interval
        return dict(wins=self.wins, draws=self.draws, losses=self.losses, score=self.share, low=low, high=high)

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
    begun = [_opened(game, opening, generator) for _ in range(-(-games // 2))]
    states = [state.clone() for state in begun for _ in "AB"][:games]
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


def _opened(game: Game, opening: int, generator: Any) -> State:
    """A game after so many random moves; one that they have ended is drawn again."""
    while True:
        state = game.start()
        for _ in range(opening):
            if not state.is_terminal():
                state.apply_action(at_random([state], generator)[0])
        if not state.is_terminal():
            return state


def arena(
    a: str, b: str, game: str = "", size: int = 0, games: int = 100, opening: int = 2, simulations: int = 0,
    seed: int = 0, out: Path | None = None,
) -> str:  # fmt: skip
    """Two players by name, and how their games ended, as one line; with `out` as JSON, too. Raises `UserError`."""
    if games < 1 or opening < 0 or simulations < 0 or size < 0:
        raise UserError("--games takes a number from 1; --opening, --simulations and --size from 0")
    runs = {name: network_of(Path(name)) for name in (a, b) if (Path(name) / "config.json").exists()}
    boards = {found.name: found for _, found, _ in runs.values()}
    if game:
        boards[game_of(game, size).name] = game_of(game, size)
    if len(boards) != 1:
        raise UserError("name one --game" if not boards else f"these are different games: {', '.join(boards)}")
    board = next(iter(boards.values()))

    def player(name: str) -> Player:
        if name not in runs:
            return player_of(name, board)
        recipe, _, evaluate = runs[name]
        settings = in_earnest(recipe, board)
        return searcher(evaluate, replace(settings, simulations=simulations or settings.simulations))

    score = match(board, player(a), player(b), games, seed, opening)
    if out:
        write_whole(out, json.dumps(dict(a=a, b=b, game=board.name, **score.as_json()), indent=1))
    return f"{board.name}, {a} against {b}: {score}"
