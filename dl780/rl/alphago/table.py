"""A game under way between a person and a search."""

from typing import Any, NamedTuple

import numpy as np

from dl780 import UserError
from dl780.rl.alphago.games import Array, Game, State, outcome
from dl780.rl.alphago.search import Evaluate, Forest, Settings


class Thought(NamedTuple):
    """What a search made of a position: visits and priors of the moves (A), the value for the player to move."""

    visits: Array
    priors: Array
    value: float

    @property
    def best(self) -> int:
        """The most visited move."""
        return int(self.visits.argmax())


class Table:
    """A board, and a search that keeps its tree from move to move."""

    def __init__(self, game: Game, evaluate: Evaluate, settings: Settings, seed: int = 0) -> None:
        """The start of a game."""
        self.game, self.evaluate, self.settings = game, evaluate, settings
        self.generator = np.random.default_rng(seed)
        self.state: State = game.start()
        self.moves: list[int] = []
        self.tree: Forest | None = None

    @property
    def over(self) -> bool:
        """Whether the game has ended."""
        return bool(self.state.is_terminal())

    @property
    def mover(self) -> int:
        """Who is to move: 0 began."""
        return len(self.moves) % 2

    def think(self) -> Thought:
        """Search on from the position. Raises `UserError` where the game is over."""
        if self.over:
            raise UserError("the game is over")
        if self.tree is None:
            self.tree = Forest([self.state], self.evaluate, self.settings, self.generator)
        visits = self.tree.search()[0]
        return Thought(visits, self.tree.priors()[0], float(self.tree.values()[0]))

    def play(self, move: int) -> None:
        """Play a move; the tree below it is kept. Raises `UserError` where it is not legal."""
        if self.over or move not in self.state.legal_actions():
            raise UserError(f"{move} is no legal move here")
        self.state = self.state.child(move)
        self.moves.append(move)
        if self.over:
            self.tree = None
        elif self.tree is not None:
            self.tree.advance(np.array([0]), np.array([move]))

    def verdict(self) -> str:
        """How the game ended."""
        end = outcome(self.state, 0)
        return "a draw" if end == 0 else f"{'X' if end > 0 else 'O'} has won"

    def seen(self, thought: Thought | None = None) -> dict[str, Any]:
        """Everything that a page shows, as JSON holds it; rows from above."""
        game, legal = self.game, [] if self.over else self.state.legal_actions()
        squares = np.arange(game.rows * game.columns).reshape(game.rows, game.columns)
        if game.board.columns:
            squares = squares % game.columns
        if game.board.from_below:
            squares = squares[::-1]
        told = None
        if thought is not None:
            visits = {str(move): int(n) for move, n in enumerate(thought.visits) if n}
            told = dict(visits=visits, value=thought.value, mover=self.mover, best=thought.best)
        return dict(
            game=game.name, stones=game.stones(self.state).tolist(), squares=squares.tolist(), legal=legal,
            names={str(move): game.name_of(move) for move in range(game.moves)}, moves=self.moves, mover=self.mover,
            over=self.over, verdict=self.verdict() if self.over else "", thought=told,
            passing=game.moves - 1 if game.board.passes else None,
        )  # fmt: skip
