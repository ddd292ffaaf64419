"""Games of OpenSpiel by one adapter: what the player to move sees, and the symmetries of a board.

Rules are OpenSpiel's; a state is theirs, too. Ours is the view: planes of the mover's stones and of the opponent's, so
that no network has to learn what it knows about one colour again for the other, and values of the player to move.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np

from dl780 import UserError

Array = np.ndarray[Any, Any]
State = Any  # of pyspiel, which has no types
COLUMNS = "abcdefghjklmnopqrst"  # no i, as on every Go board


@dataclass(frozen=True)
class Board:
    """What OpenSpiel's tensors mean: planes seen by each player (his own stones first), and how a move is named."""

    planes: tuple[tuple[int, ...], tuple[int, ...]]
    turns: int  # symmetries: 8 of a square, 2 of a board that may only be mirrored
    from_below: bool = False  # whether the tensor's first row is the lowest one
    passes: bool = False  # whether the last move is a pass
    columns: bool = False  # whether a move is a column, not a square


BOARDS = {
    "tic_tac_toe": Board(((2, 1), (1, 2)), 8),
    "connect_four": Board(((0, 1), (1, 0)), 2, from_below=True, columns=True),
    "othello": Board(((1, 2), (1, 2)), 8, passes=True),  # its tensor is the mover's view already
    "go": Board(((0, 1, 3), (1, 0, 3)), 8, from_below=True, passes=True),  # and whether White moves: he has the komi
}


class Game:
    """One game: `name` is OpenSpiel's, such as connect_four or go(board_size=5,komi=0.5)."""

    def __init__(self, name: str) -> None:
        """Load it. Raises `UserError` where OpenSpiel is not installed, or the game is none of ours."""
        self.rules = _load(name)
        short = self.rules.get_type().short_name
        if short not in BOARDS:
            raise UserError(f"--game takes {', '.join(BOARDS)}, not {short}")
        self.name, self.board, self.kind = name, BOARDS[short], short
        self.moves = int(self.rules.num_distinct_actions())
        _, self.rows, self.columns = self.rules.observation_tensor_shape()
        self.shape = (len(self.board.planes[0]), self.rows, self.columns)
        observation = _observation(self.rules)
        self._see, self._seen = observation.set_from, observation.tensor.reshape(-1, self.rows, self.columns)

    def start(self) -> State:
        """The state in which a game begins."""
        return self.rules.new_initial_state()

    def planes(self, states: Sequence[State]) -> Array:
        """What the players to move see: (B, c, h, w) of 0 and 1, uint8; his own stones, the opponent's, then more."""
        found = np.empty((len(states), *self._seen.shape), dtype=np.uint8)
        movers = np.empty(len(states), dtype=np.intp)
        for i, state in enumerate(states):
            movers[i] = mover = state.current_player()
            self._see(state, mover)
            found[i] = self._seen
        order = np.array(self.board.planes)[movers]
        seen: Array = found[np.arange(len(states))[:, None], order]
        return seen

    @cached_property
    def symmetries(self) -> tuple[Array, Array]:
        """(s, h·w) and (s, moves): in form k, square i shows what square squares[k, i] showed, and moves alike.

        The order is that of the lab: quarter turns counter-clockwise, then those of the board seen in a mirror.
        """
        grid = np.arange(self.rows * self.columns).reshape(self.rows, self.columns)
        mirrored = grid[:, ::-1]
        forms = (
            [grid, mirrored] if self.board.turns == 2 else [np.rot90(x, k) for x in (grid, mirrored) for k in range(4)]
        )
        squares = np.stack([form.ravel() for form in forms])
        if self.board.columns:
            return squares, np.stack([form[0] for form in forms])
        rest = np.arange(grid.size, self.moves)
        return squares, np.concatenate([squares, np.tile(rest, (len(squares), 1))], 1)

    def name_of(self, move: int) -> str:
        """A move as people write it: a column, or column and row, counted as OpenSpiel draws the board; or pass."""
        if self.board.columns:
            return COLUMNS[move]
        row, column = divmod(move, self.columns)
        if row == self.rows:
            return "pass"
        return f"{COLUMNS[column]}{row + 1}"

    def move_of(self, name: str, state: State) -> int:
        """The legal move of a name. Raises `UserError`."""
        legal: dict[str, int] = {self.name_of(move): move for move in state.legal_actions()}
        if name not in legal:
            raise UserError(f"{name!r} is no move here; there are: {' '.join(legal)}")
        return legal[name]

    def stones(self, state: State) -> Array:
        """The board from above, (h, w): 0 empty, 1 the stones of who began, 2 of the other."""
        player = max(0, state.current_player())
        self._see(state, player)
        own, other = self._seen[list(self.board.planes[player][:2])]
        first, second = (own, other) if player == 0 else (other, own)
        stones: Array = (first + 2 * second).astype(np.int64)
        return stones[::-1] if self.board.from_below else stones

    def show(self, state: State) -> str:
        """The board as text, with names of columns and rows; X began."""
        numbers = [f"{'' if self.board.columns else i + 1:>2} " for i in range(self.rows)]
        if self.board.from_below:
            numbers.reverse()
        stones = [" ".join("·XO"[stone] for stone in row) for row in self.stones(state)]
        lines = [number + row for number, row in zip(numbers, stones, strict=True)]
        return "\n".join([*lines, "   " + " ".join(COLUMNS[: self.columns])])


def outcome(state: State, mover: int) -> float:
    """How a finished game ended for a player: 1 won, 0 drawn, -1 lost."""
    return float(state.returns()[mover])


def game_of(name: str, size: int = 0) -> Game:
    """A game by its name, on a board of a size where it has several. Raises `UserError`."""
    if size and "(" in name:
        raise UserError(f"--size says it twice: --game {name}")
    return _game(f"{name}(board_size={size})" if size else name)


@cache
def _game(name: str) -> Game:
    return Game(name)


def _load(name: str) -> Any:
    try:
        import pyspiel
    except ModuleNotFoundError:
        raise UserError("games need OpenSpiel: pip install 'dl780[go]'") from None
    try:
        return pyspiel.load_game(name)
    except Exception as error:  # pyspiel's own kind is no subclass of anything nearer
        raise UserError(f"--game {name}: {str(error).splitlines()[0]}") from None


def _observation(rules: Any) -> Any:
    from open_spiel.python.observation import make_observation

    return make_observation(rules)
