"""Simulations a second: this search and OpenSpiel's own Python AlphaZero search, with the same network, in one run."""

import sys
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import tyro
from measure import apart
from report import about, put, table

NETWORK = dict(maps=32, blocks=2)
WORDS = """\
Games of self-play from the first move to the last, {simulations} simulations a move, Dirichlet noise, moves drawn by
visits; one thread. OpenSpiel: `mcts.MCTSBot` with `puct_value` and `AlphaZeroEvaluator`, as its `alpha_zero.py` sets
them up (one position at a time, evaluations cached; a fresh tree each move), our network in the place of its own; jax,
which that evaluator imports to clear caches, is left out. dl780: so many games side by side, subtrees kept; every
simulation counts one, whether the network was asked or the answer was known. Rates are of processor time."""
GOAL = 3


def main(seconds: float = 20.0, simulations: int = 100) -> None:
    """Measure both and write their section of docs/results.md.

    Args:
        seconds: of processor time that OpenSpiel's search is given for each game
        simulations: for each move
    """
    rows = [apart(one, name, simulations, seconds) for name in ("tic_tac_toe", "connect_four", "go(board_size=5)")]
    head = ("game", "OpenSpiel", "1 game", "16 games", "128 games", "128 games / OpenSpiel")
    met = "met" if min(row[-1] for row in rows) >= GOAL else "not met"
    told = [(row[0], *(f"{rate:,.0f}" for rate in row[1:-1]), f"{row[-1]:.1f}") for row in rows]
    parts = [
        "## AlphaGo's search, beside OpenSpiel's",
        about("make bench-alphago"),
        WORDS.format(simulations=simulations),
    ]
    parts += [f"Simulations a second:\n\n{table(head, told)}", f"The goal is {GOAL} times OpenSpiel's rate: {met}."]
    put(section := "\n\n".join(parts))
    print(section)


def one(name: str, simulations: int, seconds: float) -> tuple[Any, ...]:
    """A game's rates, OpenSpiel's first, and the quotient of the last and the first."""
    import torch

    from dl780.models import get_model
    from dl780.rl.alphago.games import game_of

    torch.set_num_threads(1)
    game = game_of(name)
    planes, rows, columns = game.shape
    model = get_model("alphago", 0, planes=planes, rows=rows, columns=columns, moves=game.moves, **NETWORK)
    theirs = openspiel(game, model, simulations, seconds)
    ours = [dl780(game, model, simulations, games) for games in (1, 16, 128)]
    return name, theirs, *ours, ours[-1] / theirs


def dl780(game: Any, model: Any, simulations: int, games: int) -> float:
    """Simulations a second of this package's self-play."""
    import torch

    from dl780.rl.alphago.players import Evaluator
    from dl780.rl.alphago.search import Settings
    from dl780.rl.alphago.selfplay import self_play
    from dl780.train.machine import Machine

    evaluator = Evaluator(game, model, Machine(torch.device("cpu"), "fp32"))
    settings = Settings(simulations, noise=0.25, alpha=10 / game.moves)
    begin = time.process_time()
    positions, _ = self_play(game, evaluator, settings, games, 1000, np.random.default_rng(0))
    return simulations * len(positions.X) / (time.process_time() - begin)


def openspiel(game: Any, model: Any, simulations: int, seconds: float) -> float:
    """Simulations a second of OpenSpiel's search, which asks for one position at a time."""
    import torch

    sys.modules.setdefault("jax", SimpleNamespace(clear_caches=lambda: None))  # type: ignore[arg-type]
    from open_spiel.python.algorithms import mcts
    from open_spiel.python.algorithms.alpha_zero.evaluator import AlphaZeroEvaluator

    from dl780.models.alphago import folded

    network, state, random = folded(model), [game.start()], np.random.RandomState(0)

    class Model:
        """What the evaluator asks: value and policy of the state that is looked at."""

        def inference(self, observation: Any, mask: Any) -> tuple[float, Any]:
            with torch.inference_mode():
                logits, v = network(torch.from_numpy(self.planes(observation)).unsqueeze(0))
                logits[0, ~torch.from_numpy(np.asarray(mask, dtype=bool))] = -torch.inf
                return float(v), logits[0].softmax(0).numpy()

        def planes(self, observation: Any) -> Any:
            """The first planes of OpenSpiel's tensor: as many as our network takes, at the same cost."""
            return np.asarray(observation, np.float32).reshape(-1, game.rows, game.columns)[: game.shape[0]]

    bot = mcts.MCTSBot(
        game.rules, 1.5, simulations, AlphaZeroEvaluator(game.rules, Model()), solve=False, random_state=random,
        dirichlet_noise=(0.25, 10 / game.moves), child_selection_fn=mcts.SearchNode.puct_value,
        dont_return_chance_node=True,
    )  # fmt: skip
    begin, moves = time.process_time(), 0
    while time.process_time() - begin < seconds:
        root = bot.mcts_search(state[0])
        visits = np.array([child.explore_count for child in root.children], dtype=float)
        state[0].apply_action(root.children[random.choice(len(visits), p=visits / visits.sum())].action)
        moves += 1
        if state[0].is_terminal():
            state[0] = game.start()
    return simulations * moves / (time.process_time() - begin)


if __name__ == "__main__":
    tyro.cli(main)
