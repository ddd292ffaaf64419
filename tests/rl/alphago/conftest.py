from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyspiel")

from dl780.recipes import AlphaGo
from dl780.rl.alphago.games import Game, game_of


@pytest.fixture(scope="session")
def ttt() -> Game:
    """Tic-tac-toe."""
    return game_of("tic_tac_toe")


@pytest.fixture
def guess() -> Callable[[Game], Any]:
    """A function that makes of a game an evaluation of its states: numbers that the position alone determines."""

    def make(game: Game) -> Any:
        def evaluate(states: Sequence[Any]) -> tuple[Any, Any]:
            draws = [np.random.default_rng(list(x.tobytes())) for x in game.planes(states)]
            return np.array([d.normal(size=game.moves) for d in draws]), np.array([d.uniform(-1, 1) for d in draws])

        return evaluate

    return make


@pytest.fixture
def small(tmp_path: Path) -> AlphaGo:
    """A recipe of seconds."""
    return AlphaGo(
        steps=3, simulations=6, games=8, maps=4, blocks=1, passes=2, gate_games=4, evaluations=2, evaluation_games=4,
        test_games=4, device="cpu", out=tmp_path / "run",
    )  # fmt: skip
