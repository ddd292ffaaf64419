"""The search against the lab's, tree by tree, and what a tree's arrays owe each other."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from dl780.release import solutions
from dl780.rl import tictactoe
from dl780.rl.alphago.games import Game, game_of
from dl780.rl.alphago.players import uniform
from dl780.rl.alphago.search import Forest, Settings

Guess = Callable[[Game], Any]


def forest_of(game: Game, evaluate: Any, openings: list[list[int]], seed: int = 0, **settings: Any) -> Forest:
    """Trees of the states after some openings."""
    states = []
    for moves in openings:
        state = game.start()
        for move in moves:
            state.apply_action(move)
        states.append(state)
    return Forest(states, evaluate, Settings(**settings), np.random.default_rng(seed))


OPENINGS = [[], [4], [0, 4], [0, 4, 8], [1, 0, 4]]


def lab_visits(game: Game, evaluate: Any, opening: list[int], simulations: int, c: float) -> list[int]:
    """Visits by the lab's solution."""
    space: dict[str, Any] = {"torch": torch}
    for name in ("puct", "select_leaf", "backup", "mcts"):
        exec(solutions("alphago")[name], space)
    state = tictactoe.START
    for move in opening:
        state = tictactoe.play(state, move)

    def guess(board: tictactoe.State) -> tuple[torch.Tensor, float]:
        planes = np.array([[m == 1 for m in board], [m == -1 for m in board]], dtype=np.uint8).reshape(1, 2, 3, 3)
        logits, v = evaluate([planes])
        return torch.from_numpy(logits[0]).softmax(0), float(v[0])

    visits: list[int] = space["mcts"](tictactoe, state, guess, simulations, c).tolist()
    return visits


def test_visits_are_those_of_the_lab(ttt: Game, guess: Guess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five trees side by side, each as the lab searches it alone."""
    evaluate = guess(ttt)
    found = forest_of(ttt, evaluate, OPENINGS, simulations=120, c=1.3).search()
    monkeypatch.setattr(Game, "planes", lambda self, states: np.concatenate(states))
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        expected = [lab_visits(ttt, evaluate, opening, 120, 1.3) for opening in OPENINGS]
    finally:
        torch.set_default_dtype(before)
    assert found.tolist() == expected
    assert (found.sum(1) == 119).all()


@pytest.mark.parametrize("leaves", [1, 4, 7])
@pytest.mark.parametrize("name", ["tic_tac_toe", "connect_four", "go(board_size=5)"])
def test_visits_and_values_add_up(name: str, leaves: int, guess: Guess) -> None:
    """No virtual loss is left: a node's W is its own values less its children's, its N its own visits and theirs."""
    game = game_of(name)
    evaluate = guess(game)
    forest = forest_of(game, evaluate, [[], [0], [1, 2]], simulations=90, leaves=leaves, noise=0.25)
    forest.search()
    for node in range(forest.size):
        if not forest.count[node]:
            continue
        children = slice(forest.first[node], forest.first[node] + forest.count[node])
        assert (forest.parent[children] == node).all()
        assert forest.P[children].sum() == pytest.approx(1)
        assert forest.move[children].tolist() == forest.states[node].legal_actions()
        own = forest.N[node] - forest.N[children].sum()
        assert own >= 1
        assert own == 1 or leaves > 1
        _, v = evaluate([forest.states[node]])
        assert forest.W[node] == pytest.approx(own * v[0] - forest.W[children].sum())
    assert forest.N[forest.roots].tolist() == [90] * 3


def test_virtual_loss_sends_the_leaves_of_one_pass_apart(guess: Guess) -> None:
    game = game_of("go", 5)
    evaluate = guess(game)
    for leaves, most in ((1, 64), (8, 64)):
        forest = forest_of(game, evaluate, [[]], simulations=64, leaves=leaves)
        forest.search()
        assert most * 0.6 <= forest.evaluations <= most


def test_a_win_at_once_is_found_and_a_threat_is_met(ttt: Game) -> None:
    forest = forest_of(ttt, uniform(ttt), [[0, 3, 1, 4], [0, 3, 1]], simulations=200)
    visits = forest.search()
    assert visits[0].argmax() == 2  # the third of a line
    assert visits[1].argmax() == 2  # the opponent's
    assert forest.values()[0] > 0.9


def test_a_subtree_goes_on_where_it_was(ttt: Game, guess: Guess) -> None:
    """Advanced trees have the visits of their children, states that the moves lead to, and search on soundly."""
    forest = forest_of(ttt, guess(ttt), OPENINGS, simulations=80)
    visits, values = forest.search(), []
    moves, trees = visits.argmax(1), np.array([4, 0, 2])
    for tree in trees:
        root = forest.roots[tree]
        child = forest.first[root] + list(forest.move[forest.first[root] :]).index(moves[tree])
        values.append((forest.N[child], forest.W[child]))
    expected = [[*OPENINGS[tree], int(moves[tree])] for tree in trees]
    forest.advance(trees, moves[trees])
    assert [(forest.N[root], forest.W[root]) for root in forest.roots] == values
    assert [state.history() for state in forest.root_states()] == expected
    before = forest.N[forest.roots].copy()
    again = forest.search()
    assert (forest.N[forest.roots] - before == 80).all()
    assert (again.sum(1) == before - 1 + 80).all()
    for node, state in enumerate(forest.states):
        if state is not None and forest.parent[node] >= 0:
            above = forest.states[forest.parent[node]]
            assert state.history() == [*above.history(), forest.move[node]]


def test_trees_do_not_disturb_each_other(ttt: Game, guess: Guess) -> None:
    together = forest_of(ttt, guess(ttt), OPENINGS, simulations=50, leaves=3).search()
    alone = [forest_of(ttt, guess(ttt), [opening], simulations=50, leaves=3).search()[0] for opening in OPENINGS]
    assert together.tolist() == [visits.tolist() for visits in alone]


def test_noise_is_a_share_of_the_roots_priors(ttt: Game, guess: Guess) -> None:
    plain, noisy = (
        forest_of(ttt, guess(ttt), OPENINGS, simulations=1, noise=noise, alpha=0.5) for noise in (0.0, 0.25)
    )
    plain.search()
    noisy.search()
    added = (noisy.priors() - 0.75 * plain.priors()) / 0.25
    legal = plain.priors() > 0
    assert np.allclose(added.sum(1), 1)
    assert (added[legal] >= -1e-12).all()
    assert np.allclose(added[~legal], 0)


def test_noise_has_the_spread_of_its_concentration() -> None:
    """Var of one of k shares of Dirichlet(α): (1/k)(1 - 1/k) / (kα + 1)."""
    game = game_of("connect_four")
    forest = forest_of(game, uniform(game), [[]] * 4000, simulations=1, noise=1.0, alpha=0.3)
    forest.search()
    assert forest.priors()[:, 3].var() == pytest.approx(1 / 7 * 6 / 7 / (7 * 0.3 + 1), rel=0.1)


def test_lambda_mixes_the_value_with_random_games(ttt: Game) -> None:
    """One simulation is the root alone: its value is (1 - λ) v + λ z, and z of a won position is mostly a win."""

    def sure(states: Any) -> Any:
        return np.zeros((len(states), 9)), np.full(len(states), 0.5)

    won = [[0, 3, 1, 4, 8, 6]] * 400  # X to move wins at 2, O at 5: by random moves X wins at least a third
    for share in (0.0, 0.5, 1.0):
        forest = forest_of(ttt, sure, won, simulations=1, rollouts=share)
        forest.search()
        values = forest.W[forest.roots]
        ends = {(1 - share) * 0.5 + share * z for z in (-1.0, 0.0, 1.0)}
        assert {round(v, 9) for v in values} <= {round(end, 9) for end in ends}
        assert len(set(values)) > 1 or share == 0
    assert (values == 1).mean() > 1 / 3


def test_a_tree_that_was_never_searched_cannot_be_advanced(ttt: Game) -> None:
    with pytest.raises(ValueError, match="have not been searched"):
        forest_of(ttt, uniform(ttt), [[]]).advance(np.array([0]), np.array([4]))
