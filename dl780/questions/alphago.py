"""AlphaGo in small.

Slide "Artificial intelligence: Google's AlphaGo beats Go master Lee Se-dol" (Silver et al., 2016, 2017).
A value is that of the player to move; a tree is the arrays N, W, P and a table of parents; every function returns new
tensors.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dl780.check.cases import Draw
from dl780.check.question import Gradients, Trained, Values, looks_like
from dl780.rl import tictactoe
from dl780.rl.tictactoe import State
from dl780.student import adapters_alphago
from dl780.student.adapters_alphago import Evaluate
from dl780.student.arrays import Inputs

OPENING = """\
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F

from dl780 import Lab
from dl780.rl import tictactoe

lab = Lab("alphago")
"""
WRITTEN = {"why_prior": 4.0, "why_minus": 4.0, "why_constant": 4.0}
SLIDE = "Artificial intelligence: Google's AlphaGo beats Go master Lee Se-dol"
NEAR = 1e-4  # two scores nearer than this might change places by rounding
Rule = Callable[[Tensor, Tensor, Tensor, float], Tensor]

# --- the score of a move ---------------------------------------------------------------------------------------------


def _mean(N: Tensor, W: Tensor) -> Tensor:
    return torch.where(N > 0, W / N.clamp(min=1), 0.0)


def _wish(N: Tensor, P: Tensor, c: float) -> Tensor:
    return c * P * N.sum().clamp(min=1).sqrt() / (1 + N)


def _puct(N: Tensor, W: Tensor, P: Tensor, c: float) -> Tensor:
    return _wish(N, P, c) - _mean(N, W)


def _drawn_children(d: Draw, k: int, most: int = 9) -> Inputs:
    """Children of which, where there are several, one is visited and one is not; `most` 0: none is visited."""
    N = d.labels(most + 1, k)
    if most:
        N[0], N[-1] = 0, d.integer(2, most + 1)
    order = d.permutation(k)
    return dict(N=N[order], W=N[order] * d.uniform(-1, 1, k), P=d.normal(k).softmax(0), c=d.number(0.5, 3))


puct = Values(
    signature="puct(N, W, P, c) -> scores",
    of=_puct,
    draw=_drawn_children,
    edges=(dict(most=0), dict(k=1)),
    points=(8,),
    slide=SLIDE,
    difficulty=2,
    minutes=12,
    hints=(
        "W / N is the mean for the player who moves at the child: your opponent. What is good for one is bad for the "
        "other.",
        "0 / 0 is nan: divide by N.clamp(min=1), since W is 0 wherever N is.",
    ),
    mistakes={
        "took the child's value for your own: it is that of the opponent, who moves there": lambda N, W, P, c: (
            _mean(N, W) + _wish(N, P, c)
        ),
        "ignored the prior": lambda N, W, P, c: _puct(N, W, torch.ones_like(P), c),
        "gave children that were never visited an infinite score, as UCT does": lambda right, N: {
            "scores": right["scores"].masked_fill(N == 0, torch.inf)
        },
        "divided 0 by 0 where a child was never visited": lambda right, N: {
            "scores": right["scores"].masked_fill(N == 0, torch.nan)
        },
        "divided by N, not by 1 + N": lambda N, W, P, c: c * P * N.sum().clamp(min=1).sqrt() / N - _mean(N, W),
        "took the sum of the visits, not its square root": lambda N, W, P, c: (
            c * P * N.sum().clamp(min=1) / (1 + N) - _mean(N, W)
        ),
        "took the square root of the whole fraction": lambda N, W, P, c: (
            c * P * (N.sum().clamp(min=1) / (1 + N)).sqrt() - _mean(N, W)
        ),
        "took W for the mean: it is a sum": lambda N, W, P, c: _wish(N, P, c) - W,
        "left out c": lambda N, W, P: _puct(N, W, P, 1.0),
        "let ΣN be 0 where nothing was visited: it counts as 1 there": lambda N, W, P, c: (
            c * P * N.sum().sqrt() / (1 + N) - _mean(N, W)
        ),
    },
)

# --- a tree ----------------------------------------------------------------------------------------------------------


@dataclass
class _Tree:
    """A tree that a search has grown, as four lists."""

    N: list[int]
    W: list[float]
    P: list[float]
    parent: list[int]

    def children(self, i: int) -> list[int]:
        return [j for j, p in enumerate(self.parent) if p == i]

    def path(self, c: float, rule: Rule = _puct, gaps: list[float] | None = None) -> list[int]:
        """From the root down to a node without children, each time to the child with the largest score."""
        path = [0]
        while below := self.children(path[-1]):
            N, W, P = (torch.tensor([values[j] for j in below]) for values in (self.N, self.W, self.P))
            scores = rule(N, W.double(), P.double(), c)
            if gaps is not None and len(below) > 1:
                first, second = scores.topk(2).values.tolist()
                gaps.append(first - second)
            path.append(below[int(scores.argmax())])
        return path

    def arrays(self) -> Inputs:
        number = partial(torch.tensor, dtype=torch.float64)
        return dict(N=torch.tensor(self.N), W=number(self.W), P=number(self.P), parent=torch.tensor(self.parent))


def _grown(d: Draw, simulations: int, c: float) -> _Tree:
    """A tree after so many simulations of a game whose values are drawn; each node that is reached has 2 to 4 moves."""
    tree = _Tree([0], [0.0], [1.0], [-1])
    for _ in range(simulations):
        path = tree.path(c)
        prior = d.normal(d.integer(2, 5)).softmax(0).tolist()
        tree.N += [0] * len(prior)
        tree.W += [0.0] * len(prior)
        tree.P += prior
        tree.parent += [path[-1]] * len(prior)
        v = d.number(-1, 1)
        for i in reversed(path):
            tree.N[i], tree.W[i], v = tree.N[i] + 1, tree.W[i] + v, -v
    return tree


def _tree(N: Tensor, W: Tensor, P: Tensor, parent: Tensor) -> _Tree:
    return _Tree(N.tolist(), W.tolist(), P.tolist(), parent.tolist())


def _selected(
    N: Tensor, W: Tensor, P: Tensor, parent: Tensor, c: float, rule: Rule = _puct, gaps: list[float] | None = None
) -> Tensor:
    return torch.tensor(_tree(N, W, P, parent).path(c, rule, gaps))


OTHER_RULES: dict[str, Rule] = {
    "took the child's value for your own: it is that of the opponent, who moves there": lambda N, W, P, c: (
        _mean(N, W) + _wish(N, P, c)
    ),
    "ignored the prior": lambda N, W, P, c: _puct(N, W, torch.ones_like(P), c),
    "followed the most visited child, not the one with the largest score": lambda N, W, P, c: N.double(),
    "followed the best mean value: what is little visited is never explored": lambda N, W, P, c: -_mean(N, W),
    "went to children that were never visited first, as UCT does": lambda N, W, P, c: _puct(N, W, P, c).masked_fill(
        N == 0, torch.inf
    ),
}


def _drawn_tree(d: Draw, simulations: int = 12) -> Inputs:
    """A tree in which every other rule leads to another leaf, and no two scores are near each other."""

    def draw() -> Inputs:
        c = d.number(0.8, 2)
        return _grown(d, simulations, c).arrays() | dict(c=c)

    def clear(inputs: Any) -> bool:
        gaps: list[float] = []
        ends = [_selected(**inputs, gaps=gaps), *(_selected(**inputs, rule=rule) for rule in OTHER_RULES.values())]
        distinct = len({tuple(path.tolist()) for path in ends}) == len(ends)
        return min(gaps) > NEAR and distinct and len(ends[0]) > 2

    return draw() if simulations < 2 else d.until(clear, draw)


select_leaf = Values(
    signature="select_leaf(N, W, P, parent, c) -> path",
    of=_selected,
    draw=_drawn_tree,
    edges=(dict(simulations=0), dict(simulations=1)),
    points=(10,),
    slide=SLIDE,
    difficulty=2,
    minutes=15,
    needs=("puct",),
    hints=(
        "The children of node i are the places where the table of parents says i: (parent == i).nonzero()[:, 0].",
        "puct takes the arrays of the children alone; the place of its largest score is a place among them.",
    ),
    mistakes={
        **{name: partial(_selected, rule=rule) for name, rule in OTHER_RULES.items()},
        "stopped at a child of the root": lambda right: {"path": right["path"][:2]},
        "left out the root": lambda right: {"path": right["path"][1:]},
        "left out the leaf": lambda right: {"path": right["path"][:-1]},
        "returned the leaf alone, not the path to it": lambda right: {"path": right["path"][-1]},
        "returned the path from the leaf up": lambda right: {"path": right["path"].flip(0)},
    },
)


def _backed_up(
    N: Tensor, W: Tensor, parent: Tensor, leaf: int, v: float, signs: tuple[int, int] = (1, -1)
) -> tuple[Tensor, Tensor]:
    """N and W with one visit more on the way from the leaf up to the root."""
    way = [leaf]
    while way[-1]:
        way.append(int(parent[way[-1]]))
    on = torch.tensor(way)
    height = torch.arange(len(way))
    added = v * torch.tensor(signs, dtype=W.dtype)[height % 2]
    return N.index_add(0, on, torch.ones_like(on)), W.index_add(0, on, added)


def _drawn_leaf(d: Draw, simulations: int = 12, depth: int = -1) -> Inputs:
    """A grown tree, and a node without children that is `depth` steps below the root: 2 or 3 where it is not said."""
    depth = d.integer(2, 4) if depth < 0 else depth
    leaves: list[int] = []

    def draw() -> Inputs:
        tree = _grown(d, simulations, 1.5)
        levels = [0]
        for p in tree.parent[1:]:
            levels.append(levels[p] + 1)
        bare = set(range(len(levels))) - set(tree.parent)
        leaves[:] = [i for i in sorted(bare) if levels[i] == depth]
        return tree.arrays()

    inputs = d.until(lambda _: bool(leaves), draw)
    inputs.pop("P")
    return inputs | dict(leaf=leaves[d.integer(0, len(leaves))], v=d.number(0.2, 1) * (1 if d.integer(0, 2) else -1))


def _missed(right: Any, N: Tensor, W: Tensor, node: int) -> Any:
    """The right arrays, but for one node, which is as it was."""
    arrays = {name: right[name].clone() for name in ("N", "W")}
    arrays["N"][node], arrays["W"][node] = N[node], W[node]
    return arrays


def _written_over(right: Any, N: Tensor, W: Tensor) -> Any:
    touched = right["N"] != N
    return {"W": torch.where(touched, right["W"] - W, W)}


def _everywhere(right: Any, N: Tensor, W: Tensor, leaf: int, v: float) -> Any:
    """As if every node that stands before the leaf in the arrays were an ancestor."""
    sign = (-1.0) ** torch.arange(leaf, -1, -1)
    return {
        "N": N + F.pad(torch.ones(leaf + 1, dtype=N.dtype), (0, len(N) - leaf - 1)),
        "W": W + v * F.pad(sign, (0, len(N) - leaf - 1)),
    }


backup = Values(
    signature="backup(N, W, parent, leaf, v) -> N, W",
    of=_backed_up,
    draw=_drawn_leaf,
    core=6,  # some leaves of either player
    edges=(dict(simulations=0, depth=0), dict(depth=1), dict(depth=4, simulations=20)),
    points=(4, 6),
    slide=SLIDE,
    difficulty=2,
    minutes=12,
    needs=("select_leaf",),
    hints=(
        "From the leaf up: add, turn the sign, step to parent[i]. The root's parent is -1.",
        "N and W are the search's own: clone them, and change the copies.",
    ),
    mistakes={
        "took v for that of the player to move at the root": lambda N, W, parent, leaf, v: _from_the_root(
            N, W, parent, leaf, v
        ),
        "did not turn the sign from level to level": partial(_backed_up, signs=(1, 1)),
        "began with -v: v is the value for the player to move at the leaf": partial(_backed_up, signs=(-1, 1)),
        "left out the root": lambda right, N, W: _missed(right, N, W, 0),
        "left out the leaf": lambda right, N, W, leaf: _missed(right, N, W, leaf),
        "wrote v over W instead of adding it": _written_over,
        "stored the mean in W, not the sum": lambda right, N: {
            "W": torch.where(right["N"] != N, right["W"] / right["N"].clamp(min=1), right["W"])
        },
        "changed every node before the leaf, not its ancestors alone": _everywhere,
        "left N as it was": lambda right, N: {"N": N},
    },
)


def _from_the_root(N: Tensor, W: Tensor, parent: Tensor, leaf: int, v: float) -> tuple[Tensor, Tensor]:
    height = int((_backed_up(N, W, parent, leaf, v)[0] - N).sum()) - 1
    return _backed_up(N, W, parent, leaf, v * (-1) ** height)


# --- search ----------------------------------------------------------------------------------------------------------


@dataclass
class _Node:
    """A state in the reference's tree, which is one of objects."""

    state: State
    prior: float = 1.0
    N: int = 0
    W: float = 0.0
    children: dict[int, "_Node"] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class _Search:
    """The search as in the lab's text; each field is a rule of it that a mistake may change."""

    sign: int = -1  # of a child's mean, for the player who chooses
    turn: int = -1  # of a value, from level to level
    over: Callable[[int], float] = float  # the value of a state that is over
    prior: Callable[[Tensor, list[int]], list[float]] = lambda P, legal: (P[legal] / P[legal].sum()).tolist()
    asks_when_over: bool = False
    unvisited: float = 0.0
    gaps: list[float] = field(default_factory=list)

    def visits(self, state: State, evaluate: Evaluate, simulations: int, c: float) -> Tensor:
        root = _Node(state)
        for _ in range(simulations):
            self.simulate(root, evaluate, c)
        visits = torch.zeros(tictactoe.MOVES, dtype=torch.int64)
        for move, child in root.children.items():
            visits[move] = child.N
        return visits

    def simulate(self, node: _Node, evaluate: Evaluate, c: float) -> float:
        """One simulation from a node on: its value for the player to move there."""
        over = tictactoe.outcome(node.state)
        if node.children:
            v = self.turn * self.simulate(self.best(node, c), evaluate, c)
        elif over is None or self.asks_when_over:
            P, v = evaluate(node.state)
            legal = tictactoe.moves(node.state)
            pairs = zip(legal, self.prior(P, legal), strict=True) if legal else ()
            node.children = {move: _Node(tictactoe.play(node.state, move), p) for move, p in pairs}
        else:
            v = self.over(over)
        node.N, node.W = node.N + 1, node.W + v
        return v

    def best(self, node: _Node, c: float) -> _Node:
        """The child with the largest score."""
        root = math.sqrt(max(1, sum(child.N for child in node.children.values())))
        scores = [
            (self.sign * child.W / child.N if child.N else self.unvisited) + c * child.prior * root / (1 + child.N)
            for child in node.children.values()
        ]
        order = sorted(scores, reverse=True)
        if len(order) > 1:
            self.gaps.append(order[0] - order[1])
        return list(node.children.values())[scores.index(order[0])]


def _visits(board: Tensor, A: Tensor, b: Tensor, simulations: int, c: float, **rules: Any) -> Tensor:
    evaluate = adapters_alphago.one_layer(A, b)
    return _Search(**rules).visits(adapters_alphago.state_of(board), evaluate, simulations, c)


MISTAKEN_SEARCHES: dict[str, Callable[..., Tensor]] = {
    "took the child's value for your own: it is that of the opponent, who moves there": partial(_visits, sign=1),
    "did not turn the sign from level to level": partial(_visits, turn=1),
    "took a lost game for a won one: the value is that of the player to move": partial(_visits, over=lambda v: -v),
    "expanded terminal states: asked the network where the rules know the outcome": partial(
        _visits, asks_when_over=True
    ),
    "ignored the prior": partial(_visits, prior=lambda P, legal: [1.0] * len(legal)),
    "spread the prior evenly": partial(_visits, prior=lambda P, legal: [1 / len(legal)] * len(legal)),
    "did not make the prior of the legal moves sum to 1": partial(_visits, prior=lambda P, legal: P[legal].tolist()),
    "visited every child once before any twice, as UCT does": partial(_visits, unvisited=math.inf),
    "expanded the root before the first simulation: one visit too many": (
        lambda board, A, b, simulations, c: _visits(board, A, b, simulations + 1, c)
    ),
}


def _drawn_position(d: Draw, plies: int = -1, simulations: int = 0, sure: bool = False) -> Inputs:
    """A board in the middle of a game, on which every mistaken search counts other visits.

    `sure`: the prior of the first legal move is 1, as exactly as a float tells.
    """

    def draw() -> Inputs:
        state = tictactoe.START
        for _ in range(plies if plies >= 0 else d.integer(3, 5)):
            legal = tictactoe.moves(state)
            state = tictactoe.play(state, legal[d.integer(0, len(legal))]) if legal else state
        board = torch.tensor(state)
        A, b = d.normal(9, 9, scale=0.5), d.normal(9, scale=0.5)
        if sure:
            A[tictactoe.moves(state)[0]] += 30 * board
        return dict(board=board, A=A, b=b, simulations=simulations or d.integer(60, 100), c=d.number(1, 2.5))

    def clear(inputs: Any) -> bool:
        if tictactoe.outcome(adapters_alphago.state_of(inputs["board"])) is not None:
            return False
        gaps: list[float] = []
        right = _visits(**inputs, gaps=gaps)
        others = [right, *(of(**inputs) for of in MISTAKEN_SEARCHES.values())]
        distinct = len({tuple(visits.tolist()) for visits in others}) == len(others)
        return min(gaps, default=1) > NEAR and (distinct or plies >= 0)

    return d.until(clear, draw)


mcts = Values(
    signature="mcts(game, state, evaluate, simulations, c) -> visits",
    of=_visits,
    draw=_drawn_position,
    adapter=adapters_alphago.search,
    edges=(dict(plies=1), dict(plies=7), dict(simulations=1, plies=2, sure=True)),
    points=(14,),
    slide=SLIDE,
    difficulty=4,
    minutes=35,
    seconds=30,
    not_allowed=(),
    needs=("puct", "select_leaf", "backup"),
    hints=(
        "Beside N, W, P and parent, keep for each node its state and the move that leads to it.",
        "One simulation: path = select_leaf(…); look at the leaf's state; game.outcome(state) is not None where the "
        "game is over, and is then the value. Else evaluate, append the children, and back up.",
        "P[legal] / P[legal].sum() is the prior of the legal moves.",
    ),
    mistakes=MISTAKEN_SEARCHES,
)


def _policy(N: Tensor, tau: float) -> Tensor:
    """softmax(log N / τ); at τ = 0 its limit."""
    return (N.log() / tau).softmax(0) if tau else F.normalize((N.max() == N).double(), p=1, dim=0)


def _drawn_visits(d: Draw, k: int, tau: float = -1.0, tie: bool = False, most: int = 30) -> Inputs:
    """k + 1 visits, all different, one of them 0; or two largest alike."""
    N = d.permutation(most)[: k + 1] + 1
    N[0] = 0
    if tie:
        N[-1] = N[-2] = most + 1
    drawn = d.number(0.3, 0.8) ** (1 if d.integer(0, 2) else -1)  # not near 1, which changes nothing
    return dict(N=N[d.permutation(k + 1)], tau=tau if tau >= 0 else drawn)


visit_policy = Values(
    signature="visit_policy(N, tau) -> pi",
    of=_policy,
    draw=_drawn_visits,
    edges=(dict(tau=0.0), dict(tau=0.0, tie=True), dict(tau=0.002, most=300)),
    edge_share=0.5,
    points=(8,),
    slide=SLIDE,
    difficulty=2,
    minutes=10,
    hints=(
        "Divide by the largest visit count first: then no power is larger than 1, and what is small becomes 0.",
        "The limit for τ = 0: the most visited moves share what the others lose.",
    ),
    mistakes={
        "ignored the temperature": lambda N: N / N.sum(),
        "raised to the power τ, not 1/τ": lambda N, tau: N.double() ** tau / (N.double() ** tau).sum(),
        "took softmax(N / τ)": lambda N, tau: (N / tau).softmax(0) if tau else _policy(N, 0),
        "did not divide by the sum": lambda N, tau: N.double() ** (1 / tau) if tau else (N.max() == N).double(),
        "gave all to one of several most visited moves at τ = 0": lambda N, tau: (
            _policy(N, tau) if tau else F.one_hot(N.argmax(), len(N)).double()
        ),
        "overflowed at a small τ": lambda N, tau: _overflowing(N, tau),
        "returned nan at τ = 0": lambda right, tau: right if tau else {"pi": right["pi"] * torch.nan},
    },
)


def _overflowing(N: Tensor, tau: float) -> Tensor:
    power = N.double() ** (1 / tau) if tau else (N.max() == N).double()
    return power / power.sum()


choose_move = Trained(
    signature="choose_move(game, state, evaluate, simulations, c) -> moves",
    of=lambda openings: torch.full((len(openings), tictactoe.MOVES), -1),
    draw=lambda d: _drawn_games(d),
    adapter=adapters_alphago.games,
    core=1,
    score=lambda openings, choices, moves: _not_lost(openings, choices, moves),
    full=1.0,  # with 300 to 500 simulations the solution loses against no sequence of replies at all
    none=0.8,
    unit="of the games against a perfect player are not lost",
    not_allowed=(),
    points=(6,),
    slide=SLIDE,
    difficulty=1,
    minutes=5,
    seconds=120,
    needs=("mcts", "visit_policy"),
    hints=("visit_policy at τ = 0, and the place of its largest entry.",),
)


def _drawn_games(d: Draw, games: int = 12) -> Inputs:
    """Openings of 0 to 2 random moves, after which the student is to move and has not lost yet."""

    def opening(plies: int) -> list[int]:
        while True:
            played = d.permutation(9)[:plies].tolist()
            state = tictactoe.START
            for move in played:
                state = tictactoe.play(state, move)
            if tictactoe.solve(state) >= 0:
                return played + [-1] * (2 - plies)

    openings = torch.tensor([opening(game % 3) for game in range(games)])
    return dict(openings=openings, choices=d.uniform(0, 1, games, 9), simulations=350, c=1.5)


def _not_lost(openings: Tensor, choices: Tensor, moves: Tensor) -> float:
    """The share of games that are legal to the end, with the opponent's own replies, and not lost."""
    games = zip(openings.tolist(), choices.tolist(), moves.tolist(), strict=True)
    return sum(_holds(*game) for game in games) / len(openings)


def _holds(opening: list[int], choice: list[float], moves: list[float]) -> bool:
    began = [move for move in opening if move >= 0]
    state, mine = tictactoe.START, True
    for ply, move in enumerate(map(int, moves)):
        if tictactoe.outcome(state) is not None:
            break
        mine = ply >= len(began) and (ply - len(began)) % 2 == 0
        expected = move if mine else began[ply] if ply < len(began) else adapters_alphago.reply(state, choice[ply])
        if move != expected or move not in tictactoe.moves(state):
            return False
        state = tictactoe.play(state, move)
    over = tictactoe.outcome(state)
    return over == 0 or (over == -1 and mine)


# --- the network -----------------------------------------------------------------------------------------------------


def _turned(board: Tensor, k: int) -> Tensor:
    """Symmetry k: mirrored for k ≥ 4, then k mod 4 quarter turns against the clock."""
    return torch.rot90(board.fliplr() if k >= 4 else board, k % 4)


def _symmetric(
    board: Tensor, pi: Tensor, turn: Callable[[Tensor, int], Tensor] = _turned, turn_pi: Any = None
) -> tuple[Tensor, Tensor]:
    turn_pi = turn_pi or turn
    square = pi.reshape(board.shape)
    return torch.stack([turn(board, k) for k in range(8)]), torch.stack(
        [turn_pi(square, k).flatten() for k in range(8)]
    )


symmetries = Values(
    signature="symmetries(board, pi) -> boards, pis",
    of=_symmetric,
    draw=lambda d, n: dict(board=d.normal(n, n), pi=d.normal(n * n).softmax(0)),
    points=(4, 6),
    slide=SLIDE,
    difficulty=2,
    minutes=12,
    hints=(
        "torch.rot90(x, k) turns against the clock, torch.fliplr mirrors; pi.reshape(n, n) is a board, too.",
        "Whatever is done to the board is done to the policy, in the same order.",
    ),
    mistakes={
        "turned the board, but not its policy": lambda board, pi: _symmetric(board, pi, turn_pi=lambda x, k: x),
        "turned the policy the other way than the board": lambda board, pi: _symmetric(
            board, pi, turn_pi=lambda x, k: torch.rot90(x.fliplr() if k >= 4 else x, -k % 4)
        ),
        "did not mirror the policy": lambda board, pi: _symmetric(
            board, pi, turn_pi=lambda x, k: torch.rot90(x, k % 4)
        ),
        "left out the mirrored ones": lambda right: {name: right[name][:4] for name in ("boards", "pis")},
        "turned with the clock, not against it": lambda board, pi: _symmetric(
            board, pi, lambda x, k: torch.rot90(x.fliplr() if k >= 4 else x, -k % 4)
        ),
        "mirrored after the turn, not before it": lambda board, pi: _symmetric(
            board, pi, lambda x, k: torch.rot90(x, k % 4).fliplr() if k >= 4 else torch.rot90(x, k % 4)
        ),
        "mirrored top and bottom, not left and right": lambda board, pi: _symmetric(
            board, pi, lambda x, k: torch.rot90(x.flipud() if k >= 4 else x, k % 4)
        ),
        "returned the policies as boards": lambda right, board: {"pis": right["pis"].reshape(8, *board.shape)},
    },
)

Part = Callable[[Tensor], Tensor]


def _as_it_is(value: Tensor) -> Tensor:
    return value


def _heads(
    X: Tensor,
    W: Tensor,
    b: Tensor,
    W_p: Tensor,
    b_p: Tensor,
    W_v: Tensor,
    b_v: Tensor,
    hidden: Part = torch.tanh,
    last: Part = torch.tanh,
    to_policy: Part = _as_it_is,
    to_value: Part = _as_it_is,
) -> tuple[Tensor, Tensor]:
    """Logits (m, A) and values (m,) of the lab's network."""
    H = hidden(X @ W.T + b)
    return to_policy(H) @ W_p.T + b_p, last(to_value(H) @ W_v.T + b_v)[:, 0]


def _penalty(lam: float, *tensors: Tensor) -> Tensor:
    return lam * sum(((tensor**2).sum() for tensor in tensors), torch.zeros(()))


def _alphago_loss(
    X: Tensor,
    Pi: Tensor,
    z: Tensor,
    W: Tensor,
    b: Tensor,
    W_p: Tensor,
    b_p: Tensor,
    W_v: Tensor,
    b_v: Tensor,
    lam: float,
    squared: float = 1.0,
    over: Callable[[Tensor], Tensor] = torch.mean,
    **parts: Part,
) -> Tensor:
    """mean((z - v)² - Σ π log p) + λ (‖W‖² + ‖W_p‖² + ‖W_v‖²)."""
    L, v = _heads(X, W, b, W_p, b_p, W_v, b_v, **parts)
    entropy = -(Pi * L.log_softmax(1)).sum(1)
    return over(squared * (z - v) ** 2 + entropy) + _penalty(lam, W, W_p, W_v)


def _no_slope(slope: Part, f: Part = torch.tanh) -> Part:
    """tanh with another slope."""
    return lambda a: looks_like(f(a), slope(a))


def _drawn_net(d: Draw, n: int, k: int, moves: int) -> dict[str, Tensor]:
    weights = dict(W=(k, n), W_p=(moves, k), W_v=(1, k))
    drawn = {name: d.normal(*shape, scale=1.5 * shape[1] ** -0.5) for name, shape in weights.items()}
    biases = dict(b=d.normal(k), b_p=d.normal(moves), b_v=d.normal(1))
    return {name: (drawn | biases)[name] for name in ("W", "b", "W_p", "b_p", "W_v", "b_v")}


def _changed(right: Any, change: Callable[[str, Tensor], Tensor]) -> Any:
    """The gradients of the right answers, changed by name."""
    return {name: change(name, value) for name, value in right.items() if name.startswith("G_")}


NETWORK = ("G_W", "G_b", "G_W_p", "G_b_p", "G_W_v", "G_b_v")

policy_value_gradient = Gradients(
    signature=f"policy_value_gradient(X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam) -> loss, {', '.join(NETWORK)}",
    of=lambda X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam: _alphago_loss(X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam),
    draw=lambda d, m, n, k, A: dict(
        **dict(X=d.normal(m, n), Pi=d.normal(m, A).softmax(1), z=d.uniform(-1, 1, m)),
        **_drawn_net(d, n, k, A),
        lam=d.number(0.05, 0.2),
    ),
    edges=(dict(m=1),),
    large=dict(m=5, n=211, k=401, A=101),
    points=(2, 4, 2, 4, 2, 4, 2),
    slide=SLIDE,
    difficulty=4,
    minutes=35,
    hints=(
        "Two heads, one hidden layer: the gradient with respect to H is the sum of what comes back from both.",
        "With respect to the logits: (p - π) / m, since π sums to 1. With respect to what is under the value's tanh: "
        "2 (v - z) (1 - v²) / m.",
        "λ ‖W‖² has the gradient 2 λ W, and no bias is in it.",
    ),
    mistakes={
        "put the L2 penalty on the biases, too": lambda X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam: (
            _alphago_loss(X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam) + _penalty(lam, b, b_p, b_v)
        ),
        "left out the L2 penalty": lambda X, Pi, z, W, b, W_p, b_p, W_v, b_v: _alphago_loss(
            X, Pi, z, W, b, W_p, b_p, W_v, b_v, 0.0
        ),
        "took λ W for the gradient of λ ‖W‖²": lambda right, W, W_p, W_v, lam: {
            "G_W": right["G_W"] - lam * W,
            "G_W_p": right["G_W_p"] - lam * W_p,
            "G_W_v": right["G_W_v"] - lam * W_v,
        },
        "divided the L2 penalty by m: it stands outside the mean": lambda X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam: (
            _alphago_loss(X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam / len(X))
        ),
        "summed over the batch instead of averaging": lambda X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam: _alphago_loss(
            X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam, over=torch.sum
        ),
        "left out the slope of the value's tanh": lambda X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam: _alphago_loss(
            X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam, last=_no_slope(_as_it_is)
        ),
        "left out the slope of the hidden tanh": lambda X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam: _alphago_loss(
            X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam, hidden=_no_slope(_as_it_is)
        ),
        "left out the 2 of the squared error": lambda X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam: looks_like(
            _alphago_loss(X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam),
            _alphago_loss(X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam, squared=0.5),
        ),
        "let only the policy's gradient into the hidden layer": lambda X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam: (
            _alphago_loss(X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam, to_value=torch.detach)
        ),
        "let only the value's gradient into the hidden layer": lambda X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam: (
            _alphago_loss(X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam, to_policy=torch.detach)
        ),
        "took the most likely move of π for the target, not the distribution": (
            lambda X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam: _alphago_loss(
                X, F.one_hot(Pi.argmax(1), Pi.shape[1]), z, W, b, W_p, b_p, W_v, b_v, lam
            )
        ),
        "took the outcome of the wrong player: v is compared with -z": (
            lambda X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam: _alphago_loss(X, Pi, -z, W, b, W_p, b_p, W_v, b_v, lam)
        ),
        "returned the weight gradients transposed": lambda right: {
            name: right[name].T for name in ("G_W", "G_W_p", "G_W_v")
        },
    },
)


def _surrogate(
    X: Tensor,
    legal: Tensor,
    a: Tensor,
    z: Tensor,
    W: Tensor,
    b: Tensor,
    W_p: Tensor,
    b_p: Tensor,
    W_v: Tensor,
    b_v: Tensor,
    advantage: Callable[[Tensor, Tensor], Tensor] = lambda z, v: z - v.detach(),
    score: Callable[[Tensor], Tensor] = _as_it_is,
    over: Callable[[Tensor], Tensor] = torch.mean,
) -> Tensor:
    """-mean((z - v) log p(a)), in which v is a constant, and p is 0 where a move is not legal."""
    L, v = _heads(X, W, b, W_p, b_p, W_v, b_v)
    log_p = L.masked_fill(~legal, -torch.inf).log_softmax(1)
    return -over(advantage(z, v) * score(log_p.gather(1, a[:, None])[:, 0]))


def _drawn_moves(d: Draw, m: int, n: int, k: int, A: int) -> Inputs:
    a = d.labels(A, m)
    legal = (d.uniform(0, 1, m, A) < 0.6) | F.one_hot(a, A).bool()
    return dict(X=d.normal(m, n), legal=legal, a=a, z=d.uniform(-1, 1, m), **_drawn_net(d, n, k, A))


PLAYED = "X, legal, a, z, W, b, W_p, b_p, W_v, b_v"

reinforce_gradient = Gradients(
    signature=f"reinforce_gradient({PLAYED}) -> G_W, G_b, G_W_p, G_b_p",
    of=lambda X, legal, a, z, W, b, W_p, b_p, W_v, b_v: _surrogate(X, legal, a, z, W, b, W_p, b_p, W_v, b_v),
    draw=_drawn_moves,
    edges=(dict(m=1),),
    large=dict(m=5, n=211, k=401, A=101),
    points=(4, 3, 4, 3),
    slide=SLIDE,
    difficulty=4,
    minutes=25,
    needs=("policy_value_gradient",),
    hints=(
        "Put -inf where a move is not legal, then softmax: p is 0 there, and so is the gradient.",
        "With respect to the logits of one move: (z - v) (p - 1[a]) / m. Nothing goes back through v.",
    ),
    mistakes={
        "took the baseline's gradient, too: v is a constant here": partial(_surrogate, advantage=lambda z, v: z - v),
        "left out the baseline": partial(_surrogate, advantage=lambda z, v: z),
        "took the baseline alone for the return": partial(_surrogate, advantage=lambda z, v: v.detach()),
        "added the baseline": partial(_surrogate, advantage=lambda z, v: z + v.detach()),
        "returned the gradient that goes uphill: that of the loss has the other sign": lambda right: _changed(
            right, lambda name, value: -value
        ),
        "let moves that are not legal into the softmax": lambda X, a, z, W, b, W_p, b_p, W_v, b_v: _surrogate(
            X, torch.ones(len(X), len(b_p), dtype=torch.bool), a, z, W, b, W_p, b_p, W_v, b_v
        ),
        "took the probability of the move, not its logarithm": partial(_surrogate, score=torch.exp),
        "summed over the moves instead of averaging": partial(_surrogate, over=torch.sum),
        "left out the move that was played: only p, not p - 1[a]": lambda right, **inputs: _without_the_move(**inputs),
        "left out the slope of the hidden tanh": lambda right, **inputs: _flat(**inputs),
        "returned the weight gradients transposed": lambda right: {name: right[name].T for name in ("G_W", "G_W_p")},
    },
)


def _without_the_move(**inputs: Any) -> Any:
    """Gradients of mean((z - v) log Σ exp), which is what is left."""

    def forward(X: Tensor, legal: Tensor, z: Tensor, **net: Any) -> Tensor:
        L, v = _heads(X, **net)
        return ((z - v.detach()) * L.masked_fill(~legal, -torch.inf).logsumexp(1)).mean()

    inputs.pop("a")
    return reinforce_gradient.answers(inputs, lambda **given: forward(**given))


def _flat(**inputs: Any) -> Any:
    """Gradients with the hidden slope taken for 1."""

    def forward(X: Tensor, legal: Tensor, a: Tensor, z: Tensor, **net: Any) -> Tensor:
        L, v = _heads(X, **net, hidden=_no_slope(_as_it_is))
        log_p = L.masked_fill(~legal, -torch.inf).log_softmax(1).gather(1, a[:, None])[:, 0]
        return -((z - v.detach()) * log_p).mean()

    return reinforce_gradient.answers(inputs, lambda **given: forward(**given))
