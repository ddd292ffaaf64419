"""Scores, Elo, and who plays which colour."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dl780 import UserError
from dl780.rl.alphago.arena import Score, arena, elo, match
from dl780.rl.alphago.games import Game, game_of
from dl780.rl.alphago.players import at_random, openspiel, perfect, plain, player_of


def test_elo_is_the_logistic_curve() -> None:
    assert elo(0.5) == 0
    assert elo(10 / 11) == pytest.approx(400)
    assert elo(0.64) == pytest.approx(-elo(0.36))
    assert (elo(1.0), elo(0.0)) == (math.inf, -math.inf)


@pytest.mark.parametrize(("score", "low", "high"), [
    (Score(10, 0, 0), 0.7225, 1.0),
    (Score(50, 0, 50), 0.4038, 0.5962),
    (Score(0, 100, 0), 0.4038, 0.5962),
])  # fmt: skip
def test_the_interval_is_wilsons(score: Score, low: float, high: float) -> None:
    assert score.interval == pytest.approx((low, high), abs=1e-4)


def first_legal(states: Sequence[Any], generator: Any) -> list[int]:
    """The least move: a player that does not draw."""
    return [state.legal_actions()[0] for state in states]


def test_each_player_begins_every_second_game(ttt: Game) -> None:
    """Two who play the least move: X fills 1, 3, 5, 7 and wins, whoever is X."""
    assert match(ttt, first_legal, first_legal, 10, 0) == Score(5, 0, 5)
    assert match(ttt, first_legal, first_legal, 1, 0) == Score(1, 0, 0)


def test_both_colours_get_the_same_opening(ttt: Game) -> None:
    seen: list[list[int]] = []

    def watching(states: Sequence[Any], generator: Any) -> list[int]:
        seen.extend(state.history() for state in states if len(state.history()) == 2)
        return first_legal(states, generator)

    score = match(ttt, watching, watching, 12, 3, opening=2)
    assert score.wins == score.losses  # a player against himself, opening by opening
    assert len(seen) == 12
    assert all(seen.count(opening) % 2 == 0 for opening in seen)
    assert len(set(map(tuple, seen))) > 3


def test_who_plays_perfectly_does_not_lose(ttt: Game) -> None:
    score = match(ttt, perfect, at_random, 60, 0)
    assert score.losses == 0
    assert score.wins > 30
    assert match(ttt, at_random, perfect, 60, 0).wins == 0
    assert match(ttt, perfect, perfect, 20, 0) == Score(0, 20, 0)


def test_a_plain_search_holds_its_own_with_openspiels() -> None:
    game = game_of("connect_four")
    assert match(game, plain(game, 60), at_random, 20, 0, 2).share > 0.9
    assert 0.1 < match(game, plain(game, 60), openspiel(game, 60), 30, 0, 2).share < 0.9


def test_the_command_says_it_in_a_line_and_as_json(tmp_path: Path) -> None:
    told = arena("perfect", "random", "tic_tac_toe", games=10, opening=0, out=tmp_path / "score.json")
    assert told.startswith("tic_tac_toe, perfect against random: ")
    found = json.loads((tmp_path / "score.json").read_text())
    assert (found["a"], found["game"], found["losses"]) == ("perfect", "tic_tac_toe", 0)
    assert found["wins"] + found["draws"] == 10


@pytest.mark.parametrize("name", ["nobody", "plain", "plain:x", "plain:0", "openspiel:-1", "random:3", "perfect"])
def test_who_cannot_play_is_one_line(name: str) -> None:
    with pytest.raises(UserError):
        player_of(name, game_of("connect_four"))


def test_a_game_must_be_named() -> None:
    with pytest.raises(UserError, match="name one --game"):
        arena("random", "random")
