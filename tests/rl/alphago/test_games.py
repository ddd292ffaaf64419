"""Games by the adapter: the mover's view, and symmetries that the rules know nothing of but keep."""

from typing import Any

import numpy as np
import pytest

from dl780 import UserError
from dl780.rl import tictactoe
from dl780.rl.alphago.games import Game, game_of, outcome

NAMES = ["tic_tac_toe", "connect_four", "othello", "go(board_size=5)", "go(board_size=7,komi=0.5)"]
TURNS = {"othello": [0, 2, 5, 7]}  # the forms that leave Othello's first four stones where they are


def some_game(game: Game, seed: int, longest: int = 40) -> list[Any]:
    """States of a game of random moves, none of them over."""
    generator, states = np.random.default_rng(seed), [game.start()]
    while len(states) < longest:
        following = states[-1].child(int(generator.choice(states[-1].legal_actions())))
        if following.is_terminal():
            break
        states.append(following)
    return states


def test_tic_tac_toe_is_seen_as_the_lab_sees_it(ttt: Game) -> None:
    for seed in range(5):
        for state in some_game(ttt, seed):
            ours = tictactoe.START
            for move in state.history():
                ours = tictactoe.play(ours, move)
            own, other = ttt.planes([state])[0].reshape(2, 9).astype(int)
            assert tuple(own - other) == ours


@pytest.mark.parametrize("name", NAMES)
def test_the_movers_own_stones_come_first(name: str) -> None:
    game = game_of(name)
    states = some_game(game, 1)
    for state, seen in zip(states, game.planes(states), strict=True):
        stones = game.stones(state)
        stones = stones[::-1] if game.board.from_below else stones
        mover = state.current_player()
        assert np.array_equal(seen[0], stones == 1 + mover)
        assert np.array_equal(seen[1], stones == 2 - mover)
    assert game.planes(states).shape == (len(states), *game.shape)


@pytest.mark.parametrize("name", NAMES)
def test_a_turned_game_is_the_game_turned(name: str) -> None:
    """Every form: the moves that it names are legal, lead to the turned board, and end alike."""
    game = game_of(name)
    squares, moves = game.symmetries
    assert len({tuple(form) for form in squares}) == len(squares) == game.board.turns
    for form in TURNS.get(name, range(len(squares))):
        generator, state, turned = np.random.default_rng(form), game.start(), game.start()
        for _ in range(60):
            X = game.planes([state])[0].reshape(game.shape[0], -1)
            assert np.array_equal(game.planes([turned])[0].reshape(X.shape), X[:, squares[form]])
            place = np.argsort(moves[form])
            legal = state.legal_actions()
            assert sorted(place[legal]) == turned.legal_actions()
            move = int(generator.choice(legal))
            state, turned = state.child(move), turned.child(int(place[move]))
            if state.is_terminal():
                assert outcome(state, 0) == outcome(turned, 0)
                break


def test_forms_come_in_the_order_of_the_lab(ttt: Game) -> None:
    squares, _ = ttt.symmetries
    grid = np.arange(9).reshape(3, 3)
    assert np.array_equal(squares[1].reshape(3, 3), np.rot90(grid))
    assert np.array_equal(squares[5].reshape(3, 3), np.rot90(np.fliplr(grid)))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_leads_back_to_its_move(name: str) -> None:
    game = game_of(name)
    for state in some_game(game, 2):
        assert [game.move_of(game.name_of(move), state) for move in state.legal_actions()] == state.legal_actions()


def test_names_are_those_on_the_board() -> None:
    othello, go = game_of("othello"), game_of("go", 5)
    assert [othello.name_of(move) for move in othello.start().legal_actions()] == ["d3", "c4", "f5", "e6"]
    assert go.name_of(25) == "pass"
    state = go.start().child(0)
    assert go.show(state).splitlines()[-2:] == [" 1 X · · · ·", "   a b c d e"]
    assert game_of("connect_four").name_of(6) == "g"


@pytest.mark.parametrize(("name", "size", "told"), [
    ("chess", 0, "--game takes tic_tac_toe, connect_four, othello, go, not chess"),
    ("nonsense", 0, "--game nonsense"),
    ("go(board_size=5)", 7, "says it twice"),
])  # fmt: skip
def test_what_is_no_game_of_ours_is_one_line(name: str, size: int, told: str) -> None:
    with pytest.raises(UserError, match=told.replace("(", r"\(")) as error:
        game_of(name, size)
    assert "\n" not in str(error.value)


def test_a_move_that_is_not_there_is_answered_with_those_that_are(ttt: Game) -> None:
    with pytest.raises(UserError, match="'a1' is no move here; there are: b1 c1"):
        ttt.move_of("a1", ttt.start().child(0))
