"""The recipe of AlphaGo in small."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from dl780 import UserError
from dl780.recipes.base import Recipe

LEAST = dict(
    size=0, maps=1, blocks=0, simulations=1, leaves=1, c=0.0, alpha=0.0, games=1, exploring=0, window=1, passes=0.0,
    batch=2, lr=0.0, weight_decay=0.0, start_games=0, start_simulations=1, gate_games=0, measured_simulations=0,
    evaluations=0, evaluation_games=1, test_games=0, opening=0,
)  # fmt: skip
SHARES = ("noise", "rollouts", "gate", "warm")


@dataclass(frozen=True, kw_only=True)
class AlphaGo(Recipe):
    """AlphaGo in small: a network for policy and value learns from the games that its own search plays.

    An iteration is one step: the best network plays against itself, the network learns from the last iterations' games,
    and takes the best one's place if it wins against it.
    """

    name: ClassVar[str] = "alphago"
    trainer: ClassVar[str] = "dl780.rl.alphago.loop"  # the module whose `train` takes this
    game: str = "tic_tac_toe"  # tic_tac_toe, connect_four, othello, go, with OpenSpiel's settings: go(board_size=5)
    size: int = 0  # side of the board, where the game has several; 0 leaves the game's own
    steps: int | None = None  # so many iterations; 12 where neither this nor --minutes is given
    maps: int = 32  # of each convolution
    blocks: int = 2  # residual blocks
    simulations: int = 64  # of the search, for each move
    leaves: int = 1  # of one tree that are evaluated together, by virtual loss
    c: float = 1.5  # how much exploration counts in PUCT
    noise: float = 0.25  # share of Dirichlet noise in the priors of the root, in self-play
    alpha: float = 0.0  # its concentration; 0 takes 10 divided by the number of moves
    rollouts: float = 0.0  # λ: share of a random game's end in the value of a leaf
    games: int = 128  # of an iteration, side by side
    exploring: int = 8  # moves of a game that are drawn by visits; later the most visited one is played
    improve: Literal["search", "reinforce"] = "search"  # learn the search's policy, or AlphaGo 2016's policy gradient
    window: int = 8  # iterations whose games are learned from
    passes: float = 8.0  # times that each position is learned from, in the mean
    batch: int = 128  # positions a step of the optimizer
    lr: float = 3e-3  # learning rate at its highest: it rises over the first part of the budget and falls to 0
    warm: float = 0.05  # share of the budget over which it rises
    weight_decay: float = 1e-3  # on weights but not on biases, AdamW's
    records: Path | None = None  # a folder of SGF files to learn from first
    start_games: int = 0  # games of a plain search to learn from first
    start_simulations: int = 200  # of that search
    gate_games: int = 40  # new network against best one; 0 takes every new network
    gate: float = 0.5  # points by games that the new one needs; AlphaGo Zero took 0.55, but Go knows no draws
    opponent: str = ""  # whom to measure against: perfect, random, plain:N, openspiel:N; by default as the game allows
    measured_simulations: int = 0  # of the search where it is measured; 0 as in self-play
    evaluations: int = 5  # how often within the budget, beside the end
    evaluation_games: int = 40  # of each of them
    test_games: int = 100  # at the end
    opening: int = 2  # moves at random before games that measure; none against a perfect opponent

    @property
    def about(self) -> str:
        """The game."""
        return self.game.partition("(")[0] + (str(self.size) if self.size else "")

    def check(self) -> None:
        """Raise `UserError` for a setting that cannot be."""
        super().check()
        for name, least in LEAST.items():
            if (value := getattr(self, name)) < least:
                raise UserError(f"--{name.replace('_', '-')} takes a number from {least}, not {value}")
        for name in SHARES:
            if not 0 <= (value := getattr(self, name)) <= 1:
                raise UserError(f"--{name} takes a share from 0 to 1, not {value}")
