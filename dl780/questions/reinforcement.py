"""Deep reinforcement learning.

Slides "Recall Q-learning setup" to "Deep Q-learning".
A transition is (s, a, r, s', terminated, truncated); a terminated step has no future, a truncated one has.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dl780.check.cases import Draw
from dl780.check.question import Gradients, Statistics, Trained, Values, given, looks_like
from dl780.questions.backprop import BY_HAND
from dl780.student import adapters_reinforcement as adapters
from dl780.student.arrays import Inputs
from dl780.student.cartpoles import CartPoles, mean_return
from dl780.student.traps import KERNELS

OPENING = """\
import math

import gymnasium as gym
import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F

from dl780 import Lab

lab = Lab("reinforcement")
"""
WRITTEN = {"why_off_policy": 4.0, "why_truncated": 4.0, "why_target": 4.0}
SWEEPS = 10**6  # products of as many sweeps as anybody takes


def some(d: Draw, n: int, share: float, first: tuple[bool, ...] = ()) -> Tensor:
    """n booleans, so many of them True, that begin with `first`."""
    drawn = d.uniform(0, 1, n) < share
    drawn[: len(first)] = torch.tensor(first[:n], dtype=torch.bool)
    return drawn


# --- a known model ---------------------------------------------------------------------------------------------------


def _drawn_model(d: Draw, n: int, A: int, terminal: float = 0.3) -> Inputs:
    P = d.uniform(0, 1, n, A, n) ** 2
    ends = some(d, n, terminal, (False, terminal > 0))
    return dict(
        P=P / P.sum(2, keepdim=True), R=d.normal(n, A), terminal=ends[d.permutation(n)], gamma=d.number(0.6, 0.9)
    )


def _optimal(
    P: Tensor, R: Tensor, terminal: Tensor, gamma: float, best: Callable[..., Tensor] = torch.argmax
) -> tuple[Tensor, Tensor]:
    """Q and V by policy iteration (Howard 1960): each policy's V solves a linear system."""
    n, going = len(R), (~terminal.bool()).to(R.dtype)
    pi = torch.zeros(n, dtype=torch.long)
    for _ in range(10_000):
        row = torch.arange(n), pi
        V = torch.linalg.solve(torch.eye(n, dtype=R.dtype) - gamma * going[:, None] * P[row], going * R[row])
        Q = going[:, None] * (R + gamma * P @ V)
        pi, before = best(Q, 1), pi
        if torch.equal(pi, before):
            break
    return Q, V


def _of_all_actions(P: Tensor, R: Tensor, terminal: Tensor, gamma: float) -> tuple[Tensor, Tensor]:
    """Q and V of the policy that draws each action equally often."""
    mean = _optimal(P.mean(1, keepdim=True), R.mean(1, keepdim=True), terminal, gamma)[1]
    return (~terminal.bool())[:, None] * (R + gamma * P @ mean), mean


def _never_ends(P: Tensor, R: Tensor, terminal: Tensor, gamma: float) -> tuple[Tensor, Tensor]:
    return _optimal(P, R, torch.zeros_like(terminal), gamma)


def _most_likely(P: Tensor, R: Tensor, terminal: Tensor, gamma: float) -> tuple[Tensor, Tensor]:
    return _optimal(F.one_hot(P.argmax(2), len(P)).to(P.dtype), R, terminal, gamma)


def _going(terminal: Tensor) -> Tensor:
    return (~terminal.bool())[:, None]


value_iteration = Values(
    signature="value_iteration(P, R, terminal, gamma) -> Q, V",
    of=lambda P, R, terminal, gamma: _optimal(P, R, terminal, gamma),
    draw=_drawn_model,
    edges=(dict(A=1), dict(terminal=0.0)),
    products=SWEEPS,
    points=(6, 4),
    slide="Recall Q-learning setup",
    difficulty=2,
    minutes=20,
    key="policy iteration",
    hints=(
        "Start with V = 0. One sweep: Q = R + γ Σ_s' P(s'|s, a) V(s'), 0 at terminal states; then V = max_a Q.",
        "P @ V sums over the last axis of P. Sweep until no entry of V moves by more than 1e-10.",
    ),
    mistakes={
        "ignored terminal: the values behind the end are not 0": _never_ends,
        "gave Q of a terminal state a value; it is 0, as V is": lambda right, P, R, terminal, gamma: {
            "Q": right["Q"] + ~_going(terminal) * (R + gamma * P @ right["V"])
        },
        "multiplied γ with the reward, too": lambda P, R, terminal, gamma: _optimal(P, gamma * R, terminal, gamma),
        "stopped after one sweep": lambda right, R, terminal: {
            "Q": (Q := _going(terminal) * R),
            "V": Q.amax(1),
        },
        "averaged over the actions instead of taking the maximum": _of_all_actions,
        "took the minimum over the actions": partial(_optimal, best=torch.argmin),
        "went on from the most likely next state instead of averaging over all": _most_likely,
        "took the value of s itself for that of s'": lambda right, R, terminal, gamma: {
            "V": (V := _going(terminal)[:, 0] * R.amax(1) / (1 - gamma)),
            "Q": _going(terminal) * (R + gamma * V[:, None]),
        },
        "returned the best action for V, not its value": lambda right: {"V": right["Q"].argmax(1)},
    },
)

# --- exploration -----------------------------------------------------------------------------------------------------

ROWS = 12_000


def _drawn_values(d: Draw) -> Inputs:
    """Rows of action values, of which every other has two greatest ones."""
    A = d.integer(4, 7)
    Q = d.normal(ROWS, A)
    first, second = d.uniform(0, 1, ROWS, A).topk(2).indices.unbind(1)
    top, tied = Q.amax(1) + 0.1, torch.arange(ROWS) % 2 == 1
    Q[torch.arange(ROWS), first] = top
    Q[tied, second[tied]] = top[tied]
    return dict(Q=Q, epsilon=d.number(0.25, 0.4), seed=d.integer(0, 2**31))


def _exactly(holds: Any) -> float:
    return 0.0 if bool(holds) else math.inf


def _z(hits: Tensor, p: float) -> float:
    """z-score of a share of True entries; of none at all, inf."""
    n = hits.numel()
    return math.inf if not n else (hits.double().sum().item() - n * p) / math.sqrt(n * p * (1 - p))


def _equally(counts: Tensor) -> float:
    """z-score of χ² of counts that should be alike, by the cube root of Wilson and Hilferty."""
    mean, n = counts.double().mean(), len(counts) - 1
    chi2 = ((counts - mean) ** 2 / mean).sum().item()
    return float(((chi2 / n) ** (1 / 3) - 1 + 2 / (9 * n)) / math.sqrt(2 / (9 * n)))


def _index(Q: Tensor, a: Tensor) -> Tensor:
    return a.long().clamp(0, Q.shape[1] - 1)


def _greatest(Q: Tensor, a: Tensor) -> Tensor:
    """Which rows took a greatest action."""
    return Q.gather(1, _index(Q, a)[:, None])[:, 0] == Q.amax(1)


def _share(Q: Tensor, a: list[Tensor], p: float) -> float:
    """z-score of the share of rows that took their only greatest action."""
    return _z(torch.cat([_greatest(Q, taken)[::2] for taken in a[:2]]), p)


def _first_of_two(Q: Tensor, a: list[Tensor]) -> Tensor:
    """Where two are the greatest, and one of them was taken with ε = 0: whether it was the first."""
    tied = _greatest(Q, a[3])[1::2]
    return (_index(Q, a[3]) == Q.argmax(1))[1::2][tied]


def _steps_from_best(Q: Tensor, a: list[Tensor]) -> Tensor:
    """How often each of the other actions was taken, counted from the greatest one."""
    A, taken = Q.shape[1], torch.cat([_index(Q, each)[::2] for each in a[:2]])
    off = (taken - Q.argmax(1)[::2].repeat(2)) % A
    return off.bincount(minlength=A)[1:]


def _one_coin(Q: Tensor, a: list[Tensor]) -> float:
    """Whether each of two calls is greedy everywhere, or random everywhere."""
    A = Q.shape[1]
    each = [_greatest(Q, taken)[::2] for taken in a[:2]]
    return max(min(_exactly(greedy.all()), abs(_z(greedy, 1 / A))) for greedy in each)


epsilon_greedy = Statistics(
    signature="epsilon_greedy(Q, epsilon, generator) -> a",
    of=lambda Q: ([torch.zeros(len(Q), dtype=torch.long)] * 5,),
    draw=_drawn_values,
    core=2,
    adapter=adapters.five_choices,
    products=SWEEPS,
    points=(10,),
    slide="Recall Q-learning setup",
    difficulty=2,
    minutes=15,
    hints=(
        "One coin for each row, torch.rand(m, generator=generator) < epsilon, and one random action for each row; "
        "torch.where chooses between them.",
        "argmax takes the first of equal values. Draw a random number for each entry that equals its row's maximum, "
        "-1 for the others, and take the argmax of these.",
    ),
    laws={
        "a": {
            "an action is none of 0 … A-1": lambda Q, a: _exactly(
                all(torch.equal(_index(Q, taken).double(), taken.double()) for taken in a)
            ),
            "with ε = 0 an action is taken that has not the greatest value": lambda Q, a: _exactly(
                _greatest(Q, a[3]).all()
            ),
            "with ε = 1 the actions are not equally likely": lambda Q, a: _equally(
                _index(Q, a[4]).bincount(minlength=Q.shape[1])
            ),
            "the greatest action's share is not 1 - ε + ε/A": lambda Q, epsilon, a: _share(
                Q, a, 1 - epsilon + epsilon / Q.shape[1]
            ),
            "the other actions are not equally likely": lambda Q, a: _equally(_steps_from_best(Q, a)),
            "a tie is not broken at random": lambda Q, a: _z(_first_of_two(Q, a), 0.5),
            "a second call with the same generator gives the same actions": lambda a: _exactly(
                not torch.equal(a[0], a[1])
            ),
            "a generator of the same seed gives other actions": lambda a: _exactly(torch.equal(a[0], a[2])),
        },
    },
    mistakes={
        "always took the greatest action": lambda Q, a: _exactly((_greatest(Q, a[3]) & _greatest(Q, a[4])).all()),
        "took the action of the smallest value": lambda Q, a: _exactly(
            (Q.gather(1, _index(Q, a[3])[:, None])[:, 0] == Q.amin(1)).all()
        ),
        "drew one random action for all rows": lambda a: _exactly((a[4] == a[4][0]).all()),
        "threw one coin for all rows": _one_coin,
        "never tried the last action": lambda Q, a: _exactly((a[4] < Q.shape[1] - 1).all()),
        "explored among the other actions only": lambda Q, epsilon, a: _share(Q, a, 1 - epsilon),
        "took ε for the probability of the greatest action": lambda Q, epsilon, a: _share(
            Q, a, epsilon + (1 - epsilon) / Q.shape[1]
        ),
        "took the first of equal values": lambda Q, a: _exactly(_first_of_two(Q, a).all()),
        "took the last of equal values": lambda Q, a: _exactly(not _first_of_two(Q, a).any()),
        "gave the generator its first seed again": lambda a: _exactly(
            torch.equal(a[0], a[1]) and torch.equal(a[0], a[2])
        ),
        "ignored the generator": lambda a: _exactly(not torch.equal(a[0], a[2])),
    },
)

# --- steps of Q-learning: down the gradient of ½ (y - Q(s, a))², y held fast -----------------------------------------


def _target(Q_next: Tensor, r: Tensor, terminated: Tensor, gamma: float) -> Tensor:
    return r + gamma * Q_next.amax() * ~terminated.bool()


def _half_square(Q_s: Tensor, a: Tensor, y: Tensor) -> Tensor:
    return (y.detach() - Q_s[a]) ** 2 / 2


def _learn(
    theta: Tensor,
    phi: Tensor,
    a: Tensor,
    r: Tensor,
    phi_next: Tensor,
    terminated: Tensor,
    alpha: float,
    gamma: float,
    target: Callable[..., Tensor] = _target,
    loss: Callable[..., Tensor] = _half_square,
) -> list[Tensor]:
    """θ (A, k) after each of the transitions, where Q_θ(s, a) = θ_aᵀ φ(s): by autograd."""
    thetas = []
    for t in range(len(r)):
        leaf = theta.detach().requires_grad_()
        now: Inputs = dict(theta=leaf, Q_s=leaf @ phi[t], Q_next=leaf @ phi_next[t], a=a[t], r=r[t], gamma=gamma)
        now |= dict(terminated=terminated[t], alpha=alpha)
        y = given(target, now)
        (g,) = torch.autograd.grad(given(loss, now, y=y), leaf)
        theta = theta - alpha * g
        thetas.append(theta)
    return thetas


def _held(weight: Tensor, Q: Tensor) -> Tensor:
    """A loss whose gradient is -weight ∇Q."""
    return -(weight.detach() * Q).sum()


STEP_MISTAKES: dict[str, dict[str, Any]] = {
    "ignored terminated: went on behind the end": dict(target=lambda Q_next, r, gamma: r + gamma * Q_next.amax()),
    "learned nothing from a terminated step": dict(
        loss=lambda Q_s, a, y, terminated: _held(~terminated.bool() * (y - Q_s[a]), Q_s[a])
    ),
    "multiplied γ with the reward, too": dict(
        target=lambda Q_next, r, terminated, gamma: gamma * (r + Q_next.amax() * ~terminated.bool())
    ),
    "took Q of s' at the action a instead of the maximum": dict(
        target=lambda Q_next, a, r, terminated, gamma: r + gamma * Q_next[a] * ~terminated.bool()
    ),
    "took the maximum at s instead of at s'": dict(
        target=lambda Q_s, r, terminated, gamma: r + gamma * Q_s.amax() * ~terminated.bool()
    ),
    "went down where the slide goes up: subtracted the correction": dict(
        loss=lambda Q_s, a, y: -_half_square(Q_s, a, y)
    ),
    "left out α": dict(loss=lambda Q_s, a, y, alpha: _half_square(Q_s, a, y) / alpha),
    "left out - Q(s, a)": dict(loss=lambda Q_s, a, y: _held(y, Q_s[a])),
    "did not gather the action: changed the values of all actions": dict(loss=lambda Q_s, a, y: _held(y - Q_s[a], Q_s)),
}


def _table(
    Q: Tensor,
    s: Tensor,
    a: Tensor,
    r: Tensor,
    s_next: Tensor,
    terminated: Tensor,
    alpha: float,
    gamma: float,
    **changes: Any,
) -> tuple[list[Tensor]]:
    """A table is linear in φ(s), the unit vector of s."""
    phi, phi_next = (F.one_hot(at, len(Q)).to(Q.dtype) for at in (s, s_next))
    return ([theta.T for theta in _learn(Q.T, phi, a, r, phi_next, terminated, alpha, gamma, **changes)],)


def _drawn_transitions(d: Draw, n: int, A: int, T: int = 12, ends: float = 0.3) -> Inputs:
    states = d.labels(n, T + 1)
    return dict(
        Q=d.normal(n, A, scale=2),
        s=states[:-1],
        a=d.labels(A, T),
        r=d.normal(T),
        s_next=states[1:],
        terminated=some(d, T, ends, (False, ends > 0)),
        alpha=d.number(0.2, 0.45),
        gamma=d.number(0.6, 0.9),
    )


q_update = Values(
    signature="q_update(Q, s, a, r, s_next, terminated, alpha, gamma) -> Q",
    of=_table,
    draw=_drawn_transitions,
    edges=(dict(T=1), dict(ends=0.0)),
    adapter=adapters.table_steps,
    points=(8,),
    slide="Recall Q-learning setup",
    difficulty=1,
    minutes=10,
    hints=(
        "The target is r + γ max over row s_next of Q, and r alone where terminated.",
        "Only entry (s, a) of a copy of the table moves, by α times target minus Q(s, a).",
    ),
    mistakes={
        **{sentence: partial(_table, **changes) for sentence, changes in STEP_MISTAKES.items()},
        "took the maximum over the wrong axis: over states, for the action a": partial(
            _table, target=lambda theta, a, r, terminated, gamma: r + gamma * theta[a].amax() * ~terminated.bool()
        ),
        "exchanged α and 1 - α": lambda alpha, **rest: _table(alpha=1 - alpha, **rest),
        "kept nothing of the old value: left out (1 - α) Q(s, a)": partial(
            _table, loss=lambda Q_s, a, y, alpha: _held(y - Q_s[a] / alpha, Q_s[a])
        ),
    },
)


def _drawn_features(d: Draw, k: int, A: int, T: int = 10, ends: float = 0.3) -> Inputs:
    phi = d.normal(T + 1, k, scale=k**-0.5)
    return dict(
        theta=d.normal(A, k),
        phi=phi[:-1],
        a=d.labels(A, T),
        r=d.normal(T),
        phi_next=phi[1:],
        terminated=some(d, T, ends, (False, ends > 0)),
        alpha=d.number(0.2, 0.45),
        gamma=d.number(0.6, 0.9),
    )


linear_q_step = Values(
    signature="linear_q_step(theta, phi, a, r, phi_next, terminated, alpha, gamma) -> theta",
    of=lambda **inputs: (_learn(**inputs),),
    draw=_drawn_features,
    edges=(dict(T=1), dict(k=1), dict(ends=0.0)),
    adapter=adapters.linear_steps,
    points=(10,),
    slide="Q-learning with function approximation",
    difficulty=2,
    minutes=15,
    key="autograd",
    needs=("q_update",),
    hints=(
        "Q_θ(s, ·) = θ φ(s), a number for each action; the gradient of Q_θ(s, a) is φ(s) in row a, and 0 elsewhere.",
        "The target is a number: nothing is differentiated there. The slide adds: it goes up ∇Q, not down a loss.",
    ),
    mistakes={
        **{
            sentence: lambda changes=changes, **inputs: (_learn(**inputs, **changes),)
            for sentence, changes in STEP_MISTAKES.items()
        },
        "let the gradient through the target": lambda **inputs: (
            _learn(**inputs, loss=lambda Q_s, a, y: (y - Q_s[a]) ** 2 / 2),
        ),
        "took φ(s') for the gradient": lambda **inputs: (
            _learn(**inputs, loss=lambda Q_s, Q_next, a, y: _held(y - Q_s[a], Q_next[a])),
        ),
    },
)

# --- deep Q-learning: targets and errors -----------------------------------------------------------------------------


def _targets(
    r: Tensor,
    terminated: Tensor,
    Q_target: Tensor,
    Q_online: Tensor,
    gamma: float,
    double: float,
) -> Tensor:
    chosen = (Q_online if double else Q_target).argmax(1, keepdim=True)
    return r + gamma * Q_target.gather(1, chosen)[:, 0] * ~terminated.bool()


def _drawn_ends(d: Draw, m: int) -> Inputs:
    """Some steps terminated, some truncated, the first two one of each."""
    terminated, truncated = some(d, m, 0.25, (True, False)), some(d, m, 0.3, (False, True))
    order = d.permutation(m)
    return dict(terminated=terminated[order], truncated=(truncated & ~terminated)[order])


def _drawn_next(d: Draw, m: int, A: int, double: int = 0, rows: int = 6) -> Inputs:
    m += rows  # enough of each kind
    ends = _drawn_ends(d, m) if m > 1 else dict(terminated=torch.tensor([False]), truncated=torch.tensor([True]))

    def draw() -> Inputs:
        return dict(Q_target=d.normal(m, A, scale=2), Q_online=d.normal(m, A, scale=2))

    def differ(inputs: Any) -> bool:
        """The two networks choose differently where it counts."""
        online, target = inputs["Q_online"].argmax(1), inputs["Q_target"].argmax(1)
        return A == 1 or bool(((online != target) & ~ends["terminated"]).any())  # type: ignore[operator]

    return dict(r=d.normal(m), **ends, **d.until(differ, draw), gamma=d.number(0.6, 0.95), double=double)


def _ends_as(terminated: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The targets with another idea of what has ended."""

    def targets(**inputs: Any) -> Tensor:
        changed: Tensor = given(_targets, inputs | dict(terminated=given(terminated, inputs)))
        return changed

    return targets


def _exchanged(Q_target: Tensor, Q_online: Tensor, **_: Any) -> Inputs:
    return dict(Q_target=Q_online, Q_online=Q_target)


dqn_targets = Values(
    signature="dqn_targets(r, terminated, truncated, Q_target, Q_online, gamma, double) -> y",
    of=_targets,
    draw=_drawn_next,
    edges=(dict(double=1), dict(double=1, A=2), dict(m=1, rows=0), dict(A=1)),
    edge_share=0.3,
    points=(12,),
    slide="Deep Q-learning",
    difficulty=2,
    minutes=15,
    needs=("q_update",),
    hints=(
        "One maximum for each row of Q_target. Where terminated, r alone; truncated changes nothing.",
        "double: the action is the argmax of Q_online's row, the value is Q_target's at that action: gather.",
    ),
    mistakes={
        "ignored terminated: went on behind the end": _ends_as(lambda terminated: torch.zeros_like(terminated)),
        "treated truncated as terminated": _ends_as(lambda terminated, truncated: terminated | truncated),
        "cut the future off where truncated, not where terminated": _ends_as(lambda truncated: truncated),
        "looked ahead only where terminated": _ends_as(lambda terminated: ~terminated),
        "dropped the reward, too, where terminated": lambda right, terminated: {"y": right["y"] * ~terminated},
        "multiplied γ with the reward, too": lambda right, r, gamma: {"y": right["y"] + (gamma - 1) * r},
        "took the target from the wrong network: the maximum of Q_online": lambda Q_online, **rest: given(
            _targets, rest | dict(Q_target=Q_online, Q_online=Q_online)
        ),
        "took one maximum for the whole batch": lambda r, terminated, Q_target, gamma: (
            r + gamma * Q_target.amax() * ~terminated
        ),
        "added the index of the best action, not its value": lambda r, terminated, Q_target, gamma: (
            r + gamma * Q_target.argmax(1) * ~terminated
        ),
        "averaged over the actions instead of taking the maximum": lambda r, terminated, Q_target, gamma: (
            r + gamma * Q_target.mean(1) * ~terminated
        ),
        "took the double target always": lambda double, **rest: given(_targets, dict(**rest, double=1)),
        "never took the double target": lambda double, **rest: given(_targets, dict(**rest, double=0)),
        "chose with the target network and valued with the online one": lambda double, **rest: given(
            _targets, dict(**rest, double=double) | (_exchanged(**rest) if double else {})
        ),
    },
)


def _drawn_errors(d: Draw, m: int, scale: float = 1.0, delta: float = 0.0, rows: int = 8) -> Inputs:
    """Errors on either side of δ, which is not 1: there smooth_l1 is the same."""
    delta = delta or (d.number(0.4, 0.7) if d.integer(0, 2) else d.number(1.5, 2.0))
    inside = d.uniform(-0.9, 0.9, m + rows)
    outside = inside.sign() * (1.2 + 2 * inside.abs())
    sides = some(d, m + rows, 0.5, (True, False, True, False))
    return dict(u=scale * delta * torch.where(sides, inside, outside), delta=delta)


def _huber(u: Tensor, delta: float) -> Tensor:
    return F.huber_loss(u, torch.zeros_like(u), delta=delta)


def _beyond(u: Tensor, delta: float) -> Tensor:
    return u.abs() > delta


huber_gradient = Gradients(
    signature="huber_gradient(u, delta) -> loss, G",
    of=_huber,
    wrt={"G": "u"},
    draw=_drawn_errors,
    edges=(dict(m=1, rows=0), dict(scale=1000.0), dict(scale=0.1)),
    points=(3, 5),
    slide="Deep Q-learning",
    difficulty=1,
    minutes=12,
    hints=(
        "Up to δ the derivative of u²/2, beyond it a constant of the sign of u. Where do the two meet?",
        "So G is u, cut off at -δ and δ, over m.",
    ),
    mistakes={
        "took smooth_l1, which is Huber's loss over δ": lambda u, delta: F.smooth_l1_loss(
            u, torch.zeros_like(u), beta=delta
        ),
        "summed the loss over the batch instead of averaging it": lambda u, delta: _huber(u, delta) * len(u),
        "never divided G by m": lambda right, u: {"G": right["G"] * len(u)},
        "cut u off before squaring: beyond δ nothing is learned": lambda u, delta: (
            u.clamp(-delta, delta) ** 2 / 2
        ).mean(),
        "took the slope 1 beyond δ instead of δ": lambda right, u, delta: {
            "G": torch.where(_beyond(u, delta), right["G"] / delta, right["G"])
        },
        "lost the sign of u beyond δ": lambda right, u, delta: {
            "G": torch.where(_beyond(u, delta), right["G"].abs(), right["G"])
        },
        "left out δ/2: the two pieces do not meet": lambda right, u, delta: {
            "loss": torch.where(_beyond(u, delta), delta * u.abs(), u**2 / 2).mean()
        },
        "left out the 1/2 of the square": lambda u, delta: torch.where(
            _beyond(u, delta), delta * (u.abs() - delta / 2), u**2
        ).mean(),
        "took the square everywhere": lambda u: (u**2 / 2).mean(),
    },
)

# --- deep Q-learning: the network ------------------------------------------------------------------------------------

Layer = Callable[..., Tensor]


def _q(S: Tensor, Ws: list[Tensor], bs: list[Tensor], relu: Layer = torch.relu, last: Layer = lambda Q: Q) -> Tensor:
    """Q (m, A) of a network with one hidden layer."""
    return last(relu(S @ Ws[0].T + bs[0]) @ Ws[1].T + bs[1])


def _dqn_loss(
    S: Tensor,
    a: Tensor,
    r: Tensor,
    S_next: Tensor,
    terminated: Tensor,
    truncated: Tensor,  # a truncated step looks ahead as any other
    Ws: list[Tensor],
    bs: list[Tensor],
    Ws_target: list[Tensor],
    bs_target: list[Tensor],
    gamma: float,
    delta: float,
    huber: Layer = _huber,
    net: Layer = _q,
    ahead: Layer = lambda Q_target, Q_online: Q_target.detach(),
    error: Layer = lambda Q, a, y: Q.gather(1, a[:, None])[:, 0] - y,
) -> Tensor:
    """Huber's loss of Q(s, a) - y, y from the target network."""
    Q_next = ahead(_q(S_next, Ws_target, bs_target), net(S_next, Ws, bs))
    y = _targets(r, terminated, Q_next, Q_next, gamma, double=0)
    return huber(u=error(net(S, Ws, bs), a, y), delta=delta)


def _drawn_batch(d: Draw, m: int, n: int, h: int, A: int, rows: int = 6, sizes: tuple[int, ...] = ()) -> Inputs:
    m, n, h, A = sizes or (m + rows, n, 2 * h, A)
    ends = _drawn_ends(d, m) if m > 1 else dict(terminated=torch.tensor([False]), truncated=torch.tensor([True]))

    def draw() -> Inputs:
        (Ws, bs), (Ws_target, bs_target) = d.layers([n, h, A]), d.layers([n, h, A])
        return dict(
            **dict(S=d.normal(m, n), a=d.labels(A, m), r=d.normal(m), S_next=d.normal(m, n), **ends),
            **dict(Ws=Ws, bs=bs, Ws_target=Ws_target, bs_target=bs_target),
            **dict(gamma=d.number(0.6, 0.95), delta=d.number(0.5, 0.8)),
        )

    def clear(inputs: Any) -> bool:
        """No pre-activation near 0; units on and off; errors on both sides of δ."""
        hidden = inputs["S"] @ inputs["Ws"][0].T + inputs["bs"][0]
        errors: list[Tensor] = []
        given(_dqn_loss, inputs, huber=lambda u, delta: errors.extend([u.abs() / delta]))
        sides = m == 1 or bool((errors[0] < 0.9).any() and (errors[0] > 1.1).any())
        return sides and bool((hidden.abs() > 2e-5).all() and (hidden > 0).any() and (hidden < 0).any())

    return d.until(clear, draw)


def _through_target(right: Any, Ws_target: list[Tensor], bs_target: list[Tensor], **inputs: Any) -> Any:
    """The gradient that the target network would have, added to that of the online one."""
    leaves = [w.detach().requires_grad_() for w in (*Ws_target, *bs_target)]
    loss = given(
        _dqn_loss,
        inputs | dict(Ws_target=leaves[:2], bs_target=leaves[2:]),
        ahead=lambda Q_target, Q_online: Q_target,
    )
    more = torch.autograd.grad(loss, leaves)
    return {
        "g_Ws": [g + e for g, e in zip(right["g_Ws"], more[:2], strict=True)],
        "g_bs": [g + e for g, e in zip(right["g_bs"], more[2:], strict=True)],
    }


def _mistaken(**changes: Any) -> Callable[..., Tensor]:
    """The loss with a changed part; a change of `terminated` sees truncated."""

    def loss(**inputs: Any) -> Tensor:
        ends = changes.get("terminated")
        inputs |= {"terminated": given(ends, inputs)} if ends else {}
        value: Tensor = given(_dqn_loss, inputs, **{k: v for k, v in changes.items() if k != "terminated"})
        return value

    return loss


def _hidden_kept(S: Tensor, Ws: list[Tensor], bs: list[Tensor]) -> Tensor:
    """The network whose W_2 takes its gradient at what stood before the ReLU."""
    a = S @ Ws[0].T + bs[0]
    slope = a.relu() @ Ws[1].detach().T + bs[1] + a.detach() @ Ws[1].T
    return looks_like(a.relu() @ Ws[1].T + bs[1], slope)


def _every_action(Q: Tensor, a: Tensor, y: Tensor) -> Tensor:
    """The error of the action that was taken, pushed into all of them."""
    return looks_like(Q.gather(1, a[:, None])[:, 0] - y, Q.sum(1))


dqn_gradient = Gradients(
    signature=(
        "dqn_gradient(S, a, r, S_next, terminated, truncated, Ws, bs, Ws_target, bs_target, gamma, delta)"
        " -> loss, g_Ws, g_bs"
    ),
    of=_dqn_loss,
    parts={"huber": huber_gradient},
    draw=_drawn_batch,
    edges=(dict(m=1, rows=0), dict(A=1), dict(h=1)),
    large=dict(sizes=(64, 401, 307, 5)),
    products=1999,  # example by example
    points=(4, 7, 5),
    slide="Deep Q-learning",
    difficulty=3,
    minutes=25,
    needs=("dqn_targets", "huber_gradient"),
    hints=(
        "u = Q(S)[i, a_i] - y_i, where y is a number: forward through the target network, and never back.",
        "G, the gradient of the loss with respect to Q (m, A), is 0 but for the action taken: huber_gradient's there.",
        "From there on it is mlp_backward of lab 2: g_W_2 = Gᵀ H, then G W_2 where the hidden unit is on, and so on.",
    ),
    mistakes={
        "ignored terminated: went on behind the end": _mistaken(terminated=lambda terminated: terminated & False),
        "treated truncated as terminated": _mistaken(terminated=lambda terminated, truncated: terminated | truncated),
        "took the target from the wrong network, the online one": _mistaken(
            ahead=lambda Q_target, Q_online: Q_online.detach()
        ),
        "took the target from the online network, and let the gradient through it": _mistaken(
            ahead=lambda Q_target, Q_online: Q_online
        ),
        "let the gradient through the target": _through_target,
        "did not gather the action: pushed the error into all actions": _mistaken(error=_every_action),
        "took y - Q for the error: went up where the loss goes down": lambda right: {
            name: [-g for g in right[name]] for name in ("g_Ws", "g_bs")
        },
        "let the gradient through ReLU where it is off": _mistaken(
            net=partial(_q, relu=lambda a: looks_like(a.relu(), a))
        ),
        "put a ReLU after the last layer, too": _mistaken(net=partial(_q, last=torch.relu)),
        "kept the pre-activation where g_W_2 needs what ReLU made of it": _mistaken(net=_hidden_kept),
        "multiplied with the target network's W_2 on the way back": lambda **inputs: _foreign_W_2(**inputs),
        "divided by m twice": lambda right, a: {name: [g / len(a) for g in right[name]] for name in ("g_Ws", "g_bs")},
        "summed the loss over the batch instead of averaging it": lambda a, **rest: (
            given(_dqn_loss, dict(a=a, **rest)) * len(a)
        ),
        "returned the weight gradients transposed": lambda right: {"g_Ws": [g.T for g in right["g_Ws"]]},
    },
)


def _foreign_W_2(Ws_target: list[Tensor], **inputs: Any) -> Tensor:
    """The hidden layer gets its gradient through the W_2 of the target network."""

    def net(S: Tensor, Ws: list[Tensor], bs: list[Tensor]) -> Tensor:
        H = (S @ Ws[0].T + bs[0]).relu()
        return looks_like(_q(S, Ws, bs), H.detach() @ Ws[1].T + bs[1] + H @ Ws_target[1].T)

    loss: Tensor = given(_dqn_loss, inputs | dict(Ws_target=Ws_target), net=net)
    return loss


# --- replay ----------------------------------------------------------------------------------------------------------


def _drawn_episode(d: Draw) -> Inputs:
    """Transitions in additions of several sizes: the memory is filled in part, over its end, and twice over."""
    n, capacity = d.integer(2, 5), d.integer(11, 15)
    parts = [d.integer(6, 9), capacity - 4, 3, 1, capacity, d.integer(4, 7)]
    N = sum(parts)
    return dict(
        capacity=capacity,
        **dict(S=d.normal(N, n), a=d.labels(3, N), r=d.normal(N), S_next=d.normal(N, n)),
        **dict(terminated=some(d, N, 0.3), truncated=some(d, N, 0.3)),
        **dict(cuts=torch.tensor(parts).cumsum(0), m=5, times=120, seed=d.integer(0, 2**31)),
    )


def _rows(inputs: Any) -> Tensor:
    """The transitions, one a row, as the adapter returns them."""
    return torch.cat([inputs[f].double().reshape(len(inputs["r"]), -1) for f in adapters.FIELDS], 1)


def _places(batch: list[Tensor], columns: slice = slice(None), **inputs: Any) -> list[Tensor]:
    """Which transition each drawn row is, at each time: (times, m); -1 where it is none of those added so far."""
    rows, cuts = _rows(inputs)[:, columns], inputs["cuts"].tolist()
    found = []
    for drawn, end in zip(batch, [*cuts, cuts[-1], cuts[-1]], strict=True):
        equal = (drawn.double()[:, :, None, columns] - rows[:end]).abs().amax(-1) < 1e-5
        found.append(torch.where(equal.any(-1), equal.double().argmax(-1), -1))
    return found


def _ages(batch: list[Tensor], **inputs: Any) -> list[Tensor]:
    """0 for the newest transition at the time, capacity and more for one that should be overwritten."""
    ends = inputs["cuts"].tolist()
    found = _places(batch, **inputs)
    return [end - 1 - place for place, end in zip(found, [*ends, ends[-1], ends[-1]], strict=True)]


def _kept(capacity: int, **inputs: Any) -> list[Tensor]:
    """How often each age that should be there was drawn, at each time."""
    ages, ends = _ages(**inputs), inputs["cuts"].tolist()
    return [
        age.clamp(0, capacity).flatten().bincount(minlength=capacity + 1)[: min(end, capacity)]
        for age, end in zip(ages, ends, strict=False)
    ]


def _equally_often(**inputs: Any) -> float:
    """The z-score of them all that is farthest from 0, where there is something to choose."""
    scores = [_equally(counts) for counts in _kept(**inputs)]
    return max(scores, key=abs)


def _apart(batch: list[Tensor]) -> Tensor:
    """For each batch drawn, whether all of its rows are different."""
    drawn = torch.cat(batch)
    return torch.tensor([len(rows.unique(dim=0)) == len(rows) for rows in drawn])


def _with_replacement(batch: list[Tensor], cuts: Tensor, capacity: int) -> float:
    """z-score of how many batches hold a row twice."""
    sizes = cuts.clamp(max=capacity).tolist()
    m, times = batch[0].shape[1], len(batch[0])
    p = [math.prod((size - i) / size for i in range(m)) for size in (*sizes, sizes[-1], sizes[-1])]
    mean, variance = times * sum(p), times * sum(q * (1 - q) for q in p)
    return float(_apart(batch).sum().item() - mean) / math.sqrt(variance)


def _never_added(**inputs: Any) -> Tensor:
    return torch.cat([(place < 0).flatten() for place in _places(**inputs)])


def _swapped(one: int, two: int, n: int) -> list[int]:
    """The columns of a row with two fields exchanged."""
    widths = [n, 1, 1, n, 1, 1]
    starts = [sum(widths[:i]) for i in range(6)]
    fields = [list(range(start, start + width)) for start, width in zip(starts, widths, strict=True)]
    fields[one], fields[two] = fields[two], fields[one]
    return [column for field in fields for column in field]


def _with_swapped(one: int, two: int) -> Callable[..., float]:
    def law(batch: list[Tensor], **inputs: Any) -> float:
        columns = _swapped(one, two, inputs["S"].shape[1])
        straight, crossed = (
            _never_added(batch=drawn, **inputs) for drawn in (batch, [b[:, :, columns] for b in batch])
        )
        return _exactly(straight.any() and not crossed.any())

    return law


def _each_of_its_own(batch: list[Tensor], **inputs: Any) -> float:
    """Whether states and next states are all known, but belong to different transitions."""
    n = inputs["S"].shape[1]
    first = torch.cat(_places(batch, slice(0, n), **inputs))
    second = torch.cat(_places(batch, slice(n + 2, 2 * n + 2), **inputs))
    return _exactly((first >= 0).all() and (second >= 0).all() and (first != second).any())


def _first_spoilt(batch: list[Tensor], **inputs: Any) -> float:
    """Whether a first batch is right, and later ones hold what that one was overwritten with."""
    spoilt = [(drawn == adapters.SPOILT).any(-1) for drawn in batch]
    return _exactly(not spoilt[0][0].any() and spoilt[-1].any())


def _old_ones(batch: list[Tensor], capacity: int, **inputs: Any) -> Tensor:
    """Which rows drawn at the end should have been overwritten."""
    return _ages(batch, **inputs)[-1] >= capacity


ReplayBuffer = Statistics(
    signature="ReplayBuffer(capacity, n) -> size, batch",
    of=lambda cuts, m, times, S: (
        torch.zeros(len(cuts)),
        [torch.zeros(times, m, 2 * S.shape[1] + 4)] * (len(cuts) + 2),
    ),
    draw=_drawn_episode,
    core=2,
    adapter=adapters.replayed,
    products=SWEEPS,
    points=(3, 9),
    slide="Deep Q-learning",
    difficulty=3,
    minutes=25,
    hints=(
        "Allocate a tensor of `capacity` rows for each field, and remember where the next row goes and how many are "
        "filled: row (at + i) % capacity takes the i-th of what is added. Assigning into a tensor copies.",
        "sample: torch.randint(len(self), (m,), generator=generator), and index all fields with it: that copies, too.",
    ),
    laws={
        "size": {
            "is not how many transitions are in the memory: at most its capacity": lambda size, cuts, capacity: (
                _exactly(torch.equal(size.double(), cuts.clamp(max=capacity).double()))
            ),
        },
        "batch": {
            "a transition is drawn that was never added": lambda **all_: _exactly(not _never_added(**all_).any()),
            "a transition is drawn that should have been overwritten": lambda capacity, **all_: _exactly(
                all((age < capacity).all() for age in _ages(**all_))
            ),
            "a transition that should be there is never drawn": lambda **all_: _exactly(
                all(counts.all() for counts in _kept(**all_))
            ),
            "the transitions are not equally likely": _equally_often,
            "rows are not drawn with replacement, independently": _with_replacement,
            "a second batch with the same generator is the same": lambda batch: _exactly(
                not torch.equal(batch[-3], batch[-1]) and not (batch[-1][0] == batch[-1]).all()
            ),
            "a generator of the same seed gives other batches": lambda batch: _exactly(
                torch.equal(batch[-2], batch[-1])
            ),
        },
    },
    mistakes={
        "grew beyond the capacity": lambda size, capacity: _exactly(size.max() > capacity),
        "kept what it was handed, not a copy": lambda batch: _exactly(not batch[0][0].any()),
        "returned views into the memory, not copies": _first_spoilt,
        "drew empty rows while the memory is not full": lambda batch: _exactly(
            (batch[0] == 0).all(-1).any() and not (batch[-1] == 0).all(-1).any()
        ),
        "exchanged S and S_next": _with_swapped(0, 3),
        "exchanged terminated and truncated": _with_swapped(4, 5),
        "drew the rows of each field for themselves": _each_of_its_own,
        "ignored what comes when the memory is full": lambda capacity, cuts, **all_: _exactly(
            (_places(cuts=cuts, **all_)[-1] < capacity).all()
        ),
        "overwrote the newest transitions instead of the oldest": lambda **all_: _exactly(
            _old_ones(**all_).any() and not _never_added(**all_).any()
        ),
        "gave the generator its first seed again": lambda batch: _exactly((batch[-1][0] == batch[-1]).all()),
        "never drew the last row": lambda **all_: _exactly(
            all((counts == 0).sum() == 1 for counts in _kept(**all_)) and not _never_added(**all_).any()
        ),
        "drew without replacement": lambda batch: _exactly(_apart(batch).all()),
        "ignored the generator": lambda batch: _exactly(not torch.equal(batch[-2], batch[-1])),
    },
)

# --- training --------------------------------------------------------------------------------------------------------

STEPS = 500  # after which an episode is truncated


def _drawn_poles(d: Draw) -> Inputs:
    """Physics, senses and hands of a cart-pole of its own: what is known of others does not help."""
    scale = torch.tensor([1.0, 1.0, 4.0, 1.0]) * d.uniform(0.7, 1.4, 4) * (1 - 2 * d.labels(2, 4))
    senses: Inputs = dict(order=d.permutation(4), scale=scale, swapped=d.integer(0, 2))
    seeds: Inputs = {name: d.integer(0, 2**31) for name in ("env_seed", "seed", "test_seed")}
    return dict(gravity=d.number(8, 12), length=d.number(0.4, 0.7), **senses, **seeds)


def _network(bs: Any = ()) -> tuple[list[Tensor], list[Tensor]]:
    """Weights of a 4-h-2 network; h is the student's choice, 256 at most."""
    h = min(256, bs[0].numel()) if isinstance(bs, list) and bs else 64
    return [torch.zeros(h, 4), torch.zeros(2, h)], [torch.zeros(h), torch.zeros(2)]


def _share_of_steps(
    gravity: float,
    length: float,
    order: Tensor,
    scale: Tensor,
    swapped: int,
    test_seed: int,
    Ws: list[Tensor],
    bs: list[Tensor],
) -> float:
    """The mean return over 100 episodes that nobody has seen, of the 500 that can be had."""
    poles = CartPoles(100, test_seed, gravity, length, order, scale, swapped)
    return mean_return(poles, [W.double() for W in Ws], [b.double() for b in bs]) / STEPS


train_dqn = Trained(
    signature="train_dqn(env, seed) -> Ws, bs",
    of=_network,
    draw=_drawn_poles,
    core=1,
    adapter=adapters.on_cartpoles,
    score=_share_of_steps,
    full=0.67,  # the solution reaches 0.970 ± 0.073 over 20 seeds, in 12 to 14 s of processor time
    none=0.1,
    unit="of 500 steps the pole is held, on average over 100 episodes",
    not_allowed=tuple(name for name in BY_HAND if name != KERNELS),  # watching every operation costs too much here
    points=(7, 7),
    slide="Deep Q-learning",
    difficulty=4,
    minutes=40,
    seconds=90,
    needs=("epsilon_greedy", "dqn_gradient", "ReplayBuffer"),
    hints=(
        "Adam with α = 0.002, made smaller towards the end, is worth its few lines.",
        "The step after an end belongs to no episode: leave it out of the memory.",
    ),
)
