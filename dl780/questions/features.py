"""From linear models to networks.

Slides "Supervised learning setup" to "Stochastic gradient descent for neural networks".
Batch as rows, `Phi @ theta`; losses are means over the batch; every function returns new tensors.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial, reduce
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from dl780.check.cases import Draw
from dl780.check.question import Gradients, Property, Values
from dl780.student import adapters_features as adapters
from dl780.student.arrays import Inputs, Value
from dl780.student.drawn import example_gradient, lipschitz, wave
from dl780.student.traps import AUTOGRAD

OPENING = """\
import math

import matplotlib.pyplot as plt
import numpy as np
import torch

from dl780 import Lab

lab = Lab("features")
"""
WRITTEN = {"why_linear": 4.0, "why_theta": 4.0, "why_depth": 4.0}
FREE = 10_000  # products that are no sign of differencing where no gradient is asked for

# --- features --------------------------------------------------------------------------------------------------------


def _powers(x: Tensor, degree: int, first: int = 0) -> Tensor:
    return x[:, None] ** torch.arange(first, degree + 1)


polynomial_features = Values(
    signature="polynomial_features(x, degree) -> Phi",
    of=_powers,
    draw=lambda d, m, k, degree=None: dict(x=d.uniform(-1.2, 1.2, m), degree=k - 1 if degree is None else degree),
    edges=(dict(m=1), dict(degree=0)),
    products=FREE,
    points=(6,),
    slide="Supervised learning setup",
    difficulty=1,
    minutes=5,
    hints=("A column (m, 1) to the power of a row (d + 1,) is (m, d + 1): torch broadcasts.",),
    mistakes={
        "left out the constant feature": partial(_powers, first=1),
        "stopped one power short": lambda x, degree: _powers(x, degree - 1),
        "put the highest power first": lambda right: {"Phi": right["Phi"].flip(1)},
        "multiplied x by j instead of raising it to the power j": lambda x, degree: (
            x[:, None] * torch.arange(degree + 1)
        ),
        "returned a row for each power, not for each example": lambda right: {"Phi": right["Phi"].T},
    },
)


def _bumps(X: Tensor, centres: Tensor, sigma: float, power: float = 2, scale: float = 2) -> Tensor:
    return torch.exp(-(torch.cdist(X, centres) ** power) / (scale * sigma**2))


radial_basis_features = Values(
    signature="radial_basis_features(X, centres, sigma) -> Phi",
    of=_bumps,
    draw=lambda d, m, n, k: dict(
        X=d.normal(m, n, scale=n**-0.5), centres=d.normal(k, n, scale=n**-0.5), sigma=d.number(0.6, 0.9)
    ),
    edges=(dict(m=1), dict(n=1, k=1)),
    products=FREE,
    points=(8,),
    slide="Challenges with linear models",
    difficulty=2,
    minutes=12,
    hints=(
        "X[:, None] - centres is (m, k, n): every difference at once. Square it, then sum over the last axis.",
        "σ is a width: it is squared, and there is a 2 beside it.",
    ),
    mistakes={
        "took the distance, not its square": partial(_bumps, power=1),
        "left out the 2 beside σ²": partial(_bumps, scale=1),
        "divided by 2σ instead of 2σ²": lambda X, centres, sigma: _bumps(X, centres, sigma**0.5),
        "multiplied by σ instead of dividing by 2σ²": lambda X, centres, sigma: _bumps(
            X, centres, sigma**-0.5, scale=1
        ),
        "left out the minus sign": partial(_bumps, scale=-2),
        "averaged over the entries of x instead of summing": lambda X, centres, sigma: _bumps(
            X, centres, sigma, scale=2 * X.shape[1]
        ),
        "summed the differences before squaring them": lambda X, centres, sigma: torch.exp(
            -((X[:, None] - centres).sum(2) ** 2) / (2 * sigma**2)
        ),
        "put the constant of a normal density before it": lambda right, X, sigma: {
            "Phi": right["Phi"] * (math.tau * sigma**2) ** (-X.shape[1] / 2)
        },
    },
)


def _cosines(X: Tensor, Omega: Tensor, b: Tensor) -> Tensor:
    return math.sqrt(2 / len(Omega)) * torch.cos(F.linear(X, Omega, b))


random_features = Values(
    signature="random_features(X, Omega, b) -> Phi",
    of=_cosines,
    draw=lambda d, m, n, k: dict(X=d.normal(m, n, scale=n**-0.5), Omega=d.normal(k, n), b=d.uniform(0, math.tau, k)),
    edges=(dict(m=1), dict(n=1, k=1)),
    products=FREE,
    points=(8,),
    slide="Challenges with linear models",
    difficulty=2,
    minutes=10,
    hints=("Row j of Omega is ω_j: X @ Omega.T holds every ω_jᵀx. b is added inside the cosine.",),
    mistakes={
        "left out √(2/k)": lambda X, Omega, b: torch.cos(F.linear(X, Omega, b)),
        "took 2/k without its root": lambda right, b: {"Phi": right["Phi"] * math.sqrt(2 / len(b))},
        "took √(1/k), without the 2": lambda right: {"Phi": right["Phi"] / math.sqrt(2)},
        "divided by the number of examples, not of features": lambda right, X, b: {
            "Phi": right["Phi"] * math.sqrt(len(b) / len(X))
        },
        "took the sine": lambda X, Omega, b: _cosines(X, Omega, b - math.pi / 2),
        "left out b": lambda X, Omega, b: _cosines(X, Omega, 0 * b),
        "added b outside the cosine": lambda X, Omega, b: math.sqrt(2 / len(b)) * (torch.cos(F.linear(X, Omega)) + b),
    },
)

# --- linear models on features ---------------------------------------------------------------------------------------


def _squares(theta: Tensor, Phi: Tensor, y: Tensor) -> Tensor:
    return ((Phi @ theta - y) ** 2).mean() / 2


squared_loss_gradient = Gradients(
    signature="squared_loss_gradient(theta, Phi, y) -> loss, g",
    of=_squares,
    wrt={"g": "theta"},
    draw=lambda d, m, k: dict(theta=d.normal(k, scale=k**-0.5), Phi=d.normal(m, k), y=d.normal(m)),
    edges=(dict(m=1), dict(k=1)),
    large=dict(m=307, k=1009),
    products=1000,  # two a row at most; differencing takes two for each of k
    points=(3, 7),
    slide="Supervised learning setup",
    difficulty=2,
    minutes=15,
    hints=(
        "For one example, ∂ℓ/∂θ = (θᵀφ - y) φ: the ½ took the 2 away.",
        "Σ_i r_i φ(x⁽ⁱ⁾) over the rows of Phi is one product with Phiᵀ.",
    ),
    mistakes={
        "left out the ½": lambda theta, Phi, y: 2 * _squares(theta, Phi, y),
        "left out the ½ of the loss": lambda right: {"loss": 2 * right["loss"]},
        "kept the 2 of the square's derivative, which the ½ takes away": lambda right: {"g": 2 * right["g"]},
        "summed the loss over the batch instead of averaging it": lambda theta, Phi, y: (
            len(y) * _squares(theta, Phi, y)
        ),
        "never divided the gradient by m": lambda right, y: {"g": len(y) * right["g"]},
        "took y - θᵀφ(x) for the residual in the gradient": lambda right: {"g": -right["g"]},
        "returned a gradient for each example": lambda right, theta, Phi, y: {"g": (Phi @ theta - y)[:, None] * Phi},
        "left φ(x) out of the gradient": lambda right, theta, Phi, y: {"g": (Phi @ theta - y).mean()},
    },
)


def _logistic(theta: Tensor, Phi: Tensor, y: Tensor) -> Tensor:
    return F.softplus(-y * (Phi @ theta)).mean()


def _margins(theta: Tensor, Phi: Tensor, y: Tensor) -> Tensor:
    return y * (Phi @ theta)


logistic_loss_gradient = Gradients(
    signature="logistic_loss_gradient(theta, Phi, y) -> loss, g",
    of=_logistic,
    wrt={"g": "theta"},
    draw=lambda d, m, k, scale=1.0: dict(
        theta=d.normal(k, scale=scale * k**-0.5), Phi=d.away_from_zero(m, k), y=2 * d.labels(2, m).double() - 1
    ),
    edges=(dict(m=1), dict(k=1), dict(scale=20_000.0, m=11)),
    large=dict(m=307, k=1009),
    products=1000,  # two a row at most; differencing takes two for each of k
    points=(3, 9),
    slide="Supervised learning setup",
    difficulty=3,
    minutes=20,
    hints=(
        "The derivative of log(1 + e^{-a}) is -σ(-a); a = y θᵀφ has the derivative y φ.",
        "log(1 + e^{-a}) is torch.logaddexp(-a, 0), or softplus of -a: neither overflows.",
    ),
    mistakes={
        "took the labels for 0 and 1: σ(θᵀφ) - y": lambda right, theta, Phi, y: {
            "g": Phi.T @ ((Phi @ theta).sigmoid() - y) / len(y)
        },
        "left y out of the gradient": lambda right, theta, Phi, y: {
            "g": -Phi.T @ (-_margins(theta, Phi, y)).sigmoid() / len(y)
        },
        "left the minus sign out of the gradient": lambda right: {"g": -right["g"]},
        "left the minus sign out of the exponent": lambda theta, Phi, y: _logistic(theta, Phi, -y),
        "took σ(y θᵀφ) for σ(-y θᵀφ) in the gradient": lambda right, theta, Phi, y: {
            "g": -Phi.T @ (y * _margins(theta, Phi, y).sigmoid()) / len(y)
        },
        "summed the loss over the batch instead of averaging it": lambda theta, Phi, y: (
            len(y) * _logistic(theta, Phi, y)
        ),
        "never divided the gradient by m": lambda right, y: {"g": len(y) * right["g"]},
        "took the hinge loss max(0, 1 - y θᵀφ)": lambda theta, Phi, y: (1 - _margins(theta, Phi, y)).relu().mean(),
        "let e^{-y θᵀφ} overflow, in the loss and in the gradient": lambda theta, Phi, y: (
            (1 + (-_margins(theta, Phi, y)).exp()).log().mean()
        ),
        "let e^{-y θᵀφ} overflow in the loss": lambda right, theta, Phi, y: {
            "loss": (1 + (-_margins(theta, Phi, y)).exp()).log().mean()
        },
    },
)

Visits = Iterable[int]


def _walk(c: Tensor, theta: Tensor, X: Tensor, y: Tensor, alpha: float, visits: Visits) -> Tensor:
    """θ after a step on each of the examples visited."""
    g = example_gradient(c)
    return reduce(lambda theta, i: theta - alpha * g(theta, X[i], y[i]), visits, theta)


def _passes(
    c: Tensor, theta: Tensor, X: Tensor, y: Tensor, alpha: float, epochs: int, examples: slice = slice(None)
) -> Tensor:
    return _walk(c, theta, X, y, alpha, [*range(len(y))][examples] * epochs)


def _batches(c: Tensor, theta: Tensor, X: Tensor, y: Tensor, alpha: float, epochs: int) -> Tensor:
    """One step a pass, with the sum of all gradients at one θ."""
    g = example_gradient(c)
    step = lambda theta, _: theta - alpha * sum(g(theta, x, t) for x, t in zip(X, y, strict=True))
    return reduce(step, range(epochs), theta)


sgd = Values(
    signature="sgd(gradient, theta, X, y, alpha, epochs) -> theta",
    of=_passes,
    draw=lambda d, m, n, epochs=0: dict(
        c=d.uniform(0.5, 1.5, 2),
        theta=d.normal(n),
        X=d.normal(m, n, scale=n**-0.5),
        y=d.normal(m),
        alpha=d.number(0.1, 0.3),
        epochs=epochs or d.integer(2, 5),
    ),
    edges=(dict(epochs=1), dict(m=1)),
    adapter=adapters.with_drawn_gradient,
    not_allowed=(*AUTOGRAD, "torch.optim.Optimizer.__init__"),
    products=FREE,  # the gradient that is handed over takes one each time
    points=(12,),
    slide="Stochastic gradient descent for neural networks",
    difficulty=2,
    minutes=15,
    hints=(
        "Two loops: the passes, and in each the examples in their order.",
        "Each example's gradient is taken at the θ that the example before has left.",
    ),
    mistakes={
        "passed over the examples only once": lambda c, theta, X, y, alpha: _passes(c, theta, X, y, alpha, 1),
        "went up the gradient": lambda c, theta, X, y, alpha, epochs: _passes(c, theta, X, y, -alpha, epochs),
        "left out alpha": lambda c, theta, X, y, epochs: _passes(c, theta, X, y, 1.0, epochs),
        "took all gradients of a pass at the θ that it began with": _batches,
        "took one step a pass, with the mean gradient": lambda c, theta, X, y, alpha, epochs: _batches(
            c, theta, X, y, alpha / len(y), epochs
        ),
        "took every gradient at the first θ": lambda c, theta, X, y, alpha, epochs: _batches(
            c, theta, X, y, alpha * epochs, 1
        ),
        "left out the last example": partial(_passes, examples=slice(-1)),
        "visited the examples in the opposite order": partial(_passes, examples=slice(None, None, -1)),
        "took all of an example's steps before going on to the next": lambda c, theta, X, y, alpha, epochs: _walk(
            c, theta, X, y, alpha, [i for i in range(len(y)) for _ in range(epochs)]
        ),
        "divided each step by m": lambda c, theta, X, y, alpha, epochs: _passes(c, theta, X, y, alpha / len(y), epochs),
    },
)

# --- networks --------------------------------------------------------------------------------------------------------


def _collapsed(W_1: Tensor, b_1: Tensor, W_2: Tensor, b_2: Tensor) -> tuple[Tensor, Tensor]:
    return W_2 @ W_1, W_2 @ b_1 + b_2


collapse = Values(
    signature="collapse(W_1, b_1, W_2, b_2) -> W, b",
    of=_collapsed,
    draw=lambda d, n, k, p: dict(W_1=d.normal(k, n), b_1=d.normal(k), W_2=d.normal(p, k), b_2=d.normal(p)),
    edges=(dict(k=1), dict(n=1, p=1)),
    products=FREE,
    points=(4, 4),
    slide="Feature learning, take one",
    difficulty=1,
    minutes=8,
    hints=("Multiply out W_2 (W_1 x + b_1) + b_2; what stands before x, and what stands alone?",),
    mistakes={
        "left out b_1": lambda right, b_2: {"b": b_2},
        "left out b_2": lambda right, W_2, b_1: {"b": W_2 @ b_1},
        "multiplied W_1ᵀ with W_2ᵀ: W comes out transposed": lambda right: {"W": right["W"].T},
    },
)


def _activations(
    X: Tensor,
    Ws: list[Tensor],
    bs: list[Tensor],
    cs: list[Tensor],
    f: Callable[[int, Tensor, list[Tensor]], Tensor] = lambda i, A, cs: wave(cs[i])(A)[0],
) -> tuple[list[Tensor]]:
    """Every Z_i of the lecture's network."""
    Zs = [X]
    for i, (W, b) in enumerate(zip(Ws, bs, strict=True)):
        Zs.append(f(i, F.linear(Zs[-1], W, b), cs))
    return (Zs,)


def _drawn_layers(d: Draw, m: int, depth: int) -> Inputs:
    n = [2 * size for size in d.sizes(depth + 1)]  # even: m is a prime, and 2 alone is both
    Ws, bs = d.layers(n)
    return dict(X=d.normal(m, n[0]), Ws=Ws, bs=bs, cs=[d.uniform(0.5, 1.5, 3) for _ in Ws])


mlp_forward = Values(
    signature="mlp_forward(X, Ws, bs, fs) -> Zs",
    of=_activations,
    draw=lambda d, m, depth=3: _drawn_layers(d, m, depth),
    edges=(dict(m=1), dict(depth=1), dict(depth=4)),
    adapter=adapters.with_drawn_activations,
    products=FREE,
    points=(10,),
    slide="Deep learning",
    difficulty=2,
    minutes=12,
    hints=(
        "A list that begins with X; each layer reads the last entry and appends the next one.",
        "Row r of Z_i W_iᵀ + b_i is W_i z_i + b_i of example r.",
    ),
    mistakes={
        "left X out of the list: it is Z_1": lambda right: {"Zs": right["Zs"][1:]},
        "left h(X) out of the list: it is Z_k": lambda right: {"Zs": right["Zs"][:-1]},
        "returned only the last Z": lambda right: {"Zs": right["Zs"][-1]},
        "kept W_i z_i + b_i in the list, not f_i of it": lambda right, Ws, bs: {
            "Zs": [right["Zs"][0], *map(F.linear, right["Zs"], Ws, bs)]
        },
        "left out every f_i": partial(_activations, f=lambda i, A, cs: A),
        "left out the last f_i": partial(_activations, f=lambda i, A, cs: A if i == len(cs) - 1 else wave(cs[i])(A)[0]),
        "took f_1 in every layer": partial(_activations, f=lambda i, A, cs: wave(cs[0])(A)[0]),
        "left out the b_i": lambda X, Ws, bs, cs: _activations(X, Ws, [0 * b for b in bs], cs),
        "put the last layer first": lambda right: {"Zs": right["Zs"][::-1]},
    },
)

# --- what networks can represent -------------------------------------------------------------------------------------

SLACK = 1.001  # times ε: what an exact construction loses to rounding


def hidden(x: Tensor, W_1: Tensor, b_1: Tensor, W_2: Tensor, b_2: Tensor) -> Tensor:
    """W_2 max{0, W_1 x + b_1} + b_2 for each row of x, in float64: (m,)."""
    return network(x, [W_1, W_2], [b_1, b_2])


def network(X: Tensor, Ws: Sequence[Tensor], bs: Sequence[Tensor]) -> Tensor:
    """A network of ReLU units with a linear output, on each row of X, in float64: (m,)."""
    Z = X.double()
    for i, (W, b) in enumerate(zip(Ws, bs, strict=True)):
        Z = F.linear(Z.relu() if i else Z, W.double(), b.double())
    return Z[:, 0]


def _one_hidden(n: int, b_1: Value | tuple[()] = ()) -> tuple[Tensor, ...]:
    """Weights n → N → 1, for the N that b_1 has."""
    N = b_1.numel() if isinstance(b_1, Tensor) else len(b_1)
    return _zeros(N, n), _zeros(N), _zeros(1, N), _zeros(1)


def _zeros(*shape: int) -> Tensor:
    """Zeros that take no memory, whatever sizes a student names."""
    return torch.zeros(()).expand(shape)


def units(eps: float) -> int:
    """How many hidden units may be used: ⌈1/ε⌉."""
    return math.ceil(1 / eps)


def _drawn_function(d: Draw, eps: float, teeth: float) -> Inputs:
    """A function of slope 1 at most: mostly a saw with a period of `teeth` times ε, and two slower waves.

    Beyond some 5ε no constant comes within ε of such a saw: as many kinks are needed as it has.
    """
    share = d.number(0.7, 0.8)
    rows = [[share, teeth * eps, d.number(0, 1), d.number(0.95, 1)]]
    rows += [[(1 - share) / 2, d.number(0.5, 2), d.number(0, 1), d.number(0, 1)] for _ in range(2)]
    return dict(c=torch.tensor(rows, dtype=torch.float64), offset=d.number(0.5, 2) * (1 - 2 * d.integer(0, 2)), eps=eps)


def _distance(f: Callable[[Tensor], Tensor], eps: float, *weights: Tensor) -> tuple[float, float]:
    """The largest |h(x) - f(x)|, and its x: on a grid forty times finer than ε, and at each kink of the network."""
    W_1, b_1, *_ = weights
    kinks = (-b_1 / W_1[:, 0]).double()
    x = torch.cat([torch.linspace(0, 1, 40 * units(eps) + 1), kinks[(kinks >= 0) & (kinks <= 1)]]).double()
    error = (hidden(x[:, None], *weights) - f(x)).abs()
    return error.max().item(), x[error.argmax()].item()


def _too_far(c: Tensor, offset: float, eps: float, W_1: Tensor, b_1: Tensor, W_2: Tensor, b_2: Tensor) -> str:
    if len(b_1) > units(eps):
        return f"has {len(b_1)} hidden units, where ⌈1/ε⌉ = {units(eps)} are allowed (ε = {eps:.3g})"
    error, x = _distance(lipschitz(c, offset), eps, W_1, b_1, W_2, b_2)
    return "" if error <= SLACK * eps else f"is {error:.3g} away from f at x = {x:.4g}, where ε = {eps:.3g}"


def _near_after(mend: Callable[..., tuple[Tensor, ...]]) -> Callable[..., bool]:
    """Whether weights come within ε of f after a change: the sign of a mistake."""

    def predicate(c: Tensor, offset: float, eps: float, W_1: Tensor, b_1: Tensor, W_2: Tensor, b_2: Tensor) -> bool:
        f = lipschitz(c, offset)
        few = len(b_1) <= 4 * units(eps)
        return few and _distance(f, eps, *mend(f, W_1, b_1, W_2, b_2))[0] <= SLACK * eps

    return predicate


def _changes(W: Tensor) -> Tensor:
    """Each entry less the one before."""
    return W.diff(prepend=torch.zeros(1, 1, dtype=W.dtype))


universal = Property(
    signature="universal(f, eps) -> W_1, b_1, W_2, b_2",
    of=lambda b_1=(): _one_hidden(1, b_1),
    fault=_too_far,
    success="within ε of f in every case",
    draw=lambda d, eps=0.0, teeth=0.0: _drawn_function(d, eps or d.number(0.02, 0.1), teeth or d.number(8, 12)),
    edges=(dict(eps=0.004), dict(teeth=7.0), dict(teeth=1000.0), dict(eps=0.5), dict(eps=1.0)),
    adapter=adapters.of_lipschitz,
    products=FREE,
    points=(3, 3, 3, 3),
    slide="Properties of neural networks",
    difficulty=4,
    minutes=30,
    hints=(
        "With N units, put the kinks at x_j = j/N for j = 0, …, N - 1: unit j is max{0, x - x_j}.",
        "Take h = f at every x_j and at 1. Between two kinks h is a line: which slope must it have?",
        "Unit j adds its weight to the slope from x_j on. Its weight is the change of the slope there; b_2 is f(0).",
    ),
    mistakes={
        "left f(0) out of b_2": _near_after(
            lambda f, W_1, b_1, W_2, b_2: (W_1, b_1, W_2, b_2 + f(torch.zeros(1, dtype=torch.float64)))
        ),
        "took the slopes as the weights, not their changes": _near_after(
            lambda f, W_1, b_1, W_2, b_2: (W_1, b_1, _changes(W_2), b_2)
        ),
        "put the kinks at -x_j: b_1 has the opposite sign": _near_after(
            lambda f, W_1, b_1, W_2, b_2: (W_1, -b_1, W_2, b_2)
        ),
        "took differences of f for slopes, not divided by the step": _near_after(
            lambda f, W_1, b_1, W_2, b_2: (W_1, b_1, W_2 * len(b_1), b_2)
        ),
        "used more than ⌈1/ε⌉ hidden units": _near_after(lambda f, *weights: weights),
    },
)

EXACT = 1e-6


def bits(d: Draw, n: int) -> Tensor:
    """Inputs 0/1 (m, n): all 2ⁿ for n up to 10, else those that tell one construction from another.

    Every single one, every single zero, every pair of neighbours (a tree that loses a leaf), ones on the left and
    on the right of each place (a tree that loses a branch), each number of ones (a network that counts them), random.
    """
    if n <= 10:
        return (torch.arange(2**n)[:, None] >> torch.arange(n) & 1).double()
    one, left = torch.eye(n), torch.ones(n, n).tril()
    counted = torch.stack([left[i][d.permutation(n)] for i in range(n) for _ in range(3)])
    return torch.cat(
        [torch.zeros(1, n), one, 1 - one, one + one.roll(1, 1), left, 1 - left, counted, d.uniform(0, 1, 300, n) > 0.5]
    ).double()


def parity(X: Tensor) -> Tensor:
    """1 where the number of ones in a row is odd, else 0."""
    return X.sum(1) % 2


def _computes(want: Callable[[Tensor], Tensor]) -> Callable[..., bool]:
    """Whether a network computes another function of its bits than parity: the sign of a mistake."""
    return lambda X, Ws, bs: sum(map(len, bs)) <= X.shape[1] ** 2 + 9 and _agree(network(X, Ws, bs), want(X))


def _agree(h: Tensor, want: Tensor) -> bool:
    return bool(((h - want).abs() <= EXACT).all())


def _not_parity(X: Tensor, h: Tensor) -> str:
    """Where a network differs from the parity, with figures; "" where it does not."""
    error = (h - parity(X)).abs()
    if (error <= EXACT).all():
        return ""
    at = int(error.argmax())
    word = "".join(str(int(bit)) for bit in X[at])
    return f"gives {h[at].item():.6g} for x = {word}, which has {int(X[at].sum())} ones"


def layers_allowed(n: int) -> int:
    """⌈log₂ n⌉ hidden layers."""
    return (n - 1).bit_length()


def _deep(n: int, bs: Sequence[Tensor] = ()) -> tuple[list[Tensor], list[Tensor]]:
    """Weights n → … → 1, for the hidden sizes that bs has."""
    sizes = [n, *(b.numel() for b in (bs[:-1] if isinstance(bs, list) else [])), 1]
    return [_zeros(b, a) for a, b in pairwise(sizes)], [_zeros(k) for k in sizes[1:]]


def _not_deep_parity(n: int, X: Tensor, Ws: list[Tensor], bs: list[Tensor]) -> str:
    layers, count = len(Ws) - 1, sum(len(b) for b in bs[:-1])
    if layers > layers_allowed(n):
        return f"has {layers} hidden layers for n = {n}, where ⌈log₂ n⌉ = {layers_allowed(n)} are allowed"
    if count > 4 * n:
        return f"has {count} hidden units for n = {n}, where 4n = {4 * n} are allowed"
    fault = _not_parity(X, network(X, Ws, bs))
    return f"is not the parity for n = {n}: {fault}" if fault else ""


parity_deep = Property(
    signature="parity_deep(n) -> Ws, bs",
    of=_deep,
    fault=_not_deep_parity,
    success="is the parity for every n, within the limits",
    draw=lambda d, n=0: (lambda n: dict(n=n, X=bits(d, n)))(n or d.integer(5, 65)),
    edges=tuple(dict(n=n) for n in (1, 2, 3, 32, 33)),
    large=dict(n=64),
    products=FREE,
    points=(7, 7),
    slide="Why use deep networks?",
    difficulty=4,
    minutes=35,
    hints=(
        "For two bits, a xor b is max{0, a + b} - 2 max{0, a + b - 1}: two units, and a linear function of them.",
        "Parity is a tree of xors: pair the bits, then the results, and so on. An odd one waits: max{0, a} = a.",
        "Keep a matrix that reads the current bits off the current layer. The next W is (what each unit adds up) times "
        "this matrix; two units for each pair, one for the odd bit.",
    ),
    mistakes={
        "returned 1 for an even number of ones": _computes(lambda X: 1 - parity(X)),
        "lost the bit that has no partner where a level has an odd number": _computes(
            lambda X: parity(X[:, : _paired(X.shape[1])])
        ),
        "added bits up where they should cancel: 1 + 1 is 2": _computes(lambda X: X.sum(1)),
        "took or for xor": _computes(lambda X: X.amax(1)),
        "went through the bits one after the other, not in pairs": lambda n, X, Ws, bs: (
            len(Ws) >= n and _computes(parity)(X, Ws, bs)
        ),
        "spent two hidden layers on a level of the tree": lambda n, X, Ws, bs: (
            len(Ws) - 1 == 2 * layers_allowed(n) and _computes(parity)(X, Ws, bs)
        ),
    },
)


def _paired(n: int) -> int:
    """How many leading bits reach the root of a tree that drops what has no partner: a power of two."""
    return 1 << (n.bit_length() - 1)


# --- extra -----------------------------------------------------------------------------------------------------------


def _not_shallow_parity(n: int, X: Tensor, W_1: Tensor, b_1: Tensor, W_2: Tensor, b_2: Tensor) -> str:
    if len(b_1) > n:
        return f"has {len(b_1)} hidden units for n = {n}, where n are allowed"
    fault = _not_parity(X, hidden(X, W_1, b_1, W_2, b_2))
    return f"is not the parity for n = {n}: {fault}" if fault else ""


def _exact_after(mend: Callable[..., tuple[Tensor, ...]]) -> Callable[..., bool]:
    """Whether weights compute the parity after a change: the sign of a mistake."""
    return lambda n, X, W_1, b_1, W_2, b_2: (
        len(b_1) <= 4 * n and _agree(hidden(X, *mend(W_1, b_1, W_2, b_2)), parity(X))
    )


def _signs(W: Tensor) -> Tensor:
    """Every second entry with the opposite sign."""
    return W * (1 - 2 * (torch.arange(W.shape[1]) % 2))


parity_shallow = Property(
    signature="parity_shallow(n) -> W_1, b_1, W_2, b_2",
    of=_one_hidden,
    fault=_not_shallow_parity,
    success="is the parity for every n, within the limits",
    draw=parity_deep.draw,
    edges=tuple(dict(n=n) for n in (1, 2, 3)),
    large=dict(n=64),
    products=FREE,
    points=(3, 3, 2, 2),
    slide="Why use deep networks?",
    difficulty=4,
    minutes=20,
    extra=True,
    hints=(
        "Parity depends on x only through the number of ones, s = Σ x_j. Draw it against s.",
        "A function of one number that zigzags: where are its kinks, and by how much does the slope change there?",
    ),
    mistakes={
        "returned 1 for an even number of ones": _exact_after(lambda W_1, b_1, W_2, b_2: (W_1, b_1, -W_2, 1 - b_2)),
        "let the slope change by 2 in one direction only": _exact_after(
            lambda W_1, b_1, W_2, b_2: (W_1, b_1, _signs(W_2), b_2)
        ),
        "put the kinks at 1, …, n, one too far": _exact_after(lambda W_1, b_1, W_2, b_2: (W_1, b_1 + 1, W_2, b_2)),
        "gave the first unit the weight 2, too": _exact_after(
            lambda W_1, b_1, W_2, b_2: (W_1, b_1, torch.cat([W_2[:, :1] / 2, W_2[:, 1:]], 1), b_2)
        ),
    },
)
