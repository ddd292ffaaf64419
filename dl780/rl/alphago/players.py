"""Who plays: a network with a search, a plain search, OpenSpiel's own, a perfect player, chance."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from dl780 import UserError
from dl780.data import generator_for
from dl780.models.alphago import folded
from dl780.rl import tictactoe
from dl780.rl.alphago.games import Array, Game, State
from dl780.rl.alphago.search import Evaluate, Forest, Settings
from dl780.train.machine import Machine

KEPT = 200_000  # positions whose evaluation is remembered
UCT = 2.0  # OpenSpiel's exploration constant in its own examples
KINDS = ("random", "perfect", "plain", "openspiel")


class Player(Protocol):
    """Chooses moves in many games at a time."""

    def __call__(self, states: Sequence[State], generator: Any) -> list[int]:
        """A legal move for each state, none of which is over."""


def rng(seed: int, *keys: int | str) -> Any:
    """numpy's generator that a seed and keys determine."""
    return np.random.default_rng(generator_for(seed, *keys).initial_seed())


class Evaluator:
    """A network as the search asks it: logits (B, A) and values (B,) of states; what was asked before is remembered."""

    def __init__(self, game: Game, model: nn.Module, machine: Machine) -> None:
        """Of the weights as they are now."""
        self.game, self.machine, self.model = game, machine, folded(model).to(memory_format=torch.channels_last)
        self.known: dict[bytes, tuple[Array, float]] = {}

    def __call__(self, states: Sequence[State]) -> tuple[Array, Array]:
        """One pass for all states not known yet."""
        X = self.game.planes(states)
        keys = [x.tobytes() for x in X]
        if new := {key: i for i, key in enumerate(keys) if key not in self.known}:
            if len(self.known) > KEPT:
                self.known.clear()
                new = {key: i for i, key in enumerate(keys)}
            logits, values = self._pass(X[list(new.values())])
            self.known.update(zip(new, zip(logits, values.tolist(), strict=True), strict=True))
        found = [self.known[key] for key in keys]
        return np.array([logits for logits, _ in found]), np.array([v for _, v in found])

    def _pass(self, X: Array) -> tuple[Array, Array]:
        with torch.inference_mode(), self.machine.autocast():
            logits, v = self.model(self.machine.place(torch.from_numpy(X).to(self.machine.device).float(), True))
        return logits.float().cpu().numpy(), v.float().cpu().numpy()


def uniform(game: Game) -> Evaluate:
    """An evaluation that knows nothing: all moves alike, value 0."""
    return lambda states: (np.zeros((len(states), game.moves)), np.zeros(len(states)))


def searcher(evaluate: Evaluate, settings: Settings) -> Player:
    """The most visited move of a fresh search; without simulations the move of the largest prior."""

    def choose(states: Sequence[State], generator: Any) -> list[int]:
        forest = Forest(states, evaluate, settings, generator)
        visits = forest.search()
        shares = visits if settings.simulations > 1 else forest.priors()
        chosen: list[int] = shares.argmax(1).tolist()
        return chosen

    return choose


def plain(game: Game, simulations: int) -> Player:
    """A search that knows nothing: like priors, values from games of random moves."""
    return searcher(uniform(game), plain_settings(simulations))


def plain_settings(simulations: int) -> Settings:
    """Of a search without a network: λ = 1."""
    return Settings(simulations=simulations, rollouts=1.0)


def at_random(states: Sequence[State], generator: Any) -> list[int]:
    """Any legal move."""
    return [int(generator.choice(state.legal_actions())) for state in states]


def perfect(states: Sequence[State], generator: Any) -> list[int]:
    """Tic-tac-toe: any of the moves that keep the value."""
    return [int(generator.choice(tictactoe.perfect_moves(_ours(state)))) for state in states]


def openspiel(game: Game, simulations: int) -> Player:
    """OpenSpiel's MCTS in C++ as its examples set it up: UCT, a random game at each leaf, solved states backed up."""
    import pyspiel

    def choose(states: Sequence[State], generator: Any) -> list[int]:
        seed = int(generator.integers(2**31))
        evaluator = pyspiel.RandomRolloutEvaluator(1, seed)
        bot = pyspiel.MCTSBot(game.rules, evaluator, UCT, simulations, 1000, True, seed, False)
        return [int(bot.step(state)) for state in states]

    return choose


def player_of(text: str, game: Game) -> Player:
    """random, perfect, plain:SIMULATIONS or openspiel:SIMULATIONS. Raises `UserError`."""
    kind, _, number = text.partition(":")
    made: dict[str, Callable[[int], Player]] = {
        "random": lambda _: at_random,
        "perfect": lambda _: perfect,
        "plain": lambda n: plain(game, n),
        "openspiel": lambda n: openspiel(game, n),
    }
    if kind not in made or (kind in ("plain", "openspiel")) != (number.isdecimal() and int(number) > 0):
        raise UserError(f"a player is a run's folder, random, perfect, plain:N or openspiel:N simulations; not {text}")
    if kind == "perfect" and game.kind != "tic_tac_toe":
        raise UserError(f"nobody plays {game.name} perfectly: name another opponent, such as openspiel:1000")
    return made[kind](int(number or 0))


def without_noise(settings: Settings) -> Settings:
    """The same search as it plays in earnest."""
    return replace(settings, noise=0.0)


def _ours(state: State) -> tictactoe.State:
    """The lab's state of a game of OpenSpiel's."""
    found = tictactoe.START
    for move in state.history():
        found = tictactoe.play(found, move)
    return found
