# %% [markdown]
# # Lab 2: Backpropagation
#
# CMU 15-780, "Deep Learning", slides "Neural networks" to "What's changed since the 80s?"
#
# You write every gradient of a multi-layer network by hand, hold each against autograd, and train on handwritten
# digits with nothing but your own code. About three hours, a laptop, no GPU, no network.
#
# * **Write** between the two marker lines that begin with `###` (leave them in), in place of the
#   `raise NotImplementedError`. You may add functions and cells of your own.
# * **Try** it on numbers small enough to follow on paper; the text says what to expect.
# * **Check** it: `lab.check(f)` draws inputs of odd shapes and compares with autograd. Where they differ it says which
#   output, where, and, for many common mistakes, why. `lab.replay(…)`, its last line, gives you that case's inputs.
#   The grader asks the same questions with other numbers and shapes.
# * Cells that need what you have not written say so and go on: *Run All* works from the first minute.
#
# **Rules.** A batch is rows: `X` is `(m, n)`, one example a row. A loss is a mean over the batch. A function returns
# new tensors and leaves its inputs as they were. Write with torch's plain operations; `backward`, `torch.autograd` and
# `torch.func` are out of reach during a check.
#
# Where the slides have a misprint, or we depart from them, the text says so; all of it is on one page,
# [Errata](../docs/errata.md).

# %%
import math

import matplotlib.pyplot as plt
import numpy as np
import torch

from dl780 import Lab

lab = Lab("backprop")
torch.set_default_dtype(torch.float64)  # twice the digits of float32: a wrong gradient cannot pass for rounding

# %% [markdown]
# What the figures below use. Run the cell; there is no need to read it. (With matrices as small as ours, threads mostly
# wait for each other: one is several times faster.)

# %%
from base64 import b64encode
from contextlib import contextmanager
from html import escape
from io import BytesIO
from itertools import pairwise

from IPython.display import HTML, display
from sklearn.datasets import load_digits

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
# ## 1 The network, and a gradient to compare with
#
# A $k$-layer network (slide "Deep learning") is
#
# $$z_{i+1} = f_i(W_i z_i + b_i), \quad i = 1, \dots, k-1, \qquad z_1 = x, \qquad h_\theta(x) = z_k,$$
#
# where each $z_i$ is a vector and $f_i$ acts on each entry. In code `Ws[0]` is $W_1$; $k$ layers of units have $k-1$
# matrices, so `len(Ws)` is $k-1$. Below, $k = 4$.
#
# *Departures from the slides.* "Feature learning, take one" has $W_1 \in \mathbb{R}^{n \times k}$; for $W_1 x$ to be a
# product it must be $k \times n$: outputs × inputs, as here.


# %%
def draw_network(sizes, axes):
    """A network as the lecture draws it: a column of circles for each z_i, an edge for each entry of W_i."""
    columns = [[(2.4 * i, y) for y in np.arange(n) - (n - 1) / 2] for i, n in enumerate(sizes)]
    low = -max(sizes) / 2 - 0.4
    for i, (left, right) in enumerate(pairwise(columns), start=1):
        for x, y in left:
            for u, v in right:
                axes.plot([x, u], [y, v], color="0.6", linewidth=0.8, zorder=1)
        axes.text(left[0][0] + 1.2, -low, f"$W_{i}, b_{i}$", ha="center", fontsize=13)
    names = [f"$z_{i}$" for i in range(1, len(sizes) + 1)]
    names[0], names[-1] = "$z_1 = x$", f"{names[-1][:-1]} = h_\\theta(x)$"
    for column, name in zip(columns, names):
        axes.scatter(*zip(*column), s=420, facecolor="white", edgecolor="black", zorder=2)
        axes.text(column[0][0], low, name, ha="center", va="top", fontsize=13)
    axes.set(aspect="equal", ylim=(low - 0.5, 0.5 - low))
    axes.axis("off")


figure, axes = plt.subplots(figsize=(7.5, 4))
draw_network([4, 5, 3, 2], axes)
describe(
    figure,
    "A network of four columns of circles, z_1 = x with 4, z_2 with 5, z_3 with 3 and z_4 = h(x) with 2 units. "
    "Every circle is joined to all of the next column; the edges are labelled W_1, b_1 to W_3, b_3.",
)

# %% [markdown] tags=["numerical_gradient"]
# ### 1.1 `numerical_gradient`
#
# Before you derive gradients, have one that needs no derivation. For $f : \mathbb{R}^n \to \mathbb{R}$ the *central
# difference*
#
# $$\frac{\partial f(x)}{\partial x_j} \approx \frac{f(x + \epsilon e_j) - f(x - \epsilon e_j)}{2 \epsilon}$$
#
# moves one entry of $x$ at a time ($e_j$ is 1 at $j$ and 0 elsewhere). Taylor's theorem says why both sides are worth
# their second call: the terms in $\epsilon^0$ and $\epsilon^2$ cancel, and the error is $\epsilon^2 f'''/6$, not
# $\epsilon f''/2$. Here `x` is a tensor of any shape, `f(x)` a number.


# %%
def numerical_gradient(f, x, eps):
    """The gradient of f at x by central differences, one entry of x at a time.

    f    a function of one tensor like x; returns a number
    x    a tensor of any shape
    eps  the step, a small number
    Returns the gradient, in the shape of x.
    """
    ### BEGIN SOLUTION
    g = torch.zeros_like(x)
    for j in range(x.numel()):
        step = torch.zeros(x.numel(), dtype=x.dtype)
        step[j] = eps
        step = step.reshape(x.shape)
        g.view(-1)[j] = (f(x + step) - f(x - step)) / (2 * eps)
    return g
    ### END SOLUTION


# %%
lab.show(numerical_gradient, lambda x: (x**3).sum(), torch.tensor([[1.0, 2.0], [3.0, -1.0]]), 0.1)

# %% [markdown]
# The gradient of $\sum_j x_j^3$ is $3 x_j^2$, and the central difference of a cubic is off by exactly $\epsilon^2$:
#
# ```
# g = tensor([[ 3.0100, 12.0100],
#         [27.0100,  3.0100]])
# ```

# %%
lab.check(numerical_gradient).points

# %% [markdown]
# How small should $\epsilon$ be? The cell measures the error on $\sin$ at 1. From the right, both curves fall as Taylor
# says, the central one twice as steeply; to the left the rounding error, about $10^{-16} / \epsilon$, takes over.
# Expect the lowest point of the central difference near $\epsilon = 10^{-5}$, at $10^{-11}$ or less: that is
# as well as numbers can agree in a gradient check.

# %%
with when_written():
    eps, x = np.logspace(-13, 0, 53), torch.ones(1)
    exact = math.cos(1)
    central = [abs(numerical_gradient(lambda v: v.sin().sum(), x, e).item() - exact) for e in eps]
    forward = [abs((math.sin(1 + e) - math.sin(1)) / e - exact) for e in eps]

    figure, axes = plt.subplots(figsize=(6.5, 3.4))
    axes.loglog(eps, forward, "--", color="0.5", label="forward: f(x + ε) − f(x), over ε")
    axes.loglog(eps, central, color="C0", label="central: yours")
    axes.set(xlabel="ε", ylabel="error of the derivative")
    axes.legend()
    describe(
        figure,
        "Error of the derivative against ε, both axes logarithmic. Each curve is a V. The central difference falls "
        "with slope 2 to about 1e-11 near ε = 1e-5, the forward one with slope 1 to about 1e-8 near 1e-8.",
    )

# %% [markdown]
# ## 2 Non-linear functions
#
# Slide "Neural networks": without an $f_i$ between them, two linear layers are one,
# $W_2(W_1 x + b_1) + b_2 = \tilde W x + \tilde b$. Each function below takes a tensor $a$ of any shape and returns
# *two* tensors of that shape, $f(a)$ and $f'(a)$, since backpropagation needs both and they share work.

# %% [markdown] tags=["tanh"]
# ### 2.1 `tanh`
#
# $$\tanh(a) = \frac{e^{2a} - 1}{e^{2a} + 1}, \qquad \tanh'(a) = 1 - \tanh^2(a)$$
#
# The derivative costs one square once $f(a)$ is known.
#
# *Departure from the slide.* Its formula is right on paper only: in float64 $e^{2a}$ overflows beyond $a \approx 355$
# and gives `inf / inf = nan`. `torch.tanh` does not.


# %%
def tanh(a):
    """tanh and its derivative, elementwise.

    a  a tensor of any shape
    Returns f = tanh(a) and df = tanh'(a), both in the shape of a and finite for every finite a.
    """
    ### BEGIN SOLUTION
    f = torch.tanh(a)
    return f, 1 - f**2
    ### END SOLUTION


# %%
lab.show(tanh, torch.tensor([-1000.0, -1.0, 0.0, 1.0, 1000.0]))

# %% [markdown]
# ```
# f = tensor([-1.0000, -0.7616,  0.0000,  0.7616,  1.0000])
# df = tensor([0.0000, 0.4200, 1.0000, 0.4200, 0.0000])
# ```

# %%
lab.check(tanh).points

# %% [markdown] tags=["sigmoid"]
# ### 2.2 `sigmoid`
#
# $$\sigma(a) = \frac{1}{1 + e^{-a}}, \qquad \sigma'(a) = \frac{e^{-a}}{(1 + e^{-a})^2}$$
#
# Write $\sigma'$ with $\sigma$ alone, as above: what is $1 - \sigma(a)$?


# %%
def sigmoid(a):
    """The sigmoid and its derivative, elementwise.

    a  a tensor of any shape
    Returns f = σ(a) and df = σ'(a), both in the shape of a and finite for every finite a.
    """
    ### BEGIN SOLUTION
    f = torch.sigmoid(a)
    return f, f * (1 - f)
    ### END SOLUTION


# %%
lab.show(sigmoid, torch.tensor([-1000.0, -1.0, 0.0, 1.0, 1000.0]))

# %% [markdown]
# ```
# f = tensor([0.0000, 0.2689, 0.5000, 0.7311, 1.0000])
# df = tensor([0.0000, 0.1966, 0.2500, 0.1966, 0.0000])
# ```
#
# The slope is at most 1/4. Remember that number until part 5.

# %%
lab.check(sigmoid).points

# %% [markdown] tags=["relu"]
# ### 2.3 `relu`
#
# The rectified linear unit $f(a) = \max\{0, a\}$ has slope 1 where $a > 0$ and 0 where $a < 0$. At $a = 0$ it has no
# derivative; any number from 0 to 1 is a *subgradient* and is taken as right.


# %%
def relu(a):
    """The rectified linear unit and its derivative, elementwise.

    a  a tensor of any shape
    Returns f = max(0, a) and df, its slope, both in the shape and dtype of a.
    """
    ### BEGIN SOLUTION
    return a.clamp(min=0), (a > 0).to(a.dtype)
    ### END SOLUTION


# %%
lab.show(relu, torch.tensor([-1000.0, -1.0, 1.0, 1000.0]))

# %% [markdown]
# ```
# f = tensor([   0.,    0.,    1., 1000.])
# df = tensor([0., 0., 1., 1.])
# ```

# %%
lab.check(relu).points

# %%
with when_written():
    a = torch.linspace(-4, 4, 401)
    curves = [(f.__name__, *f(a)) for f in (tanh, sigmoid, relu)]

    figure, panels = plt.subplots(1, 3, figsize=(9, 2.8), sharex=True, sharey=True)
    for axes, (name, f, df) in zip(panels, curves):
        axes.plot(a, f, color="C0", label="f(a)")
        axes.plot(a, df, "--", color="C1", label="f'(a)")
        axes.set(title=name, xlabel="a", ylim=(-1.2, 2.2))
        axes.grid(alpha=0.3)
    panels[0].legend()
    describe(
        figure,
        "Three non-linear functions (solid) with their derivatives (dashed). tanh rises from -1 to 1, its slope is a "
        "bump of height 1 at 0. The sigmoid rises from 0 to 1, its slope is a flat bump of height 1/4. ReLU is 0, then "
        "a; its slope jumps from 0 to 1 at 0.",
    )

# %%
lab.progress()

# %% [markdown]
# ## 3 Backpropagation
#
# "One forward pass (just computing all the values at layers), and one backward pass (computing gradients backwards in
# the network)." You build it in five steps: the Jacobians of one layer, the gradient of a loss, one linear layer for a
# batch, the lecture's algorithm for one example, and a whole network for a batch.

# %% [markdown] tags=["layer_jacobians"]
# ### 3.1 `layer_jacobians`
#
# The Jacobian of $f : \mathbb{R}^n \to \mathbb{R}^m$ is the $m \times n$ matrix $\frac{\partial f(x)}{\partial x}$: row
# $r$ is the gradient of output $r$, transposed. Three properties (slide "The Jacobian") are all that backpropagation
# needs:
#
# $$\frac{\partial f(g(x))}{\partial x} = \frac{\partial f(g(x))}{\partial g(x)} \frac{\partial g(x)}{\partial x},
# \qquad \frac{\partial A x}{\partial x} = A, \qquad
# \frac{\partial f(x)}{\partial x} = \operatorname{diag}(f'(x)) \ \text{ for an elementwise } f.$$
#
# Apply them to one layer of one example, $z_{i+1} = \tanh(W_i z_i + b_i)$ with $z_i \in \mathbb{R}^n$,
# $z_{i+1} \in \mathbb{R}^k$, once with respect to $z_i$ and once with respect to $b_i$. Mind the place: $f'$ is taken
# at $W_i z_i + b_i$, not at $z_{i+1}$.


# %%
def layer_jacobians(z, W, b):
    """The Jacobians of tanh(W z + b) for one example.

    z  (n,)  the layer's input
    W  (k, n),  b  (k,)
    Returns J_z (k, n), with respect to z, and J_b (k, k), with respect to b.
    """
    ### BEGIN SOLUTION
    _, df = tanh(W @ z + b)
    J_b = torch.diag(df)
    return J_b @ W, J_b
    ### END SOLUTION


# %%
z, W, b = torch.tensor([1.0, -1.0]), torch.tensor([[1.0, 2.0], [0.0, 1.0], [3.0, 3.0]]), torch.tensor([0.0, 1.0, 1.0])
lab.show(layer_jacobians, z, W, b)

# %% [markdown]
# Here $W z + b = (-1, 0, 1)$, so $f' = (0.42, 1, 0.42)$, and each row of $W$ is scaled by its own slope:
#
# ```
# J_z = tensor([[0.4200, 0.8399],
#         [0.0000, 1.0000],
#         [1.2599, 1.2599]])
# J_b = tensor([[0.4200, 0.0000, 0.0000],
#         [0.0000, 1.0000, 0.0000],
#         [0.0000, 0.0000, 0.4200]])
# ```
#
# Your own differences must agree: row $r$ of $J_z$ is the gradient of output $r$. Expect about $10^{-10}$.

# %%
with when_written():
    rows = [numerical_gradient(lambda v, r=r: tanh(W @ v + b)[0][r], z, 1e-5) for r in range(3)]
    difference = (torch.stack(rows) - layer_jacobians(z, W, b)[0]).abs().max()
    print(f"largest difference: {difference:.0e}")

# %%
lab.check(layer_jacobians).points

# %% [markdown] tags=["softmax_cross_entropy"]
# ### 3.2 `softmax_cross_entropy`
#
# The backward pass starts with $g_k = \partial \ell(z_k, y) / \partial z_k$. To choose between $C$ classes, the
# network's $C$ outputs become probabilities, $p_j = e^{z_j} / \sum_c e^{z_c}$, and the loss is the negative logarithm
# of the right one's:
#
# $$\ell(z, y) = -\log p_y = \log \sum_c e^{z_c} - z_y, \qquad
# \frac{\partial \ell}{\partial z_j} = \frac{e^{z_j}}{\sum_c e^{z_c}} - \mathbb{1}[j = y].$$
#
# Take a constant off all $z_c$ of a row and neither $p$ nor $\ell$ changes: take off the row's maximum, and no
# exponential overflows. `y` holds the index of the right class, from 0 to $C - 1$.
#
# *Departure from the slides.* They minimise the sum over examples. Here, and from here on, the loss is the **mean**
# over the $m$ rows, so that $\alpha$ need not change with the size of the batch. Each row of the gradient carries
# $1/m$.


# %%
def softmax_cross_entropy(Z, y):
    """The mean cross-entropy of a batch, and its gradient.

    Z  (m, C)  a row of logits for each example
    y  (m,)    the index of the right class, an integer
    Returns loss, a number, and G (m, C), its gradient with respect to Z.
    """
    ### BEGIN SOLUTION
    m = len(Z)
    Z = Z - Z.max(dim=1, keepdim=True).values
    log_p = Z - Z.exp().sum(dim=1, keepdim=True).log()
    loss = -log_p[torch.arange(m), y].mean()
    G = log_p.exp()
    G[torch.arange(m), y] -= 1
    return loss, G / m
    ### END SOLUTION


# %%
lab.show(softmax_cross_entropy, torch.tensor([[2.0, 1.0, 0.0], [1000.0, 1000.0, 1000.0]]), torch.tensor([0, 2]))

# %% [markdown]
# Row 2 knows nothing: its loss is $\log 3 = 1.0986$. Row 1 has the probabilities 0.6652, 0.2447, 0.0900 and the loss
# 0.4076. The mean of the two, and the gradient halved, since $m = 2$; each row of $G$ sums to 0:
#
# ```
# loss = 0.753109
# G = tensor([[-0.1674,  0.1224,  0.0450],
#         [ 0.1667,  0.1667, -0.3333]])
# ```

# %%
lab.check(softmax_cross_entropy).points

# %% [markdown] tags=["linear_backward"]
# ### 3.3 `linear_backward`
#
# For one example, $\delta_i = g_{i+1} \circ f'_i(W_i z_i + b_i)$ is the gradient with respect to $a_i = W_i z_i + b_i$,
# and the slide "Derivation of backpropagation" says where it goes:
#
# $$g_i = W_i^T \delta_i, \qquad \nabla_{W_i} = \delta_i z_i^T, \qquad \nabla_{b_i} = \delta_i.$$
#
# In a batch, row $r$ of $A = Z W^T + b$ (with $b$ added to each row) is the $a_i$ of example $r$, and row $r$ of $G$
# its $\delta_i$. Two things follow:
#
# * $Z$ has a row for each example, so has its gradient: transpose $g_i = W_i^T \delta_i$, and see what it says of rows.
# * $W$ and $b$ serve all rows, so their gradients are sums over $r$, of $\delta_r z_r^T$ and of $\delta_r$. A sum of
#   outer products is *one* matrix product; the shapes say which.
#
# No $1/m$ here: it came in with the loss, in $G$.


# %%
def linear_backward(G, Z, W, b):
    """The gradients of a linear layer A = Z Wᵀ + b, given that with respect to A.

    G  (m, k)  gradient of the loss with respect to A
    Z  (m, n)  the layer's input, a row for each example
    W  (k, n),  b  (k,)
    Returns G_Z (m, n), G_W (k, n) and G_b (k,).
    """
    ### BEGIN SOLUTION
    return G @ W, G.T @ Z, G.sum(dim=0)
    ### END SOLUTION


# %%
lab.show(
    linear_backward,
    torch.tensor([[1.0], [2.0]]),
    torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]),
    torch.tensor([[1.0, 0.0, -1.0]]),
    torch.tensor([0.5]),
)

# %% [markdown]
# $\nabla_W = 1 \cdot (1, 2, 3) + 2 \cdot (4, 5, 6)$:
#
# ```
# G_Z = tensor([[ 1.,  0., -1.],
#         [ 2.,  0., -2.]])
# G_W = tensor([[ 9., 12., 15.]])
# G_b = tensor([3.])
# ```

# %%
lab.check(linear_backward).points

# %% [markdown] tags=["backpropagation"]
# ### 3.4 `backpropagation`
#
# The chain rule down to $b_1$ is a product of Jacobians,
#
# $$\frac{\partial \ell(z_k, y)}{\partial b_1} = \frac{\partial \ell(z_k, y)}{\partial z_k}
# \frac{\partial z_k}{\partial z_{k-1}} \cdots \frac{\partial z_3}{\partial z_2} \frac{\partial z_2}{\partial b_1},$$
#
# and the one for $b_2$ repeats most of it. Backpropagation caches what they share, each product multiplied from the
# left, so that only vectors are ever kept:
#
# $$g_k = \frac{\partial \ell(z_k, y)}{\partial z_k}, \qquad g_i = W_i^T (g_{i+1} \circ f'_i), \qquad
# \nabla_{b_i} = g_{i+1} \circ f'_i, \qquad \nabla_{W_i} = (g_{i+1} \circ f'_i)\, z_i^T$$
#
# with $f'_i$ short for $f'_i(W_i z_i + b_i)$. Write the lecture's box:
#
# > $z_1 \leftarrow x$<br>
# > For $i = 1, \dots, k-1$: $\quad z_{i+1}, z'_{i+1} \leftarrow f_i(W_i z_i + b_i),\ f'_i(W_i z_i + b_i)$<br>
# > $L \leftarrow \ell(z_k, y), \quad g_k \leftarrow \partial \ell(z_k, y) / \partial z_k$<br>
# > For $i = k-1, \dots, 1$: $\quad$ from $g_{i+1}$ and $z'_{i+1}$: $\ \nabla_{b_i}$, $\nabla_{W_i}$, $g_i$<br>
# > return $L$, $\{\nabla_{W_i}, \nabla_{b_i}\}$
#
# One example, so everything is a vector. `fs[i](a)` returns $f(a), f'(a)$ as yours do; `loss(z, y)` returns
# $\ell, \partial \ell / \partial z$. The check brings its own of both: ask `fs` and `loss`, never `tanh`.
#
# *Departures from the slides.* The slide writes $f'$ without its index in the formula of $g_i$: it is $f'_i$. The box
# also computes $g_1$, the gradient with respect to the input $x$, which training does not need.


# %%
def arrow(axes, start, end, **style):
    axes.annotate("", end, start, arrowprops=dict(arrowstyle="->", linewidth=1.3, shrinkA=16, shrinkB=16, **style))


figure, axes = plt.subplots(figsize=(9, 3.2))
for i, above in enumerate(["z_1 = x", "z_2", "z_3", r"\ell(z_3, y)"]):
    axes.text(3 * i, 1, f"${above}$", ha="center", va="center", fontsize=14)
    if i < 3:
        axes.text(3 * i, -1, f"$g_{i + 1}$", ha="center", va="center", fontsize=14, color="C3")
        arrow(axes, (3 * i + 0.3, 1), (3 * i + 2.75, 1))
        arrow(axes, (3 * i + 2.9, -1 if i < 2 else 0.9), (3 * i + 0.1, -1), color="C3")
for i in (1, 2):
    axes.text(3 * i - 1.5, 1.2, f"$W_{i}, b_{i}, f_{i}$", ha="center", fontsize=12)
    axes.text(
        3 * i - 1.5, -1.2, rf"$W_{i}^T(g_{i + 1} \circ z'_{i + 1})$", ha="center", va="top", fontsize=12, color="C3"
    )
    axes.text(3 * i - 1.5, 0, rf"$\nabla_{{W_{i}}}, \nabla_{{b_{i}}}$", ha="center", va="center", fontsize=13)
    arrow(axes, (3 * i - 2.8, 0.9), (3 * i - 1.6, 0.05), color="C0", linestyle="--")
    arrow(axes, (3 * i - 0.2, 0.9), (3 * i - 1.4, 0.05), color="C0", linestyle="--")
    arrow(axes, (3 * i - 0.2, -0.9), (3 * i - 1.4, -0.05), color="C3")
    axes.text(3 * i - 2.4, 0.35, f"$z_{i}$", ha="right", color="C0")
    axes.text(3 * i - 0.55, 0.35, f"$z'_{i + 1}$", ha="left", color="C0")
axes.set(xlim=(-0.6, 9.6), ylim=(-1.7, 1.6))
axes.axis("off")
describe(
    figure,
    "The two passes for k = 3. Above, the forward pass from z_1 = x over z_2 and z_3 to the loss. Below, in red, the "
    "backward pass from the loss over g_3 and g_2 to g_1. Between them the gradients of W_i and b_i, fed by g_{i+1} "
    "from below and, dashed in blue, by z_i and z'_{i+1} that the forward pass kept.",
)


# %%
def backpropagation(x, y, Ws, bs, fs, loss):
    """The loss of one example, and its gradients: the lecture's box.

    x     (n_1,)  the input z_1
    y     (n_k,)  what the loss compares z_k with
    Ws    list of k - 1 tensors, W_i of shape (n_{i+1}, n_i)
    bs    list of k - 1 tensors, b_i of shape (n_{i+1},)
    fs    list of k - 1 functions; each returns f_i(a), f'_i(a)
    loss  a function; loss(z_k, y) returns ℓ, ∂ℓ/∂z_k
    Returns L, a number, and the lists g_Ws and g_bs, in the order and shapes of Ws and bs.
    """
    ### BEGIN SOLUTION
    zs, dzs = [x], []
    for W, b, f in zip(Ws, bs, fs):
        z, dz = f(W @ zs[-1] + b)
        zs.append(z)
        dzs.append(dz)
    L, g = loss(zs[-1], y)
    g_Ws, g_bs = [], []
    for i in reversed(range(len(Ws))):
        delta = g * dzs[i]
        g_bs.insert(0, delta)
        g_Ws.insert(0, torch.outer(delta, zs[i]))
        g = Ws[i].T @ delta
    return L, g_Ws, g_bs
    ### END SOLUTION


# %%
def identity(a):
    """f(a) = a, and its derivative."""
    return a, torch.ones_like(a)


def square(a):
    """f(a) = a², and its derivative."""
    return a**2, 2 * a


def squared_error(z, y):
    """ℓ(z, y) = Σ_j (z_j - y_j)², and its gradient with respect to z."""
    return ((z - y) ** 2).sum(), 2 * (z - y)


one, two, three = torch.tensor([[1.0]]), torch.tensor([[2.0]]), torch.tensor([[3.0]])
lab.show(backpropagation, one[0], two[0], [two, three], [one[0], one[0]], [square, identity], squared_error)

# %% [markdown]
# One unit a layer, $f_1(a) = a^2$, $f_2(a) = a$. Forward: $z_2 = (2 \cdot 1 + 1)^2 = 9$, $z'_2 = 6$,
# $z_3 = 3 \cdot 9 + 1 = 28$, $L = (28 - 2)^2$. Backward: $g_3 = 52$, $\nabla_{W_2} = 52 \cdot 9$,
# $g_2 = 3 \cdot 52 = 156$, $\nabla_{b_1} = 156 \cdot 6$:
#
# ```
# L = 676.0
# g_Ws = [tensor([[936.]]), tensor([[468.]])]
# g_bs = [tensor([936.]), tensor([52.])]
# ```

# %%
lab.check(backpropagation).points

# %% [markdown] tags=["why_cache"]
# **Question.** The forward pass keeps every $z_i$ and every $z'_{i+1}$. Where does the backward pass need each of them?
# And what would it cost, in time, to keep none of the $g_{i+1}$ and compute each $\nabla_{b_i}$ from the chain rule
# alone?
#
# *Your answer:*

# %% [markdown] tags=["mlp_backward"]
# ### 3.5 `mlp_backward`
#
# Put your pieces together for a batch: `linear_backward` for each layer, ReLU between layers, `softmax_cross_entropy`
# at the end. With $Z_1 = X$,
#
# $$A_i = Z_i W_i^T + b_i, \qquad Z_{i+1} = \max\{0, A_i\} \ \text{ for } i < k-1, \qquad
# \text{loss} = \ell(A_{k-1}, y).$$
#
# The last layer has no ReLU: its $f$ is the identity, and $A_{k-1}$ are the logits. The gradient comes into layer $i$
# as that of $A_i$, leaves `linear_backward` as that of $Z_i$, and must pass the ReLU below before it is that of
# $A_{i-1}$.


# %%
def mlp_backward(X, y, Ws, bs):
    """The loss of a ReLU network on a batch, and its gradients.

    X   (m, n_1)  a row for each example
    y   (m,)      the index of the right class
    Ws  list of tensors, W_i of shape (n_{i+1}, n_i);  bs  list of tensors, b_i of shape (n_{i+1},)
    Returns loss, a number, and the lists g_Ws and g_bs, in the order and shapes of Ws and bs.
    """
    ### BEGIN SOLUTION
    Zs, dZs = [X], []
    for W, b in zip(Ws[:-1], bs[:-1]):
        Z, dZ = relu(Zs[-1] @ W.T + b)
        Zs.append(Z)
        dZs.append(dZ)
    loss, G = softmax_cross_entropy(Zs[-1] @ Ws[-1].T + bs[-1], y)
    g_Ws, g_bs = [], []
    for i in reversed(range(len(Ws))):
        G, g_W, g_b = linear_backward(G, Zs[i], Ws[i], bs[i])
        if i > 0:
            G = G * dZs[i - 1]
        g_Ws.insert(0, g_W)
        g_bs.insert(0, g_b)
    return loss, g_Ws, g_bs
    ### END SOLUTION


# %%
X, y = torch.tensor([[1.0, 2.0], [-1.0, 1.0]]), torch.tensor([0, 1])
Ws = [torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]]), torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])]
lab.show(mlp_backward, X, y, Ws, [torch.zeros(3), torch.zeros(2)])

# %% [markdown]
# The third hidden unit is off for both examples ($1 - 2 < 0$ and $-1 - 1 < 0$), so its row of $\nabla_{W_1}$ and its
# column of $\nabla_{W_2}$ are 0:
#
# ```
# loss = 0.813262
# g_Ws = [tensor([[-0.3655, -0.7311],
#         [ 0.5000,  0.5966],
#         [ 0.0000,  0.0000]]), tensor([[-0.3655, -0.5966,  0.0000],
#         [ 0.3655,  0.5966,  0.0000]])]
# g_bs = [tensor([-0.3655,  0.2311,  0.0000]), tensor([-0.2311,  0.2311])]
# ```

# %%
lab.check(mlp_backward).points

# %% [markdown]
# ### 3.6 The ladder
#
# A network that does not train tells you little about why. So climb, one rung at a time: the loss at the start, a
# gradient check, one batch learned by heart, and only then training. The data are scikit-learn's 1,797 handwritten
# digits of 8 × 8 pixels, with 10 classes.

# %%
images, labels = load_digits(return_X_y=True)
order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
images, labels = torch.from_numpy(images)[order] / 16, torch.from_numpy(labels)[order]
X_train, y_train, X_test, y_test = images[:1400], labels[:1400], images[1400:], labels[1400:]


def small_network(sizes, seed):
    """Weights from a normal distribution of width 0.1, and zeros: Ws and bs."""
    source = torch.Generator().manual_seed(seed)
    Ws = [0.1 * torch.randn(k, n, generator=source) for n, k in pairwise(sizes)]
    return Ws, [torch.zeros(k) for k in sizes[1:]]


figure, panels = plt.subplots(1, 12, figsize=(9, 1.1))
for axes, image, label in zip(panels, X_train, y_train):
    axes.imshow(image.reshape(8, 8), cmap="gray_r")
    axes.set_title(label.item())
    axes.axis("off")
describe(figure, f"Twelve digits of 8 by 8 pixels, labelled {', '.join(str(c.item()) for c in y_train[:12])}.")

# %% [markdown]
# **Rung 1: the initial loss.** A network with small random weights cannot tell the classes apart, so each has a
# probability of about $1/C$, and the loss must be near $\log C = \log 10 = 2.303$. Expect 2.29. A loss of 2,000 or 0
# would mean a sum instead of a mean, or labels that are not indices.

# %%
Ws, bs = small_network([64, 16, 10], seed=0)
with when_written():
    print(f"initial loss {mlp_backward(X_train, y_train, Ws, bs)[0]:.3f}, log C = {math.log(10):.3f}")

# %% [markdown]
# **Rung 2: a gradient check.** Your differences against your backpropagation, for all 1,024 entries of $W_1$ on 8
# examples: 2,048 forward passes against one backward pass, a second in all. Expect differences below $10^{-10}$
# everywhere. (Darkest is exactly 0 on both sides: pixels that are always white, units that are off.) A bright row would
# be a unit gone wrong, a bright map a whole term. (At a kink of ReLU the two may differ honestly: the difference looks
# at both sides of it.)

# %%
with when_written():
    few, their = X_train[:8], y_train[:8]
    by_hand = mlp_backward(few, their, Ws, bs)[1][0]
    numerical = numerical_gradient(lambda W: mlp_backward(few, their, [W, Ws[1]], bs)[0], Ws[0], 1e-5)
    error = (by_hand - numerical).abs()
    print(f"largest gradient {by_hand.abs().max():.3f}, largest difference {error.max():.0e}")

    figure, panels = plt.subplots(2, 1, figsize=(9, 5.2))
    limit = by_hand.abs().max()
    maps = [
        panels[0].imshow(by_hand, cmap="RdBu", vmin=-limit, vmax=limit),
        panels[1].imshow((error + 1e-16).log10(), cmap="viridis", vmin=-16, vmax=-2),
    ]
    titles = [r"$\nabla_{W_1}$ by backpropagation", r"$\log_{10}$ |backpropagation − numerical|"]
    for axes, drawn, title in zip(panels, maps, titles):
        axes.set(title=title, xlabel="pixel", ylabel="hidden unit")
        figure.colorbar(drawn, ax=axes, fraction=0.012, pad=0.02)
    figure.tight_layout()
    describe(
        figure,
        "Above, the gradient of W_1, 16 units by 64 pixels, with zero columns where pixels are always white. Below, "
        f"the error map of the same shape, logarithmic, from 1e-16 to 1e-2: at most {error.max():.0e} anywhere.",
    )

# %%
lab.progress()

# %% [markdown]
# ## 4 Stochastic gradient descent
#
# Slide "Stochastic gradient descent for neural networks": draw random $W_i, b_i$, then step against the gradient, again
# and again.
#
# *Departures from the slide.* Its box takes the gradients for $j = 1, \dots, k-1$ and then steps for $j = 1, \dots, k$;
# a $k$-layer network has $k-1$ matrices, so it is $k-1$ both times. It steps for each example; we step for each
# *mini-batch* of some 32.

# %% [markdown] tags=["sgd_step"]
# ### 4.1 `sgd_step`
#
# $$w \leftarrow w - \alpha g$$
#
# for $w$ any parameter and $g$ its gradient. Return a new tensor; `w -= …` would change the caller's.


# %%
def sgd_step(w, g, alpha):
    """One step of gradient descent.

    w, g   a parameter and its gradient, of one shape
    alpha  the step size
    Returns the new w.
    """
    ### BEGIN SOLUTION
    return w - alpha * g
    ### END SOLUTION


# %%
lab.show(sgd_step, torch.tensor([1.0, 2.0]), torch.tensor([1.0, -1.0]), 0.1)

# %% [markdown]
# ```
# w = tensor([0.9000, 2.1000])
# ```

# %%
lab.check(sgd_step).points

# %% [markdown]
# **Rung 3: overfit one batch.** A right gradient can learn 32 examples by heart, whatever they are. Expect the loss to
# fall from 2.3 to about 0.01 in 300 steps, in under a second. If it does not, more data will not help.
#
# Beside it the same steps with autograd and `torch.optim.SGD`, from the same weights: your curve must lie on top of it.
# Expect the weights to differ by about $10^{-15}$ in the end.

# %%
with when_written():
    few, their = X_train[:32], y_train[:32]
    Ws, bs = small_network([64, 32, 10], seed=0)
    twins = [w.clone().requires_grad_() for w in (*Ws, *bs)]
    optimizer = torch.optim.SGD(twins, lr=0.3)
    by_hand, by_autograd = [], []
    for _ in range(300):
        loss, g_Ws, g_bs = mlp_backward(few, their, Ws, bs)
        by_hand.append(float(loss))
        Ws = [sgd_step(w, g, alpha=0.3) for w, g in zip(Ws, g_Ws)]
        bs = [sgd_step(w, g, alpha=0.3) for w, g in zip(bs, g_bs)]

        logits = torch.relu(few @ twins[0].T + twins[2]) @ twins[1].T + twins[3]
        loss = torch.nn.functional.cross_entropy(logits, their)
        by_autograd.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    apart = max((w - twin).abs().max().item() for w, twin in zip((*Ws, *bs), twins))
    print(f"loss {by_hand[0]:.2f} → {by_hand[-1]:.3f}, largest difference of a weight from autograd's {apart:.0e}")

    figure, axes = plt.subplots(figsize=(6.5, 3))
    axes.semilogy(by_autograd, color="C1", linewidth=5, alpha=0.4, label="autograd and torch.optim.SGD")
    axes.semilogy(by_hand, color="C0", linewidth=1.3, label="your backpropagation, your steps")
    axes.set(xlabel="step", ylabel="loss on the 32 examples")
    axes.legend()
    describe(
        figure,
        f"The loss on one batch of 32 digits, on a logarithmic axis, over 300 steps: from {by_hand[0]:.2f} to "
        f"{by_hand[-1]:.3f}. The curve by hand and that of autograd lie on each other.",
    )

# %% [markdown] tags=["momentum_step"]
# ### 4.2 `momentum_step`
#
# "(Some) better optimization techniques", says the slide "What's changed since the 80s?" Two of them. Momentum keeps a
# velocity $v$, at first 0, in which gradients that agree add up and those that alternate cancel:
#
# $$v \leftarrow \beta v + g, \qquad w \leftarrow w - \alpha v.$$
#
# Under a constant $g$, $v$ grows to $g / (1 - \beta)$: with $\beta = 0.9$, take an $\alpha$ ten times smaller than
# before. (Some texts put $\alpha$ or $1 - \beta$ into $v$; this is torch's form.)


# %%
def momentum_step(w, g, v, alpha, beta):
    """One step of gradient descent with momentum.

    w, g, v  a parameter, its gradient and its velocity, of one shape
    alpha    the step size;  beta  the share of v that is kept
    Returns the new w and the new v.
    """
    ### BEGIN SOLUTION
    v = beta * v + g
    return w - alpha * v, v
    ### END SOLUTION


# %%
lab.show(momentum_step, torch.tensor([1.0, 2.0]), torch.tensor([1.0, -1.0]), torch.tensor([1.0, 1.0]), 0.1, 0.5)

# %% [markdown]
# ```
# w = tensor([0.8500, 2.0500])
# v = tensor([ 1.5000, -0.5000])
# ```

# %%
lab.check(momentum_step).points

# %% [markdown] tags=["adam_step"]
# ### 4.3 `adam_step`
#
# Adam (Kingma and Ba, 2015) gives each entry its own step size. It keeps running means of $g$ and of $g^2$,
#
# $$m \leftarrow \beta_1 m + (1 - \beta_1)\, g, \qquad v \leftarrow \beta_2 v + (1 - \beta_2)\, g \circ g,$$
#
# both 0 at first and so too small at first, by exactly $1 - \beta^t$ if $g$ is constant. It divides that out and steps:
#
# $$\hat m = \frac{m}{1 - \beta_1^t}, \qquad \hat v = \frac{v}{1 - \beta_2^t}, \qquad
# w \leftarrow w - \alpha \frac{\hat m}{\sqrt{\hat v} + \epsilon}.$$
#
# $t$ counts steps **from 1**, and $\epsilon$ stands **outside** the root. Return $m$ and $v$ themselves, not the
# corrected ones.


# %%
def adam_step(w, g, m, v, t, alpha, beta1, beta2, eps):
    """One step of Adam.

    w, g          a parameter and its gradient, of one shape
    m, v          the running means of g and of its square, in the same shape
    t             the number of this step: 1, 2, …
    alpha         the step size
    beta1, beta2  the shares of m and of v that are kept
    eps           added to the root of v̂
    Returns the new w, m and v.
    """
    ### BEGIN SOLUTION
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return w - alpha * m_hat / (v_hat.sqrt() + eps), m, v
    ### END SOLUTION


# %%
w, g, zero = torch.tensor([1.0, 1.0]), torch.tensor([2.0, -0.01]), torch.zeros(2)
lab.show(adam_step, w, g, zero, zero, 1, 0.1, 0.9, 0.999, 1e-8)

# %% [markdown]
# In the first step $\hat m / \sqrt{\hat v} = g / |g|$: every entry moves by $\alpha$, whatever the size of its
# gradient. (The second entry of $v$ is $10^{-7}$.)
#
# ```
# w = tensor([0.9000, 1.1000])
# m = tensor([ 0.2000, -0.0010])
# v = tensor([0.0040, 0.0000])
# ```

# %%
lab.check(adam_step).points

# %% [markdown]
# Now the three against each other, on a narrow valley $\frac12 (w_1^2 + 25 w_2^2)$ for 30 steps and on the digits for
# ten epochs of 44 mini-batches (as many as 1,400 examples hold). A second or two. Expect SGD to zigzag and then crawl
# along the valley's floor, momentum to overshoot, and Adam to set out with equal steps in both directions. On the
# digits, expect mean losses in the tenth epoch of 0.09 for SGD, 0.07 for momentum and 0.05 for Adam. Other step sizes
# give another order: try some.


# %%
def descend(gradient, ws, step, buffers, steps):
    """Take steps; return the loss before each, and the parameters before the first and after each.

    gradient(*ws) returns the loss and a list of gradients; step(t, w, g, …) the new w and its new buffers.
    """
    states, losses, path = [[w] + buffers * [torch.zeros_like(w)] for w in ws], [], [ws]
    for t in range(1, steps + 1):
        loss, gs = gradient(*path[-1])
        states = [step(t, w, g, *kept) for (w, *kept), g in zip(states, gs)]
        losses.append(float(loss))
        path.append([w for w, *_ in states])
    return losses, path


def steppers(sgd, momentum, adam):
    """Your three steps at these step sizes, each with the number of buffers that it keeps."""
    return {
        "sgd": (lambda t, w, g: [sgd_step(w, g, sgd)], 0),
        "momentum": (lambda t, w, g, v: momentum_step(w, g, v, momentum, 0.9), 1),
        "adam": (lambda t, w, g, m, v: adam_step(w, g, m, v, t, adam, 0.9, 0.999, 1e-8), 2),
    }


def digits_loss(W_1, W_2, b_1, b_2):
    """Loss and gradients on 32 training examples, drawn anew at each call."""
    drawn = torch.randint(len(X_train), (32,), generator=generator)
    loss, g_Ws, g_bs = mlp_backward(X_train[drawn], y_train[drawn], [W_1, W_2], [b_1, b_2])
    return loss, [*g_Ws, *g_bs]


with when_written():
    curvature, start = torch.tensor([1.0, 25.0]), torch.tensor([-9.0, 1.5])
    paths, losses = {}, {}
    for name, stepper in steppers(sgd=0.07, momentum=0.02, adam=0.5).items():
        path = descend(lambda w: ((curvature * w**2).sum() / 2, [curvature * w]), [start], *stepper, steps=30)[1]
        paths[name] = torch.stack([w for [w] in path])
    for name, stepper in steppers(sgd=0.3, momentum=0.05, adam=0.01).items():
        generator = torch.Generator().manual_seed(0)
        Ws, bs = small_network([64, 32, 10], seed=0)
        losses[name] = np.reshape(descend(digits_loss, [*Ws, *bs], *stepper, steps=440)[0], (10, 44)).mean(1)
        print(f"{name:<9} mean loss in epoch 1: {losses[name][0]:.2f}, in epoch 10: {losses[name][-1]:.2f}")

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4))
    w_1, w_2 = np.meshgrid(np.linspace(-10, 4, 99), np.linspace(-2.2, 2.2, 99))
    left.contour(w_1, w_2, (w_1**2 + 25 * w_2**2) / 2, levels=[1, 4, 12, 30, 60, 100], colors="0.8", linewidths=0.8)
    for name, marker in zip(paths, "os^"):
        left.plot(*paths[name].T, marker=marker, markersize=3, linewidth=1, label=name)
        right.semilogy(range(1, 11), losses[name], marker=marker, markersize=4, label=name)
    left.set(xlabel="$w_1$", ylabel="$w_2$", title="30 steps in a valley")
    right.set(xlabel="epoch", ylabel="mean loss", title="digits, batches of 32")
    right.legend()
    describe(
        figure,
        "Left, the paths of SGD, momentum and Adam in a narrow valley: SGD zigzags, then crawls along the floor; "
        "momentum swings widely and past the minimum; Adam starts diagonally and swings a little. Right, the mean "
        "loss on the digits in each of ten epochs on a logarithmic axis, ending at "
        + ", ".join(f"{losses[name][-1]:.2f} for {name}" for name in losses)
        + ".",
    )

# %%
lab.progress()

# %% [markdown]
# ## 5 What's changed since the 80s?
#
# The slide names more data, faster computers and three ideas. Dropout and pre-training you write; non-linear functions
# you have, and watch.

# %% [markdown] tags=["dropout"]
# ### 5.1 `dropout`
#
# "During training and computation of gradients, randomly set about half the hidden units to zero (a different randomly
# selected set for each stochastic gradient step)" (Hinton et al., 2012). With $p$ the probability of *dropping*, and a
# mask drawn entry by entry, True = kept:
#
# $$\text{out} = \frac{1}{1 - p}\; \text{mask} \circ Z, \qquad P(\text{mask}_{rj} = 1) = 1 - p.$$
#
# *Departures from the slide.* The factor $1/(1-p)$ keeps the mean of each entry at $Z$, so that nothing is to be done
# at test time ("inverted" dropout); Hinton's halves the weights then. And each *row* has its own mask, not each step.
#
# Draw with `torch.rand(…, generator=generator)`: a generator in, and the same mask comes out tomorrow.


# %%
def dropout(Z, p, generator):
    """Set each entry to 0 with probability p, and scale the others so that the mean stays.

    Z          a tensor of any shape
    p          the probability of dropping an entry, 0 ≤ p < 1
    generator  a torch.Generator, from which the random numbers come
    Returns out, in the shape of Z, and mask, a boolean tensor of that shape: True where the entry is kept.
    """
    ### BEGIN SOLUTION
    mask = torch.rand(Z.shape, generator=generator) >= p
    return Z * mask / (1 - p), mask
    ### END SOLUTION


# %%
lab.show(dropout, torch.ones(3, 6), 0.2, torch.Generator().manual_seed(2))

# %% [markdown]
# About one entry in five is 0, the others are $1 / 0.8 = 1.25$. Which ones depends on how you use the random numbers:
#
# ```
# out = tensor([[1.2500, 0.0000, 1.2500, 1.2500, 1.2500, 1.2500],
#         [0.0000, 1.2500, 1.2500, 1.2500, 0.0000, 1.2500],
#         [1.2500, 1.2500, 1.2500, 1.2500, 1.2500, 0.0000]])
# ```
#
# and the mask is True where `out` is not 0. Over many draws the mean must come back to $Z$. Expect about 0.03 here:

# %%
with when_written():
    generator, Z = torch.Generator().manual_seed(0), torch.ones(3, 6)
    mean = sum(dropout(Z, 0.2, generator)[0] for _ in range(2000)) / 2000
    print(f"largest distance of the mean of 2,000 draws from Z: {(mean - Z).abs().max():.3f}")

# %%
lab.check(dropout).points

# %% [markdown] tags=["dropout_backward"]
# ### 5.2 `dropout_backward`
#
# Once its mask is drawn, dropout multiplies each entry by a number. Its Jacobian is diagonal.


# %%
def dropout_backward(G, mask, p):
    """The gradient of dropout.

    G     gradient of the loss with respect to out
    mask  boolean, in the shape of G: the mask that the forward pass drew
    p     the probability of dropping
    Returns G_Z, the gradient with respect to Z.
    """
    ### BEGIN SOLUTION
    return G * mask / (1 - p)
    ### END SOLUTION


# %%
lab.show(dropout_backward, torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[True, False, True]]), 0.5)

# %% [markdown]
# ```
# G_Z = tensor([[2., 0., 6.]])
# ```

# %%
lab.check(dropout_backward).points

# %% [markdown] tags=["why_dropout"]
# **Question.** Why must `dropout_backward` be given the mask of the forward pass, where a new one has the same
# distribution? And why is there no dropout, and no factor, at test time?
#
# *Your answer:*

# %% [markdown] tags=["autoencoder_backward"]
# ### 5.3 `autoencoder_backward`
#
# Unsupervised pre-training (Hinton et al., 2006): "have the hidden layers recreate their input, one layer at a time".
# One such layer is an *autoencoder*. It encodes, and decodes with the same $W$, transposed ("tied"):
#
# $$H = \sigma(X W^T + b), \qquad \hat X = \sigma(H W + c), \qquad
# \text{loss} = \frac1m \sum_{r=1}^m \sum_{j=1}^n (\hat X_{rj} - X_{rj})^2.$$
#
# It is a network of two layers, and you have both backward passes. What is new is that $W$ stands in it twice. Call the
# two uses $W$ and $V$; moving the shared weight moves both, so the chain rule adds: $\nabla_W$ is the gradient of the
# first use plus that of the second, each in the shape of $W$.
#
# *Departure from the paper:* Hinton's layers were restricted Boltzmann machines; autoencoders like this one came soon
# after (Bengio et al., 2007) and are what the slide describes.


# %%
def autoencoder_backward(X, W, b, c):
    """The loss of an autoencoder with tied weights, and its gradients.

    X  (m, n)  a row for each example, entries in [0, 1]
    W  (k, n),  b  (k,),  c  (n,)
    Returns loss, a number, and g_W (k, n), g_b (k,), g_c (n,).
    """
    ### BEGIN SOLUTION
    m = len(X)
    H, dH = sigmoid(X @ W.T + b)
    X_hat, dX_hat = sigmoid(H @ W + c)
    loss = ((X_hat - X) ** 2).sum(dim=1).mean()
    D = 2 * (X_hat - X) / m * dX_hat
    E = D @ W.T * dH
    return loss, H.T @ D + E.T @ X, E.sum(dim=0), D.sum(dim=0)
    ### END SOLUTION


# %%
lab.show(autoencoder_backward, torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, -1.0]]), torch.zeros(1), torch.zeros(2))

# %% [markdown]
# One example, one hidden unit $H = \sigma(1) = 0.731$, $\hat X = (\sigma(0.731), \sigma(-0.731)) = (0.675, 0.325)$:
#
# ```
# loss = 0.211201
# g_W = tensor([[-0.1603,  0.1042]])
# g_b = tensor([-0.0561])
# g_c = tensor([-0.1426,  0.1426])
# ```

# %%
lab.check(autoencoder_backward).points

# %% [markdown]
# What does it learn? 25 hidden units, 64 pixels, no labels, your Adam, 30 epochs: about two seconds. Expect the loss, a
# squared error summed over the 64 pixels, to fall from 11.2 to about 0.6. Each hidden unit's row of $W$ is drawn as an
# 8 × 8 image, blue where positive, red where negative: nothing in the data prescribed these features.


# %%
def reconstruction_loss(W, b, c):
    """Loss and gradients on 32 training examples, drawn anew at each call."""
    drawn = torch.randint(len(X_train), (32,), generator=generator)
    loss, *gs = autoencoder_backward(X_train[drawn], W, b, c)
    return loss, gs


with when_written():
    generator = torch.Generator().manual_seed(0)
    start = [0.1 * torch.randn(25, 64, generator=generator), torch.zeros(25), torch.zeros(64)]
    stepper = steppers(sgd=0.1, momentum=0.01, adam=0.01)["adam"]
    curve, path = descend(reconstruction_loss, start, *stepper, steps=30 * 44)
    W, b, c = path[-1]
    X_hat = sigmoid(sigmoid(X_test[:12] @ W.T + b)[0] @ W + c)[0]
    print(f"loss {curve[0]:.1f} → {np.mean(curve[-44:]):.2f}")

    figure = plt.figure(figsize=(9.5, 4.2))
    filters = figure.add_gridspec(5, 5, left=0, right=0.36, wspace=0.08, hspace=0.08)
    copies = figure.add_gridspec(2, 12, left=0.44, right=1, bottom=0.64, wspace=0.08, hspace=0.08)
    limit = W.abs().max()
    for i, row in enumerate(W):
        axes = figure.add_subplot(filters[i // 5, i % 5])
        axes.imshow(row.reshape(8, 8), cmap="RdBu", vmin=-limit, vmax=limit)
        axes.axis("off")
    for i, image in enumerate([*X_test[:12], *X_hat]):
        axes = figure.add_subplot(copies[i // 12, i % 12])
        axes.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        axes.axis("off")
    axes = figure.add_axes([0.52, 0.12, 0.47, 0.42])
    axes.plot(range(1, 31), np.reshape(curve, (30, 44)).mean(1))
    axes.set(xlabel="epoch", ylabel="mean loss", ylim=(0, None))
    describe(
        figure,
        "Left, the 25 rows of W as images of 8 by 8 pixels: spots and strokes, red and blue. Upper right, "
        "twelve digits that the autoencoder has not seen, and below each its reconstruction, nearly the same. Lower "
        f"right, the mean loss, falling over 30 epochs to {np.mean(curve[-44:]):.2f}.",
    )

# %% [markdown]
# To pre-train a deep network, take $H$ for the next layer's $X$ and go on; then train the whole with labels. "The
# general feeling now is that it doesn't help much", says the slide; the next idea is one reason why.

# %% [markdown]
# ### 5.4 Different non-linear functions
#
# "Use non-linearity $f(x) = \max\{0, x\}$ instead of $f(x) = \tanh(x)$" (Nair and Hinton, 2010). The cell sends one
# gradient through 20 layers of 50 units with your `backpropagation`, and draws the size of $\nabla_{b_i}$ in each
# layer. The weights have variance $1/n_i$, for ReLU $2/n_i$: it lets half the units through.
#
# Expect $\nabla_{b_1}$ to be about $10^{-12}$ of $\nabla_{b_{20}}$ with sigmoid, and within a factor of ten with the
# other two.

# %%
with when_written():
    sizes = {}
    for f, variance in ((tanh, 1), (sigmoid, 1), (relu, 2)):
        generator = torch.Generator().manual_seed(0)
        Ws = [torch.randn(50, 50, generator=generator) * math.sqrt(variance / 50) for _ in range(20)]
        x, y = torch.randn(2, 50, generator=generator)
        _, _, g_bs = backpropagation(x, y, Ws, [torch.zeros(50)] * 20, [f] * 20, squared_error)
        sizes[f.__name__] = [g_b.norm().item() for g_b in g_bs]
        print(f"{f.__name__:<8} |∇b_1| is {sizes[f.__name__][0] / sizes[f.__name__][-1]:.0e} of |∇b_20|")

    figure, axes = plt.subplots(figsize=(6.5, 3.2))
    for (name, values), marker in zip(sizes.items(), "os^"):
        axes.semilogy(range(1, 21), values, marker=marker, markersize=4, label=name)
    axes.set(xlabel="layer i", ylabel=r"$\|\nabla_{b_i}\|$", xticks=range(1, 21, 3))
    axes.legend()
    describe(
        figure,
        "Size of the gradient of b_i against the layer i from 1 to 20, on a logarithmic axis. With sigmoid it falls by "
        "twelve powers of ten from layer 20 down to layer 1; with tanh and ReLU it stays within a factor of ten.",
    )

# %% [markdown] tags=["why_relu"]
# **Question.** Explain the line of the sigmoid from the formula of $g_i$ and the numbers of part 2: why a straight line
# on this axis? Why does ReLU not share its fate, and what may happen to a ReLU unit that cannot happen to a tanh unit?
#
# *Your answer:*

# %%
lab.progress()

# %% [markdown] tags=["train_mlp"]
# ## 6 Train
#
# ### 6.1 `train_mlp`
#
# **Rung 4.** All of it together: a 64-$h$-10 network ($h$ is yours to choose, at most 256) with ReLU, trained by *your*
# `mlp_backward` and any of your steps. Start with random weights (why not with zeros?) of variance $2/n_i$ and zero
# biases, then pass over the data several times, in mini-batches and in a new random order each time. Draw all random
# numbers from one generator with the given `seed`.
#
# The check hands over digits with pixels and labels permuted, 1,200 to train on, and measures the accuracy of your
# weights on 597 others. 92 % has full points.


# %%
def train_mlp(X, y, seed):
    """Train a 64-h-10 ReLU network by hand-written backpropagation.

    X     (m, 64)  images, a row each, pixels in [0, 1]
    y     (m,)     the index of the right class, 0 to 9
    seed  an integer, for the generator of all random numbers
    Returns Ws = [W_1 (h, 64), W_2 (10, h)] and bs = [b_1 (h,), b_2 (10,)].
    """
    ### BEGIN SOLUTION
    generator = torch.Generator().manual_seed(seed)
    h = 64
    W_1 = torch.randn(h, 64, generator=generator) * math.sqrt(2 / 64)
    W_2 = torch.randn(10, h, generator=generator) * math.sqrt(2 / h)
    Ws, bs = [W_1, W_2], [torch.zeros(h), torch.zeros(10)]
    for _ in range(20):
        for batch in torch.randperm(len(X), generator=generator).split(32):
            _, g_Ws, g_bs = mlp_backward(X[batch], y[batch], Ws, bs)
            Ws = [sgd_step(W, g, 0.1) for W, g in zip(Ws, g_Ws)]
            bs = [sgd_step(b, g, 0.1) for b, g in zip(bs, g_bs)]
    return Ws, bs
    ### END SOLUTION


# %% [markdown]
# Try it on the digits as they are. With $h = 64$, 20 epochs, batches of 32 and $\alpha = 0.1$, expect half a second,
# and about 97 % of the training and 95 % of the held-out digits right. The figure shows the rows of $W_1$ as images,
# and digits that the network takes for others: some would give you pause, too.

# %%
with when_written():
    Ws, bs = train_mlp(X_train, y_train, seed=0)
    guess_train, guess = [(relu(X @ Ws[0].T + bs[0])[0] @ Ws[1].T + bs[1]).argmax(1) for X in (X_train, X_test)]
    wrong = (guess != y_test).nonzero()[:, 0]
    print(f"right: {(guess_train == y_train).double().mean():.1%} of the training digits,", end=" ")
    print(f"{(guess == y_test).double().mean():.1%} of the held-out ones ({len(wrong)} of {len(y_test)} wrong)")

    figure, panels = plt.subplots(4, 12, figsize=(9.5, 4))
    for axes in panels.flat:
        axes.axis("off")
    limit = Ws[0].abs().max()
    for axes, row in zip(panels[:2].flat, Ws[0]):
        axes.imshow(row.reshape(8, 8), cmap="RdBu", vmin=-limit, vmax=limit)
    for axes, i in zip(panels[2:].flat, wrong):
        axes.imshow(X_test[i].reshape(8, 8), cmap="gray_r")
        axes.set_title(f"{guess[i]}, not {y_test[i]}", fontsize=8)
    describe(
        figure,
        f"Above, {min(24, len(Ws[0]))} rows of W_1 as images of 8 by 8 pixels, red and blue, noisier than the "
        "autoencoder's. Below, held-out digits taken for others: "
        + ", ".join(f"{y_test[i]} for {guess[i]}" for i in wrong[:24])
        + ".",
    )

# %%
lab.check(train_mlp).points

# %%
lab.progress()

# %% [markdown]
# ## 7 Extra
#
# Beside the 100 points of the lab.

# %% [markdown] tags=["tape"]
# ### 7.1 `tape`
#
# "Fortunately, a lot of this work has already been done for you": autograd, from inside, in some forty lines. A
# variable remembers the operation that made it; backpropagation is then a walk over what was remembered.
#
# Write a class `Variable` with
#
# * a value, a gradient that starts at 0, and its parents, each with a function that takes the gradient of *this*
#   variable to the share that belongs to the parent;
# * the operations `+`, `*` (elementwise) and `@` between variables, `.tanh()` and `.sum()`. The two sides of `+` and
#   `*` have equal shapes, two scalars included; nothing broadcasts. `@` is between matrices. (You wrote its gradient in
#   3.3.)
#
# and `tape(f, xs)`, which wraps `xs` in variables, calls `f` with them, starts with the gradient 1 at the scalar that
# comes out, and passes gradients on from each variable to its parents, *adding up* where they meet. A variable may pass
# its gradient on only when it is complete: when all that use it have passed theirs. A reverse topological order sees to
# that, also where a variable is used twice.

# %%
# Your class Variable goes here; the name is yours to choose.
### BEGIN SOLUTION


class Variable:
    """A tensor that remembers how it was made: pairs of a parent and the function that takes a gradient to it."""

    def __init__(self, value, parents=()):
        self.value, self.parents, self.grad = value, parents, 0

    def __add__(self, other):
        return Variable(self.value + other.value, [(self, lambda g: g), (other, lambda g: g)])

    def __mul__(self, other):
        parents = [(self, lambda g: g * other.value), (other, lambda g: g * self.value)]
        return Variable(self.value * other.value, parents)

    def __matmul__(self, other):
        parents = [(self, lambda g: g @ other.value.T), (other, lambda g: self.value.T @ g)]
        return Variable(self.value @ other.value, parents)

    def tanh(self):
        f = self.value.tanh()
        return Variable(f, [(self, lambda g: g * (1 - f**2))])

    def sum(self):
        return Variable(self.value.sum(), [(self, lambda g: g * torch.ones_like(self.value))])


### END SOLUTION


# %%
def tape(f, xs):
    """The gradients of a scalar expression by reverse-mode automatic differentiation.

    f   a function of len(xs) variables that support + * @ .tanh() .sum(); returns a scalar variable
    xs  list of tensors
    Returns a list: the gradient of f with respect to each of xs, in its shape.
    """
    ### BEGIN SOLUTION
    variables = [Variable(x) for x in xs]
    order, seen = [], set()

    def visit(variable):
        if id(variable) not in seen:
            seen.add(id(variable))
            for parent, _ in variable.parents:
                visit(parent)
            order.append(variable)

    output = f(*variables)
    visit(output)
    output.grad = 1
    for variable in reversed(order):
        for parent, pull in variable.parents:
            parent.grad = parent.grad + pull(variable.grad)
    return [variable.grad for variable in variables]
    ### END SOLUTION


# %%
lab.show(tape, lambda a, b: (a * b + a).sum(), [torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])])

# %% [markdown]
# With respect to $a$, used twice, it is $b + 1$; with respect to $b$ it is $a$:
#
# ```
# gs = [tensor([4., 5.]), tensor([1., 2.])]
# ```
#
# Your tape and your `backpropagation` must agree on a network, here $\sum_j \tanh(W_2 \tanh(W_1 x))_j$. Expect about
# $10^{-16}$.

# %%
with when_written():
    generator = torch.Generator().manual_seed(0)
    W_1, W_2, x = (torch.randn(*shape, generator=generator) for shape in ((5, 3), (2, 5), (3, 1)))
    taped = tape(lambda W_1, W_2, x: (W_2 @ (W_1 @ x).tanh()).tanh().sum(), [W_1, W_2, x])
    zeros = [torch.zeros(5), torch.zeros(2)]
    _, g_Ws, _ = backpropagation(x[:, 0], None, [W_1, W_2], zeros, [tanh, tanh], lambda z, y: (z.sum(), torch.ones(2)))
    difference = max((mine - theirs).abs().max() for mine, theirs in zip(taped, g_Ws))
    print(f"largest difference: {difference:.0e}")

# %%
lab.check(tape).points

# %% [markdown] tags=["products"]
# ### 7.2 `products`
#
# "We'd be repeating a lot of work", says the slide. How much? Take the matrices $W_1, \dots, W_{k-1}$ of a network,
# with $g_k$ known. Count the products of a $W_i^T$ with a vector that are needed to have *every* $g_i$,
# $i = 1, \dots, k-1$:
#
# * `without`: each $g_i$ on its own, from $g_k$ down to $i$ again;
# * `cached`: each $g_i$ from $g_{i+1}$, as backpropagation does.


# %%
def products(Ws):
    """Count the products W_iᵀ (…) that lead from g_k to every g_i, i = 1, …, k - 1.

    Ws  list of the k - 1 weight matrices
    Returns two integers: without, each g_i from g_k again, and cached, each g_i from g_{i+1}.
    """
    ### BEGIN SOLUTION
    n = len(Ws)
    return n * (n + 1) // 2, n
    ### END SOLUTION


# %%
lab.show(products, [torch.ones(3, 2), torch.ones(4, 3), torch.ones(1, 4)])

# %% [markdown]
# ```
# without = 6
# cached = 3
# ```
#
# With the 152 layers of the ResNet that comes later in the course it would be some 11,600 against 152.

# %%
lab.check(products).points

# %%
lab.progress()
