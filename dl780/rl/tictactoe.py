"""Tic-tac-toe, small enough to read: its rules, and a perfect player.

A state is the board as the player to move sees it: nine numbers, row by row, 1 for the mover's own marks, -1 for the
opponent's, 0 for empty squares. Whoever moves puts a 1, and `play` turns the board around for the other player. So a
value, of a state that is over or of any other, is always that of the player to move.
"""

from functools import cache

State = tuple[int, ...]

START: State = (0,) * 9
MOVES = 9  # a move is the number of its square
LINES = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6))


def moves(state: State) -> list[int]:
    """The legal moves, in ascending order; none where the game is over."""
    return [] if _lost(state) else [move for move, mark in enumerate(state) if mark == 0]


def play(state: State, move: int) -> State:
    """The state after a move, as the opponent sees it. Raises `ValueError` where the move is not legal."""
    if move not in moves(state):
        raise ValueError(f"{move} is no legal move of {state}")
    return tuple(-1 if square == move else -mark for square, mark in enumerate(state))


def outcome(state: State) -> int | None:
    """None while the game goes on; -1 where the opponent, who moved last, has a line; 0 where it is drawn."""
    return -1 if _lost(state) else None if 0 in state else 0


@cache
def solve(state: State) -> int:
    """The value of a state under perfect play by both: 1 won, 0 drawn, -1 lost."""
    over = outcome(state)
    return max(-solve(play(state, move)) for move in moves(state)) if over is None else over


def perfect_moves(state: State) -> list[int]:
    """The moves that keep a state's value: a player who makes no other never loses a game that is not lost."""
    return [move for move in moves(state) if -solve(play(state, move)) == solve(state)]


def show(state: State) -> str:
    """The board in three lines; X is the player who began."""
    mover, other = "XO" if state.count(1) == state.count(-1) else "OX"
    rows = [" ".join({1: mover, -1: other, 0: "·"}[mark] for mark in state[i : i + 3]) for i in (0, 3, 6)]
    return "\n".join(rows)


def _lost(state: State) -> bool:
    return any(state[a] == state[b] == state[c] == -1 for a, b, c in LINES)
