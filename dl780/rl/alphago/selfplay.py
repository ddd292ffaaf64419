"""Games that a search plays against itself, and the positions that a network learns from."""

from collections.abc import Callable
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dl780.rl.alphago.games import Array, Game, State, outcome
from dl780.rl.alphago.search import Evaluate, Forest, Settings


class Positions(NamedTuple):
    """Positions (n, …): what the player to move saw, the policy to learn, and how the game ended for him."""

    X: Tensor  # (n, c, h, w) uint8
    Pi: Tensor  # (n, A)
    z: Tensor  # (n,)

    def take(self, index: Tensor) -> "Positions":
        """Some of them."""
        return Positions(self.X[index], self.Pi[index], self.z[index])


def join(parts: list[Positions]) -> Positions:
    """All of them in one."""
    return Positions(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


def visit_policy(N: Array, tau: float) -> Array:
    """pi ∝ N^(1/τ) of each row of visits (G, A); at τ = 0 the most visited move, and all of them where several are."""
    share = N / N.max(1, keepdims=True)
    power = (share == 1).astype(np.float64) if tau == 0 else share ** (1 / tau)
    policy: Array = power / power.sum(1, keepdims=True)
    return policy


def draw(policy: Array, generator: Any) -> Array:
    """A move by each row's probabilities."""
    below = np.cumsum(policy, 1)
    chosen: Array = (below < generator.random((len(policy), 1)) * below[:, -1:]).sum(1)
    return chosen


class Record:
    """Positions of games that are under way."""

    def __init__(self, game: Game) -> None:
        self.game = game
        self.X: list[Array] = []
        self.Pi: list[Array] = []
        self.of: list[Array] = []  # the game and the player of each position
        self.ends: dict[int, float] = {}  # game -> how it ended for who began

    def add(self, states: list[State], policy: Array, games: Array) -> None:
        """One position of each of several games, and the policy that is to be learned there."""
        self.X.append(self.game.planes(states))
        self.Pi.append(policy.astype(np.float32))
        self.of.append(np.stack([games, [state.current_player() for state in states]], 1))

    def end(self, game: int, state: State) -> None:
        """A game is over."""
        self.ends[game] = outcome(state, 0)

    def positions(self) -> Positions:
        """All positions, each with the end of its game."""
        of = np.concatenate(self.of)
        z = np.array([self.ends[int(game)] for game in of[:, 0]]) * (1 - 2 * of[:, 1])
        X, Pi = torch.from_numpy(np.concatenate(self.X)), torch.from_numpy(np.concatenate(self.Pi))
        return Positions(X, Pi, torch.from_numpy(z).float())


def self_play(
    game: Game, evaluate: Evaluate, settings: Settings, games: int, exploring: float, generator: Any
) -> tuple[Positions, int]:
    """Games side by side, every move searched in what the last search left of the tree.

    The first `exploring` moves of a game are drawn by visits; later ones are the most visited. The policy to learn is
    that of the visits at τ = 1. Returns the positions, and how often the network was asked.
    """
    forest = Forest([game.start() for _ in range(games)], evaluate, settings, generator)

    def choose(ply: int) -> tuple[Array, Array]:
        policy = visit_policy(visits := forest.search(), 1.0)
        return policy, draw(policy, generator) if ply < exploring else visits.argmax(1)

    return _play(game, forest, choose), forest.evaluations


def sampled_play(game: Game, evaluate: Evaluate, games: int, generator: Any) -> tuple[Positions, int]:
    """Games without a search, moves drawn from the network's policy; the policy to learn is the move that was played.

    With z it is what the policy gradient of Silver et al. 2016 takes: E[z ∂ log p(a | s)].
    """
    forest = Forest([game.start() for _ in range(games)], evaluate, Settings(simulations=1), generator)

    def choose(ply: int) -> tuple[Array, Array]:
        forest.search()
        moves = draw(forest.priors(), generator)
        return np.eye(game.moves)[moves], moves

    return _play(game, forest, choose), forest.evaluations


def _play(game: Game, forest: Forest, choose: Callable[[int], tuple[Array, Array]]) -> Positions:
    """Play the games of a forest to their ends; choose(ply) gives the policy to learn and the moves to play."""
    record, going = Record(game), np.arange(len(forest.roots))
    for ply in count():
        policy, moves = choose(ply)
        states = forest.root_states()
        record.add(states, policy, going)
        following = [state.child(int(move)) for state, move in zip(states, moves, strict=True)]
        over = np.array([state.is_terminal() for state in following])
        for i in np.flatnonzero(over):
            record.end(int(going[i]), following[i])
        if over.all():
            return record.positions()
        forest.advance(np.flatnonzero(~over), moves[~over])
        going = going[~over]
    raise AssertionError("every game ends")


def turned(positions: Positions, game: Game, generator: torch.Generator) -> Positions:
    """Each position in one of the board's symmetric forms, drawn for it; the policy turns with the board."""
    squares, moves = (torch.from_numpy(table) for table in game.symmetries)
    form = torch.randint(len(squares), (len(positions.X),), generator=generator)
    X = positions.X.flatten(2)
    X = X.gather(2, squares[form].unsqueeze(1).expand(-1, X.shape[1], -1)).view_as(positions.X)
    return Positions(X, positions.Pi.gather(1, moves[form]), positions.z)
