"""Recorded games: a folder of SGF files as positions to learn from."""

from pathlib import Path

import numpy as np

from dl780 import UserError
from dl780.rl.alphago.games import Game, State
from dl780.rl.alphago.selfplay import Positions, Record

BLACK_WINS = {"b": 1.0, "w": -1.0, None: 0.0}


def read_games(game: Game, folder: Path) -> Positions:
    """Every position of the main lines in the SGF files below a folder; the policy to learn is the move played.

    Left out, and counted: files that cannot be read, boards of another size, games with handicap stones, without a
    result, or with a move that the rules do not allow. Raises `UserError` where none is left.
    """
    if game.kind != "go":
        raise UserError(f"SGF records are of Go, not of {game.name}: --start-games learns from a plain search")
    files = sorted(folder.rglob("*.sgf"))
    record, kept = Record(game), 0
    for path in files:
        if (found := _moves(path, game)) is not None:
            _replay(game, *found, record, kept)
            kept += 1
    if not kept:
        raise UserError(f"{folder} holds no SGF file of a finished game on {game.rows}×{game.columns}")
    print(f"records: {kept} games of {folder}, {len(files) - kept} files left out")
    return record.positions()


def _moves(path: Path, game: Game) -> tuple[list[int], float] | None:
    """A file's moves and how it ended for Black; None where it cannot serve."""
    try:
        from sgfmill.sgf import Sgf_game
    except ModuleNotFoundError:
        raise UserError("SGF files need sgfmill: pip install 'dl780[go]'") from None
    try:
        sgf = Sgf_game.from_bytes(path.read_bytes())
        root, winner = sgf.get_root(), sgf.get_winner()
        known = winner is not None or (root.has_property("RE") and root.get("RE").strip() in ("0", "Draw", "Jigo"))
        if sgf.get_size() != game.rows or root.has_setup_stones() or not known:
            return None
        plays = [node.get_move() for node in sgf.get_main_sequence()]
    except (ValueError, KeyError):
        return None
    moves = [game.moves - 1 if at is None else at[0] * game.columns + at[1] for colour, at in plays if colour]
    colours = [colour for colour, _ in plays if colour]
    alternate = colours == ["b", "w"] * (len(colours) // 2) + ["b"] * (len(colours) % 2)
    return (moves, BLACK_WINS[winner]) if moves and alternate and _allowed(game, moves) else None


def _allowed(game: Game, moves: list[int]) -> bool:
    state = game.start()
    for move in moves:
        if state.is_terminal() or move not in state.legal_actions():
            return False
        state.apply_action(move)
    return True


def _replay(game: Game, moves: list[int], black: float, record: Record, index: int) -> None:
    state: State = game.start()
    for move in moves:
        record.add([state], np.eye(game.moves)[[move]], np.array([index]))
        state = state.child(move)
    record.ends[index] = black
