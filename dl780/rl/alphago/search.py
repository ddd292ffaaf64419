"""Tree search for many games at a time: PUCT, whose leaves are evaluated in one batch.

The trees of all games stand in the lab's arrays: visits N, sums of values W for the player to move at the node, the
prior P of the move that leads to it, and `parent`. The children of a node follow one another: `first` and `count` say
where. A step of the search takes all games one level down at once, so that a simulation costs a share of a few numpy
calls, not a walk in Python.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dl780.rl.alphago.games import Array, State, outcome

Evaluate = Callable[[Sequence[State]], tuple[Array, Array]]  # states -> logits of all moves (B, A), values (B,)
ARRAYS = {
    "N": np.int64, "W": np.float64, "P": np.float64, "over": np.float64,
    "parent": np.int64, "move": np.int64, "first": np.int64, "count": np.int64,
}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """How a search goes."""

    simulations: int = 64  # for each move, on top of what a subtree brings along
    c: float = 1.5  # how much exploration counts
    noise: float = 0.0  # share of Dirichlet noise in the priors of the root
    alpha: float = 0.3  # its concentration; about 10 divided by the number of moves
    leaves: int = 1  # of one tree that are evaluated together; from the second on by virtual loss
    rollouts: float = 0.0  # λ: a leaf is worth (1 - λ) v + λ z, z from a game of random moves (AlphaGo 2016)


class Forest:
    """Search trees of several games, each with its root; node numbers grow from parent to child."""

    def __init__(self, states: Sequence[State], evaluate: Evaluate, settings: Settings, generator: Any) -> None:
        """A tree of the root alone for each state; none of the games may be over."""
        self.evaluate, self.settings, self.generator = evaluate, settings, generator
        self.states: list[State | None] = []
        self.size, self.evaluations = 0, 0
        self.arrays = {name: np.zeros(0, dtype=kind) for name, kind in ARRAYS.items()}
        self._grow(1)
        self.roots = self.add(states)

    def add(self, states: Sequence[State]) -> Array:
        """Trees of roots alone; their numbers."""
        return self._append(np.full(len(states), -1), np.full(len(states), -1), np.ones(len(states)), list(states))

    def root_states(self) -> list[State]:
        """The state at each root."""
        return [self.states[root] for root in self.roots]

    def search(self) -> Array:
        """Simulate in every tree; visits of the moves at each root, (G, A) int64.

        As in the lab, the simulation that finds a root without children only hangs them below it.
        """
        left = self.settings.simulations
        fresh = self.count[self.roots] == 0
        if fresh.any():
            self._simulate(self.roots[fresh], 1)
        if self.settings.noise:
            self._add_noise()
        if fresh.any() and not fresh.all() and left > 0:
            self._simulate(self.roots[~fresh], 1)
        left -= int(fresh.any())
        while left > 0:
            self._simulate(self.roots, leaves := min(self.settings.leaves, left))
            left -= leaves
        return self.visits()

    def visits(self) -> Array:
        """How often each move of each root was visited, (G, A)."""
        return self._of_roots(self.N, np.int64)

    def priors(self) -> Array:
        """Priors of each root's moves, noise included, (G, A)."""
        return self._of_roots(self.P, np.float64)

    def values(self) -> Array:
        """The mean value of each root's visits, for its player to move, (G,)."""
        values: Array = self.W[self.roots] / np.maximum(1, self.N[self.roots])
        return values

    def advance(self, trees: Array, moves: Array) -> None:
        """Keep the trees named, each from the child on that a move leads to; all else is forgotten."""
        below = self.first[self.roots[trees]]
        if (unknown := self.count[self.roots[trees]] == 0).any():
            raise ValueError(f"trees {np.flatnonzero(unknown)} have not been searched")
        for i, move in enumerate(moves):
            children = self.move[below[i] : below[i] + self.count[self.roots[trees[i]]]]
            below[i] += int(np.flatnonzero(children == move)[0])
        for root in below:
            self._state(int(root))
        self._keep(below)

    def _simulate(self, roots: Array, leaves: int) -> None:
        """So many simulations in each tree: leaf by leaf, each with a virtual loss; one evaluation; values go up."""
        found = []
        for i in range(leaves):
            found.append(self._descend(roots))
            if i + 1 < leaves:
                self._up(found[-1], np.ones(len(roots)), 1, alternate=False)
        for leaf in found[:-1]:
            self._up(leaf, -np.ones(len(roots)), -1, alternate=False)
        known: dict[int, float] = {}
        new = [int(leaf) for leaf in np.unique(np.concatenate(found)) if self._is_new(int(leaf))]
        if new:
            known = dict(zip(new, self._expand(new), strict=True))
        for leaf in found:
            values = self.over[leaf]
            if known:
                values = np.array([known.get(int(i), v) for i, v in zip(leaf, values, strict=True)])
            self._up(leaf, values, 1)

    def _descend(self, roots: Array) -> Array:
        """From each root the leaf that the scores lead to."""
        at = roots.copy()
        below = np.flatnonzero(self.count[at])
        while len(below):
            node = at[below]
            at[below] = self.first[node] + self._scores(node).argmax(1)
            below = below[self.count[at[below]] > 0]
        return at

    def _scores(self, node: Array) -> Array:
        """PUCT of the children of each node, (b, k); -∞ where a node has fewer than k."""
        count = self.count[node][:, None]
        place = np.arange(count.max())
        children, there = self.first[node][:, None] + place, place < count
        N = self.N[children]
        root = np.sqrt(np.maximum(1, (N * there).sum(1, keepdims=True)))
        Q = -self.W[children] / np.maximum(1, N)
        scores: Array = Q + self.settings.c * self.P[children] * root / (1 + N)
        scores[~there] = -np.inf
        return scores

    def _up(self, leaf: Array, v: Array, visits: int, alternate: bool = True) -> None:
        """Visits and values on the way from each leaf to its root; no two leaves are of one tree."""
        while len(leaf):
            self.N[leaf] += visits
            self.W[leaf] += v
            leaf = self.parent[leaf]
            below = leaf >= 0
            leaf, v = leaf[below], (-v if alternate else v)[below]

    def _is_new(self, node: int) -> bool:
        """Whether a leaf is still to be evaluated; where its game is over, its value is kept instead."""
        if not np.isnan(self.over[node]):
            return False
        state = self._state(node)
        if not state.is_terminal():
            return True
        above = int(self.parent[node])
        self.over[node] = outcome(state, 1 - self._state(above).current_player())
        return False

    def _state(self, node: int) -> State:
        if (state := self.states[node]) is None:
            state = self.states[node] = self._state(int(self.parent[node])).child(int(self.move[node]))
        return state

    def _expand(self, leaves: Sequence[int]) -> Array:
        """Hang the legal moves below leaves; the leaves' values (B,)."""
        states = [self._state(leaf) for leaf in leaves]
        logits, values = self.evaluate(states)
        self.evaluations += len(states)
        legal = [state.legal_actions() for state in states]
        count = np.array([len(moves) for moves in legal])
        moves, rows = np.concatenate(legal), np.repeat(np.arange(len(leaves)), count)
        begin = np.cumsum(count) - count
        P = logits[rows, moves].astype(np.float64)
        P = np.exp(P - np.maximum.reduceat(P, begin)[rows])
        P /= np.add.reduceat(P, begin)[rows]
        nodes = np.array(leaves)
        new = self._append(nodes[rows], moves, P, [None] * len(rows))
        self.first[nodes], self.count[nodes] = new[begin], count
        if self.settings.rollouts:
            z = np.array([self._rollout(state) for state in states])
            values = (1 - self.settings.rollouts) * values + self.settings.rollouts * z
        return np.asarray(values, dtype=np.float64)

    def _rollout(self, state: State) -> float:
        """How a game of random moves ends, for the player to move."""
        mover, state = state.current_player(), state.clone()
        draws: Iterator[float] = iter(())
        while not state.is_terminal():
            if (draw := next(draws, None)) is None:
                draws = iter(self.generator.random(64))
                draw = next(draws)
            legal = state.legal_actions()
            state.apply_action(legal[int(draw * len(legal))])
        return outcome(state, mover)

    def _add_noise(self) -> None:
        """P <- (1 - ε) P + ε Dirichlet(α) for the moves of every root."""
        count = self.count[self.roots]
        begin = np.cumsum(count) - count
        rows = np.repeat(np.arange(len(count)), count)
        children = self.first[self.roots][rows] + np.arange(len(rows)) - begin[rows]
        draws = self.generator.standard_gamma(self.settings.alpha, len(rows)) + 1e-30
        draws /= np.add.reduceat(draws, begin)[rows]
        self.P[children] = (1 - self.settings.noise) * self.P[children] + self.settings.noise * draws

    def _of_roots(self, entries: Array, kind: Any) -> Array:
        found = np.zeros((len(self.roots), self._state(int(self.roots[0])).num_distinct_actions()), dtype=kind)
        for row, root in zip(found, self.roots, strict=True):
            children = slice(self.first[root], self.first[root] + self.count[root])
            row[self.move[children]] = entries[children]
        return found

    def _append(self, parent: Array, move: Array, P: Array, states: list[State | None]) -> Array:
        new = np.arange(self.size, self.size + len(P))
        self.size += len(P)
        self._grow(self.size)
        self.parent[new], self.move[new], self.P[new] = parent, move, P
        self.N[new], self.W[new], self.first[new], self.count[new], self.over[new] = 0, 0.0, 0, 0, np.nan
        self.states += states
        return new

    def _keep(self, roots: Array) -> None:
        """Forget every node that is not at or below one of the roots, and number the others anew."""
        kept, level = [roots], roots
        while len(level := level[self.count[level] > 0]):
            count = self.count[level]
            begin = np.cumsum(count) - count
            rows = np.repeat(np.arange(len(level)), count)
            level = self.first[level][rows] + np.arange(len(rows)) - begin[rows]
            kept.append(level)
        old = np.sort(np.concatenate(kept))
        new = np.full(self.size + 1, -1)  # the last entry stands for no parent
        new[old] = np.arange(len(old))
        self.states = [self.states[i] for i in old]
        self.size = len(old)
        self.arrays = {name: array[old] for name, array in self.arrays.items()}
        self.arrays["parent"] = new[self.arrays["parent"]]
        self.arrays["first"] = new[self.arrays["first"]]
        self._grow(self.size)
        self.roots = new[roots]
        self.parent[self.roots] = -1

    def _grow(self, size: int) -> None:
        """Room for so many nodes, and beyond them for as many as one node can have children."""
        if (room := len(self.arrays["N"])) < size + ROOM:
            more = max(room, size + ROOM)
            self.arrays = {
                name: np.concatenate([array, np.zeros(more, dtype=array.dtype)]) for name, array in self.arrays.items()
            }
        self.N, self.W, self.P, self.over = (self.arrays[name] for name in ("N", "W", "P", "over"))
        self.parent, self.move = self.arrays["parent"], self.arrays["move"]
        self.first, self.count = self.arrays["first"], self.arrays["count"]


ROOM = 1024  # nodes beyond the last one that a row of `_scores` may read, though it counts none of them
