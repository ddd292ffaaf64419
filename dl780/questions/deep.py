"""Deep networks, and their dreams.

Slides "Some example networks", "VGG Network", "GoogLeNet", "Deep ResNet" and "Google Deep Dream".
Images are NCHW; gradients are summed over the batch; every function returns new tensors.
"""

import re
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from math import comb
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dl780.check.cases import Draw
from dl780.check.question import Gradients, Values, looks_like
from dl780.questions import convnets
from dl780.questions.convnets import LOOPS, NEAR, gradient, passing
from dl780.student import adapters
from dl780.student.arrays import Inputs

OPENING = """\
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F

from dl780 import Lab

lab = Lab("deep")
"""
WRITTEN = {"why_small_filters": 2.0, "why_paths": 2.0, "why_normalise": 2.0}

# --- VGG -------------------------------------------------------------------------------------------------------------

COLUMNS = {
    "A-LRN": "conv3-64 LRN maxpool conv3-128 maxpool conv3-256 conv3-256 maxpool conv3-512 conv3-512 maxpool "
    "conv3-512 conv3-512 maxpool FC-4096 FC-4096 FC-1000 soft-max",
    "C": "conv3-64 conv3-64 maxpool conv3-128 conv3-128 maxpool conv3-256 conv3-256 conv1-256 maxpool "
    "conv3-512 conv3-512 conv1-512 maxpool conv3-512 conv3-512 conv1-512 maxpool FC-4096 FC-4096 FC-1000 soft-max",
}
Layer = Callable[..., nn.Module]
LAYERS: dict[str, Layer] = {  # a row's kind -> the layer, given (C, H, W) of what comes in and the row's numbers
    "conv": lambda C, H, W, k, n: nn.Conv2d(C, n, k, padding=(k - 1) // 2),
    "FC": lambda C, H, W, n: nn.Sequential(nn.Flatten(), nn.Linear(C * H * W, n), nn.Unflatten(1, (n, 1, 1))),
    "maxpool": lambda C, H, W: nn.MaxPool2d(2),
    "LRN": lambda C, H, W: nn.LocalResponseNorm(5),
    "soft-max": lambda C, H, W: nn.Softmax(dim=1),
}


def _column(column: Tensor, C: int, H: int, W: int, **other: Layer) -> tuple[Tensor, Tensor]:
    """Shapes and counts of torch's own layers, without memory; `other` layers stand in for those of a kind."""
    Z, shapes, counts = torch.empty(1, C, H, W, device="meta"), [], []
    for row in bytes(column.tolist()).decode().split():
        kind, *numbers = re.findall(r"soft-max|[A-Za-z]+|\d+", row)
        with torch.device("meta"):
            layer = (LAYERS | other)[kind](*Z.shape[1:], *map(int, numbers))
        Z = layer(Z)
        shapes.append(Z.shape[1:])
        counts.append(sum(w.numel() for w in layer.parameters()))
    return torch.tensor(shapes), torch.tensor(counts)


def _drawn_column(d: Draw, C: int, name: str = "") -> Inputs:
    """A column in the style of the paper's table, as its bytes: some blocks, then fully connected layers."""
    rows = [row for i in range(d.integer(3, 5)) for row in _drawn_block(d, i)]
    rows += [f"FC-{d.integer(20, 60)}" for _ in range(d.integer(2, 4))] + ["soft-max"]
    text, (H, W) = " ".join(rows), (d.permutation(30)[:2] + 110).tolist()  # large enough to lose rows to no padding
    if name:
        text, C, H, W = COLUMNS[name], 3, 224, 224
    return dict(column=torch.tensor(list(text.encode())), C=C, H=H, W=W)


def _drawn_block(d: Draw, i: int) -> list[str]:
    """A convolution of 3×3, perhaps LRN, one of 1×1 or 5×5, and pooling."""
    first, second = (f"conv{k}-{d.integer(2, 30)}" for k in (3, (1, 5)[i % 2]))
    return [first, *["LRN"] * (i == 0 or d.integer(0, 2)), second, "maxpool"]


vgg_column = Values(
    signature="vgg_column(column, C, H, W) -> shapes, counts",
    of=_column,
    draw=_drawn_column,
    core=4,
    edges=(dict(name="A-LRN"), dict(name="C")),
    adapter=adapters.of_column,
    points=(4, 4),
    rtol=0,  # counts are integers, and the largest would hide every bias
    atol=0,
    key="torch's layers",
    slide="VGG Network",
    difficulty=2,
    minutes=15,
    hints=(
        "Go down the rows with (C, H, W) of what comes in: a convolution changes C alone, pooling halves H and W.",
        'A row splits at its hyphen: "conv3-64" has k = 3 and 64 filters of C·k² weights and a bias each.',
        "A fully connected layer takes all C·H·W numbers; what leaves it is (n, 1, 1).",
    ),
    mistakes={
        "left out the biases": partial(
            _column,
            conv=lambda C, H, W, k, n: nn.Conv2d(C, n, k, padding=k // 2, bias=False),
            FC=lambda C, H, W, n: nn.Sequential(
                nn.Flatten(), nn.Linear(C * H * W, n, bias=False), nn.Unflatten(1, (n, 1, 1))
            ),
        ),
        "left the convolutions without padding": partial(_column, conv=lambda C, H, W, k, n: nn.Conv2d(C, n, k)),
        "padded every convolution by 1, whatever its filter": partial(
            _column, conv=lambda C, H, W, k, n: nn.Conv2d(C, n, k, padding=1)
        ),
        "counted every filter as 3×3": partial(_column, conv=lambda C, H, W, k, n: nn.Conv2d(C, n, 3, padding=1)),
        "rounded up where pooling leaves a row or column over": partial(
            _column, maxpool=lambda C, H, W: nn.MaxPool2d(2, ceil_mode=True)
        ),
        "fed the first fully connected layer the channels alone, not C·H·W numbers": partial(
            _column, FC=lambda C, H, W, n: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(C, n, 1))
        ),
        "gave LRN a scale and a shift for each channel, as batch norm has": partial(
            _column, LRN=lambda C, H, W: nn.BatchNorm2d(C)
        ),
        "left the filter's window out of the count": partial(_column, conv=lambda C, H, W, k, n: nn.Conv2d(C, n, 1)),
    },
)

# --- residual connections --------------------------------------------------------------------------------------------

Block = Callable[[Tensor, Tensor], Tensor]


def _plain(z: Tensor, W: Tensor) -> Tensor:
    return W @ z


def _shortcut(z: Tensor, W: Tensor) -> Tensor:
    return z + W @ z


def _gradients(g: Tensor, Ws: list[Tensor], block: Block) -> list[Tensor]:
    """∂(gᵀ z_k) / ∂z_i for i = 1 … k, by autograd; a linear stack has the same at every z_1."""
    zs = [torch.zeros_like(g).requires_grad_()]
    for W in Ws:
        zs.append(block(zs[-1], W))
    return list(torch.autograd.grad(g @ zs[-1], zs))


def _norms(
    g: Tensor,
    Ws: list[Tensor],
    plain: Block = _plain,
    residual: Block = _shortcut,
    norm: Callable[[Tensor], Tensor] = torch.linalg.vector_norm,
) -> tuple[Tensor, Tensor]:
    return (
        torch.stack([norm(g_i) for g_i in _gradients(g, Ws, plain)]),
        torch.stack([norm(g_i) for g_i in _gradients(g, Ws, residual)]),
    )


def _upstream_at_every_block(g: Tensor, Ws: list[Tensor]) -> tuple[Tensor, Tensor]:
    """g_i = W_iᵀ g_{i+1} + g: the gradient of the sum of a plain stack's z_i."""
    zs = [torch.zeros_like(g).requires_grad_()]
    for W in Ws:
        zs.append(W @ zs[-1])
    found = torch.autograd.grad(g @ torch.stack(zs).sum(0), zs)
    return _norms(g, Ws)[0], torch.stack([g_i.norm() for g_i in found])


gradient_norms = Values(
    signature="gradient_norms(g, Ws) -> plain, residual",
    of=lambda g, Ws: _norms(g, Ws),
    draw=lambda d, n, k: dict(g=d.normal(n), Ws=[d.normal(n, n, scale=0.7 * n**-0.5) for _ in range(k)]),
    edges=(dict(k=1), dict(n=1)),
    points=(3, 3),
    key="autograd",
    slide="Deep ResNet",
    difficulty=2,
    minutes=8,
    hints=(
        "Backwards: begin with g_k = g, go through the Ws from the last to the first, and keep every norm.",
        "The slides' g_i = W_iᵀ (g_{i+1} ∘ f'_i) with f' = 1. A shortcut hands g_{i+1} itself on, too.",
    ),
    mistakes={
        "multiplied by W_i, not by its transpose": lambda g, Ws: _norms(g, [W.T for W in Ws]),
        "went through the Ws from the first to the last": lambda g, Ws: _norms(g, Ws[::-1]),
        "returned the norms from z_k to z_1": lambda right: {name: right[name].flip(0) for name in right},
        "left out the norm at z_k": lambda right: {name: right[name][:-1] for name in right},
        "returned the squares of the norms": lambda right: {name: right[name] ** 2 for name in right},
        "added up absolute values: that is another norm": partial(_norms, norm=lambda g_i: g_i.abs().sum()),
        "handed the last g on at every block, instead of g_{i+1}": _upstream_at_every_block,
    },
)


def _by_paths(
    g: Tensor, Ws: list[Tensor], step: Callable[[list[Tensor], Tensor], list[Tensor]] | None = None
) -> Tensor:
    """g_1 by the number of Ws on the way: forwards, z is kept apart by that number, and autograd does the rest."""
    x = torch.zeros_like(g).requires_grad_()
    parts = [x] + [0 * x for _ in Ws]
    for W in Ws:
        parts = (step or _one_more)(parts, W)
    return torch.stack([torch.autograd.grad(g @ part, x, retain_graph=True)[0] for part in parts])


def _one_more(parts: list[Tensor], W: Tensor) -> list[Tensor]:
    """Around the block, or through it."""
    return [parts[0], *(around + W @ before for before, around in pairwise(parts))]


def _several_at_once(parts: list[Tensor], W: Tensor) -> list[Tensor]:
    """The lengths updated upwards: what has just gone through W goes through it once more."""
    now = parts[:1]
    for around in parts[1:]:
        now.append(around + W @ now[-1])
    return now


def _one_path_each(right: Any, g: Tensor, Ws: list[Tensor]) -> Any:
    """The path through the last l blocks, for each l."""
    return {"parts": torch.stack(_gradients(g, Ws, _plain)[::-1])}


def _averaged(right: Any, Ws: list[Tensor]) -> Any:
    paths = torch.tensor([comb(len(Ws), length) for length in range(len(Ws) + 1)])
    return {"parts": right["parts"] / paths[:, None]}


gradient_by_paths = Values(
    signature="gradient_by_paths(g, Ws) -> parts",
    of=lambda g, Ws: _by_paths(g, Ws),
    draw=lambda d, n, blocks=0, width=1.2: dict(
        g=d.normal(n), Ws=[d.normal(n, n, scale=width * n**-0.5) for _ in range(blocks or d.integer(3, 8))]
    ),
    edges=(dict(blocks=1), dict(n=1)),
    large=dict(blocks=23, width=0.7),  # eight million paths: too many to follow one by one
    points=(4,),
    products=999,
    key="autograd",
    slide="Deep ResNet",
    difficulty=3,
    minutes=10,
    needs=("gradient_norms",),
    hints=(
        "At each block a path either goes around it or through it: from l Ws so far it comes out with l or l + 1.",
        "Keep a list of the parts with 0, 1, …, k - 1 Ws so far. At W_i, W_iᵀ times each part l joins part l + 1.",
        "Go through the lengths downwards, or build a new list: each W_i is met once.",
    ),
    mistakes={
        "multiplied by W_i, not by its transpose": lambda g, Ws: _by_paths(g, [W.T for W in Ws]),
        "went through the Ws from the first to the last": lambda g, Ws: _by_paths(g, Ws[::-1]),
        "took what had just gone through W_i through it again": lambda g, Ws: _by_paths(g, Ws, _several_at_once),
        "followed one path of each length alone, through the last blocks": _one_path_each,
        "averaged over the paths of each length": _averaged,
        "left out the path around all blocks": lambda right: {"parts": right["parts"][1:]},
        "sorted the parts from the longest path to the shortest": lambda right: {"parts": right["parts"].flip(0)},
    },
)

# --- inception -------------------------------------------------------------------------------------------------------


def _inception(
    Z: Tensor,
    W_1: Tensor,
    R_3: Tensor,
    W_3: Tensor,
    R_5: Tensor,
    W_5: Tensor,
    W_p: Tensor,
    conv: Callable[..., Tensor] = convnets.conv2d_backward.of,
    pool: Callable[..., Tensor] = convnets.max_pool_backward.of,
    inner: Callable[[Tensor], Tensor] = torch.relu,
    last: Callable[[Tensor], Tensor] = torch.relu,
    second: Callable[[Tensor, Tensor], Tensor] | None = None,
    entered: Callable[[int, Tensor], Tensor] = lambda i, Z: Z,
    joined: Callable[[list[Tensor]], list[Tensor]] = lambda branches: branches,
) -> Tensor:
    """The four branches, joined by their channels: 1×1; 1×1, 3×3; 1×1, 5×5; max-pooling of 3×3, 1×1."""

    def filtered(Z: Tensor, W: Tensor) -> Tensor:
        return conv(Z=Z, W=W, b=W.new_zeros(len(W)), stride=1, padding=W.shape[2] // 2)

    def reduced(Z: Tensor, R: Tensor, W: Tensor) -> Tensor:
        A = filtered(Z, R)
        return second(A, W) if second else filtered(inner(A), W)

    Z_1, Z_3, Z_5, Z_p = (entered(i, Z) for i in range(4))
    pooled = pool(Z=Z_p, size=3, stride=1, padding=1)
    branches = [filtered(Z_1, W_1), reduced(Z_3, R_3, W_3), reduced(Z_5, R_5, W_5), filtered(pooled, W_p)]
    return torch.cat(joined([last(A) for A in branches]), dim=1)


def _pre_activation_kept(A: Tensor, W: Tensor) -> Tensor:
    """A convolution of relu(A), whose filter's gradient is taken at A."""
    p = W.shape[2] // 2
    right = F.conv2d(A.relu(), W, padding=p)
    return looks_like(right, F.conv2d(A.relu(), W.detach(), padding=p) + F.conv2d(A.detach(), W, padding=p))


def _drawn_inception(d: Draw, N: int, C: int, H: int, W: int) -> Inputs:
    """Mostly negative images, so that a pad of 0 would win; six numbers of channels, all different."""
    K = (d.permutation(7)[:6] + 1).tolist()
    shapes = ((K[0], C, 1), (K[1], C, 1), (K[2], K[1], 3), (K[3], C, 1), (K[4], K[3], 5), (K[5], C, 1))

    def draw() -> Inputs:
        Ws = [d.normal(K, C, k, k, scale=(2 / (C * k * k)) ** 0.5) for K, C, k in shapes]
        return dict(Z=d.normal(N, C, H, W) - 0.5, **dict(zip(FILTERS, Ws, strict=True)))

    def clear(inputs: Any) -> bool:
        """No pre-activation near 0, no two entries of a window near each other and the maximum, no branch all off."""
        near: list[bool] = []

        def relu(A: Tensor) -> Tensor:
            near.append(bool((A.abs() < NEAR).any() or (A < 0).all()))
            return A.relu()

        windows = F.pad(inputs["Z"], [1] * 4, value=-torch.inf).unfold(2, 3, 1).unfold(3, 3, 1)
        first, second = windows.flatten(-2).topk(2).values.unbind(-1)
        _inception(**inputs, inner=relu, last=relu)
        return not any(near) and bool((first - second > NEAR).all() and (first < 0).any())

    return d.until(clear, draw)


FILTERS = ("W_1", "R_3", "W_3", "R_5", "W_5", "W_p")

inception_backward = Gradients(
    signature=f"inception_backward(G, Z, {', '.join(FILTERS)}) -> G_Z, {', '.join(f'G_{name}' for name in FILTERS)}",
    of=_inception,
    parts={"conv": convnets.conv2d_backward, "pool": convnets.max_pool_backward},
    draw=_drawn_inception,
    edges=(dict(N=1),),
    large=dict(N=2, C=7, H=13, W=17),
    points=(6, 1, 2, 1, 2, 1, 1),
    slide="GoogLeNet",
    difficulty=4,
    minutes=30,
    seconds=30,
    products=LOOPS,
    hints=(
        "Forward first, branch by branch; keep what goes into each convolution, and the sign of what comes out.",
        "Cut G by the numbers of filters len(W_1), len(W_3), len(W_5), len(W_p); times the slope of its ReLU, each.",
        "Two convolutions in a row: conv2d_backward of the second gives the G of the first one's ReLU.",
        "Four gradients arrive at Z, that of the last branch through max_pool_backward. They add up.",
    ),
    mistakes={
        "kept the last branch's part of G_Z only": partial(
            _inception, entered=lambda i, Z: Z if i == 3 else Z.detach()
        ),
        "left the pooling branch's part out of G_Z": partial(
            _inception, entered=lambda i, Z: Z.detach() if i == 3 else Z
        ),
        "averaged the branches' parts of G_Z": lambda right: {"G_Z": right["G_Z"] / 4},
        "cut G as if the branches stood in the reverse order": partial(
            _inception, joined=lambda branches: branches[::-1]
        ),
        "let the gradient through the ReLUs between two convolutions where they are off": partial(
            _inception, inner=passing
        ),
        "let the gradient through the branches' last ReLUs where they are off": partial(_inception, last=passing),
        "kept the pre-activation where the next filter's gradient needs what ReLU made of it": partial(
            _inception, second=_pre_activation_kept
        ),
        "padded the images with zeros instead of -∞ before pooling": partial(
            _inception, pool=lambda Z, size, stride, padding: F.max_pool2d(F.pad(Z, [padding] * 4), size, stride)
        ),
        "pooled nothing: went straight to the projection": partial(_inception, pool=lambda Z, **_: Z),
        "averaged over the batch, which belongs to the loss": lambda right, G: {
            name: right[name] / len(G) for name in right if name != "G_Z"
        },
    },
)

# --- dreams ----------------------------------------------------------------------------------------------------------


def _activations(
    X: Tensor,
    Ws: list[Tensor],
    bs: list[Tensor],
    conv: Callable[..., Tensor] = convnets.conv2d_backward.of,
    inner: Callable[[Tensor], Tensor] = torch.relu,
) -> Tensor:
    """A stack of convolutions that keep the image's size, with ReLU after each."""
    for i, (W, b) in enumerate(zip(Ws, bs, strict=True), start=1):
        A = conv(Z=X, W=W, b=b, stride=1, padding=W.shape[2] // 2)
        X = inner(A) if i < len(Ws) else A.relu()
    return X


def _half_squares(A: Tensor) -> Tensor:
    return A.square().sum((1, 2, 3)) / 2


def _each_mean(G: Tensor) -> Tensor:
    """(N, 1, 1, 1): the mean absolute value of each image's gradient."""
    return G.abs().mean((1, 2, 3), keepdim=True)


def _dream(
    X: Tensor,
    Ws: list[Tensor],
    bs: list[Tensor],
    dy: int,
    dx: int,
    alpha: float,
    eps: float,
    objective: Callable[[Tensor], Tensor] = _half_squares,
    normalised: Callable[[Tensor, float], Tensor] = lambda G, eps: G / (_each_mean(G) + eps),
    back: Callable[[Tensor, int, int], Tensor] = lambda G, dy, dx: G.roll((-dy, -dx), (2, 3)),
    **how: Any,
) -> tuple[Tensor, Tensor]:
    """L of the rolled images, and the images after a normalised step along its gradient, which autograd finds."""
    leaf = X.roll((dy, dx), (2, 3)).requires_grad_()
    L = objective(_activations(leaf, Ws, bs, **how))
    (G,) = torch.autograd.grad(L.sum(), leaf)
    return L.detach(), X + alpha * back(normalised(G, eps), dy, dx)


def _drawn_dream(d: Draw, N: int, C: int, H: int, W: int, depth: int = 0) -> Inputs:
    depth = depth or d.integer(2, 4)
    K = [C, *(d.permutation(5)[:depth] + 2).tolist()]
    kernels = [1 + 2 * d.integer(0, 3) for _ in range(depth - 1)] + [3]
    step = dict(dy=d.integer(1, H), dx=d.integer(1, W), alpha=d.number(0.5, 2), eps=d.number(0.2, 0.4))

    def draw() -> Inputs:
        shapes = list(zip(K[1:], K, kernels, strict=False))
        Ws = [d.normal(k_out, k_in, k, k, scale=(2 / (k_in * k * k)) ** 0.5) for k_out, k_in, k in shapes]
        return dict(X=d.normal(N, C, H, W), Ws=Ws, bs=[d.normal(k, scale=0.3) for k in K[1:]], **step)

    def clear(inputs: Any) -> bool:
        """No pre-activation near 0, and a gradient at every image, of no fixed sign."""
        near: list[bool] = []

        def relu(A: Tensor) -> Tensor:
            near.append(bool((A.abs() < NEAR).any()))
            return A.relu()

        X, Ws, bs = inputs["X"].roll((step["dy"], step["dx"]), (2, 3)), inputs["Ws"], inputs["bs"]
        _activations(X, Ws, bs, inner=relu)
        G = gradient(lambda X: _activations(X, Ws, bs), X, _activations(X, Ws, bs))
        return not any(near) and bool((_each_mean(G) > 0.1).all() and (G.mean((1, 2, 3)).abs() > 0.01).all())

    return d.until(clear, draw)


dream_step = Values(
    signature="dream_step(X, Ws, bs, dy, dx, alpha, eps) -> L, X_next",
    of=_dream,
    parts={"conv": convnets.conv2d_backward},
    draw=_drawn_dream,
    edges=(dict(N=1), dict(depth=1)),
    large=dict(N=2, C=3, H=31, W=37),
    points=(2, 8),
    key="autograd",
    slide="Google Deep Dream",
    difficulty=3,
    minutes=15,
    seconds=30,
    products=LOOPS,
    hints=(
        "Roll first. Then a forward pass that keeps what goes into each convolution, and each ReLU's output.",
        "The gradient of half a sum of squares of A is A itself: with this G begins the backward pass.",
        "G.abs().mean(dim=(1, 2, 3), keepdim=True) is one number for each image. Roll the step back, then add it.",
    ),
    mistakes={
        "went down the gradient": lambda right, X: {"X_next": 2 * X - right["X_next"]},
        "did not normalise the gradient": partial(_dream, normalised=lambda G, eps: G),
        "divided by the norm, not by the mean absolute value": partial(
            _dream, normalised=lambda G, eps: G / (G.square().sum((1, 2, 3), keepdim=True).sqrt() + eps)
        ),
        "divided by the mean absolute value over the whole batch": partial(
            _dream, normalised=lambda G, eps: G / (G.abs().mean() + eps)
        ),
        "divided by the mean, without absolute values": partial(
            _dream, normalised=lambda G, eps: G / (G.mean((1, 2, 3), keepdim=True) + eps)
        ),
        "left out ε": lambda X, Ws, bs, dy, dx, alpha: _dream(X, Ws, bs, dy, dx, alpha, 0.0),
        "did not roll the step back": partial(_dream, back=lambda G, dy, dx: G),
        "rolled the step on instead of back": partial(_dream, back=lambda G, dy, dx: G.roll((dy, dx), (2, 3))),
        "returned the images rolled": lambda right, dy, dx: {"X_next": right["X_next"].roll((dy, dx), (2, 3))},
        "left out the jitter": lambda X, Ws, bs, alpha, eps: _dream(X, Ws, bs, 0, 0, alpha, eps),
        "climbed the sum of the activations, not half of their squares": partial(
            _dream, objective=lambda A: A.sum((1, 2, 3))
        ),
        "left out the ½": partial(_dream, objective=lambda A: A.square().sum((1, 2, 3))),
        "added up L over the batch": lambda right: {"L": right["L"].sum()},
        "let the gradient through the inner ReLUs where they are off": partial(_dream, inner=passing),
    },
)

# --- total variation -------------------------------------------------------------------------------------------------


def _differences(X: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """`there` minus X: one row further down and one column further to the right, 0 beyond the image."""
    down = F.pad(there[:, :, 1:] - X[:, :, :-1], (0, 0, 0, 1))
    return down, F.pad(there[..., 1:] - X[..., :-1], (0, 1))


def _length(down: Tensor, right: Tensor, eps: float) -> Tensor:
    return (down.square() + right.square() + eps).sqrt()


def _around(X: Tensor, eps: float) -> Tensor:
    return _length(X.roll(-1, 2) - X, X.roll(-1, 3) - X, eps).sum()


def _variation(X: Tensor, eps: float, length: Callable[[Tensor, Tensor, float], Tensor] = _length) -> Tensor:
    return length(*_differences(X, X), eps).sum()


total_variation_gradient = Gradients(
    signature="total_variation_gradient(X, eps) -> TV, G_X",
    of=_variation,
    draw=lambda d, N, C, H, W: dict(X=d.normal(N, C, H, W), eps=d.number(0.2, 0.6)),
    edges=(dict(N=1), dict(H=1), dict(W=1)),
    large=dict(N=2, C=3, H=151, W=157),
    points=(1, 7),
    slide="Google Deep Dream",
    difficulty=3,
    minutes=12,
    hints=(
        "Name the differences D (down) and R (right), and r the root. What is ∂r/∂D, and ∂r/∂R?",
        "X_ij stands in three roots: its own, with a minus twice, and those of its upper and its left neighbour.",
        "Add D / r, shifted down by one row, and take D / r itself away; the same for R, to the right.",
    ),
    mistakes={
        "returned the step that smooths, -G_X": lambda right: {"G_X": -right["G_X"]},
        "counted each pixel in its own root alone": lambda X, eps: looks_like(
            _variation(X, eps), _length(*_differences(X, X.detach()), eps).sum()
        ),
        "counted each pixel in its neighbours' roots alone": lambda X, eps: looks_like(
            _variation(X, eps), _length(*_differences(X.detach(), X), eps).sum()
        ),
        "wrapped around at the borders": _around,
        "left out the root": partial(_variation, length=lambda D, R, eps: D.square() + R.square() + eps),
        "took two roots, one for each direction": partial(
            _variation, length=lambda D, R, eps: _length(D, 0 * R, eps) + _length(0 * D, R, eps)
        ),
        "left out ε": partial(_variation, length=lambda D, R, eps: _length(D, R, 0)),
        "put ε outside the root": partial(_variation, length=lambda D, R, eps: _length(D, R, 0) + eps),
        "left out the last row and column": lambda X, eps: _length(
            X[:, :, 1:, :-1] - X[:, :, :-1, :-1], X[:, :, :-1, 1:] - X[:, :, :-1, :-1], eps
        ).sum(),
        "took the mean over all pixels": lambda X, eps: _variation(X, eps) / X.numel(),
        "averaged over the batch": lambda X, eps: _variation(X, eps) / len(X),
    },
)
