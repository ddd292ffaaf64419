"""The rules of tic-tac-toe, state by state against OpenSpiel's, and the perfect player against every reply."""

from collections.abc import Iterator
from typing import Any

import pytest

from dl780.rl import tictactoe
from dl780.rl.tictactoe import State


def all_states() -> Iterator[State]:
    """Every state that a game can reach, once."""
    seen, waiting = {tictactoe.START}, [tictactoe.START]
    while waiting:
        state = waiting.pop()
        yield state
        after = {tictactoe.play(state, move) for move in tictactoe.moves(state)} - seen
        seen |= after
        waiting += after


def test_there_are_as_many_states_as_the_literature_says() -> None:
    states = list(all_states())
    assert len(states) == 5478
    assert sum(tictactoe.outcome(state) is not None for state in states) == 958
    assert sum(tictactoe.outcome(state) == 0 for state in states) == 16


def test_every_state_agrees_with_openspiel() -> None:
    """Mover, legal moves, end and value, along one way to each state."""
    game = pytest.importorskip("pyspiel").load_game("tic_tac_toe")
    seen: set[State] = set()

    def walk(ours: State, theirs: Any) -> None:
        if ours in seen:
            return
        seen.add(ours)
        ended = theirs.is_terminal()
        assert (tictactoe.outcome(ours) is not None) == ended
        mover = len(theirs.history()) % 2
        assert tictactoe.moves(ours) == ([] if ended else theirs.legal_actions())
        assert tictactoe.show(ours).replace(" ", "").replace("·", ".") == str(theirs).lower().translate(XO)
        if ended:
            assert tictactoe.outcome(ours) == theirs.returns()[mover]
        else:
            assert theirs.current_player() == mover
        for move in tictactoe.moves(ours):
            walk(tictactoe.play(ours, move), theirs.child(move))

    walk(tictactoe.START, game.new_initial_state())
    assert len(seen) == 5478


XO = str.maketrans("xo", "XO")


def test_a_state_is_that_of_the_player_to_move() -> None:
    assert tictactoe.play(tictactoe.START, 4) == (0, 0, 0, 0, -1, 0, 0, 0, 0)
    assert tictactoe.play(tictactoe.play(tictactoe.START, 4), 0) == (-1, 0, 0, 0, 1, 0, 0, 0, 0)


def test_who_is_to_move_at_the_end_has_never_won() -> None:
    assert {tictactoe.outcome(state) for state in all_states()} == {None, 0, -1}


@pytest.mark.parametrize("move", [0, -1, 9])
def test_a_move_that_is_not_legal_is_refused(move: int) -> None:
    with pytest.raises(ValueError, match="is no legal move"):
        tictactoe.play(tictactoe.play(tictactoe.START, 0), move)


def test_nothing_is_played_after_the_end() -> None:
    lost = (-1, -1, -1, 1, 1, 0, 0, 0, 0)
    assert tictactoe.moves(lost) == []
    with pytest.raises(ValueError, match="is no legal move"):
        tictactoe.play(lost, 5)


def test_perfect_play_draws_and_every_other_move_gives_something_away() -> None:
    assert tictactoe.solve(tictactoe.START) == 0
    assert tictactoe.perfect_moves(tictactoe.play(tictactoe.START, 0)) == [4]
    for state in all_states():
        values = {move: -tictactoe.solve(tictactoe.play(state, move)) for move in tictactoe.moves(state)}
        kept = [move for move, value in values.items() if value == max(values.values())]
        assert tictactoe.perfect_moves(state) == kept


def test_the_first_player_is_x() -> None:
    state = tictactoe.play(tictactoe.play(tictactoe.START, 0), 4)
    assert tictactoe.show(state) == "X · ·\n· O ·\n· · ·"
    assert tictactoe.show(tictactoe.play(state, 8)) == "X · ·\n· O ·\n· · X"
