"""What the lab `alphago` takes for right: searches and games that autograd says nothing of."""

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from dl780.check.cases import PUBLIC, Case
from dl780.check.registry import load_lab
from dl780.check.verdict import Verdict, judge
from dl780.grade.work import Worker
from dl780.questions import alphago
from dl780.release import solutions
from dl780.rl import tictactoe
from dl780.rl.tictactoe import State
from dl780.student import adapters_alphago
from dl780.student.call import Outcome, WrongOutputs, attempt

LAB = load_lab("alphago")


@pytest.fixture(scope="module")
def solved() -> dict[str, Any]:
    """The lab's solutions, in one namespace."""
    space: dict[str, Any] = {}
    exec("\n\n".join([alphago.OPENING, *solutions("alphago").values()]), space)
    return space


def perfect(game: Any, state: State, evaluate: Any, simulations: int, c: float) -> int:
    return tictactoe.perfect_moves(state)[0]


def drawn_game() -> tuple[Case, list[list[int]]]:
    """The public case of choose_move, and the games that a perfect player makes of it."""
    (case,) = alphago.choose_move.cases(PUBLIC)
    return case, adapters_alphago.games(perfect, **alphago.choose_move.sent_inputs(case))  # type: ignore[arg-type]


def scored(case: Case, games: list[list[int]]) -> float:
    return alphago.choose_move.score(**{n: case.inputs[n] for n in ("openings", "choices")}, moves=torch.tensor(games))


def test_hundred_points_at_most_ten_questions_about_three_hours() -> None:
    assert LAB.out_of == 100
    assert len(LAB.questions) <= 10
    assert 120 <= sum(question.minutes for question in LAB.questions.values()) <= 180


def test_the_search_loses_against_no_sequence_of_replies() -> None:
    """Not sampled: after every opening every reply, so that full points never depend on luck."""
    (case,) = alphago.choose_move.cases(PUBLIC)
    simulations, c = case.inputs["simulations"], case.inputs["c"]
    known: dict[State, State] = {}

    def mine(state: State) -> None:
        assert tictactoe.solve(state) >= 0
        if tictactoe.outcome(state) is None and state not in known:
            evaluate = adapters_alphago.habit
            move = reference_move(state, evaluate, simulations, c)
            known[state] = tictactoe.play(state, move)
            theirs(known[state])

    def theirs(state: State) -> None:
        for move in tictactoe.moves(state):
            mine(tictactoe.play(state, move))

    mine(tictactoe.START)
    theirs(tictactoe.START)
    for first in tictactoe.moves(tictactoe.START):
        after = tictactoe.play(tictactoe.START, first)
        for second in tictactoe.moves(after):
            if tictactoe.solve(state := tictactoe.play(after, second)) >= 0:
                mine(state)
    assert len(known) > 900


def reference_move(state: State, evaluate: Any, simulations: Any, c: Any) -> int:
    return int(alphago._Search().visits(state, evaluate, simulations, c).argmax())


def test_the_solution_searches_as_the_reference(solved: dict[str, Any]) -> None:
    evaluate = adapters_alphago.habit
    for moves in ([], [0], [0, 4], [0, 4, 8], [1, 3, 5, 7]):
        state = tictactoe.START
        for move in moves:
            state = tictactoe.play(state, move)
        visits = solved["mcts"](tictactoe, state, evaluate, 200, 1.5)
        assert int(visits.argmax()) == reference_move(state, evaluate, 200, 1.5)
        assert visits.sum() == 199


def test_perfect_games_have_full_points_and_are_of_every_length() -> None:
    case, games = drawn_game()
    assert scored(case, games) == 1
    openings = case.inputs["openings"]
    assert isinstance(openings, Tensor)
    assert {int((opening >= 0).sum()) for opening in openings} == {0, 1, 2}


@pytest.mark.parametrize("how", ["lost", "opponent's move changed", "opening changed", "not legal", "cut off"])
def test_games_are_played_again_by_the_judge(how: str) -> None:
    case, games = drawn_game()
    game = next(g for g, game in enumerate(games) if g % 3 == 2 and game[6] >= 0)
    moves = games[game]
    if how == "lost":
        games[game] = lost_game(case, game)
    elif how == "opponent's move changed":
        state = tictactoe.START
        for move in moves[:3]:
            state = tictactoe.play(state, move)
        moves[3] = next(m for m in tictactoe.moves(state) if m != moves[3])
    elif how == "opening changed":
        moves[0], moves[2] = moves[2], moves[0]
    elif how == "not legal":
        moves[4] = moves[0]
    else:
        moves[5:] = [-1] * 4
    assert scored(case, games) == pytest.approx(11 / 12)


def lost_game(case: Case, game: int) -> list[int]:
    """The moves of a game in which the worst is played that is legal."""

    def worst(rules: Any, state: State, evaluate: Any, simulations: int, c: float) -> int:
        return min(tictactoe.moves(state), key=lambda move: -tictactoe.solve(tictactoe.play(state, move)))

    inputs = alphago.choose_move.sent_inputs(case)
    moves = adapters_alphago.games(worst, **inputs)[game]  # type: ignore[arg-type]
    state = tictactoe.START
    for move in [move for move in moves if move >= 0]:
        state = tictactoe.play(state, move)
    assert tictactoe.outcome(state) == -1
    return moves


def outcome(function: Callable[..., Any], question: Any) -> tuple[Verdict, Outcome]:
    cases = list(question.cases(PUBLIC))
    given = [attempt(function, question.adapter, question.sent_inputs(c), question.outputs, ()) for c in cases]
    return judge(question, cases, given), given[0]


@pytest.mark.skipif(sys.platform != "linux", reason="grading needs Linux")
def test_the_child_has_the_rules_and_nothing_else_of_rl() -> None:
    """The search through a real worker; a neighbour of the rules is not there, whatever it will hold."""
    question = replace(alphago.mcts, core=1, edges=())
    (case,) = question.cases(PUBLIC)
    worker = Worker(alphago.OPENING)
    try:
        work = worker.ask(question, list(solutions("alphago").values()), [case])
        assert judge(question, [case], work.outcomes).passed
        spy = "def mcts(*_):\n    from dl780.rl.tictactoe import moves\n    import dl780.rl.mcts\n"
        (outcome,) = worker.ask(question, [spy], [case]).outcomes
        assert "No module named 'dl780.rl.mcts' while grading" in outcome.error
    finally:
        worker.close()


def test_a_random_player_loses_points() -> None:
    source = torch.Generator().manual_seed(0)

    def anywhere(game: Any, state: State, *_: Any) -> int:
        legal: list[int] = game.moves(state)
        return legal[int(torch.randint(len(legal), (), generator=source))]

    verdict, _ = outcome(anywhere, alphago.choose_move)
    assert verdict.points == 0
    assert "of the games against a perfect player are not lost, 100.0% are expected" in verdict.outputs[0].message


@pytest.mark.parametrize(("move", "words"), [("e5", "returned a str"), (None, "returned a NoneType"), (11, "no legal")])
def test_a_move_that_is_none_earns_a_sentence(move: Any, words: str) -> None:
    verdict, given = outcome(lambda *_: move, alphago.choose_move)
    assert words in given.error
    assert verdict.points == 0


def test_moves_may_be_tensors() -> None:
    assert adapters_alphago._number(torch.tensor(3)) == 3
    with pytest.raises(WrongOutputs):
        adapters_alphago._number(torch.tensor([1, 2]))


def test_a_drawn_network_says_a_prior_over_all_moves_and_a_value() -> None:
    P, v = adapters_alphago.one_layer(torch.eye(9), torch.ones(9))((1, -1, 0, 0, 0, 0, 0, 0, 0))
    assert P.shape == (9,)
    assert P.sum().item() == pytest.approx(1)
    assert v == 0
    P, v = adapters_alphago.habit(tictactoe.START)
    assert P.argmax() == 4
    assert P.sum().item() == pytest.approx(1)
