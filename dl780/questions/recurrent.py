"""Recurrent neural networks.

Slides "Predicting temporal data" to "Char-RNN trained character-by-character level on the Linux source code".
Time comes first: X is (T, m, n). Gate blocks stand in torch's order i, f, g, o; every function returns new tensors.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dl780.check.cases import Draw
from dl780.check.question import Gradients, Statistics, Trained, Values, looks_like, slope_elsewhere
from dl780.questions.backprop import BY_HAND
from dl780.student import adapters
from dl780.student.arrays import Inputs
from dl780.student.traps import AUTOGRAD, CLIPPING, KERNELS, RECURRENT

OPENING = """\
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F

from dl780 import Lab

lab = Lab("recurrent")
"""
WRITTEN = {"why_vanish": 4.0, "why_gate": 4.0, "why_truncate": 4.0}
OWN = (*AUTOGRAD, *RECURRENT)  # torch's own recurrent layers would be the answer
LOOPS = 9_999  # products of a loop over steps, gates and examples; differencing takes several times as many
Step = Callable[..., Any]


def gradient(of: Callable[[Tensor], Tensor], at: Tensor, G: Tensor) -> Tensor:
    """∂(Σ G ∘ of(at)) / ∂at: what a change of the right answers may need of another forward."""
    leaf = at.detach().requires_grad_()
    return torch.autograd.grad((of(leaf) * G).sum(), leaf)[0]


def _zeros(*names: str) -> Callable[..., Any]:
    """The right answers, with no gradient for some of them."""
    return lambda right: {name: torch.zeros_like(right[name]) for name in names}


def _last_only(Z: Tensor) -> Tensor:
    """The outputs of all steps, of which only the last one's is differentiated."""
    return torch.cat([Z[:-1].detach(), Z[-1:]])


# --- a plain RNN -----------------------------------------------------------------------------------------------------


def _rnn_step(
    x: Tensor,
    z_prev: Tensor,
    W_xz: Tensor,
    W_zz: Tensor,
    b_1: Tensor,
    f: Callable[[Tensor], Tensor] = torch.tanh,
    back: Callable[[Tensor, Tensor], Tensor] = lambda z, W: z @ W.T,
) -> Tensor:
    """f(W_xz x + W_zz z_prev + b_1), a row an example; `back` is the second product."""
    return f(x @ W_xz.T + back(z_prev, W_zz) + b_1)


def _rnn(
    X: Tensor,
    z_0: Tensor,
    W_xz: Tensor,
    W_zz: Tensor,
    b_1: Tensor,
    step: Step = _rnn_step,
    carry: Callable[[int, Tensor], Tensor] = lambda t, z: z,
    used: Callable[[int, Tensor], Tensor] = lambda t, w: w,
) -> Tensor:
    """Z (T, m, k): every z(t). `carry` and `used` change the state and the parameters that a step is given."""
    Z, z = [], z_0
    for t, x in enumerate(X):
        z = step(x, carry(t, z), *(used(t, w) for w in (W_xz, W_zz, b_1)))
        Z.append(z)
    return torch.stack(Z)


def _drawn_rnn(d: Draw, T: int, m: int, n: int, k: int) -> Inputs:
    return dict(X=d.normal(T, m, n), z_0=d.normal(m, k, scale=0.5), **_drawn_weights(d, n, k))


def _drawn_weights(d: Draw, n: int, k: int, gain: float = 1.0) -> Inputs:
    return dict(
        W_xz=d.normal(k, n, scale=0.7 * n**-0.5), W_zz=d.normal(k, k, scale=gain * k**-0.5), b_1=d.normal(k, scale=0.5)
    )


rnn_step = Values(
    signature="rnn_step(x, z_prev, W_xz, W_zz, b_1) -> z",
    of=lambda x, z_prev, W_xz, W_zz, b_1: _rnn_step(x, z_prev, W_xz, W_zz, b_1),
    draw=lambda d, m, n, k: dict(x=d.normal(m, n), z_prev=d.normal(m, k), **_drawn_weights(d, n, k)),
    edges=(dict(m=1), dict(n=1, k=1)),
    points=(4,),
    slide="Basic recurrent neural network",
    difficulty=1,
    minutes=5,
    not_allowed=OWN,
    hints=("A batch is rows: W x becomes `x @ W.T`. One tanh, of the sum.",),
    mistakes={
        "left out the bias": lambda x, z_prev, W_xz, W_zz: torch.tanh(x @ W_xz.T + z_prev @ W_zz.T),
        "left out z(t-1)": lambda x, W_xz, b_1: torch.tanh(x @ W_xz.T + b_1),
        "left out tanh": lambda x, z_prev, W_xz, W_zz, b_1: x @ W_xz.T + z_prev @ W_zz.T + b_1,
        "multiplied by W_zz from the wrong side, z W_zz instead of z W_zzᵀ": partial(
            _rnn_step, back=lambda z, W: z @ W
        ),
        "took tanh of each product, not of the sum": lambda x, z_prev, W_xz, W_zz, b_1: (
            torch.tanh(x @ W_xz.T) + torch.tanh(z_prev @ W_zz.T) + b_1
        ),
        "took σ for tanh": partial(_rnn_step, f=torch.sigmoid),
    },
)


def _z_now(x: Tensor, z_prev: Tensor, W_xz: Tensor, W_zz: Tensor, b_1: Tensor) -> Tensor:
    """A step whose W_zz meets z(t) on the way back."""
    a = _rnn_step(x, z_prev, W_xz, W_zz.detach(), b_1, f=lambda a: a)
    return torch.tanh(looks_like(a, a + a.tanh().detach() @ W_zz.T))


def _of_first_step(right: Any, G: Tensor, X: Tensor, z_0: Tensor, W_xz: Tensor, W_zz: Tensor, b_1: Tensor) -> Any:
    """The gradient of z(1), where that of z(0) is asked for."""
    z_1 = _rnn(X[:1], z_0, W_xz, W_zz, b_1)[0]
    return {"G_z_0": gradient(lambda z: torch.cat([z[None], _rnn(X[1:], z, W_xz, W_zz, b_1)]), z_1, G)}


def _alone(t: int, z: Tensor) -> Tensor:
    """The state that a step is given, cut off from the steps before it."""
    return z.detach() if t else z


RNN_WEIGHTS = ("G_W_xz", "G_W_zz", "G_b_1")

rnn_backward = Gradients(
    signature="rnn_backward(G, X, z_0, W_xz, W_zz, b_1) -> G_X, G_z_0, G_W_xz, G_W_zz, G_b_1",
    of=_rnn,
    draw=_drawn_rnn,
    edges=(dict(T=1), dict(m=1), dict(k=1)),
    large=dict(T=5, m=3, n=29, k=31),
    points=(2, 3, 4, 4, 1),
    slide="Training recurrent neural networks",
    difficulty=3,
    minutes=25,
    not_allowed=OWN,
    products=LOOPS,
    needs=("rnn_step",),
    hints=(
        "Forward first: keep every z(t), with z(0) in front of them.",
        "Backward from t = T: what reaches z(t) is G[t] plus what step t+1 hands back. Times 1 - z(t)², it is the "
        "gradient of what went into tanh; the rest is linear_backward of lab 2.",
        "The weights are the same at every step, so their gradients add up. What step 1 hands back belongs to z(0).",
    ),
    mistakes={
        "let nothing go back through time: each step stands alone": partial(_rnn, carry=_alone),
        "counted the loss of the last step only": lambda X, z_0, W_xz, W_zz, b_1: _last_only(
            _rnn(X, z_0, W_xz, W_zz, b_1)
        ),
        "overwrote the gradients of the weights at each step, instead of adding": partial(
            _rnn, used=lambda t, w: w.detach() if t else w
        ),
        "took the gradients of the weights from the last step only": lambda X, z_0, W_xz, W_zz, b_1: _rnn(
            X, z_0, W_xz, W_zz, b_1, used=lambda t, w: w if t == len(X) - 1 else w.detach()
        ),
        "took z(t) for z(t-1) in the gradient of W_zz": partial(_rnn, step=_z_now),
        "took tanh' at z(t), which is tanh already": partial(
            _rnn, step=partial(_rnn_step, f=lambda a: slope_elsewhere(torch.tanh, a, a.tanh()))
        ),
        "left out tanh'": partial(_rnn, step=partial(_rnn_step, f=lambda a: looks_like(a.tanh(), a))),
        "handed back through W_zzᵀ, where rows are multiplied by W_zz": partial(
            _rnn,
            step=partial(_rnn_step, back=lambda z, W: looks_like(z @ W.T, z.detach() @ W.T + z @ W.detach())),
        ),
        "gave the first state no gradient": _zeros("G_z_0"),
        "returned the gradient of z(1) for that of z(0)": _of_first_step,
        "averaged over the steps, where gradients add up": lambda right, X: {
            name: right[name] / len(X) for name in RNN_WEIGHTS
        },
        "averaged over the batch, which belongs to the loss": lambda right, z_0: {
            name: right[name] / len(z_0) for name in RNN_WEIGHTS
        },
    },
)

# --- exploding and vanishing -----------------------------------------------------------------------------------------


def _clip(gs: list[Tensor], c: float) -> tuple[list[Tensor], Tensor]:
    """torch's own."""
    held = [torch.zeros_like(g, requires_grad=True) for g in gs]
    for parameter, g in zip(held, gs, strict=True):
        parameter.grad = g.clone()
    norm: Tensor = torch.nn.utils.clip_grad_norm_(held, c)
    return [parameter.grad for parameter in held if parameter.grad is not None], norm


def _norm(gs: list[Tensor]) -> Tensor:
    total: Tensor = torch.linalg.vector_norm(torch.cat([g.flatten() for g in gs]))
    return total


def _drawn_gradients(d: Draw, m: int, n: int, count: int = 3, above: bool = True, scale: float = 1.0) -> Inputs:
    """Gradients of several shapes and sizes, whose norm is above or below c."""
    gs = [d.normal(*shape, scale=scale * (1 + i)) for i, shape in enumerate([(m, n), (n,), (2, m, n)][:count])]
    ratio = d.number(0.2, 0.5) if above else d.number(1.3, 2)
    return dict(gs=gs, c=ratio * (_norm(gs).item() or 1))


clip_gradients = Values(
    signature="clip_gradients(gs, c) -> clipped, norm",
    of=_clip,
    draw=_drawn_gradients,
    edges=(dict(above=False), dict(count=1), dict(above=False, scale=0.0)),
    edge_share=0.4,
    points=(5, 1),
    slide="Training recurrent neural networks",
    difficulty=1,
    minutes=8,
    not_allowed=(*AUTOGRAD, *CLIPPING),
    hints=(
        "One norm for all of them: the root of the sum of all squares.",
        "One factor for all of them, min(1, c / norm); beware of dividing by a norm of 0.",
    ),
    mistakes={
        "clipped each tensor by its own norm": lambda gs, c: (
            [g * (c / g.norm()).clamp(max=1) for g in gs],
            _norm(gs),
        ),
        "clipped each entry, not the norm": lambda gs, c: ([g.clamp(-c, c) for g in gs], _norm(gs)),
        "scaled to c also where the norm is smaller": lambda gs, c: ([g * c / _norm(gs) for g in gs], _norm(gs)),
        "clipped when the norm is smaller than c, not when it is larger": lambda gs, c: (
            [g * (c / _norm(gs)).clamp(min=1) for g in gs],
            _norm(gs),
        ),
        "divided by the norm, without c": lambda gs, c: (
            ([g / _norm(gs).clamp(min=c) for g in gs], _norm(gs)) if _norm(gs) > c else (gs, _norm(gs))
        ),
        "added up the norms, not their squares": lambda gs, c: _scaled(gs, c, sum(g.norm() for g in gs)),
        "took no root of the sum of squares": lambda gs, c: _scaled(gs, c, _norm(gs) ** 2),
        "returned the norm after clipping": lambda right, gs: {"norm": _norm(right["clipped"])},
    },
)


def _scaled(gs: list[Tensor], c: float, norm: Any) -> tuple[list[Tensor], Any]:
    """Clipped by another norm."""
    return [g * (c / norm).clamp(max=1) for g in gs], norm


def _spectral(J: Tensor) -> Tensor:
    found: Tensor = torch.linalg.matrix_norm(J, 2)
    return found


def _norms_of_jacobians(X: Tensor, z_0: Tensor, W_xz: Tensor, W_zz: Tensor, b_1: Tensor) -> Tensor:
    """‖∂z(T)/∂z(t)‖ for t = 0 … T-1, each by autograd through the recurrence from t on."""
    states = [z_0, *_rnn(X, z_0, W_xz, W_zz, b_1)[:-1]]

    def jacobian(t: int) -> Tensor:
        found: Tensor = torch.func.jacrev(lambda z: _rnn(X[t:], z, W_xz, W_zz, b_1)[-1])(states[t])
        return found

    return torch.stack([_spectral(jacobian(t)) for t in range(len(X))])


Jacobian = Callable[[Tensor, Tensor, Tensor], Tensor]


def _of_products(
    jacobian: Jacobian = lambda z, z_prev, W: (1 - z**2)[:, None] * W,
    times: Callable[[Tensor, Tensor], Tensor] = torch.matmul,
    norm: Callable[[Tensor], Tensor] = _spectral,
    forwards: bool = False,
) -> Callable[..., Tensor]:
    """Norms of the products of wrong Jacobians, or of right ones multiplied or measured in a wrong way."""

    def of(X: Tensor, z_0: Tensor, W_xz: Tensor, W_zz: Tensor, b_1: Tensor) -> Tensor:
        Z = _rnn(X, z_0, W_xz, W_zz, b_1)
        Js = [jacobian(z, z_prev, W_zz) for z, z_prev in zip(Z, [z_0, *Z[:-1]], strict=True)]
        product, norms = torch.eye(len(z_0), dtype=X.dtype), []
        for J in Js if forwards else Js[::-1]:
            product = times(J, product) if forwards else times(product, J)
            norms.append(norm(product))
        return torch.stack(norms if forwards else norms[::-1])

    return of


def _product_of_norms(X: Tensor, z_0: Tensor, W_xz: Tensor, W_zz: Tensor, b_1: Tensor) -> Tensor:
    Z = _rnn(X, z_0, W_xz, W_zz, b_1)
    each = torch.stack([_spectral((1 - z**2)[:, None] * W_zz) for z in Z])
    return each.flip(0).cumprod(0).flip(0)


vanishing = Values(
    signature="vanishing(X, z_0, W_xz, W_zz, b_1) -> norms",
    of=_norms_of_jacobians,
    draw=lambda d, T, n, k: dict(X=d.normal(T, n), z_0=d.normal(k, scale=0.5), **_drawn_weights(d, n, k, gain=1.4)),
    edges=(dict(T=1), dict(k=1)),
    large=dict(T=13, n=5, k=31),
    points=(8,),
    key="autograd",
    slide="Long short term memory (LSTM) networks",
    difficulty=3,
    minutes=15,
    not_allowed=OWN,
    products=LOOPS,
    needs=("rnn_step", "rnn_backward"),
    hints=(
        "∂z(t)/∂z(t-1) is tanh' of step t on the diagonal, times W_zz: row i of W_zz times 1 - z_i(t)².",
        "The chain rule multiplies from the left: ∂z(T)/∂z(t) = J(T) … J(t+1). Begin at the end, with J(T).",
        "torch.linalg.matrix_norm(J, 2) is the largest singular value.",
    ),
    mistakes={
        "left out tanh': powers of W_zz": _of_products(lambda z, z_prev, W: W),
        "multiplied the norms, where the norm of the product is asked for": _product_of_norms,
        "multiplied the Jacobians in the opposite order": _of_products(times=lambda P, J: J @ P),
        "took tanh' at z(t-1), one step too early": _of_products(lambda z, z_prev, W: (1 - z_prev**2)[:, None] * W),
        "put tanh' on the columns of W_zz, not on its rows": _of_products(lambda z, z_prev, W: (1 - z**2) * W),
        "took W_zz transposed": _of_products(lambda z, z_prev, W: (1 - z**2)[:, None] * W.T),
        "took the Frobenius norm": _of_products(norm=lambda J: J.norm()),
        "took ∂z(t)/∂z(0), from the first step on": _of_products(forwards=True),
        "returned the norms in the opposite order": lambda right: {"norms": right["norms"].flip(0)},
    },
)

# --- LSTM ------------------------------------------------------------------------------------------------------------

Map = Callable[[Tensor], Tensor]


def _lstm_step(
    x: Tensor,
    h_prev: Tensor,
    c_prev: Tensor,
    W_ih: Tensor,
    W_hh: Tensor,
    b_ih: Tensor,
    b_hh: Tensor,
    order: str = "ifgo",
    pre: Map = lambda a: a,
    sigma: Map = torch.sigmoid,
    tanh: Map = torch.tanh,
    out: Map | None = None,
    squash: Map = torch.tanh,
    remember: Callable[[Tensor, Tensor], Tensor] = torch.mul,
    write: Callable[[Tensor, Tensor], Tensor] = torch.mul,
) -> tuple[Tensor, Tensor]:
    """h and c, as `nn.LSTM` has them; every piece of the equations may be replaced by another."""
    a = pre(x @ W_ih.T + b_ih + h_prev @ W_hh.T + b_hh)
    block = dict(zip(order, a.chunk(4, -1), strict=True))
    i, f, o = sigma(block["i"]), sigma(block["f"]), (out or sigma)(block["o"])
    c = remember(f, c_prev) + write(i, tanh(block["g"]))
    return o * squash(c), c


def _lstm(
    X: Tensor,
    h_0: Tensor,
    c_0: Tensor,
    W_ih: Tensor,
    W_hh: Tensor,
    b_ih: Tensor,
    b_hh: Tensor,
    step: Step = _lstm_step,
    carry: Callable[[int, Tensor, Tensor], tuple[Tensor, Tensor]] = lambda t, h, c: (h, c),
    used: Callable[[int, Tensor], Tensor] = lambda t, w: w,
) -> tuple[Tensor, Tensor]:
    """H (T, m, k), every h(t), and the last c (m, k)."""
    H, h, c = [], h_0, c_0
    weights = dict(W_ih=W_ih, W_hh=W_hh, b_ih=b_ih, b_hh=b_hh)
    for t, x in enumerate(X):
        h_prev, c_prev = carry(t, h, c)
        h, c = step(x=x, h_prev=h_prev, c_prev=c_prev, **{name: used(t, w) for name, w in weights.items()})
        H.append(h)
    return torch.stack(H), c


def _drawn_lstm_weights(d: Draw, n: int, k: int, gates: int = 4) -> Inputs:
    return dict(
        W_ih=d.normal(gates * k, n, scale=n**-0.5),
        W_hh=d.normal(gates * k, k, scale=k**-0.5),
        b_ih=d.normal(gates * k, scale=0.5),
        b_hh=d.normal(gates * k, scale=0.5),
    )


def _drawn_lstm_step(d: Draw, m: int, n: int, k: int) -> Inputs:
    return dict(x=d.normal(m, n), h_prev=d.normal(m, k), c_prev=d.normal(m, k), **_drawn_lstm_weights(d, n, k))


def _drawn_lstm(d: Draw, T: int, m: int, n: int, k: int) -> Inputs:
    return dict(X=d.normal(T, m, n), h_0=d.normal(m, k), c_0=d.normal(m, k), **_drawn_lstm_weights(d, n, k))


lstm_step = Values(
    signature="lstm_step(x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh) -> h, c",
    of=_lstm_step,
    draw=_drawn_lstm_step,
    edges=(dict(m=1), dict(k=1)),
    points=(3, 3),
    slide="Long short term memory (LSTM) networks",
    difficulty=2,
    minutes=10,
    not_allowed=OWN,
    needs=("rnn_step",),
    hints=(
        "One product with W_ih and one with W_hh give all four gates; `a.chunk(4, dim=1)` cuts them apart.",
        "σ for i, f and o, tanh for g; c = f ∘ c_prev + i ∘ g, then h = o ∘ tanh(c).",
    ),
    mistakes={
        "took the gates in the order i, f, o, g": partial(_lstm_step, order="ifog"),
        "took the gates in the order i, g, f, o": partial(_lstm_step, order="igfo"),
        "took the input gate for the forget gate, and the forget gate for the input gate": partial(
            _lstm_step, order="figo"
        ),
        "took tanh for the output gate": partial(_lstm_step, out=torch.tanh),
        "took σ for g": partial(_lstm_step, tanh=torch.sigmoid),
        "left out tanh of the cell state": partial(_lstm_step, squash=lambda c: c),
        "left out one of the two biases, b_hh": lambda x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh: _lstm_step(
            x, h_prev, c_prev, W_ih, W_hh, b_ih, torch.zeros_like(b_hh)
        ),
        "forgot the old cell state: c = i ∘ g": partial(_lstm_step, remember=lambda f, c: torch.zeros_like(c)),
        "kept all of the old cell state: left out f": partial(_lstm_step, remember=lambda f, c: c),
        "returned c and h in each other's place": lambda right: {"h": right["c"], "c": right["h"]},
    },
)

LSTM_WEIGHTS = ("G_W_ih", "G_W_hh", "G_b_ih", "G_b_hh")


def _derivative(f: Map, slope: Map) -> Map:
    """f(a) with `slope`, of f(a), for its derivative."""
    return lambda a: looks_like(f(a), slope(f(a)).detach() * a)


def _stacked_otherwise(a: Tensor) -> Tensor:
    """a, whose gradient is handed back with the blocks of g and o exchanged."""
    i, f, g, o = a.chunk(4, -1)
    return looks_like(a, torch.cat([i, f, o, g], -1))


lstm_step_backward = Gradients(
    signature=(
        "lstm_step_backward(G_h, G_c, x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh) -> "
        "G_x, G_h_prev, G_c_prev, G_W_ih, G_W_hh, G_b_ih, G_b_hh"
    ),
    of=_lstm_step,
    draw=_drawn_lstm_step,
    edges=(dict(m=1), dict(k=1)),
    large=dict(m=3, n=37, k=31),
    points=(1, 2, 2, 3, 3, 1, 1),
    slide="Long short term memory (LSTM) networks",
    difficulty=4,
    minutes=25,
    not_allowed=OWN,
    products=LOOPS,
    needs=("lstm_step",),
    hints=(
        "The cell state has two ways out: into h, and on to the next step. Both gradients add up: "
        "G_c + G_h ∘ o ∘ (1 - tanh²(c)).",
        "From that come the gradients of i, f, g, and of c_prev; that of o comes from G_h alone.",
        "Times σ' = s (1 - s) or tanh' = 1 - g², stacked in the order i, f, g, o, they are the gradient of one linear "
        "layer's output: the rest is linear_backward, twice.",
    ),
    mistakes={
        "forgot that h depends on c: no gradient from h into the cell state": partial(
            _lstm_step, squash=lambda c: c.detach().tanh()
        ),
        "ignored G_c: what comes back through the cell state": lambda x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh: (
            _cell_unread(_lstm_step(x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh))
        ),
        "left out f in the gradient of c_prev": partial(
            _lstm_step, remember=lambda f, c: looks_like(f * c, f * c.detach() + c)
        ),
        "took σ' and tanh' at the gates, not at what went into them": partial(
            _lstm_step,
            sigma=lambda a: slope_elsewhere(torch.sigmoid, a, a.sigmoid()),
            tanh=lambda a: slope_elsewhere(torch.tanh, a, a.tanh()),
        ),
        "took 1 - c² for tanh'(c), which is 1 - tanh²(c)": partial(
            _lstm_step, squash=lambda c: looks_like(c.tanh(), (1 - c**2).detach() * c)
        ),
        "left out tanh' of the cell state": partial(_lstm_step, squash=lambda c: looks_like(c.tanh(), c)),
        "took σ', s (1 - s), for all four gates: g is a tanh": partial(
            _lstm_step, tanh=_derivative(torch.tanh, lambda g: g * (1 - g))
        ),
        "stacked the gradients of the gates in the order i, f, o, g": partial(_lstm_step, pre=_stacked_otherwise),
        "took i for g, and g for i, in each other's gradient": partial(
            _lstm_step, write=lambda i, g: looks_like(i * g, i.detach() * i + g.detach() * g)
        ),
        "took c(t) for c(t-1) in the gradient of the forget gate": lambda **inputs: _cell_now(**inputs),
        "gave one of the two biases no gradient": _zeros("G_b_hh"),
        "averaged over the batch, which belongs to the loss": lambda right, x: {
            name: right[name] / len(x) for name in LSTM_WEIGHTS
        },
    },
)


def _cell_unread(step: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    h, c = step
    return h, c.detach()


def _without_upstreams(inputs: Inputs) -> dict[str, Any]:
    return {name: value for name, value in inputs.items() if not name.startswith("G_")}


def _cell_now(**inputs: Any) -> tuple[Tensor, Tensor]:
    """A step whose forget gate meets c(t) on the way back."""
    step = _without_upstreams(inputs)
    c_now = _lstm_step(**step)[1].detach()
    return _lstm_step(**step, remember=lambda f, c: looks_like(f * c, f.detach() * c + f * c_now))


def _h_now(**inputs: Any) -> tuple[Tensor, Tensor]:
    """A step whose W_hh meets h(t) on the way back."""
    W_hh = inputs.pop("W_hh")
    h_now = _lstm_step(**inputs, W_hh=W_hh)[0].detach()
    return _lstm_step(**inputs, W_hh=W_hh.detach(), pre=lambda a: looks_like(a, a + h_now @ W_hh.T))


def _lstm_last_only(**inputs: Any) -> tuple[Tensor, Tensor]:
    H, c = _lstm(**_without_upstreams(inputs))
    return _last_only(H), c


lstm_backward = Gradients(
    signature=(
        "lstm_backward(G_H, G_c, X, h_0, c_0, W_ih, W_hh, b_ih, b_hh) -> "
        "G_X, G_h_0, G_c_0, G_W_ih, G_W_hh, G_b_ih, G_b_hh"
    ),
    of=_lstm,
    parts={"step": lstm_step_backward},
    draw=_drawn_lstm,
    edges=(dict(T=1), dict(m=1), dict(k=1)),
    large=dict(T=5, m=3, n=29, k=31),
    points=(2, 3, 3, 2, 3, 1, 1),
    slide="Long short term memory (LSTM) networks",
    difficulty=3,
    minutes=20,
    not_allowed=OWN,
    products=LOOPS,
    needs=("lstm_step", "lstm_step_backward", "rnn_backward"),
    hints=(
        "Run forward and keep every h(t) and c(t), with h(0) and c(0) in front.",
        "Two gradients go back from step to step, one for h and one for c. Into h(t) goes G_H[t], too; into c(T) goes "
        "G_c.",
        "Start at G_h = 0 and G_c as given. What lstm_step_backward returns for h_prev and c_prev is what the step "
        "before it begins with; what it returns for the weights adds up.",
    ),
    mistakes={
        "forgot the path through the cell state": partial(_lstm, carry=lambda t, h, c: (h, c.detach() if t else c)),
        "forgot the path through h from step to step": partial(
            _lstm, carry=lambda t, h, c: (h.detach() if t else h, c)
        ),
        "counted the loss of the last step only": lambda **inputs: _lstm_last_only(**inputs),
        "overwrote the gradients of the weights at each step, instead of adding": partial(
            _lstm, used=lambda t, w: w.detach() if t else w
        ),
        "took the gradients of the weights from the last step only": lambda X, h_0, c_0, W_ih, W_hh, b_ih, b_hh: _lstm(
            X, h_0, c_0, W_ih, W_hh, b_ih, b_hh, used=lambda t, w: w if t == len(X) - 1 else w.detach()
        ),
        "took h(t) for h(t-1) in the gradient of W_hh": partial(_lstm, step=_h_now),
        "ignored G_c: the gradient of the last cell state": lambda X, h_0, c_0, W_ih, W_hh, b_ih, b_hh: _cell_unread(
            _lstm(X, h_0, c_0, W_ih, W_hh, b_ih, b_hh)
        ),
        "gave the first states no gradient": _zeros("G_h_0", "G_c_0"),
        "began with zeros for the first states": lambda X, h_0, c_0, W_ih, W_hh, b_ih, b_hh: _lstm(
            X, h_0 - h_0.detach(), c_0 - c_0.detach(), W_ih, W_hh, b_ih, b_hh
        ),
        "gave one of the two biases no gradient": _zeros("G_b_hh"),
        "averaged over the steps, where gradients add up": lambda right, X: {
            name: right[name] / len(X) for name in LSTM_WEIGHTS
        },
    },
)

# --- char-RNN --------------------------------------------------------------------------------------------------------


def _embed(x: Tensor, E: Tensor) -> Tensor:
    return E[x]


def _drawn_symbols(d: Draw, T: int, m: int, n: int, V: int = 0) -> Inputs:
    """Symbols of which one at least never occurs, and others do more than once."""
    V = V or d.integer(4, 7)
    symbols = d.permutation(V)[d.labels(V - 1, T * m)]
    return dict(x=symbols.reshape(T, m), E=d.normal(V, n))


def _last_occurrence(x: Tensor, E: Tensor) -> Tensor:
    """The rows of E, of which a gradient reaches the last place of each symbol only."""
    flat = x.flatten()
    later = (flat[:, None] == flat).triu(1).any(1).reshape(*x.shape, 1)
    return torch.where(later, E.detach()[x], E[x])


embedding_backward = Gradients(
    signature="embedding_backward(G, x, E) -> G_E",
    of=_embed,
    draw=_drawn_symbols,
    edges=(dict(T=1), dict(m=1), dict(n=1)),
    large=dict(T=19, m=17, n=13, V=97),
    points=(6,),
    slide="Some example settings",
    difficulty=2,
    minutes=8,
    products=LOOPS,
    not_allowed=AUTOGRAD,
    hints=(
        "Row v of E is used wherever x is v: its gradient is the sum of G over all these places.",
        "G_E[x] += G counts each symbol once. `index_add_` adds; so does a product with one-hot rows.",
    ),
    mistakes={
        "assigned instead of adding: only the last place of a repeated symbol counts": _last_occurrence,
        "averaged over the places of a symbol": lambda right, x, E: {
            "G_E": right["G_E"] / x.flatten().bincount(minlength=len(E)).clamp(min=1)[:, None]
        },
        "averaged over the batch, which belongs to the loss": lambda right, x: {"G_E": right["G_E"] / x.shape[1]},
        "averaged over the steps, where gradients add up": lambda right, x: {"G_E": right["G_E"] / len(x)},
        "returned a gradient for each place, not for each symbol": lambda right, G: {"G_E": G},
        "left out the symbols that do not occur": lambda right, x: {"G_E": right["G_E"][x.unique()]},
        "counted how often a symbol occurs, without G": lambda right, x, E: {
            "G_E": x.flatten().bincount(minlength=len(E))[:, None].expand_as(E).double()
        },
    },
)

WEIGHTS = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
CHAR_RNN = ("embedding.weight", *(f"lstm.{name}" for name in WEIGHTS), "head.weight", "head.bias")
Loss = Callable[[Tensor, Tensor], Tensor]


def _hidden(X: Tensor, embedding: Step = _embed, lstm: Step = _lstm, **P: Tensor) -> Tensor:
    """H (T, m, k) of the symbols X (T, m), from first states of zeros."""
    W_ih, W_hh, b_ih, b_hh = (P[f"lstm.{name}"] for name in WEIGHTS)
    first = W_hh.new_zeros(X.shape[1], W_hh.shape[1])
    E = embedding(x=X, E=P["embedding.weight"])
    H: Tensor = lstm(X=E, h_0=first, c_0=first.clone(), W_ih=W_ih, W_hh=W_hh, b_ih=b_ih, b_hh=b_hh)[0]
    return H


def _mean(Z: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(Z.flatten(0, 1), y.flatten())


def _char_rnn(
    X: Tensor, y: Tensor, embedding: Step = _embed, lstm: Step = _lstm, loss: Loss = _mean, bias: float = 1, **P: Tensor
) -> Tensor:
    """The loss of a char-RNN: embedding, LSTM, linear layer, cross-entropy."""
    H = _hidden(X, embedding, lstm, **P)
    return loss(H @ P["head.weight"].T + bias * P["head.bias"], y)


def _char_rnn_shapes(V: int, n: int, k: int, out: int = 0) -> dict[str, tuple[int, ...]]:
    gates = ((4 * k, n), (4 * k, k), (4 * k,), (4 * k,))
    return dict(zip(CHAR_RNN, ((V, n), *gates, (out or V, k), (out or V,)), strict=True))


def _drawn_char_rnn(d: Draw, T: int, m: int, n: int, k: int, V: int = 0) -> Inputs:
    X = _drawn_symbols(d, T, m, n, V)
    V = len(X["E"])  # type: ignore[arg-type]
    P: Inputs = {
        name: d.normal(*shape, scale=shape[1] ** -0.5 if shape[1:] else 0.5)
        for name, shape in _char_rnn_shapes(V, n, k).items()
    }
    return dict(X=X["x"], y=d.labels(V, T * m).reshape(T, m), **P)


char_rnn_backward = Gradients(
    signature=f"char_rnn_backward(X, y, P) -> loss, {', '.join(CHAR_RNN)}",
    of=_char_rnn,
    parts={"embedding": embedding_backward, "lstm": lstm_backward},
    draw=_drawn_char_rnn,
    edges=(dict(T=1), dict(m=1)),
    large=dict(T=5, m=3, n=19, k=23, V=29),
    adapter=adapters.with_state,
    points=(3, 2, 2, 3, 1, 1, 1, 1),
    slide="Some example settings",
    difficulty=3,
    minutes=20,
    not_allowed=OWN,
    products=LOOPS,
    needs=("lstm_step", "lstm_backward", "embedding_backward"),
    hints=(
        "Forward: rows of the embedding, the LSTM from zeros, logits for each step and example, and the mean of T m "
        "cross-entropies.",
        "Backward: softmax minus one-hot, over T m; the head is linear_backward on (T m) rows; what it hands back is "
        "G_H, and G_c is 0.",
        "lstm_backward's G_X is embedding_backward's G.",
    ),
    mistakes={
        "summed the loss over time instead of averaging it": partial(_char_rnn, loss=lambda Z, y: len(Z) * _mean(Z, y)),
        "summed the loss over time and batch instead of averaging it": partial(
            _char_rnn, loss=lambda Z, y: y.numel() * _mean(Z, y)
        ),
        "counted the last step's loss only": partial(_char_rnn, loss=lambda Z, y: F.cross_entropy(Z[-1], y[-1])),
        "divided by T twice": lambda right, X: {name: right[name] / len(X) for name in CHAR_RNN},
        "compared with X, the symbol that is read, not with y": lambda X, y, **P: _char_rnn(X, X, **P),
        "flattened y with the batch first, where the logits have time first": partial(
            _char_rnn, loss=lambda Z, y: F.cross_entropy(Z.flatten(0, 1), y.T.flatten())
        ),
        "took softmax over the batch, not over the symbols": partial(
            _char_rnn, loss=lambda Z, y: F.nll_loss(Z.log_softmax(1).flatten(0, 1), y.flatten())
        ),
        "left out head.bias": partial(_char_rnn, bias=0),
        "gave one of the two biases of the LSTM no gradient": _zeros("lstm.bias_hh_l0"),
    },
)

# --- brackets --------------------------------------------------------------------------------------------------------

KINDS, LETTERS, DEEP = 3, 4, 3
SYMBOLS = 2 * KINDS + LETTERS  # so many opening, so many closing brackets, then letters
LENGTH, TRAINED_ON, HELD, FAR = 40, 3000, 2000, 10
OPENS, CLOSES = 0.1, 0.06


def _text(us: list[float], kinds: list[int], letters: list[int]) -> tuple[list[int], list[tuple[int, int]]]:
    """A text of letters and well-nested brackets, and the kind and place of those that are open at its end."""
    text, open_ = list[int](), list[tuple[int, int]]()
    for t, (u, kind, letter) in enumerate(zip(us, kinds, letters, strict=True)):
        if u < OPENS and len(open_) < DEEP:
            open_.append((kind, t))
            text.append(kind)
        elif open_ and 1 - u < CLOSES:
            text.append(KINDS + open_.pop()[0])
        else:
            text.append(2 * KINDS + letter)
    return text, open_


def _brackets(d: Draw, m: int, far: int) -> tuple[Tensor, Tensor]:
    """X (LENGTH, m) and y (m,): the bracket to be closed was opened more than `far` symbols before the end."""
    texts, kinds = list[list[int]](), list[int]()
    while len(texts) < m:
        us = d.uniform(0, 1, m, LENGTH).tolist()
        which, letters = (d.labels(count, m * LENGTH).reshape(m, LENGTH).tolist() for count in (KINDS, LETTERS))
        for drawn in zip(us, which, letters, strict=True):
            text, open_ = _text(*drawn)
            if open_ and LENGTH - open_[-1][1] > far:
                texts.append(text)
                kinds.append(open_[-1][0])
    return torch.tensor(texts[:m]).T.contiguous(), torch.tensor(kinds[:m])


def _drawn_brackets(d: Draw) -> Inputs:
    """Texts whose symbols, and kinds of bracket, are numbered by the seed."""
    symbols, kinds = d.permutation(SYMBOLS), d.permutation(KINDS)
    (X, y), (X_test, y_test) = _brackets(d, TRAINED_ON, 0), _brackets(d, HELD, FAR)
    held = dict(X_test=symbols[X_test], y_test=kinds[y_test])
    return dict(X=symbols[X], y=kinds[y], seed=d.integer(0, 2**31), **held)


def _closed(X_test: Tensor, y_test: Tensor, **P: Any) -> float:
    """The share of texts whose bracket is closed rightly."""
    state = {name: P[name].double() for name in CHAR_RNN}
    Z = _hidden(X_test, **state)[-1] @ state["head.weight"].T + state["head.bias"]
    share: Tensor = (Z.argmax(1) == y_test).double().mean()
    return share.item()


bracket = Trained(
    signature=f"bracket(X, y, seed) -> {', '.join(CHAR_RNN)}",
    of=lambda: tuple(torch.zeros(shape) for shape in _char_rnn_shapes(SYMBOLS, 16, 32, KINDS).values()),
    draw=_drawn_brackets,
    core=1,
    score=_closed,
    full=0.95,  # the solution reaches 0.982 ± 0.0077 over 20 seeds, a plain RNN of the same size 0.72
    none=0.8,
    unit="of the held-out brackets are closed rightly",
    not_allowed=tuple(name for name in BY_HAND if name != KERNELS),  # watching every operation costs too much here
    points=(2.0,) * len(CHAR_RNN),
    slide="Long short term memory (LSTM) networks",
    difficulty=4,
    minutes=25,
    seconds=90,
    needs=("lstm_backward", "embedding_backward", "clip_gradients"),
    hints=(
        "As char_rnn_backward, but only the last step has a loss: G_H is zero everywhere else.",
        "Start the forget gate's biases at 1, and clip the gradients to a global norm of 1.",
        "Adam of lab 2 with α = 0.01, made smaller each epoch, batches of 50; float32 is twice as fast.",
    ),
)

# --- extra -----------------------------------------------------------------------------------------------------------

CHOICES, EACH = 5, 4000
ROWS = CHOICES


def _drawn_logits(d: Draw) -> Inputs:
    """A few rows of logits, each many times over; a temperature well away from 1.

    Each symbol is the likeliest in one row, and never likelier than the others together: no single random number can
    draw the likeliest of every row. Rows differ by constants, which only a softmax over the wrong axis sees: by so much
    that one row outweighs the others in it at any temperature.
    """
    row = 0.3 * d.permutation(CHOICES) + d.uniform(0, 0.05, CHOICES)
    logits = torch.stack([row.roll(shift) for shift in range(ROWS)]) + 3 * d.permutation(ROWS)[:, None]
    temperature = d.number(0.55, 0.7) if d.integer(0, 2) else d.number(1.8, 2.5)
    return dict(logits=logits.repeat(EACH, 1), temperature=temperature, seed=d.integer(0, 2**31))


def _frequencies(logits: Tensor, symbols: list[Tensor], scale: float) -> float:
    """The largest z-score of how often a symbol was drawn, over rows and symbols, against softmax(scale · logits)."""
    first = symbols[0].long()
    if not ((first >= 0) & (first < CHOICES)).all() or (symbols[0] != first).any():
        return torch.inf
    p = (scale * logits[:ROWS]).softmax(1)
    counts = F.one_hot(first, CHOICES).reshape(EACH, ROWS, CHOICES).sum(0)
    return ((counts - EACH * p) / (EACH * p * (1 - p)).sqrt()).abs().max().item()


def _agreement(logits: Tensor, temperature: float, one: Tensor, other: Tensor) -> float:
    """z-score of how often two draws agree, against two that are independent."""
    p = (logits[: len(one)] / temperature).softmax(1).square().sum(1)
    return (((one == other).double() - p).sum() / (p * (1 - p)).sum().sqrt()).item()


def _exactly(holds: Any) -> float:
    return 0.0 if holds else torch.inf


sample = Statistics(
    signature="sample(logits, temperature, generator) -> symbols",
    of=lambda logits: ([torch.zeros(len(logits))] * 3,),
    draw=_drawn_logits,
    core=2,
    adapter=adapters.three_samples,
    points=(3,),
    slide="Char-RNN trained character-by-character level on the Linux source code",
    difficulty=2,
    minutes=10,
    extra=True,
    needs=("char_rnn_backward",),
    hints=("softmax of logits / temperature; torch.multinomial takes a generator, and draws from each row.",),
    laws={
        "symbols": {
            "how often a symbol is drawn is not softmax(logits / temperature)": lambda logits, temperature, symbols: (
                _frequencies(logits, symbols, 1 / temperature)
            ),
            "the rows are not independent of each other": lambda logits, temperature, symbols: _neighbours(
                logits, temperature, symbols[0]
            ),
            "a second call with the same generator gives the same symbols": lambda logits, temperature, symbols: (
                _agreement(logits, temperature, symbols[0], symbols[1])
            ),
            "a generator of the same seed gives other symbols": lambda symbols: _exactly(
                torch.equal(symbols[0], symbols[2])
            ),
        },
    },
    mistakes={
        "multiplied by the temperature": lambda logits, temperature, symbols: _frequencies(
            logits, symbols, temperature
        ),
        "left out the temperature": lambda logits, symbols: _frequencies(logits, symbols, 1),
        "took the most likely symbol": lambda logits, symbols: _exactly(torch.equal(symbols[0], logits.argmax(1))),
        "used one random number for all rows": lambda symbols: _exactly(
            (symbols[0].reshape(EACH, ROWS) == symbols[0][:ROWS]).all()
        ),
        "gave the generator its first seed again": lambda symbols: _exactly(torch.equal(symbols[0], symbols[1])),
        "ignored the generator": lambda symbols: _exactly(not torch.equal(symbols[0], symbols[2])),
    },
)


def _neighbours(logits: Tensor, temperature: float, symbols: Tensor) -> float:
    """z-score of how often the two rows of a pair with the same logits agree."""
    pairs = symbols.reshape(EACH // 2, 2, ROWS)
    return _agreement(logits, temperature, pairs[:, 0].flatten(), pairs[:, 1].flatten())


def _gru_step(
    x: Tensor,
    h: Tensor,
    W_ih: Tensor,
    W_hh: Tensor,
    b_ih: Tensor,
    b_hh: Tensor,
    order: str = "rzn",
    reset: Callable[[Tensor, Tensor], Tensor] = torch.mul,
    mix: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda z, n, h: (1 - z) * n + z * h,
) -> Tensor:
    """h of the next step, as `nn.GRU` has it: the reset gate after the product."""
    a, c = (dict(zip(order, s.chunk(3, -1), strict=True)) for s in (x @ W_ih.T + b_ih, h @ W_hh.T + b_hh))
    r, z = torch.sigmoid(a["r"] + c["r"]), torch.sigmoid(a["z"] + c["z"])
    return mix(z, torch.tanh(a["n"] + reset(r, c["n"])), h)


def _gru(
    X: Tensor,
    h_0: Tensor,
    W_ih: Tensor,
    W_hh: Tensor,
    b_ih: Tensor,
    b_hh: Tensor,
    step: Step = _gru_step,
    carry: Callable[[int, Tensor], Tensor] = lambda t, h: h,
    used: Callable[[int, Tensor], Tensor] = lambda t, w: w,
) -> Tensor:
    """H (T, m, k)."""
    H, h = [], h_0
    for t, x in enumerate(X):
        h = step(x, carry(t, h), *(used(t, w) for w in (W_ih, W_hh, b_ih, b_hh)))
        H.append(h)
    return torch.stack(H)


def _reset_before(x: Tensor, h: Tensor, W_ih: Tensor, W_hh: Tensor, b_ih: Tensor, b_hh: Tensor) -> Tensor:
    """A step of Cho et al. 2014: the reset gate before the product."""
    W_n, b_n = W_hh.chunk(3)[2], b_hh.chunk(3)[2]

    def reset(r: Tensor, _: Tensor) -> Tensor:
        return (r * h) @ W_n.T + b_n

    return _gru_step(x, h, W_ih, W_hh, b_ih, b_hh, reset=reset)


gru_backward = Gradients(
    signature="gru_backward(G, X, h_0, W_ih, W_hh, b_ih, b_hh) -> G_X, G_h_0, G_W_ih, G_W_hh, G_b_ih, G_b_hh",
    of=_gru,
    draw=lambda d, T, m, n, k: dict(X=d.normal(T, m, n), h_0=d.normal(m, k), **_drawn_lstm_weights(d, n, k, gates=3)),
    edges=(dict(T=1), dict(m=1), dict(k=1)),
    large=dict(T=5, m=3, n=29, k=31),
    points=(1, 2, 1, 2, 1, 1),
    slide="Long short term memory (LSTM) networks",
    difficulty=4,
    minutes=30,
    extra=True,
    not_allowed=OWN,
    products=LOOPS,
    needs=("lstm_backward",),
    hints=(
        "Keep r, z, n and W_hn h + b_hn of each step.",
        "h(t-1) is reached by four ways: z ∘ h, and each of the three products.",
        "The gradients of W_ih x + b_ih and of W_hh h + b_hh differ in their last block, by r.",
    ),
    mistakes={
        "reset before the product, as Cho et al. have it": partial(_gru, step=_reset_before),
        "took z for 1 - z: h = z ∘ n + (1 - z) ∘ h": partial(
            _gru, step=partial(_gru_step, mix=lambda z, n, h: z * n + (1 - z) * h)
        ),
        "took the gates in the order z, r, n": partial(_gru, step=partial(_gru_step, order="zrn")),
        "forgot the reset gate's gradient": partial(_gru, step=partial(_gru_step, reset=lambda r, c: r.detach() * c)),
        "gave W_hh and b_hh the gradient before the reset gate": partial(
            _gru, step=partial(_gru_step, reset=lambda r, c: looks_like(r * c, r * c.detach() + c))
        ),
        "forgot the direct path from h(t-1) to h(t)": partial(
            _gru, step=partial(_gru_step, mix=lambda z, n, h: (1 - z) * n + z * h.detach())
        ),
        "let nothing go back through time: each step stands alone": partial(_gru, carry=_alone),
        "overwrote the gradients of the weights at each step, instead of adding": partial(
            _gru, used=lambda t, w: w.detach() if t else w
        ),
        "gave the first state no gradient": _zeros("G_h_0"),
        "gave b_hh the gradient of b_ih": lambda right: {"G_b_hh": right["G_b_ih"]},
    },
)


def _truncated(
    X: Tensor,
    z_0: Tensor,
    W_xz: Tensor,
    W_zz: Tensor,
    b_1: Tensor,
    s: int,
    border: Map = torch.detach,
    used: Callable[[int, Tensor], Tensor] = lambda t, w: w,
) -> Tensor:
    """Z of all steps; the state is carried from block to block of s steps, but no gradient is."""
    return _rnn(X, z_0, W_xz, W_zz, b_1, carry=lambda t, z: border(z) if t and t % s == 0 else z, used=used)


def _block_only(first: bool) -> Callable[..., Tensor]:
    """The weights' gradients of the first, or the last, block."""

    def of(X: Tensor, z_0: Tensor, W_xz: Tensor, W_zz: Tensor, b_1: Tensor, s: int) -> Tensor:
        kept = 0 if first else (len(X) - 1) // s
        return _truncated(X, z_0, W_xz, W_zz, b_1, s, used=lambda t, w: w if t // s == kept else w.detach())

    return of


truncated_backward = Gradients(
    signature="truncated_backward(G, X, z_0, W_xz, W_zz, b_1, s) -> Z, G_W_xz, G_W_zz, G_b_1",
    of=_truncated,
    draw=lambda d, m, n, k, s=0, blocks=3, rest=1: dict(
        **_drawn_rnn(d, (s := s or d.integer(2, 4)) * blocks + rest, m, n, k), s=s
    ),
    edges=(dict(rest=0), dict(s=1), dict(s=5, blocks=0, rest=3), dict(m=1)),
    large=dict(m=3, n=29, k=31, s=3),
    points=(2, 1, 2, 1),
    slide="Training recurrent neural networks",
    difficulty=3,
    minutes=15,
    extra=True,
    not_allowed=OWN,
    products=LOOPS,
    needs=("rnn_step", "rnn_backward"),
    hints=(
        "Cut X and G into blocks of s steps; `X.split(s)` leaves a shorter one at the end.",
        "Each block begins with the last state of the block before it, and rnn_backward does the rest. Add up.",
    ),
    mistakes={
        "began each block with zeros: the state was not carried": partial(_truncated, border=torch.zeros_like),
        "began each block with z(0): the state was not carried": lambda X, z_0, W_xz, W_zz, b_1, s: _truncated(
            X, z_0, W_xz, W_zz, b_1, s, border=lambda z: z_0.detach()
        ),
        "let the gradient go back into the block before: the state was not detached": partial(
            _truncated, border=lambda z: z
        ),
        "cut the gradient at every step": lambda X, z_0, W_xz, W_zz, b_1: _rnn(X, z_0, W_xz, W_zz, b_1, carry=_alone),
        "kept the last block's gradients only": _block_only(first=False),
        "kept the first block's gradients only": _block_only(first=True),
        "averaged over the blocks, where gradients add up": lambda right, X, s: {
            name: right[name] / -(-len(X) // s) for name in RNN_WEIGHTS
        },
    },
)
