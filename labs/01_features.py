# %% [markdown]
# # Lab 1: From features to networks
#
# CMU 15-780, "Deep Learning", slides "Supervised learning setup" to "Why use deep networks?", and the box of stochastic
# gradient descent
#
# You write features by hand, fit linear models to them, and then let a network learn its features itself. At the end
# you build two networks without any training: one that comes within ε of any function, and one that needs depth. About
# three hours, a laptop, no GPU, no network.
#
# * **Write** between the two marker lines that begin with `###` (leave them in), in place of the
#   `raise NotImplementedError`. You may add functions and cells of your own.
# * **Try** it on numbers small enough to follow on paper; the text says what to expect.
# * **Check** it: `lab.check(f)` draws inputs of odd shapes and compares with the right numbers; gradients are held
#   against autograd, and the networks that you build are run. Where something differs it says what, where, and, for
#   many common mistakes, why. `lab.replay(…)`, its last line, gives you that case's inputs. The grader asks the same
#   questions with other numbers and shapes.
# * Cells that need what you have not written say so and go on: *Run All* works from the first minute.
#
# ## The lab's table
#
# | function | arguments | returns |
# |---|---|---|
# | `polynomial_features` | `x (m,)`, `degree` | `Phi (m, degree+1)`: $1, x, \dots, x^{\text{degree}}$ |
# | `radial_basis_features` | `X (m, n)`, `centres (k, n)`, `sigma` | `Phi (m, k)`: $e^{-‖x - \mu_j‖^2 / 2\sigma^2}$ |
# | `random_features` | `X (m, n)`, `Omega (k, n)`, `b (k,)` | `Phi (m, k)`: $\sqrt{2/k} \cos(\omega_j^T x + b_j)$ |
# | `squared_loss_gradient` | `theta (k,)`, `Phi (m, k)`, `y (m,)` | `loss`, mean of ½ squares; `g (k,)` |
# | `logistic_loss_gradient` | `theta (k,)`, `Phi (m, k)`, `y (m,)`, ±1 | `loss`, a mean; `g (k,)` |
# | `sgd` | `gradient(theta, x, y)`, `theta (n,)`, `X (m, n)`, `y (m,)`, `alpha`, `epochs` | `theta (n,)` |
# | `collapse` | `W_1 (k, n)`, `b_1 (k,)`, `W_2 (p, k)`, `b_2 (p,)` | `W (p, n)`, `b (p,)` |
# | `mlp_forward` | `X (m, n_1)`, `Ws`, `bs`, `fs`: lists of k-1 | `Zs`: $Z_1, \dots, Z_k$, a list |
# | `universal` | `f`, of slope 1 at most; `eps` | `W_1 (N, 1)`, `b_1 (N,)`, `W_2 (1, N)`, `b_2 (1,)`, N ≤ ⌈1/ε⌉ |
# | `parity_deep` | `n` from 1 to 64 | `Ws`, `bs`: at most ⌈log₂ n⌉ hidden layers, 4n hidden units |
# | *extra* `parity_shallow` | `n` from 1 to 64 | `W_1 (N, n)`, `b_1 (N,)`, `W_2 (1, N)`, `b_2 (1,)`, N ≤ n |
#
# Not allowed: autograd by any path (`backward`, `torch.autograd`, `torch.func`), and `torch.optim` in `sgd`. All else
# is.
#
# **Rules.** A batch is rows: `X` is `(m, n)`, `Phi` is `(m, k)`, one example a row. In polynomials $x$ is one number an
# example. A loss is a mean over the batch. A function returns new tensors and leaves its inputs as they were.
#
# Where the slides have a misprint, or we depart from them, the text says so; all of it is on one page,
# [Errata](../docs/errata.md).

# %%
import math

import matplotlib.pyplot as plt
import numpy as np
import torch

from dl780 import Lab

lab = Lab("features")
torch.set_default_dtype(torch.float64)  # twice the digits of float32: a wrong gradient cannot pass for rounding

# %% [markdown]
# What the figures below use. Run the cell; there is no need to read it.

# %%
from base64 import b64encode
from contextlib import contextmanager
from functools import cache
from html import escape
from io import BytesIO

from IPython.display import HTML, display

from dl780.data.points import ARCS, DAYS, arcs, days, demand

torch.set_num_threads(1)
torch.set_printoptions(precision=4, sci_mode=False, linewidth=100)
plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False})


@contextmanager
def when_written():
    """Run a block; where it calls a question that is not written yet, say which one instead of a traceback."""
    try:
        yield
    except NotImplementedError as question:
        print(f"This cell waits for your `{question}`.")
    finally:
        plt.close("all")


def describe(figure, text):
    """Show a figure, on white also in a dark notebook, with the text that a screen reader reads in its place."""
    png = BytesIO()
    figure.savefig(png, dpi=110, bbox_inches="tight", facecolor="white")
    plt.close(figure)
    source = f"data:image/png;base64,{b64encode(png.getvalue()).decode()}"
    display(HTML(f'<img src="{source}" alt="{escape(text)}" style="max-width:100%">'))


# %% [markdown]
# ## 1 Features by hand
#
# "We mainly considered the linear hypothesis class $h_\theta(x) = \theta^T \phi(x)$ for some set of non-linear features
# $\phi : \mathbb{R}^n \to \mathbb{R}^k$", says the slide "Supervised learning setup", and takes the temperature of a
# day for its example. So do we: $x$ is the high of a day, $y$ how much electricity people needed at its peak. On cold
# days they heat, on hot ones they cool; no line tells that.

# %%
x_train, y_train = days(30, seed=3)
x_test, y_test = days(300, seed=1)

figure, axes = plt.subplots(figsize=(6.5, 3.4))
axes.scatter(x_test, y_test, s=8, color="0.75", label=f"{len(x_test)} days to test on")
axes.scatter(x_train, y_train, s=24, color="C0", label=f"{len(x_train)} days to learn from")
axes.set(xlabel="high of the day, °C", ylabel="peak demand, GW", title=DAYS)
axes.legend()
describe(
    figure,
    "Peak demand against temperature, 30 days to learn from and 300 to test on: a lopsided U, from 2.5 GW at -5 °C "
    "down to 1.6 at 15 °C and up to 3.5 at 36 °C.",
)

# %% [markdown] tags=["polynomial_features"]
# ### 1.1 `polynomial_features`
#
# The slide's example,
#
# $$\phi(x) = (1, x, x^2, \dots, x^d), \qquad x \in \mathbb{R},$$
#
# for a whole batch: row $i$ of $\Phi$ is $\phi(x^{(i)})$. The first column is the *constant feature*; its weight is
# what the networks below call $b$.


# %%
def polynomial_features(x, degree):
    """The powers of each number, from 0 to the degree.

    x       (m,)  a number for each example
    degree  an integer, at least 0
    Returns Phi (m, degree + 1), the constant feature first.
    """
    ### BEGIN SOLUTION
    return x[:, None] ** torch.arange(degree + 1)
    ### END SOLUTION


# %%
lab.show(polynomial_features, torch.tensor([2.0, -1.0]), 3)

# %% [markdown]
# ```
# Phi = tensor([[ 1.,  2.,  4.,  8.],
#         [ 1., -1.,  1., -1.]])
# ```

# %%
lab.check(polynomial_features).points

# %% [markdown]
# With features, the best $\theta$ of a squared loss is the solution of a *linear* system. The cell solves it for
# several degrees (with temperatures scaled to about -1 to 1: $30^{12}$ would drown all else). Expect degree 1 to miss
# the U (0.37 GW), degree 4 to follow it (0.084 GW, where the noise alone is 0.08), and degree 12 to bend after single
# days and to leave them where there are none (1.5 GW). "Linear models crucially depend on choosing 'good' features."


# %%
def scaled(x):
    """Temperatures to about -1 … 1."""
    return (x - 16) / 24


def least_squares(Phi, y):
    """The θ with the smallest squared loss."""
    return torch.linalg.lstsq(Phi, y).solution


grid = torch.linspace(float(x_test.min()), float(x_test.max()), 300)
with when_written():
    thetas = {d: least_squares(polynomial_features(scaled(x_train), d), y_train) for d in range(1, 13)}
    errors = [
        [float((polynomial_features(scaled(x), d) @ theta - y).square().mean().sqrt()) for d, theta in thetas.items()]
        for x, y in ((x_train, y_train), (x_test, y_test))
    ]
    print("degree 1, 4, 12, error on unseen days:", *(f"{errors[1][d - 1]:.3f} GW" for d in (1, 4, 12)))

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6))
    left.scatter(x_train, y_train, s=20, color="0.4")
    for d, style in ((1, ":"), (4, "-"), (12, "--")):
        left.plot(grid, polynomial_features(scaled(grid), d) @ thetas[d], style, label=f"degree {d}")
    left.plot(grid, demand(grid), color="0.7", linewidth=1, zorder=0, label="what the days were drawn from")
    left.set(xlabel="high of the day, °C", ylabel="peak demand, GW", ylim=(1, 4.5))
    left.legend(loc="upper center")
    for name, values, marker in zip(("30 days to learn from", "300 unseen days"), errors, "os"):
        right.semilogy(range(1, 13), values, marker=marker, markersize=4, label=name)
    right.axhline(0.08, color="0.7", linewidth=1)
    right.set(xlabel="degree", ylabel="error (root mean square), GW", title=DAYS)
    right.legend()
    describe(
        figure,
        "Left, polynomials of degree 1, 4 and 12 fitted to 30 days: a line, a good U, and a U with wild swings at its "
        "ends. Right, the error against the degree: on the 30 days it only falls; on unseen days it falls to about "
        f"{min(errors[1]):.2f} GW and then rises to {errors[1][-1]:.2f}.",
    )

# %% [markdown] tags=["radial_basis_features"]
# ### 1.2 `radial_basis_features`
#
# A polynomial is moved everywhere by one example anywhere. A *radial basis function* looks only at the neighbourhood of
# its centre $\mu_j \in \mathbb{R}^n$:
#
# $$\phi_j(x) = \exp\left(-\frac{\lVert x - \mu_j \rVert^2}{2 \sigma^2}\right), \qquad j = 1, \dots, k.$$
#
# $\sigma$ is the width of the bump (other books name $\gamma = 1 / 2\sigma^2$).


# %%
def radial_basis_features(X, centres, sigma):
    """A bump around each centre.

    X        (m, n)  a row for each example
    centres  (k, n)  a row for each μ_j
    sigma    the width of the bumps
    Returns Phi (m, k).
    """
    ### BEGIN SOLUTION
    squared_distances = ((X[:, None] - centres) ** 2).sum(dim=2)
    return torch.exp(-squared_distances / (2 * sigma**2))
    ### END SOLUTION


# %%
lab.show(radial_basis_features, torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([[0.0, 0.0], [3.0, 0.0]]), 2.0)

# %% [markdown]
# The squared distances are 0, 9, 25 and 16, and $2\sigma^2 = 8$:
#
# ```
# Phi = tensor([[1.0000, 0.3247],
#         [0.0439, 0.1353]])
# ```

# %%
lab.check(radial_basis_features).points

# %% [markdown] tags=["random_features"]
# ### 1.3 `random_features`
#
# "Random features (surprisingly effective)": draw $\omega_j \sim N(0, \sigma^{-2} I)$ and $b_j$ uniformly from
# $[0, 2\pi]$, once and for all, and take
#
# $$\phi_j(x) = \sqrt{\frac{2}{k}} \cos(\omega_j^T x + b_j), \qquad j = 1, \dots, k.$$
#
# (Rahimi and Recht, 2007.) No centre to choose. Here $\omega_j$ and $b_j$ are given: row $j$ of `Omega`, entry $j$ of
# `b`.


# %%
def random_features(X, Omega, b):
    """Cosines of random frequencies and phases.

    X      (m, n)  a row for each example
    Omega  (k, n)  a row for each ω_j
    b      (k,)    the phases
    Returns Phi (m, k).
    """
    ### BEGIN SOLUTION
    return math.sqrt(2 / len(b)) * torch.cos(X @ Omega.T + b)
    ### END SOLUTION


# %%
lab.show(random_features, torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 0.0], [math.pi, 0.0]]), torch.zeros(2))

# %% [markdown]
# ```
# Phi = tensor([[ 1., -1.]])
# ```

# %%
lab.check(random_features).points

# %% [markdown]
# Why are they effective? $\phi(x)^T \phi(x')$ is a mean over $k$ random cosines, and its expectation is
# $e^{-\lVert x - x' \rVert^2 / 2\sigma^2}$: a radial basis function around *every* $x'$ at once, for the price of $k$
# features. The left figure shows $\phi(x)^T \phi(0)$ as $k$ grows. On the right both kinds of features fit the days
# (with a small penalty on $\lVert\theta\rVert^2$). Expect less than 0.1 GW on unseen days from both.


# %%
def draw_frequencies(k, n, sigma, seed):
    """Omega (k, n) and b (k,) for random features of width σ."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(k, n, generator=generator) / sigma, math.tau * torch.rand(k, generator=generator)


def ridge(Phi, y, penalty=1e-3):
    """The θ with the smallest sum of squares plus penalty · |θ|²."""
    return torch.linalg.solve(Phi.T @ Phi + penalty * torch.eye(Phi.shape[1]), Phi.T @ y)


with when_written():
    line, zero = torch.linspace(-5, 5, 200)[:, None], torch.zeros(1, 1)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6))
    for k, style in ((10, ":"), (100, "--"), (10_000, "-")):
        Omega, b = draw_frequencies(k, 1, 1.0, seed=0)
        left.plot(line, random_features(line, Omega, b) @ random_features(zero, Omega, b)[0], style, label=f"k = {k:,}")
    left.plot(line, radial_basis_features(line, zero, 1.0), color="0.8", linewidth=5, zorder=0, label="radial basis")
    left.set(xlabel="x", title=r"$\phi(x)^T \phi(0)$ of k random features, σ = 1")
    left.legend()

    centres, (Omega, b) = torch.linspace(-5, 40, 12)[:, None], draw_frequencies(100, 1, 12.0, seed=0)
    maps = {
        "12 radial basis functions": lambda x: radial_basis_features(x[:, None], centres, 12.0),
        "100 random features": lambda x: random_features(x[:, None], Omega, b),
    }
    right.scatter(x_train, y_train, s=20, color="0.4")
    for (name, phi), style in zip(maps.items(), ("-", "--")):
        theta = ridge(phi(x_train), y_train)
        right.plot(grid, phi(grid) @ theta, style, label=name)
        print(f"{name}: {(phi(x_test) @ theta - y_test).square().mean().sqrt():.3f} GW on unseen days")
    right.set(xlabel="high of the day, °C", ylabel="peak demand, GW", title=DAYS)
    right.legend()
    describe(
        figure,
        "Left, the inner product of random features of x and 0: with 10 features a rough wave, with 100 near a bump, "
        "with 10,000 on the bump of the radial basis function. Right, the days, with two curves that follow the U: "
        "one of 12 radial basis functions, one of 100 random features.",
    )

# %% [markdown] tags=["why_features"]
# **Question.** Suppose $x$ had 200,000 entries, as a small photograph has. What becomes of polynomial features, of
# radial basis functions on a grid of centres, and of random features? Which of the three would still tell a cat that
# has moved by ten pixels from one that has not, and is that what you want?
#
# *Your answer:*

# %%
lab.progress()

# %% [markdown]
# ## 2 Losses of $\theta^T \phi(x)$
#
# "Machine learning optimization problem": $\text{minimize}_\theta \sum_i \ell(h_\theta(x^{(i)}), y^{(i)})$.
#
# *Departure from the slides.* They minimise the sum over examples. Here, and in all labs, the loss is the **mean** over
# the $m$ rows, so that a step size need not change with $m$.

# %% [markdown] tags=["squared_loss_gradient"]
# ### 2.1 `squared_loss_gradient`
#
# For $y \in \mathbb{R}$,
#
# $$\text{loss}(\theta) = \frac1m \sum_{i=1}^m \frac12 \left(\theta^T \phi(x^{(i)}) - y^{(i)}\right)^2, \qquad
# g = \nabla_\theta\, \text{loss}.$$
#
# The ½ is there for the derivative's sake. Write the gradient of one example first, then the sum over the rows of
# $\Phi$ as one product.


# %%
def squared_loss_gradient(theta, Phi, y):
    """The mean of half the squared errors of Phi θ, and its gradient.

    theta  (k,)
    Phi    (m, k)  a row of features for each example
    y      (m,)    numbers
    Returns loss, a number, and g (k,), its gradient with respect to theta.
    """
    ### BEGIN SOLUTION
    residual = Phi @ theta - y
    return (residual**2).mean() / 2, Phi.T @ residual / len(y)
    ### END SOLUTION


# %%
lab.show(
    squared_loss_gradient, torch.tensor([1.0, 2.0]), torch.tensor([[1.0, 0.0], [1.0, 3.0]]), torch.tensor([0.0, 5.0])
)

# %% [markdown]
# $\Phi\theta = (1, 7)$, the residual is $(1, 2)$, so the loss is $\frac12 (\frac12 + 2)$ and
# $g = \frac12 (1 \cdot (1, 0) + 2 \cdot (1, 3))$:
#
# ```
# loss = 1.25
# g = tensor([1.5000, 3.0000])
# ```

# %%
lab.check(squared_loss_gradient).points

# %% [markdown] tags=["logistic_loss_gradient"]
# ### 2.2 `logistic_loss_gradient`
#
# For two classes, $y \in \{-1, +1\}$, the sign of $\theta^T \phi(x)$ is the guess, and $a = y\, \theta^T \phi(x)$ is
# positive where it is right. The logistic loss is small for large $a$ and grows like $-a$ for wrong guesses:
#
# $$\text{loss}(\theta) = \frac1m \sum_{i=1}^m \log\left(1 + e^{-y^{(i)} \theta^T \phi(x^{(i)})}\right).$$
#
# With $\sigma(a) = 1/(1 + e^{-a})$, the derivative of $\log(1 + e^{-a})$ is $-\sigma(-a)$. Mind large numbers: at
# $a = -1000$ the loss is 1000, but $e^{1000}$ is `inf`.


# %%
def logistic_loss_gradient(theta, Phi, y):
    """The mean logistic loss of Phi θ, and its gradient.

    theta  (k,)
    Phi    (m, k)  a row of features for each example
    y      (m,)    -1 or +1
    Returns loss, a number, and g (k,), its gradient with respect to theta; both finite for every finite theta.
    """
    ### BEGIN SOLUTION
    a = y * (Phi @ theta)
    loss = torch.logaddexp(-a, torch.zeros_like(a)).mean()
    return loss, -Phi.T @ (y * torch.sigmoid(-a)) / len(y)
    ### END SOLUTION


# %%
Phi, y = torch.tensor([[1.0, 1.0], [1.0, -1.0]]), torch.tensor([1.0, -1.0])
lab.show(logistic_loss_gradient, torch.tensor([0.0, 1.0]), Phi, y)
lab.show(logistic_loss_gradient, torch.tensor([0.0, -1000.0]), Phi, y)

# %% [markdown]
# Both guesses are right with $a = 1$: the loss is $\log(1 + e^{-1})$. With $\theta_2 = -1000$ both are badly wrong:
#
# ```
# loss = 0.313262
# g = tensor([ 0.0000, -0.2689])
# loss = 1000
# g = tensor([ 0., -1.])
# ```

# %%
lab.check(logistic_loss_gradient).points

# %% [markdown]
# ## 3 Stochastic gradient descent
#
# Both losses are convex in $\theta$; the network below will not be. One algorithm serves all three.

# %% [markdown] tags=["sgd"]
# ### 3.1 `sgd`
#
# The box of the slide "Stochastic gradient descent for neural networks", with all parameters in one vector $\theta$:
#
# > function SGD($\{(x^{(i)}, y^{(i)})\}$, …, $\alpha$)<br>
# > Initialize: $\theta$<br>
# > Repeat until convergence: For $i = 1, \dots, m$:<br>
# > $\quad$ Compute $\nabla_\theta \ell(h_\theta(x^{(i)}), y^{(i)})$<br>
# > $\quad$ Take a gradient step: $\theta \leftarrow \theta - \alpha \nabla_\theta \ell(h_\theta(x^{(i)}), y^{(i)})$<br>
# > return $\theta$
#
# The gradient is given as a function: `gradient(theta, x, y)` for one example, `x` a row of `X` and `y` an entry of
# `y`. The check brings its own.
#
# *Departures from the slide.* Its box takes gradients for $j = 1, \dots, k-1$ and steps for $j = 1, \dots, k$; there
# are $k - 1$ of each $W_j, b_j$. It begins with random parameters and ends at convergence; here the first $\theta$ and
# the number of passes (*epochs*) are given.


# %%
def sgd(gradient, theta, X, y, alpha, epochs):
    """Stochastic gradient descent: a step for each example in its order, the whole `epochs` times.

    gradient  a function; gradient(theta, x, y) is the gradient of one example's loss, (n,)
    theta     (n,)  where to begin
    X         an example in each row;  y  (m,)  what belongs to it
    alpha     the step size
    epochs    how often to pass over the examples
    Returns theta after the last step.
    """
    ### BEGIN SOLUTION
    for _ in range(epochs):
        for i in range(len(X)):
            theta = theta - alpha * gradient(theta, X[i], y[i])
    return theta
    ### END SOLUTION


# %%
lab.show(sgd, lambda theta, x, y: theta - x, torch.tensor([8.0]), torch.tensor([[0.0], [4.0]]), torch.zeros(2), 0.5, 2)

# %% [markdown]
# Each step goes half the way to $x$: from 8 to 4 (towards 0), 4 (towards 4), 2, 3.
#
# ```
# theta = tensor([3.])
# ```

# %%
lab.check(sgd).points

# %% [markdown]
# The days again, degree 2, with your gradient in your steps: the contours are the loss over the weights of $x$ and
# $x^2$ (the constant's at its best). Expect the path to run to the valley, and to wander around its lowest point: each
# step follows one example, and α does not shrink.

# %%
with when_written():
    Phi = polynomial_features(scaled(x_train), 2)
    best = least_squares(Phi, y_train)
    path = [torch.zeros(3)]
    for _ in range(40):
        for i in range(0, len(Phi), 5):
            few = slice(i, i + 5)
            path.append(
                sgd(
                    lambda t, p, v: squared_loss_gradient(t, p[None], v[None])[1],
                    path[-1],
                    Phi[few],
                    y_train[few],
                    0.2,
                    1,
                )
            )
    losses = [float(squared_loss_gradient(theta, Phi, y_train)[0]) for theta in path]
    least = float(squared_loss_gradient(best, Phi, y_train)[0])
    print(f"loss {losses[0]:.3f} → {losses[-1]:.4f}, the least possible is {least:.4f}")

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6))
    w_1, w_2 = np.meshgrid(np.linspace(-0.6, 1.2, 60), np.linspace(-0.4, 2.8, 60))
    H = Phi.T @ Phi / len(Phi)
    H = H[1:, 1:] - H[1:, :1] @ H[:1, 1:] / H[0, 0]
    apart = np.stack([w_1 - float(best[1]), w_2 - float(best[2])])
    left.contour(w_1, w_2, np.einsum("iab,ij,jab->ab", apart, H.numpy(), apart) / 2, 12, colors="0.8", linewidths=0.8)
    left.plot(*torch.stack(path)[:, 1:].T, marker=".", markersize=3, linewidth=0.8)
    left.plot(*best[1:], marker="*", color="C3", markersize=12)
    left.set(xlabel=r"weight of $x$", ylabel=r"weight of $x^2$", title="a dot for every five steps")
    right.semilogy(np.arange(len(losses)) * 5, losses)
    right.axhline(least, color="C3", linewidth=1)
    right.set(xlabel="step", ylabel="loss on the 30 days", title=DAYS)
    describe(
        figure,
        "Left, the path of SGD over the contours of the loss, from the origin along a valley to its lowest point, "
        f"around which it jitters. Right, the loss against the step: from {losses[0]:.1f} to {losses[-1]:.3f}, close "
        "above the least possible.",
    )

# %%
lab.progress()

# %% [markdown]
# ## 4 Features that are learned
#
# "Key question: can we come up with an algorithm that will automatically *learn* the features themselves?"

# %% [markdown] tags=["collapse"]
# ### 4.1 `collapse`
#
# "Feature learning, take one": let one linear function make the features, another one classify,
#
# $$h_\theta(x) = W_2 \phi(x) + b_2 = W_2 (W_1 x + b_1) + b_2 = \tilde W x + \tilde b.$$
#
# "But there is a problem." Show it: find $\tilde W$ and $\tilde b$.
#
# *Departure from the slide.* It has $W_1 \in \mathbb{R}^{n \times k}$; for $W_1 x$ to be a product it must be
# $k \times n$, outputs × inputs.


# %%
def collapse(W_1, b_1, W_2, b_2):
    """Two linear layers as one: W x + b = W_2 (W_1 x + b_1) + b_2 for every x.

    W_1  (k, n),  b_1  (k,)
    W_2  (p, k),  b_2  (p,)
    Returns W (p, n) and b (p,).
    """
    ### BEGIN SOLUTION
    return W_2 @ W_1, W_2 @ b_1 + b_2
    ### END SOLUTION


# %%
lab.show(
    collapse,
    torch.tensor([[1.0, 0.0], [2.0, 1.0]]),
    torch.tensor([1.0, -1.0]),
    torch.tensor([[1.0, 3.0]]),
    torch.ones(1),
)

# %% [markdown]
# ```
# W = tensor([[7., 3.]])
# b = tensor([-1.])
# ```

# %%
lab.check(collapse).points

# %% [markdown] tags=["why_linear"]
# **Question.** A thousand linear layers also collapse to one. Yet "the apparent added complexity" changes what gradient
# descent does: is $\text{loss}(W_1, W_2)$ still convex, if the loss is convex in $\tilde W$? Try it with one number for
# each, $(w_2 w_1 - 1)^2$.
#
# *Your answer:*

# %% [markdown] tags=["mlp_forward"]
# ### 4.2 `mlp_forward`
#
# "Neural networks are a simple extension of this idea, where we additionally apply a *non-linear* function after each
# linear transformation." A $k$-layer network (slide "Deep learning") is
#
# $$z_{i+1} = f_i(W_i z_i + b_i), \quad i = 1, \dots, k-1, \qquad z_1 = x, \qquad h_\theta(x) = z_k.$$
#
# For a batch, row $r$ of $Z_i$ is the $z_i$ of example $r$. Return all of them, $Z_1 = X$ first: the next lab needs
# them to go backwards. `fs[i](A)` applies $f$ to each entry of $A$; the check brings its own. In code `Ws[0]` is $W_1$;
# $k$ layers of units have $k - 1$ matrices, so `len(Ws)` is $k - 1$.


# %%
def mlp_forward(X, Ws, bs, fs):
    """Every layer of a network on a batch.

    X   (m, n_1)  a row for each example
    Ws  list of k - 1 tensors, W_i of shape (n_{i+1}, n_i);  bs  list of k - 1 tensors, b_i of shape (n_{i+1},)
    fs  list of k - 1 functions, each elementwise on a tensor of any shape
    Returns the list Zs = [Z_1, …, Z_k], with Z_1 = X and Z_i of shape (m, n_i).
    """
    ### BEGIN SOLUTION
    Zs = [X]
    for W, b, f in zip(Ws, bs, fs):
        Zs.append(f(Zs[-1] @ W.T + b))
    return Zs
    ### END SOLUTION


# %%
W_1, W_2 = torch.tensor([[1.0, 1.0], [1.0, -1.0]]), torch.tensor([[1.0, 2.0]])
lab.show(
    mlp_forward, torch.tensor([[1.0, 2.0]]), [W_1, W_2], [torch.zeros(2), torch.ones(1)], [torch.relu, lambda a: a]
)

# %% [markdown]
# $W_1 x = (3, -1)$, of which ReLU leaves $(3, 0)$, and $W_2 z_2 + b_2 = 3 + 1$:
#
# ```
# Zs = [tensor([[1., 2.]]), tensor([[3., 0.]]), tensor([[4.]])]
# ```

# %%
lab.check(mlp_forward).points

# %% [markdown]
# ### 4.3 The ladder
#
# A model that does not train tells you little about why. So climb, one rung at a time. The data: two classes that no
# line separates. The model: your logistic loss on radial basis functions first, then on features that a network learns.

# %%
X_train, t_train = arcs(200, seed=0)
X_test, t_test = arcs(1000, seed=1)
centres = torch.cartesian_prod(torch.linspace(-1.5, 1.5, 5), torch.linspace(-1, 1, 4))


def with_constant(Phi):
    """The constant feature before all others."""
    return torch.cat([torch.ones(len(Phi), 1), Phi], dim=1)


# %% [markdown]
# **Rung 1: the initial loss.** With $\theta = 0$ nothing is known, each class has the probability ½, and the loss must
# be $\log 2 = 0.693$.
#
# **Rung 2: a gradient check.** Against central differences, which need no derivation: expect about $10^{-10}$.
#
# **Rung 3: overfit a few examples.** Ten points must be learned by heart: expect a loss of about 0.002 after 500
# passes, and on its way down.


# %%
def one_gradient(theta, phi, t):
    """The gradient of one example, by your function."""
    return logistic_loss_gradient(theta, phi[None], t[None])[1]


with when_written():
    Phi = with_constant(radial_basis_features(X_train, centres, 0.5))
    print(f"1  initial loss {logistic_loss_gradient(torch.zeros(21), Phi, t_train)[0]:.4f}, log 2 = {math.log(2):.4f}")

    theta = torch.linspace(-1, 1, 21)
    steps = 1e-5 * torch.eye(21)
    ahead, behind = ([logistic_loss_gradient(theta + s * e, Phi, t_train)[0] for e in steps] for s in (1, -1))
    numerical = (torch.stack(ahead) - torch.stack(behind)) / 2e-5
    apart = (logistic_loss_gradient(theta, Phi, t_train)[1] - numerical).abs().max()
    print(f"2  largest difference of the gradient from central differences {apart:.0e}")

    few = sgd(one_gradient, torch.zeros(21), Phi[:10], t_train[:10], 0.5, 500)
    loss = logistic_loss_gradient(few, Phi[:10], t_train[:10])[0]
    print(f"3  loss on ten examples {loss:.3f}, right: {((Phi[:10] @ few).sign() == t_train[:10]).sum()} of 10")

# %% [markdown]
# **Rung 4: train.** Four models with the same loss, trained by your `sgd`:
#
# * on $x$ itself with a constant;
# * on 20 radial basis functions, the centres on a grid;
# * on 100 random features;
# * on $z_2 = \tanh(W_1 x + b_1)$ of a network with 8 hidden units, whose $W_1, b_1$ are trained, too. You have no
#   backward pass yet, and so the cell takes this one gradient from autograd: it is what you write in lab 2.
#
# A few seconds. Expect 1,000 unseen points to be some 87 % right for the line and over 98 % for the three others.
# The black line is where $h_\theta(x) = 0$.


# %%
def unpack(theta, hidden=8):
    """One vector as Ws and bs of a 2-8-1 network."""
    W_1, b_1, W_2, b_2 = theta.split([2 * hidden, hidden, hidden, 1])
    return [W_1.view(hidden, 2), W_2.view(1, hidden)], [b_1, b_2]


def network(theta, X):
    """Z_1, Z_2 = tanh(…) and Z_3 = h(X), by your forward pass."""
    return mlp_forward(X, *unpack(theta), [torch.tanh, lambda a: a])


def network_gradient(theta, x, t):
    """The gradient of one example's logistic loss, by autograd."""
    theta = theta.detach().requires_grad_()
    loss = torch.nn.functional.softplus(-t * network(theta, x[None])[-1].squeeze())
    return torch.autograd.grad(loss, theta)[0]


@cache
def trained_network():
    """The parameters after 60 passes; run this cell again after you changed your `sgd`."""
    return sgd(network_gradient, theta_0, X_train, t_train, 0.1, 60)


theta_0 = torch.randn(33, generator=torch.Generator().manual_seed(0))
side = torch.linspace(-2.2, 2.2, 120), torch.linspace(-1.5, 1.5, 90)
plane = torch.cartesian_prod(*side)

with when_written():
    Omega, b = draw_frequencies(100, 2, 0.5, seed=0)
    phis = {
        "x itself": with_constant,
        "20 radial basis functions": lambda X: with_constant(radial_basis_features(X, centres, 0.5)),
        "100 random features": lambda X: with_constant(random_features(X, Omega, b)),
    }
    models = {}
    for name, phi in phis.items():
        theta = sgd(one_gradient, torch.zeros(phi(X_train).shape[1]), phi(X_train), t_train, 0.2, 20)
        models[name] = lambda X, phi=phi, theta=theta: phi(X) @ theta
    models["8 learned features"] = lambda X: network(trained_network(), X)[-1][:, 0]

    figure, panels = plt.subplots(1, 4, figsize=(13, 2.9), sharey=True)
    for axes, (name, h) in zip(panels, models.items()):
        right = float((h(X_test).sign() == t_test).double().mean())
        print(f"4  {name:<28}{right:.1%} of {len(X_test):,} unseen points right")
        field = torch.sigmoid(h(plane)).reshape(120, 90).T
        axes.contourf(*side, field, levels=np.linspace(0, 1, 11), cmap="RdBu", alpha=0.6)
        axes.contour(*side, field, levels=[0.5], colors="black", linewidths=1.5)
        for t, marker in ((-1, "o"), (1, "^")):
            axes.scatter(*X_train[t_train == t].T, s=9, marker=marker, c="C3" if t < 0 else "C0", linewidths=0)
        axes.set(title=f"{name}: {right:.1%}", xlabel="$x_1$")
    panels[0].set(ylabel="$x_2$")
    figure.text(0.99, -0.06, ARCS, ha="right", fontsize=8)
    describe(
        figure,
        "Decision boundaries of four models on two interleaved arcs, circles above and triangles below. On x itself "
        "the boundary is a line through both arcs; with radial basis functions, random features and learned features "
        "it winds between them.",
    )

# %% [markdown]
# ### 4.4 What was learned
#
# "These are the learned features, nothing in the data that prescribes what values these should take, left up to the
# algorithm to decide." Above, each of the eight hidden units over the plane, before and after training, with the line
# where it is 0: each unit is a soft step across one line, and training has turned the lines. Below, the points as the
# last layer sees them: two directions in the space of $z_2$, $W_2$'s own and the widest one across it. What was two
# arcs is two heaps, one on each side of the wall that $W_2 z_2 + b_2 = 0$ is.

# %%
with when_written():
    stages = {"before": theta_0, "after": trained_network()}
    figure = plt.figure(figsize=(13, 6))
    rows = figure.subfigures(2, 1, height_ratios=(1, 1.2))
    panels = rows[0].subplots(2, 8, sharex=True, sharey=True)
    for line_of_panels, (when, theta) in zip(panels, stages.items()):
        Z_2 = network(theta, plane)[1].reshape(120, 90, 8)
        for j, axes in enumerate(line_of_panels):
            axes.imshow(Z_2[:, :, j].T, origin="lower", extent=(-2.2, 2.2, -1.5, 1.5), cmap="RdBu", vmin=-1, vmax=1)
            axes.contour(*side, Z_2[:, :, j].T, levels=[0], colors="black", linewidths=1)
            axes.scatter(*X_train.T, s=1, c="0.2", linewidths=0)
            axes.set(xticks=[], yticks=[], title=f"unit {j + 1}" if when == "before" else "")
        line_of_panels[0].set(ylabel=when)
    for axes, (when, theta) in zip(rows[1].subplots(1, 2), stages.items()):
        Z_2, ((_, W_2), (_, b_2)) = network(theta, X_train)[1], unpack(theta)
        normal = W_2[0] / W_2.norm()
        across = Z_2 - Z_2 @ normal[:, None] * normal
        widest = torch.linalg.svd(across - across.mean(0)).Vh[0]
        for t, marker in ((-1, "o"), (1, "^")):
            axes.scatter(
                Z_2[t_train == t] @ normal, Z_2[t_train == t] @ widest, s=10, marker=marker, c="C3" if t < 0 else "C0"
            )
        axes.axvline(float(-b_2 / W_2.norm()), color="black", linewidth=1)
        axes.set(title=f"$z_2$ {when} training ({ARCS})", xlabel="along $W_2$", ylabel="across")
    describe(
        figure,
        "Above, eight hidden units over the plane, before and after training: each a soft step from -1 to 1 across a "
        "line; after training the lines run between the arcs. Below, the 200 points in the space of the hidden units: "
        "before training the classes overlap, after it a straight wall parts them.",
    )

# %% [markdown] tags=["why_theta"]
# **Question.** The cell began with random $W_1, b_1$. What would `sgd` make of a network that begins with all
# parameters 0? And why may the linear models of rung 4 begin with $\theta = 0$?
#
# *Your answer:*

# %%
lab.progress()

# %% [markdown]
# ## 5 What networks can represent
#
# No training here: you *build* networks, of ReLU units $\max\{0, a\}$ and with a linear output.

# %% [markdown] tags=["universal"]
# ### 5.1 `universal`
#
# "A neural network with a single hidden layer (and a suitably large number of hidden units) is a *universal function
# approximator*." For functions of one number you can prove it by building it. Let $f : [0, 1] \to \mathbb{R}$ be
# *Lipschitz* with constant 1, $|f(x) - f(x')| \le |x - x'|$: no slope is steeper than 1. Return the weights of
#
# $$h(x) = W_2 \max\{0, W_1 x + b_1\} + b_2, \qquad W_1 \in \mathbb{R}^{N \times 1},\ b_1 \in \mathbb{R}^N,\
# W_2 \in \mathbb{R}^{1 \times N},\ b_2 \in \mathbb{R}, \qquad N \le \lceil 1/\epsilon \rceil,$$
#
# such that $|h(x) - f(x)| \le \epsilon$ for **every** $x \in [0, 1]$. `f` takes a tensor of any shape, and is applied
# to each entry.
#
# Join the points $(x_j, f(x_j))$ by straight lines: how far apart may the $x_j$ be? The sum over $j$ of
# $c_j \max\{0, x - x_j\}$ is such a curve, whose slope changes by $c_j$ at $x_j$. The check runs your network on a fine
# grid and at each of its kinks, for functions that zigzag as fast as they may.
#
# *Departure from the slide.* "Can approximate *any* function": any *continuous* one, on a bounded set (Cybenko, 1989;
# Hornik, 1991), and how many units "suitably large" is depends on it.


# %%
def universal(f, eps):
    """A network of one hidden ReLU layer that comes within eps of f on [0, 1].

    f    a function with |f(x) - f(x')| ≤ |x - x'|; takes a tensor of any shape, elementwise
    eps  how far h may be from f
    Returns W_1 (N, 1), b_1 (N,), W_2 (1, N), b_2 (1,), with N at most ⌈1/eps⌉.
    """
    ### BEGIN SOLUTION
    N = math.ceil(1 / eps)
    x = torch.arange(N + 1) / N
    slopes = f(x).diff() * N
    changes = slopes.diff(prepend=torch.zeros(1))
    return torch.ones(N, 1), -x[:N], changes[None], f(x[:1])
    ### END SOLUTION


# %%
lab.show(universal, lambda x: (x - 0.5).abs(), 0.5)

# %% [markdown]
# $|x - ½|$ has two slopes, $-1$ and $1$. With kinks at 0 and ½ the two units make it exactly:
#
# ```
# W_1 = tensor([[1.],
#         [1.]])
# b_1 = tensor([-0.0000, -0.5000])
# W_2 = tensor([[-1.,  2.]])
# b_2 = tensor([0.5000])
# ```

# %%
lab.check(universal).points

# %% [markdown]
# The cell approximates one function for smaller and smaller ε. Expect the largest error to stay below half of ε: two
# points $1/N$ apart leave a slope of at most 1 no more room than $1/2N$ between them. "But this is actually not very
# useful in practice": for a function of $n$ numbers a grid this fine has $(1/\epsilon)^n$ points.

# %%
with when_written():
    f = lambda x: torch.sin(9 * x) / 18 + (x - 0.62).abs() / 2
    x = torch.linspace(0, 1, 2001)
    figure, panels = plt.subplots(1, 3, figsize=(11, 3), sharey=True)
    for axes, eps in zip(panels, (0.5, 0.2, 0.05)):
        W_1, b_1, W_2, b_2 = universal(f, eps)
        h = mlp_forward(x[:, None], [W_1, W_2], [b_1, b_2], [torch.relu, lambda a: a])[-1][:, 0]
        print(f"ε = {eps:<5} {len(b_1):>3} units, largest error {(h - f(x)).abs().max():.4f}")
        axes.fill_between(x, f(x) - eps, f(x) + eps, color="0.92")
        axes.plot(x, f(x), color="0.5", linewidth=3, alpha=0.5, label="f")
        axes.plot(x, h, color="C0", label="h")
        axes.set(title=f"ε = {eps}, {len(b_1)} units", xlabel="x", ylim=(-0.15, 0.6))
    panels[0].legend()
    describe(
        figure,
        "A wavy function f on [0, 1] and the network's h for ε = 0.5, 0.2 and 0.05: with 2 units two lines, with 5 a "
        "rough polygon, with 20 nearly f itself; h lies in the band of width ε around f each time.",
    )

# %% [markdown] tags=["parity_deep"]
# ### 5.2 `parity_deep`
#
# "Many functions can be represented more compactly using deep networks than one-hidden layer networks (e.g. parity
# function …)". The parity of $x \in \{0, 1\}^n$ is 1 where the number of ones is odd, else 0. It is the least smooth
# function there is: it changes with every single bit. Return `Ws` and `bs` of a network
#
# $$z_{i+1} = \max\{0, W_i z_i + b_i\} \ \text{ for } i < k - 1, \qquad h(x) = z_k = W_{k-1} z_{k-1} + b_{k-1},$$
#
# that gives the parity of every $x \in \{0, 1\}^n$ exactly, with at most $\lceil \log_2 n \rceil$ hidden layers and at
# most $4n$ hidden units in all. $n$ is any number from 1 to 64, not only a power of two; with $n = 1$ there is no
# hidden layer, and $h(x) = x$.
#
# Two bits first: on $\{0, 1\}$, $a + b$ is right but for $1 + 1$, which must be 0. One more unit can see to that. Then
# think of a tree.


# %%
def parity_deep(n):
    """A deep ReLU network that computes the parity of n bits.

    n  the number of bits, from 1 to 64
    Returns the lists Ws and bs, W_i of shape (n_{i+1}, n_i), b_i of shape (n_{i+1},), from n_1 = n to n_k = 1;
    ReLU after each layer but the last.
    """
    ### BEGIN SOLUTION
    Ws, bs = [], []
    read = torch.eye(n)  # the bits of the current level are read @ z_i
    while len(read) > 1:
        p = len(read) // 2
        sums = read[0 : 2 * p : 2] + read[1 : 2 * p : 2]
        Ws.append(torch.cat([sums, sums, read[2 * p :]]))
        bs.append(torch.cat([torch.zeros(p), -torch.ones(p), torch.zeros(len(read) % 2)]))
        odd = torch.eye(len(read) % 2)
        read = torch.block_diag(torch.cat([torch.eye(p), -2 * torch.eye(p)], dim=1), odd)
    return [*Ws, read], [*bs, torch.zeros(1)]
    ### END SOLUTION


# %%
lab.show(parity_deep, 2)

# %% [markdown]
# $a \oplus b = \max\{0, a + b\} - 2 \max\{0, a + b - 1\}$, for one (there are others):
#
# ```
# Ws = [tensor([[1., 1.],
#         [1., 1.]]), tensor([[ 1., -2.]])]
# bs = [tensor([ 0., -1.]), tensor([0.])]
# ```

# %%
lab.check(parity_deep).points

# %% [markdown]
# Your network for eight bits, with the values of its units for one input: darker is larger. Each level halves the
# number of bits.

# %%
with when_written():
    Ws, bs = parity_deep(8)
    bits = torch.tensor([[1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0]])
    Zs = mlp_forward(bits, Ws, bs, [torch.relu] * (len(Ws) - 1) + [lambda a: a])
    print(f"{' '.join(str(int(bit)) for bit in bits[0])} has {int(bits.sum())} ones; h(x) = {Zs[-1].item():g}")
    print("hidden units in each layer:", [len(b) for b in bs[:-1]])

    figure, axes = plt.subplots(figsize=(8, 4.2))
    places = [[(2 * i, (len(z[0]) - 1) / 2 - j) for j in range(len(z[0]))] for i, z in enumerate(Zs)]
    for W, left, right in zip(Ws, places, places[1:]):
        for j, k in W.nonzero().tolist():
            style = ("C0", "-") if W[j, k] > 0 else ("C3", "--")
            axes.plot(*zip(left[k], right[j]), color=style[0], linestyle=style[1], linewidth=0.8, zorder=1)
    for z, column in zip(Zs, places):
        shade = (z[0] / max(1, z.max())).clamp(0, 1).tolist()
        axes.scatter(*zip(*column), s=180, c=[str(1 - 0.4 * s) for s in shade], edgecolor="black", zorder=2)
        for (u, v), value in zip(column, z[0].tolist()):
            axes.text(u, v, f"{value:g}", ha="center", va="center", fontsize=8, zorder=3)
    axes.axis("off")
    describe(
        figure,
        f"The network for eight bits: columns of {', '.join(str(len(column)) for column in places)} units, each with "
        "its value for the input 1 0 1 1 0 1 1 0; blue edges have positive weights, dashed red ones negative. The last "
        f"unit is {Zs[-1].item():g}.",
    )

# %% [markdown] tags=["why_depth"]
# ### 5.3 An honest note
#
# The slide says that parity "would require $2^n$ hidden units in 3-layer network, $O(n)$ units in $O(\log n)$-layer
# network". The first half is about *circuits*: of AND and OR gates in two levels, parity takes $2^{n-1}$ terms, and in
# any bounded number of levels still exponentially many gates (Furst, Saxe and Sipser, 1981; Håstad, 1986). ReLU units
# add numbers up, which those gates cannot: **one hidden layer of $n$ units computes parity exactly** (and so it lies
# within the limits of 5.2 from $n = 2$ on; if your network was that one, build the tree as well). The extra question
# asks for it.
#
# There *are* functions for which depth saves exponentially many ReLU units: a saw of $2^k$ straight pieces on $[0, 1]$
# takes $k$ layers of 2 units, or nearly $2^k$ units in one layer (Telgarsky, 2016). And it serves parity, too: fold the
# number of ones in half, $s \mapsto \min\{s, 2^j - s\}$ for $j = \lceil \log_2 n \rceil, \dots, 2, 1$, and what is left
# is the parity, from $2 \lceil \log_2 n \rceil$ units.
#
# **Question.** Why does a network of *one* hidden layer need nearly $2^k$ ReLU units for $2^k$ straight pieces? Count
# kinks. And how does a composition of $k$ layers come by so many?
#
# *Your answer:*

# %%
with when_written():
    ns = list(range(2, 65))
    deep = [sum(len(b) for b in parity_deep(n)[1][:-1]) for n in ns]
    figure, axes = plt.subplots(figsize=(6.5, 3.6))
    axes.semilogy(ns, [2.0 ** (n - 1) for n in ns], "--", color="0.5", label="AND terms in two levels, $2^{n-1}$")
    axes.semilogy(ns, [4 * n for n in ns], ":", color="0.5", label="4n, the limit")
    axes.semilogy(ns, deep, color="C0", label=r"your ReLU network, at most $\lceil \log_2 n \rceil$ hidden layers")
    axes.semilogy(ns, ns, color="C1", label="ReLU, one hidden layer, n")
    axes.set(xlabel="n bits", ylabel="units", ylim=(1, 1e6))
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    describe(
        figure,
        f"Units against the number of bits, logarithmic: AND terms shoot up as 2 to the n - 1; the deep ReLU network "
        f"has {deep[-1]} units for 64 bits, the shallow one 64.",
    )

# %%
lab.progress()

# %% [markdown]
# ## 6 Extra
#
# Beside the 100 points of the lab.

# %% [markdown] tags=["parity_shallow"]
# ### 6.1 `parity_shallow`
#
# Find the network of the note: one hidden layer of at most $n$ ReLU units, and the parity of every $x \in \{0, 1\}^n$,
# exactly.
#
# $$h(x) = W_2 \max\{0, W_1 x + b_1\} + b_2$$


# %%
def parity_shallow(n):
    """A ReLU network with one hidden layer that computes the parity of n bits.

    n  the number of bits, from 1 to 64
    Returns W_1 (N, n), b_1 (N,), W_2 (1, N), b_2 (1,), with N at most n.
    """
    ### BEGIN SOLUTION
    j = torch.arange(n)
    W_2 = 2.0 * (-1.0) ** j
    W_2[0] = 1
    return torch.ones(n, n), -1.0 * j, W_2[None], torch.zeros(1)
    ### END SOLUTION


# %% [markdown]
# Run it on the eight inputs of three bits: expect `[0, 1, 1, 0, 1, 0, 0, 1]`.

# %%
with when_written():
    W_1, b_1, W_2, b_2 = parity_shallow(3)
    eight = torch.cartesian_prod(*[torch.arange(2.0)] * 3)
    print(
        [round(h, 9) for h in mlp_forward(eight, [W_1, W_2], [b_1, b_2], [torch.relu, lambda a: a])[-1][:, 0].tolist()]
    )

# %%
lab.check(parity_shallow).points

# %%
lab.progress()
