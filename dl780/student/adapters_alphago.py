"""Adapters of the lab `alphago`: a search in a drawn position, and whole games against a perfect player."""

from collections.abc import Callable

import torch
from torch import Tensor

from dl780.rl import tictactoe
from dl780.rl.tictactoe import State
from dl780.student.call import WrongOutputs

Evaluate = Callable[[State], tuple[Tensor, float]]
HABIT = torch.tensor([2, 1, 2, 1, 6, 1, 2, 1, 2], dtype=torch.float64) / 18  # the squares that a beginner likes


def search(mcts: Callable[..., object], board: Tensor, A: Tensor, b: Tensor, simulations: int, c: float) -> object:
    """`mcts(game, state, evaluate, simulations, c)` from a board, with a drawn network."""
    return mcts(tictactoe, state_of(board), one_layer(A, b), simulations, c)


def games(
    choose_move: Callable[..., object], openings: Tensor, choices: Tensor, simulations: int, c: float
) -> list[list[int]]:
    """The moves of one game for each opening, -1 after its end: `choose_move` against a perfect player."""
    return [
        _game(choose_move, [move for move in opening if move >= 0], choice, simulations, c)
        for opening, choice in zip(openings.tolist(), choices.tolist(), strict=True)
    ]


def _game(
    choose_move: Callable[..., object], opening: list[int], choice: list[float], simulations: int, c: float
) -> list[int]:
    state, played = tictactoe.START, list[int]()
    while tictactoe.outcome(state) is None:
        ply = len(played)
        if ply < len(opening):
            move = opening[ply]
        elif (ply - len(opening)) % 2:
            move = reply(state, choice[ply])
        else:
            move = _number(choose_move(tictactoe, state, habit, simulations, c))
        state = tictactoe.play(state, move)
        played.append(move)
    return played + [-1] * (tictactoe.MOVES - len(played))


def reply(state: State, choice: float) -> int:
    """The move of a perfect player, who takes one of several by a number 0 ≤ choice < 1."""
    best = tictactoe.perfect_moves(state)
    return best[int(choice * len(best))]


def state_of(board: Tensor) -> State:
    """A board as a state of `tictactoe`."""
    return tuple(int(mark) for mark in board.tolist())


def one_layer(A: Tensor, b: Tensor) -> Evaluate:
    """A network of one layer: for a board s, P = softmax(A s) over all nine squares, and v = tanh(b·s)."""

    def evaluate(state: State) -> tuple[Tensor, float]:
        s = torch.tensor(state, dtype=A.dtype)
        return torch.softmax(A @ s, dim=0), torch.tanh(b @ s).item()

    return evaluate


def habit(state: State) -> tuple[Tensor, float]:
    """A beginner's evaluation: the middle first, then corners, and no idea who wins."""
    return HABIT.clone(), 0.0


def _number(move: object) -> int:
    """A move as Python's own integer."""
    try:
        return int(move)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError):
        raise WrongOutputs(f"returned a {type(move).__name__}, where the number of a square is expected") from None
