"""Positions of self-play: policies, ends seen from both sides, and boards that turn together with them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from dl780.release import solutions
from dl780.rl.alphago.games import Game, game_of
from dl780.rl.alphago.players import uniform
from dl780.rl.alphago.search import Settings
from dl780.rl.alphago.selfplay import draw, sampled_play, self_play, turned, visit_policy

SETTINGS = Settings(simulations=12, noise=0.25)


@pytest.mark.parametrize("tau", [0.0, 0.25, 1.0, 2.0])
def test_the_policy_of_visits_is_the_labs(tau: float) -> None:
    space: dict[str, Any] = {"torch": torch}
    exec(solutions("alphago")["visit_policy"], space)
    N = np.array([[4, 0, 2, 4], [300, 1, 7, 0]])
    for found, visits in zip(visit_policy(N, tau), N, strict=True):
        assert np.allclose(found, space["visit_policy"](torch.tensor(visits), tau))


def test_moves_are_drawn_as_often_as_the_policy_says() -> None:
    policy = np.array([0.2, 0.0, 0.5, 0.3, 0.0])
    moves = draw(np.tile(policy, (20_000, 1)), np.random.default_rng(0))
    shares = np.bincount(moves, minlength=5) / len(moves)
    assert np.abs(shares - policy).max() < 0.015
    assert shares[[1, 4]].tolist() == [0, 0]


def test_every_position_has_the_end_of_its_game_for_its_player(ttt: Game, guess: Callable[[Game], Any]) -> None:
    found, asked = self_play(ttt, guess(ttt), SETTINGS, 20, 9, np.random.default_rng(1))
    stones = found.X.flatten(1).sum(1)
    assert asked > 0
    assert (stones == 0).sum() == 20
    assert torch.allclose(found.Pi.sum(1), torch.ones(len(found.X)))
    assert not found.Pi[found.X.flatten(2).sum(1).bool()].any()  # nothing is learned on a square that is taken
    first = found.z[stones == 0]
    assert set(first.tolist()) <= {-1.0, 0.0, 1.0}
    second = found.z[stones == 1]  # game by game, the other player's
    assert torch.equal(second, -first)


def test_games_at_random_end_as_often_as_they_should(ttt: Game) -> None:
    """X wins 58.5 % of them, O 28.8 %; the policy to learn is the move that was played."""
    found, _ = sampled_play(ttt, uniform(ttt), 300, np.random.default_rng(0))
    stones = found.X.flatten(1).sum(1)
    assert (found.Pi.max(1).values == 1).all()
    assert 0.5 < (found.z[stones == 0] == 1).float().mean() < 0.67
    assert 0.2 < (found.z[stones == 0] == -1).float().mean() < 0.37


@pytest.mark.parametrize("name", ["tic_tac_toe", "connect_four", "go(board_size=5)"])
def test_policy_and_board_turn_together(name: str) -> None:
    """A policy of the mover's stones on the board (in Go's case) stays on them in every form."""
    game = game_of(name)
    found, _ = sampled_play(game, uniform(game), 5, np.random.default_rng(2))
    squares, moves = game.symmetries
    forms = set()
    again = turned(found, game, torch.Generator().manual_seed(0))
    for X, Pi, X_turned, Pi_turned in zip(found.X, found.Pi, again.X, again.Pi, strict=True):
        fits = [
            k for k in range(len(squares))
            if torch.equal(X.flatten(1)[:, squares[k]], X_turned.flatten(1)) and torch.equal(Pi[moves[k]], Pi_turned)
        ]  # fmt: skip
        assert fits
        forms |= set(fits[:1]) if len(fits) == 1 else set()
    assert len(forms) == len(squares)
    assert torch.equal(again.z, found.z)
