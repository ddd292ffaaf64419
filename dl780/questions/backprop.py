"""Backpropagation.

Slides "Neural networks" to "What's changed since the 80s?".
Batch as rows, `Z @ W.T + b`; losses are means over the batch; every function returns new tensors.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import SGD, Adam
from torch.utils.flop_counter import FlopCounterMode

from dl780.check.cases import Draw
from dl780.check.question import Gradients, Jacobians, Statistics, Trained, Values, looks_like, slope_elsewhere
from dl780.student import adapters
from dl780.student.arrays import Inputs
from dl780.student.drawn import Activation, expression, polynomial, wave, weighted_squares
from dl780.student.traps import AUTOGRAD, KERNELS

OPENING = """\
import math

import matplotlib.pyplot as plt
import numpy as np
import torch

from dl780 import Lab

lab = Lab("backprop")
"""
WRITTEN = {"why_cache": 4.0, "why_relu": 4.0, "why_dropout": 4.0}


def pre_activation(d: Draw, m: int, n: int, far: float) -> Tensor:
    """N(0, 1), or beyond ±far but for the last row: there f' is not tiny, so that float32 will do."""
    a = d.normal(m, n)
    if far:
        a[:-1] = far * (1 + a[:-1].abs()) * (1 - 2 * (torch.arange(n) % 2))
    return a


# --- gradients by differences ----------------------------------------------------------------------------------------

# Of a cubic, the central difference is the derivative plus c_3 eps², exactly; a forward one adds eps f''/2 to it.
numerical_gradient = Gradients(
    signature="numerical_gradient(f, x, eps) -> g",
    of=lambda c, x, eps: polynomial(c)(x) + (eps**2 * c[2] * x).sum(),
    wrt={"g": "x"},
    draw=lambda d, m, n, eps=0.1, shape=(): dict(c=d.uniform(1, 2, 3), x=d.normal(*(shape or (m, n))), eps=eps),
    edges=(dict(shape=(5,)), dict(shape=(2, 3, 2)), dict(eps=0.01)),
    adapter=adapters.of_polynomial,
    points=(6,),
    slide="The Jacobian",
    difficulty=1,
    minutes=10,
    rtol=1e-4,
    atol=1e-4,
    hints=(
        "One entry at a time: f with that entry eps larger, minus f with it eps smaller, over 2 eps.",
        "x may have any shape: step through a flat copy of it, and give the result the shape of x.",
    ),
    mistakes={
        "took a forward difference, (f(x + eps) - f(x)) / eps": lambda c, x, eps: _one_sided(c, x, eps),
        "took a backward difference, (f(x) - f(x - eps)) / eps": lambda c, x, eps: _one_sided(c, x, -eps),
        "divided by eps instead of 2 eps": lambda right: {"g": 2 * right["g"]},
        "moved all entries of x at once": lambda c, x, eps: (
            x.sum() * (polynomial(c)(x.detach() + eps) - polynomial(c)(x.detach() - eps)) / (2 * eps)
        ),
        "moved all entries of x at once, and returned one number": lambda right, c, x, eps: {
            "g": (polynomial(c)(x + eps) - polynomial(c)(x - eps)) / (2 * eps)
        },
        "never moved an entry back before going on to the next": lambda c, x, eps: _never_back(c, x, eps),
        "returned a flat gradient, not one in the shape of x": lambda right: {"g": right["g"].flatten()},
    },
)


def _one_sided(c: Tensor, x: Tensor, eps: float) -> Tensor:
    """A function whose derivative is the difference of the polynomial between x and x + eps, over eps."""
    return polynomial(c)(x) + (eps * (1.5 * c[2] * x**2 + (c[1] + 1) * x) + eps**2 * c[2] * x).sum()


def _never_back(c: Tensor, x: Tensor, eps: float) -> Tensor:
    """The gradient's entry i is taken where all entries before it are smaller by eps."""
    at = x.detach().flatten()
    places = at - eps * torch.ones(len(at), len(at), dtype=x.dtype).tril(-1)
    moved = places + torch.diag(x.flatten() - at)
    return torch.stack([polynomial(c)(place) for place in moved]).sum() + (eps**2 * c[2] * x).sum()


# --- non-linear functions --------------------------------------------------------------------------------------------

tanh = Gradients(
    signature="tanh(a) -> f, df",
    of=lambda a: torch.tanh(a),
    wrt={"df": "a"},
    draw=lambda d, m, n, far=0.0: dict(a=pre_activation(d, m, n, far)),
    edges=(dict(far=1000.0), dict(m=1)),
    points=(2, 2),
    slide="Neural networks",
    difficulty=1,
    minutes=5,
    hints=("torch.tanh is allowed; the derivative of tanh can be written with f alone.",),
    mistakes={
        "took the derivative at f instead of at a": lambda a: slope_elsewhere(torch.tanh, a, at=torch.tanh(a)),
        "returned 1 - f, not 1 - f², as the derivative": lambda right: {"df": 1 - right["f"]},
        "let e^{2a} overflow at large a": lambda a: ((2 * a).exp() - 1) / ((2 * a).exp() + 1),
        "let e^a and e^{-a} overflow at large a": lambda a: (a.exp() - (-a).exp()) / (a.exp() + (-a).exp()),
    },
)

sigmoid = Gradients(
    signature="sigmoid(a) -> f, df",
    of=lambda a: torch.sigmoid(a),
    wrt={"df": "a"},
    draw=lambda d, m, n, far=0.0: dict(a=pre_activation(d, m, n, far)),
    edges=(dict(far=1000.0), dict(m=1)),
    points=(2, 2),
    slide="Neural networks",
    difficulty=1,
    minutes=5,
    hints=("The derivative of σ can be written with f alone.",),
    mistakes={
        "took the derivative at f instead of at a": lambda a: slope_elsewhere(torch.sigmoid, a, at=torch.sigmoid(a)),
        "left out the minus sign in e^{-a}": lambda right: {"f": 1 - right["f"]},
        "returned f (1 + f), not f (1 - f), as the derivative": lambda right: {"df": right["df"] + 2 * right["f"] ** 2},
        "returned 1 - f², which is the derivative of tanh": lambda right: {"df": 1 - right["f"] ** 2},
        "let e^a overflow at large a": lambda a: a.exp() / (1 + a.exp()),
    },
)

relu = Gradients(
    signature="relu(a) -> f, df",
    of=lambda a: torch.relu(a),
    wrt={"df": "a"},
    draw=lambda d, m, n, scale=1.0, zeros=0.0: dict(
        a=d.away_from_zero(m, n, scale=scale) * (d.uniform(0, 1, m, n) >= zeros)
    ),
    edges=(dict(zeros=0.4), dict(scale=1000.0), dict(m=1)),
    ties={"df": lambda want, got, a: torch.where(a == 0, got.double().clamp(0, 1), want)},
    points=(2, 2),
    slide="Neural networks",
    difficulty=1,
    minutes=5,
    hints=("Where a > 0 the slope is 1, where a < 0 it is 0; at 0 any value from 0 to 1 is taken.",),
    mistakes={
        "returned f itself as the derivative": lambda right: {"df": right["f"]},
        "let the gradient through everywhere": lambda right: {"df": torch.ones_like(right["df"])},
        "let the gradient through where a is negative": lambda a: slope_elsewhere(torch.relu, a, at=-a),
        "returned |a|": lambda a: a.abs(),
    },
)

# --- one layer -------------------------------------------------------------------------------------------------------

layer_jacobians = Jacobians(
    signature="layer_jacobians(z, W, b) -> J_z, J_b",
    of=lambda z, W, b: torch.tanh(W @ z + b),
    draw=lambda d, k, n: d.until(
        lambda inputs: bool(((inputs["W"] @ inputs["z"] + inputs["b"]).abs() < 3).any()),  # float32 has 1 - f² there
        lambda: dict(z=d.normal(n), W=d.normal(k, n, scale=n**-0.5), b=d.normal(k)),
    ),
    edges=(dict(k=1), dict(n=1)),
    points=(4, 4),
    slide="Derivation of backpropagation",
    difficulty=2,
    minutes=15,
    needs=("tanh",),
    hints=(
        "The chain rule in Jacobians: that of the elementwise function, times that of W z + b.",
        "An elementwise function's Jacobian is diag(f'(a)) with a = W z + b.",
    ),
    mistakes={
        "took f' at the activation instead of at W z + b": lambda z, W, b: slope_elsewhere(
            torch.tanh, W @ z + b, at=torch.tanh(W @ z + b)
        ),
        "left out f'": lambda z, W, b: W @ z + b,
        "returned J_z transposed": lambda right: {"J_z": right["J_z"].T},
        "returned the diagonal of J_b, not the matrix": lambda right: {"J_b": right["J_b"].diagonal()},
    },
)

softmax_cross_entropy = Gradients(
    signature="softmax_cross_entropy(Z, y) -> loss, G",
    of=lambda Z, y: F.cross_entropy(Z, y),
    wrt={"G": "Z"},
    draw=lambda d, m, C, shift=0.0: dict(
        Z=d.normal(m, C, scale=2) + shift * (torch.arange(m)[:, None] % 2), y=d.labels(C, m)
    ),
    edges=(dict(shift=1000.0), dict(m=1)),
    large=dict(m=1009, C=211),
    points=(5, 5),
    slide="Backpropagation",
    difficulty=2,
    minutes=20,
    hints=(
        "Subtract each row's maximum first: the loss does not change, and nothing overflows.",
        "For one example the gradient is softmax(z) minus the one-hot y.",
        "The loss is a mean over the m rows, so its gradient carries 1/m.",
    ),
    mistakes={
        "summed the loss over the batch instead of averaging it": lambda Z, y: F.cross_entropy(Z, y, reduction="sum"),
        "never divided G by m": lambda right, y: {"G": right["G"] * len(y)},
        "divided G by m twice": lambda right, y: {"G": right["G"] / len(y)},
        "subtracted the maximum over the wrong axis": lambda Z, y: F.cross_entropy(Z - Z.detach().amax(0), y),
        "normalised over the batch instead of over the classes": lambda right, Z, y: {
            "loss": F.nll_loss(Z.log_softmax(0), y),
            "G": right["G"] + (Z.softmax(0) - Z.softmax(1)) / len(y),
        },
        "subtracted y itself, not its one-hot rows": lambda right, Z, y: {
            "G": right["G"] + (F.one_hot(y, Z.shape[1]) - y[:, None]) / len(y)
        },
        "did not subtract the one-hot y from the probabilities": lambda right, Z, y: {
            "G": right["G"] + F.one_hot(y, Z.shape[1]) / len(y)
        },
        "left out the minus sign of the loss": lambda right: {"loss": -right["loss"]},
        "let e^z overflow: the maximum is not subtracted": lambda Z, y: F.nll_loss(
            (Z.exp() / Z.exp().sum(1, keepdim=True)).log(), y
        ),
        "let e^z overflow in log Σ e^z: the maximum is not subtracted": lambda Z, y: F.nll_loss(
            Z - Z.exp().sum(1, keepdim=True).log(), y
        ),
    },
)

linear_backward = Gradients(
    signature="linear_backward(G, Z, W, b) -> G_Z, G_W, G_b",
    of=lambda Z, W, b: Z @ W.T + b,
    draw=lambda d, m, n, k: dict(Z=d.normal(m, n), W=d.normal(k, n), b=d.normal(k)),
    edges=(dict(m=1), dict(n=1, k=1)),
    large=dict(m=13, n=499, k=307),
    points=(3, 4, 3),
    slide="Derivation of backpropagation",
    difficulty=2,
    minutes=15,
    hints=(
        "G has the shape of Z @ W.T + b. Which product of G and W has the shape of Z?",
        "Every row adds its own gradient of W and of b: the batch is summed over, never averaged here.",
    ),
    mistakes={
        "averaged the bias gradient over the batch": lambda right, G: {"G_b": right["G_b"] / len(G)},
        "did not sum the bias gradient over the batch": lambda right, G: {"G_b": G},
        "summed the bias gradient over the wrong axis": lambda right, G: {"G_b": G.sum(1)},
        "returned the weight gradient transposed": lambda right: {"G_W": right["G_W"].T},
        "divided by m, which belongs to the loss": lambda right, G: {
            "G_W": right["G_W"] / len(G),
            "G_b": right["G_b"] / len(G),
        },
        "returned G_W and G_Z in each other's place": lambda right: {"G_Z": right["G_W"], "G_W": right["G_Z"]},
    },
)

# --- networks --------------------------------------------------------------------------------------------------------


def _value(f: Activation, a: Tensor) -> Tensor:
    return f(a)[0]


Slope = Callable[[Callable[[Tensor], Tensor], Tensor, bool], Tensor]


def _drawn_loss(
    x: Tensor,
    y: Tensor,
    Ws: list[Tensor],
    bs: list[Tensor],
    cs: list[Tensor],
    s: Tensor,
    apply: Slope = lambda f, a, last: f(a),
    zs: list[Tensor] | None = None,
    slopes: Sequence[Tensor] = (),
) -> Tensor:
    """ℓ(z_k, y) of the lecture's network; `slopes`, where given, stand for the W_i that g_i is multiplied with."""
    z = x
    for i, (W, b, c) in enumerate(zip(Ws, bs, cs, strict=True)):
        if zs is not None:
            zs.append(z := z.detach().requires_grad_() if i == 0 else z)
        a = W @ z.detach() + b + slopes[i] @ (z - z.detach()) if slopes else W @ z + b
        z = apply(partial(_value, wave(c)), a, i == len(Ws) - 1)
    return weighted_squares(s)(z, y)[0]


def _g_updated_first(
    right: Any, x: Tensor, y: Tensor, Ws: list[Tensor], bs: list[Tensor], cs: list[Tensor], s: Tensor
) -> dict[str, list[Tensor]]:
    """∇W_i = g_i z_iᵀ: g is overwritten before ∇W_i uses it."""
    zs: list[Tensor] = []
    L = _drawn_loss(x, y, Ws, bs, cs, s, zs=zs)
    return {"g_Ws": [torch.outer(g, z.detach()) for g, z in zip(torch.autograd.grad(L, zs), zs, strict=True)]}


def _W_updated_first(x: Tensor, y: Tensor, Ws: list[Tensor], bs: list[Tensor], cs: list[Tensor], s: Tensor) -> Tensor:
    """g_i is multiplied with W_i - ∇W_i: from the last layer down, each changed W takes the place of the right one."""
    slopes = [W.detach() for W in Ws]
    for i in reversed(range(len(Ws))):
        L = _drawn_loss(x, y, Ws, bs, cs, s, slopes=slopes)
        slopes[i] = slopes[i] - torch.autograd.grad(L, Ws[i])[0]
    return _drawn_loss(x, y, Ws, bs, cs, s, slopes=slopes)


def _f_left_out_below(x: Tensor, y: Tensor, Ws: list[Tensor], bs: list[Tensor], cs: list[Tensor], s: Tensor) -> Tensor:
    """∇W_i and ∇b_i have their f'; the way down to z_i leaves it out."""
    z = x
    for W, b, c in zip(Ws, bs, cs, strict=True):
        z = wave(c)(W @ z.detach() + b)[0] + W.detach() @ (z - z.detach())
    return weighted_squares(s)(z, y)[0]


def _drawn_network(d: Draw, depth: int, sizes: Sequence[int] = ()) -> Inputs:
    n = list(sizes) or d.sizes(depth + 1)
    Ws, bs = d.layers(n)
    cs = [d.uniform(0.5, 1.5, 3) for _ in Ws]
    return dict(x=d.normal(n[0]), y=d.normal(n[-1]), Ws=Ws, bs=bs, cs=cs, s=d.uniform(0.5, 1.5, n[-1]))


backpropagation = Gradients(
    signature="backpropagation(x, y, Ws, bs, fs, loss) -> L, g_Ws, g_bs",
    of=lambda x, y, Ws, bs, cs, s: _drawn_loss(x, y, Ws, bs, cs, s),
    draw=lambda d, depth=3, sizes=(): _drawn_network(d, depth, sizes),
    edges=(dict(depth=1), dict(depth=4)),
    large=dict(sizes=(701, 503, 3)),
    adapter=adapters.with_drawn_network,
    points=(2, 5, 5),
    slide="Derivation of backpropagation",
    difficulty=3,
    minutes=25,
    hints=(
        "Forward: keep every z_i, and every f'_i(W_i z_i + b_i), which fs[i] returns beside f_i.",
        "Backward: δ = g_{i+1} ∘ z'_{i+1} once; then ∇b_i = δ, ∇W_i = δ z_iᵀ, and only then g_i = W_iᵀ δ.",
    ),
    mistakes={
        "took f' at the activation z_{i+1} instead of at W_i z_i + b_i": partial(
            _drawn_loss, apply=lambda f, a, last: slope_elsewhere(f, a, at=f(a))
        ),
        "left out f'": partial(_drawn_loss, apply=lambda f, a, last: looks_like(f(a), a)),
        "left out f' of the last layer": partial(
            _drawn_loss, apply=lambda f, a, last: looks_like(f(a), a) if last else f(a)
        ),
        "left out f' where g_i is passed on to the layer below": _f_left_out_below,
        "updated g before ∇W used it": _g_updated_first,
        "changed W_i by its gradient before g_i used it": _W_updated_first,
        "returned the gradients last layer first": lambda right: {
            "g_Ws": right["g_Ws"][::-1],
            "g_bs": right["g_bs"][::-1],
        },
        "returned the weight gradients transposed": lambda right: {"g_Ws": [g.T for g in right["g_Ws"]]},
    },
)


def _mlp_loss(
    X: Tensor,
    y: Tensor,
    Ws: list[Tensor],
    bs: list[Tensor],
    linear: Callable[..., Tensor] = linear_backward.of,
    relu: Callable[..., Tensor] = relu.of,
    cross_entropy: Callable[..., Tensor] = softmax_cross_entropy.of,
) -> Tensor:
    Z = X
    for i, (W, b) in enumerate(zip(Ws, bs, strict=True)):
        Z = linear(Z=relu(a=Z) if i else Z, W=W, b=b)
    return cross_entropy(Z=Z, y=y)


def _drawn_mlp(d: Draw, m: int, depth: int, sizes: Sequence[int] = ()) -> Inputs:
    n = list(sizes) or [2 * size for size in d.sizes(depth + 1)]  # even: m is a prime, and 2 alone is both

    def draw() -> Inputs:
        Ws, bs = d.layers(n)
        return dict(X=d.normal(m, n[0]), y=d.labels(n[-1], m), Ws=Ws, bs=bs)

    def clear(inputs: Any) -> bool:
        """No pre-activation so near to 0 that float32 might put it on the other side; no unit layer all off."""
        Z, clear = inputs["X"], True
        for W, b in list(zip(inputs["Ws"], inputs["bs"], strict=True))[:-1]:
            a = Z @ W.T + b
            clear, Z = clear and bool((a.abs() > 1e-4).all()) and bool((a > 0).any() and (a < 0).any()), a.relu()
        return clear

    return d.until(clear, draw)


mlp_backward = Gradients(
    signature="mlp_backward(X, y, Ws, bs) -> loss, g_Ws, g_bs",
    of=_mlp_loss,
    parts={"linear": linear_backward, "relu": relu, "cross_entropy": softmax_cross_entropy},
    draw=lambda d, m, depth=3, sizes=(): _drawn_mlp(d, m, depth, sizes),
    edges=(dict(m=1), dict(depth=1), dict(depth=4)),
    large=dict(m=2, sizes=(701, 307, 89, 10)),
    points=(2, 5, 5),
    slide="Derivation of backpropagation",
    difficulty=3,
    minutes=25,
    needs=("linear_backward", "relu", "softmax_cross_entropy"),
    hints=(
        "Forward: keep each layer's input and its pre-activation. The last layer has no ReLU.",
        "Backward: start with the G of softmax_cross_entropy; linear_backward gives the G of the layer below.",
    ),
    mistakes={
        "let the gradient through ReLU where it is off": partial(_mlp_loss, relu=lambda a: looks_like(a.relu(), a)),
        "put a ReLU after the last layer, too": partial(
            _mlp_loss, cross_entropy=lambda Z, y: F.cross_entropy(Z.relu(), y)
        ),
        "kept the pre-activations where ∇W needs what ReLU made of them": lambda X, y, Ws, bs: _pre_activations_kept(
            X, y, Ws, bs
        ),
        "divided by m twice": lambda right, y: {
            "g_Ws": [g / len(y) for g in right["g_Ws"]],
            "g_bs": [g / len(y) for g in right["g_bs"]],
        },
        "summed the loss over the batch instead of averaging it": partial(
            _mlp_loss, cross_entropy=lambda Z, y: F.cross_entropy(Z, y, reduction="sum")
        ),
        "returned the gradients last layer first": lambda right: {
            "g_Ws": right["g_Ws"][::-1],
            "g_bs": right["g_bs"][::-1],
        },
    },
)


def _pre_activations_kept(X: Tensor, y: Tensor, Ws: list[Tensor], bs: list[Tensor]) -> Tensor:
    """The network's values, with W_i applied to a where its gradient is taken, to relu(a) elsewhere."""
    a = X
    for i, (W, b) in enumerate(zip(Ws, bs, strict=True)):
        Z, kept = relu.of(a) if i else a, a.detach()
        a = looks_like(Z @ W.T + b, Z @ W.detach().T + kept @ W.T + b)
    return F.cross_entropy(a, y)


# --- steps -----------------------------------------------------------------------------------------------------------

Trajectory = list[Tensor]
BY_HAND = (*AUTOGRAD, "torch.optim.Optimizer.__init__")


def _optimise(
    optimiser: Callable[..., torch.optim.Optimizer], state: str, w: Tensor, gs: list[Tensor], alphas: Tensor
) -> tuple[Trajectory, ...]:
    """w, and what the optimiser keeps, after each step of torch.optim."""
    parameter = w.clone().requires_grad_()
    steps = optimiser([parameter])
    kept: list[Trajectory] = [[] for _ in ("w", *state.split())]
    for g, alpha in zip(gs, alphas.tolist(), strict=True):
        parameter.grad, steps.param_groups[0]["lr"] = g.clone(), alpha
        steps.step()
        now = [parameter, *(steps.state[parameter][name] for name in state.split())]
        for trajectory, value in zip(kept, now, strict=True):
            trajectory.append(value.detach().clone())
    return tuple(kept)


def _walk(w: Tensor, alphas: Tensor, directions: list[Tensor]) -> Trajectory:
    """w less the sum of α times each direction so far."""
    steps = torch.stack([alpha * direction for alpha, direction in zip(alphas, directions, strict=True)])
    return list(w - steps.cumsum(0))


def _drawn_steps(d: Draw, m: int, n: int, steps: int, **constants: float) -> Inputs:
    gs = [d.normal(m, n) for _ in range(steps)]
    return dict(w=d.normal(m, n), gs=gs, alphas=d.uniform(0.1, 1, steps), **constants)


sgd_step = Values(
    signature="sgd_step(w, g, alpha) -> w",
    of=lambda w, gs, alphas: _optimise(SGD, "", w, gs, alphas),
    draw=lambda d, m, n, steps=10: _drawn_steps(d, m, n, steps),
    core=2,
    edges=(dict(steps=1),),
    adapter=adapters.sgd_steps,
    key="torch.optim",
    not_allowed=BY_HAND,
    points=(2,),
    slide="Stochastic gradient descent for neural networks",
    difficulty=1,
    minutes=3,
    hints=("w - alpha g, as a new tensor.",),
    mistakes={
        "went up the gradient": lambda w, gs, alphas: _optimise(partial(SGD, maximize=True), "", w, gs, alphas),
        "left out alpha": lambda w, gs, alphas: _optimise(SGD, "", w, gs, torch.ones_like(alphas)),
        "returned the step instead of the new w": lambda gs, alphas: (
            [a * g for a, g in zip(alphas, gs, strict=True)],
        ),
    },
)

momentum_step = Values(
    signature="momentum_step(w, g, v, alpha, beta) -> w, v",
    of=lambda w, gs, alphas, beta: _momentum(w, gs, alphas, momentum=beta),
    draw=lambda d, m, n, steps=10: _drawn_steps(d, m, n, steps, beta=d.number(0.5, 0.9)),
    core=2,
    edges=(dict(steps=1),),
    adapter=adapters.momentum_steps,
    key="torch.optim",
    not_allowed=BY_HAND,
    points=(2, 2),
    slide='What\'s changed since the 80s?, "better optimization techniques"',
    difficulty=2,
    minutes=7,
    hints=("First v ← βv + g, then w ← w - αv with the new v; return both.",),
    mistakes={
        "did not return the new v": lambda w, gs, alphas: (
            *_optimise(SGD, "", w, gs, alphas),
            [torch.zeros_like(w) for _ in gs],
        ),
        "took (1 - β) g into v": lambda w, gs, alphas, beta: _momentum(
            w, [gs[0] * (1 - beta), *gs[1:]], alphas, momentum=beta, dampening=beta
        ),
        "took Nesterov's step": lambda w, gs, alphas, beta: _momentum(w, gs, alphas, momentum=beta, nesterov=True),
        "took α into v": lambda w, gs, alphas, beta: _momentum_of_steps(w, gs, alphas, beta, 1),
        "took -α g into v, and added v to w": lambda w, gs, alphas, beta: _momentum_of_steps(w, gs, alphas, beta, -1),
        "stepped with the old v": lambda right, w, alphas: {
            "w": _walk(w, alphas, [torch.zeros_like(w), *right["v"][:-1]])
        },
    },
)


def _momentum(w: Tensor, gs: list[Tensor], alphas: Tensor, **options: Any) -> tuple[Trajectory, ...]:
    return _optimise(partial(SGD, lr=1.0, **options), "momentum_buffer", w, gs, alphas)


def _momentum_of_steps(w: Tensor, gs: list[Tensor], alphas: Tensor, beta: float, sign: int) -> tuple[Trajectory, ...]:
    """v is a mean of ±α g, not of g."""
    steps = [sign * alpha * g for alpha, g in zip(alphas, gs, strict=True)]
    return _momentum(w, steps, sign * torch.ones_like(alphas), momentum=beta)


def _adam(
    w: Tensor, gs: list[Tensor], alphas: Tensor, beta1: float, beta2: float, eps: float
) -> tuple[Trajectory, ...]:
    return _optimise(partial(Adam, betas=(beta1, beta2), eps=eps), "exp_avg exp_avg_sq", w, gs, alphas)


def _adam_walk(
    w: Tensor,
    alphas: Tensor,
    m: Trajectory,
    v: Trajectory,
    beta1: float,
    beta2: float,
    root: Callable[[Tensor], Tensor],
    first: int | None = 1,
) -> Trajectory:
    """w where m and v are known: corrected for t = first, first + 1, …, or not at all."""
    ts = torch.arange(len(m), dtype=w.dtype) + (first or 0)
    c1, c2 = (torch.ones_like(ts),) * 2 if first is None else (1 - beta1**ts, 1 - beta2**ts)
    return _walk(w, alphas, [(m_t / a) / root(v_t / b) for m_t, v_t, a, b in zip(m, v, c1, c2, strict=True)])


adam_step = Values(
    signature="adam_step(w, g, m, v, t, alpha, beta1, beta2, eps) -> w, m, v",
    of=_adam,
    draw=lambda d, m, n, steps=10: _drawn_steps(
        d, m, n, steps, beta1=d.number(0.7, 0.9), beta2=d.number(0.91, 0.99), eps=d.number(0.05, 0.1)
    ),
    core=2,
    edges=(dict(steps=1),),
    adapter=adapters.adam_steps,
    key="torch.optim",
    not_allowed=BY_HAND,
    points=(2, 2, 2),
    slide='What\'s changed since the 80s?, "better optimization techniques"',
    difficulty=2,
    minutes=10,
    hints=(
        "m and v are running means of g and g²; both start at 0, so each is divided by 1 - βᵗ before it is used.",
        "ε is added to the root, not under it.",
    ),
    mistakes={
        "put ε under the root": lambda right, w, alphas, beta1, beta2, eps: {
            "w": _adam_walk(w, alphas, right["m"], right["v"], beta1, beta2, lambda v: (v + eps).sqrt())
        },
        "left out the bias correction": lambda right, w, alphas, beta1, beta2, eps: {
            "w": _adam_walk(w, alphas, right["m"], right["v"], beta1, beta2, lambda v: v.sqrt() + eps, None)
        },
        "counted t from 0": lambda right, w, alphas, beta1, beta2, eps: {
            "w": _adam_walk(w, alphas, right["m"], right["v"], beta1, beta2, lambda v: v.sqrt() + eps, 0)
        },
        "took t + 1 for t, as if t began at 0": lambda right, w, alphas, beta1, beta2, eps: {
            "w": _adam_walk(w, alphas, right["m"], right["v"], beta1, beta2, lambda v: v.sqrt() + eps, 2)
        },
        "averaged g instead of g² into v": lambda right, w, gs, alphas, beta1, beta2, eps: {
            "v": (v := _adam(w, gs, alphas, beta2, beta2, eps)[1]),
            "w": _adam_walk(w, alphas, right["m"], v, beta1, beta2, lambda v: v.sqrt() + eps),
        },
        "swapped β1 and β2": lambda w, gs, alphas, beta1, beta2, eps: _adam(w, gs, alphas, beta2, beta1, eps),
        "returned the old m and v": lambda w, gs, alphas, beta1, beta2, eps: (
            _adam_walk(
                w,
                alphas,
                [(1 - beta1) * g for g in gs],
                [(1 - beta2) * g**2 for g in gs],
                beta1,
                beta2,
                lambda v: v.sqrt() + eps,
            ),
            [torch.zeros_like(w) for _ in gs],
            [torch.zeros_like(w) for _ in gs],
        ),
        "returned the corrected m and v": lambda w, gs, alphas, beta1, beta2, eps: _optimise(
            partial(_Corrected, betas=(beta1, beta2), eps=eps), "exp_avg exp_avg_sq", w, gs, alphas
        ),
    },
)


class _Corrected(Adam):
    """Adam whose m and v are kept as they are after the bias correction."""

    def step(self, closure: Any = None) -> Any:
        super().step(closure)
        for group in self.param_groups:
            for state in map(self.state.__getitem__, group["params"]):
                for name, beta in zip(("exp_avg", "exp_avg_sq"), group["betas"], strict=True):
                    state[name] /= 1 - beta ** state["step"].item()


# --- dropout and pre-training ----------------------------------------------------------------------------------------


def _share(mask: list[Tensor], kept: float) -> float:
    """z-score of the share of True entries, over the two calls with one generator."""
    both = torch.stack(mask[:2]).double()
    return (both.sum().item() - kept * both.numel()) / math.sqrt(both.numel() * kept * (1 - kept))


def _alike(mask: list[Tensor], kept: float, axis: int) -> float:
    """z-score of the spread of the sums along an axis: χ², by the cube root of Wilson and Hilferty."""
    lines = mask[0].double().movedim(axis, 0)
    n, m = lines[0].numel(), len(lines)
    chi2 = ((lines.sum(0) - kept * m) ** 2).sum().item() / (m * kept * (1 - kept))
    return float(((chi2 / n) ** (1 / 3) - 1 + 2 / (9 * n)) / math.sqrt(2 / (9 * n)))


def _repeats(mask: list[Tensor], kept: float) -> float:
    """z-score of how many entries two calls have in common."""
    alike = kept**2 + (1 - kept) ** 2
    common = (mask[0] == mask[1]).double()
    return (common.sum().item() - alike * common.numel()) / math.sqrt(common.numel() * alike * (1 - alike))


def _exactly(holds: Any) -> float:
    return 0.0 if bool(holds) else math.inf


def _scaled_by(Z: Tensor, out: list[Tensor], mask: list[Tensor], scale: float) -> float:
    return _exactly(all(torch.allclose(o.double(), scale * Z * k, rtol=1e-5) for o, k in zip(out, mask, strict=True)))


dropout = Statistics(
    signature="dropout(Z, p, generator) -> out, mask",
    of=lambda Z: ([Z] * 3, [Z.bool()] * 3),
    draw=lambda d: dict(
        Z=d.away_from_zero(97, 61), p=abs(d.integer(0, 2) - d.number(0.15, 0.35)), seed=d.integer(0, 2**31)
    ),
    core=2,
    adapter=adapters.three_draws,
    points=(2, 2),
    slide="What's changed since the 80s?",
    difficulty=2,
    minutes=10,
    hints=(
        "torch.rand takes a generator; an entry is kept where its random number is at least p.",
        "What is kept is divided by 1 - p, so that the mean stays what it was.",
    ),
    laws={
        "out": {
            "the entries that are kept are not Z / (1 - p), or the others not 0": lambda Z, p, out, mask: _scaled_by(
                Z, out, mask, 1 / (1 - p)
            ),
        },
        "mask": {
            "the share of kept entries is not 1 - p": lambda p, mask: _share(mask, 1 - p),
            "the rows are not independent of each other": lambda p, mask: _alike(mask, 1 - p, 0),
            "the columns are not independent of each other": lambda p, mask: _alike(mask, 1 - p, 1),
            "two rows are the same": lambda mask: _exactly(len(mask[0].unique(dim=0)) == len(mask[0])),
            "two columns are the same": lambda mask: _exactly(len(mask[0].unique(dim=1).T) == len(mask[0].T)),
            "a second call with the same generator gives the same mask": lambda p, mask: _repeats(mask, 1 - p),
            "a generator of the same seed gives another mask": lambda mask: _exactly(torch.equal(mask[0], mask[2])),
        },
    },
    mistakes={
        "took p as the probability of keeping": lambda Z, p, out, mask: max(
            abs(_share(mask, p)), _scaled_by(Z, out, mask, 1 / p)
        ),
        "kept with probability p, and divided by 1 - p": lambda Z, p, out, mask: max(
            abs(_share(mask, p)), _scaled_by(Z, out, mask, 1 / (1 - p))
        ),
        "returned the mask of what is dropped": lambda Z, p, out, mask: _scaled_by(
            Z, out, [~k for k in mask], 1 / (1 - p)
        ),
        "did not rescale what is kept": lambda Z, out, mask: _scaled_by(Z, out, mask, 1.0),
        "divided what is kept by p instead of 1 - p": lambda Z, p, out, mask: _scaled_by(Z, out, mask, 1 / p),
        "drew one mask for all rows": lambda mask: _exactly((mask[0] == mask[0][:1]).all()),
        "drew one mask for all columns": lambda mask: _exactly((mask[0] == mask[0][:, :1]).all()),
        "gave the generator its first seed again": lambda mask: _exactly(
            torch.equal(mask[0], mask[1]) and torch.equal(mask[0], mask[2])
        ),
        "ignored the generator": lambda mask: _exactly(not torch.equal(mask[0], mask[2])),
    },
)

dropout_backward = Gradients(
    signature="dropout_backward(G, mask, p) -> G_Z",
    of=lambda Z, mask, p: Z * mask / (1 - p),
    draw=lambda d, m, n: dict(Z=d.normal(m, n), mask=d.uniform(0, 1, m, n) > 0.4, p=d.number(0.15, 0.4)),
    edges=(dict(m=1),),
    points=(2,),
    slide="What's changed since the 80s?",
    difficulty=1,
    minutes=4,
    needs=("dropout",),
    hints=("Dropout multiplies each entry by a number that it remembers: mask / (1 - p).",),
    mistakes={
        "did not rescale": lambda right, p: {"G_Z": right["G_Z"] * (1 - p)},
        "divided by p instead of 1 - p": lambda right, p: {"G_Z": right["G_Z"] * (1 - p) / p},
        "let the gradient through where the unit is dropped": lambda Z, mask, p: Z * ~mask / (1 - p),
        "forgot the mask": lambda Z, p: Z / (1 - p),
    },
)


def _reconstruction(
    X: Tensor,
    W: Tensor,
    b: Tensor,
    c: Tensor,
    encoder: Callable[[Tensor], Tensor] = lambda W: W,
    decoder: Callable[[Tensor], Tensor] = lambda W: W,
    hidden: Callable[[Tensor], Tensor] = torch.sigmoid,
    output: Callable[[Tensor], Tensor] = torch.sigmoid,
) -> Tensor:
    H = hidden(X @ encoder(W).T + b)
    return ((output(H @ decoder(W) + c) - X) ** 2).sum(1).mean()


def _linear_slope(a: Tensor) -> Tensor:
    """σ(a) with the derivative 1."""
    return looks_like(a.sigmoid(), a)


autoencoder_backward = Gradients(
    signature="autoencoder_backward(X, W, b, c) -> loss, g_W, g_b, g_c",
    of=_reconstruction,
    draw=lambda d, m, n, k: dict(
        X=d.uniform(0, 1, m, n), W=d.normal(k, n, scale=n**-0.5), b=d.normal(k), c=d.normal(n)
    ),
    edges=(dict(m=1), dict(n=1)),
    large=dict(m=3, n=401, k=307),
    points=(1, 3, 1, 1),
    slide="What's changed since the 80s?",
    difficulty=4,
    minutes=20,
    needs=("sigmoid", "linear_backward"),
    hints=(
        "Two layers, one W: the gradient of a tied weight is the sum of those of its two uses.",
        "In the decoder W stands untransposed: H W + c, so its part of the gradient is Hᵀ times δ.",
    ),
    mistakes={
        "took only the decoder's path into the tied W": partial(_reconstruction, encoder=Tensor.detach),
        "took only the encoder's path into the tied W": partial(_reconstruction, decoder=Tensor.detach),
        "averaged over the pixels, too": lambda X, W, b, c: _reconstruction(X, W, b, c) / X.shape[1],
        "summed the loss over the batch instead of averaging it": lambda X, W, b, c: (
            _reconstruction(X, W, b, c) * len(X)
        ),
        "forgot the 2 of the square's derivative": lambda right: {
            name: right[name] / 2 for name in ("g_W", "g_b", "g_c")
        },
        "left out σ' at the output": partial(_reconstruction, output=_linear_slope),
        "left out σ' at the hidden layer": partial(_reconstruction, hidden=_linear_slope),
    },
)

# --- training --------------------------------------------------------------------------------------------------------


@cache
def _digits() -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_digits  # imported late: it takes a second

    images, labels = load_digits(return_X_y=True)
    return torch.from_numpy(images) / 16, torch.from_numpy(labels).long()


def _drawn_digits(d: Draw) -> Inputs:
    """1,797 handwritten digits, 8×8: pixels and labels permuted, 1,200 to train on and 597 held out."""
    images, labels = _digits()
    order = d.permutation(len(images))
    X, y = images[order][:, d.permutation(64)], d.permutation(10)[labels[order]]
    return dict(X=X[:1200], y=y[:1200], seed=d.integer(0, 2**31), X_test=X[1200:], y_test=y[1200:])


def _shapes(bs: Any = ()) -> tuple[list[Tensor], list[Tensor]]:
    """Weights of a 64-h-10 network; h is the student's choice, 256 at most."""
    h = min(256, bs[0].numel()) if isinstance(bs, list) and bs else 32
    sizes = list(pairwise((64, h, 10)))
    return [torch.zeros(out, n) for n, out in sizes], [torch.zeros(out) for _, out in sizes]


def _accuracy(X_test: Tensor, y_test: Tensor, Ws: list[Tensor], bs: list[Tensor]) -> float:
    H = (X_test @ Ws[0].double().T + bs[0].double()).relu()
    return ((H @ Ws[1].double().T + bs[1].double()).argmax(1) == y_test).double().mean().item()


train_mlp = Trained(
    signature="train_mlp(X, y, seed) -> Ws, bs",
    of=_shapes,
    draw=_drawn_digits,
    core=1,
    score=_accuracy,
    full=0.92,  # the solution reaches 0.957 ± 0.008 over 200 seeds
    none=0.5,
    not_allowed=tuple(name for name in BY_HAND if name != KERNELS),  # watching every operation costs too much here
    points=(3, 3),
    slide="Stochastic gradient descent for neural networks",
    difficulty=3,
    minutes=20,
    seconds=30,
    needs=("mlp_backward", "sgd_step"),
    hints=(
        "Draw W_i from N(0, 2/n_i) with a generator of the given seed, and start the b_i at 0.",
        "Mini-batches of 32 in a new random order each epoch, α = 0.1 and 20 epochs are plenty.",
    ),
)

# --- extra -----------------------------------------------------------------------------------------------------------

tape = Gradients(
    signature="tape(f, xs) -> gs",
    of=lambda xs, choice: expression(choice)(*xs),
    wrt={"gs": "xs"},
    draw=lambda d, n, choice=0: dict(xs=[d.normal(n, n, scale=n**-0.5) for _ in "ABC"], choice=choice),
    core=1,
    edges=tuple(dict(choice=choice) for choice in (1, 2, 3, 4)),
    large=dict(n=199),
    edge_share=0.5,
    adapter=adapters.of_expression,
    points=(10,),
    slide='Backpropagation, "Autograd package for Python"',
    difficulty=5,
    minutes=45,
    extra=True,
    hints=(
        "A class with a value, a gradient, its parents and a function that passes its gradient on to them.",
        "Walk the graph in reverse topological order; a variable used twice adds up two gradients.",
    ),
    mistakes={
        "overwrote a gradient where it should accumulate": lambda xs, choice: _expression(_Once, xs, choice),
        "took tanh' at the wrong place": lambda xs, choice: _expression(_WrongTanh, xs, choice),
        "left out the transposes in the gradients of @": lambda xs, choice: _expression(_NoTransposes, xs, choice),
    },
)


def _expression(kind: type["_Once"], xs: list[Tensor], choice: int) -> Tensor:
    """The drawn expression of variables of a mistaken kind."""
    f: Callable[..., Any] = expression(choice)
    value: Tensor = f(*map(kind, xs)).value
    return value


class _Once:
    """A variable of which only the first use gets a gradient: backward visits it last, and it overwrites the rest."""

    def __init__(self, value: Tensor) -> None:
        self.value, self.used = value, False

    def use(self) -> Tensor:
        used, self.used = self.used, True
        return self.value.detach() if used else self.value

    def __add__(self, other: "_Once") -> "_Once":
        return type(self)(self.use() + other.use())

    def __mul__(self, other: "_Once") -> "_Once":
        return type(self)(self.use() * other.use())

    def __matmul__(self, other: "_Once") -> "_Once":
        return type(self)(self.use() @ other.use())

    def tanh(self) -> "_Once":
        return type(self)(self.use().tanh())

    def sum(self) -> "_Once":
        return type(self)(self.use().sum())


class _WrongTanh(_Once):
    """A variable whose tanh has the slope tanh'(tanh(a))."""

    def use(self) -> Tensor:
        return self.value

    def tanh(self) -> "_WrongTanh":
        return _WrongTanh(slope_elsewhere(torch.tanh, self.value, at=self.value.tanh()))


class _NoTransposes(_WrongTanh):
    """A variable whose product A @ B passes G @ B to A, and A @ G to B."""

    def __matmul__(self, other: "_Once") -> "_NoTransposes":
        A, B = self.value, other.value
        return _NoTransposes(looks_like(A @ B, A @ B.detach().T + A.detach().T @ B))

    def tanh(self) -> "_NoTransposes":
        return _NoTransposes(self.value.tanh())


@cache
def _products(depth: int) -> int:
    """Products that autograd takes through so many layers: of 1×1 matrices, each of them is two flops."""
    z = z_1 = torch.ones(1, 1, requires_grad=True)
    for _ in range(depth):
        z = z @ torch.ones(1, 1)
    with FlopCounterMode(display=False) as counter:
        torch.autograd.grad(z, z_1)
    return int(counter.get_total_flops()) // 2


products = Values(
    signature="products(Ws) -> without, cached",
    of=lambda Ws: (
        torch.tensor(sum(_products(depth) for depth in range(1, len(Ws) + 1))),
        torch.tensor(_products(len(Ws))),
    ),
    draw=lambda d, k: dict(Ws=d.layers([d.integer(2, 6) for _ in range(k + 1)])[0]),
    edges=(dict(k=1), dict(k=9)),
    points=(2, 2),
    slide="Derivation of backpropagation",
    difficulty=2,
    minutes=10,
    extra=True,
    hints=("From g_k, how many products W_iᵀ(…) lead to g_i? Add these up, or share them.",),
    mistakes={
        "exchanged the two counts": lambda right: {"without": right["cached"], "cached": right["without"]},
        "counted only the products that lead to g_1": lambda right: {"without": right["cached"]},
        "left out the product that leads to g_1": lambda right: {
            "without": right["without"] - right["cached"],
            "cached": right["cached"] - 1,
        },
    },
)
