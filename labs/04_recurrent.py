# %% [markdown]
# # Lab 4: Recurrent neural networks
#
# CMU 15-780, "Deep Learning", slides "Predicting temporal data" to "Char-RNN trained character-by-character level on
# the Linux source code"
#
# You write back-propagation through time, see gradients vanish, write an LSTM with all of its gradients, and put them
# together to a char-RNN; at the end your LSTM learns to close brackets, and a plain RNN of the same size does not.
# About three hours, a laptop, no GPU, no network.
#
# * **Write** between the two marker lines that begin with `###` (leave them in), in place of the
#   `raise NotImplementedError`. You may add functions and cells of your own.
# * **Try** it on numbers small enough to follow on paper; the text says what to expect.
# * **Check** it: `lab.check(f)` draws inputs of odd shapes and compares with autograd. Where they differ it says which
#   output, where, and, for many common mistakes, why. `lab.replay(…)`, its last line, gives you that case's inputs.
#   The grader asks the same questions with other numbers and shapes.
# * Cells that need what you have not written say so and go on: *Run All* works from the first minute.
#
# ## The lab's table
#
# | function | arguments | returns | not allowed |
# |---|---|---|---|
# | `rnn_step` | `x (m, n)`, `z_prev (m, k)`, `W_xz (k, n)`, `W_zz (k, k)`, `b_1 (k,)` | `z (m, k)` | R |
# | `rnn_backward` | `G (T, m, k)`, `X`, `z_0 (m, k)`, `W_xz`, `W_zz`, `b_1` | `G_X`, `G_z_0`, `G_W_xz`, … | R |
# | `clip_gradients` | `gs`, a list, `c` > 0 | `clipped`, a list; `norm`, a number | C |
# | `vanishing` | `X (T, n)`, `z_0 (k,)`, `W_xz`, `W_zz`, `b_1` | `norms (T,)` | R |
# | `lstm_step` | `x`, `h_prev`, `c_prev (m, k)`, `W_ih (4k, n)`, `W_hh (4k, k)`, `b_ih`, `b_hh (4k,)` | `h`, `c` | R |
# | `lstm_step_backward` | `G_h`, `G_c (m, k)`, `x`, …, `b_hh` | `G_x`, `G_h_prev`, `G_c_prev`, `G_W_ih`, … | R |
# | `lstm_backward` | `G_H (T, m, k)`, `G_c (m, k)`, `X`, `h_0`, `c_0`, …, `b_hh` | `G_X`, `G_h_0`, `G_c_0`, … | R |
# | `embedding_backward` | `G (T, m, n)`, `x (T, m)`, `E (V, n)` | `G_E (V, n)` | |
# | `char_rnn_backward` | `X`, `y (T, m)`, `P`, a dict | `loss`, a dict with the keys of `P` | R |
# | `bracket` | `X (T, m)`, `y (m,)`, `seed` | `P`, a dict | O |
# | *extra* `sample` | `logits (m, V)`, `temperature` > 0, `generator` | `symbols (m,)` | |
# | *extra* `gru_backward` | `G`, `X`, `h_0`, `W_ih (3k, n)`, `W_hh (3k, k)`, `b_ih`, `b_hh` | `G_X`, `G_h_0`, … | R |
# | *extra* `truncated_backward` | `G`, `X`, `z_0`, `W_xz`, `W_zz`, `b_1`, `s` | `Z`, `G_W_xz`, `G_W_zz`, `G_b_1` | R |
#
# **Not allowed.** **R** torch's own recurrent layers and cells (`nn.RNN`, `nn.LSTM`, `nn.GRU`, `torch.lstm_cell`, …);
# **C** `clip_grad_norm_` and its kin; **O** `torch.optim`; and everywhere autograd by any path: `backward`,
# `torch.autograd`, `torch.func` and torch's own backward kernels. All else is allowed.
#
# **Rules.** Time comes first: `X` is `(T, m, n)`, `X[t]` is the batch at one time, and a batch is rows. A gradient has
# the shape of what it belongs to; it is summed over time and over the batch, never averaged: the mean comes with the
# loss. The gates stand one above the other in torch's order, *i, f, g, o*, and there are two biases, as in `nn.LSTM`.
# A function returns new tensors and leaves its inputs as they were.

# %%
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F

from dl780 import Lab

lab = Lab("recurrent")
torch.set_default_dtype(torch.float64)  # twice the digits of float32: a wrong gradient cannot pass for rounding

# %% [markdown]
# What the figures below use. Run the cell; there is no need to read it.

# %%
import inspect
import random
import textwrap
from base64 import b64encode
from contextlib import contextmanager
from html import escape
from io import BytesIO
from itertools import pairwise
from time import perf_counter

from IPython.display import HTML, display

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
# ## 1 Basic recurrent neural network
#
# "In practice, we often want to predict a *sequence* of outputs, given a sequence of inputs". A recurrent network keeps
# a hidden state over time, a function of the current input *and of the previous hidden state*:
#
# $$z^{(t)} = f_1(W_{xz}\, x^{(t)} + W_{zz}\, z^{(t-1)} + b_1), \qquad \hat y^{(t)} = f_2(W_{zy}\, z^{(t)} + b_2),
# \qquad z^{(0)} = 0.$$
#
# *Departures from the slides.* The slide writes $z_2^{(t)}$ on the left of the first equation and $z^{(t)}$ in the
# second. They are the same thing, and the 2 is a misprint. "Training recurrent neural networks" lets the first state be
# "all zeros"; here it is an argument, $z^{(0)}$, since it has a gradient like everything else, and you will need it.

# %%
figure, axes = plt.subplots(figsize=(7.5, 3.2))
for t in range(1, 5):
    for y, name in ((0, "x"), (1, "z"), (2, r"\hat y")):
        axes.annotate(f"${name}^{{({t})}}$", (1.6 * t, y), ha="center", va="center", fontsize=12, zorder=3)
        axes.scatter(1.6 * t, y, s=900, facecolor="white", edgecolor="black", zorder=2)
        if y:
            axes.annotate("", (1.6 * t, y - 0.22), (1.6 * t, y - 0.78), arrowprops=dict(arrowstyle="->", shrinkA=0))
    axes.annotate("", (1.6 * t - 0.3, 1), (1.6 * t - 1.3, 1), arrowprops=dict(arrowstyle="->"))
    axes.text(1.6 * t + 0.08, 0.5, "$W_{xz}$", fontsize=10, va="center")
    axes.text(1.6 * t + 0.08, 1.5, "$W_{zy}$", fontsize=10, va="center")
    axes.text(1.6 * t - 0.8, 1.1, "$W_{zz}$", fontsize=10, ha="center")
axes.annotate("$z^{(0)}$", (0, 1), ha="center", va="center", fontsize=12)
axes.set(xlim=(-0.5, 7.2), ylim=(-0.4, 2.4))
axes.axis("off")
describe(
    figure,
    "A recurrent network unrolled over four steps: columns of x, z and y-hat, joined upwards by W_xz and W_zy, and "
    "from each z to the next by W_zz, the same three matrices in every column. On the left the first state z(0).",
)

# %% [markdown] tags=["rnn_step"]
# ### 1.1 `rnn_step`
#
# One step, with $f_1 = \tanh$, for a batch of rows.


# %%
def rnn_step(x, z_prev, W_xz, W_zz, b_1):
    """One step of a recurrent network with tanh.

    x       (m, n)  the inputs at this time;  z_prev  (m, k)  the state of the step before
    W_xz    (k, n);  W_zz  (k, k);  b_1  (k,)
    Returns z (m, k), the new state.
    """
    ### BEGIN SOLUTION
    return torch.tanh(x @ W_xz.T + z_prev @ W_zz.T + b_1)
    ### END SOLUTION


# %%
x, W_xz = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.1, 0.2]])
lab.show(rnn_step, x, torch.tensor([[0.5]]), W_xz, torch.tensor([[1.0]]), torch.tensor([-0.5]))

# %% [markdown]
# $\tanh(0.1 + 0.4 + 0.5 - 0.5) = \tanh 0.5$:
#
# ```
# z = tensor([[0.4621]])
# ```

# %%
lab.check(rnn_step).points

# %% [markdown]
# ## 2 Training recurrent neural networks
#
# "Unroll" the network on $x^{(1:T)}, y^{(1:T)}$ and minimise $\sum_t \ell(\hat y^{(t)}, y^{(t)})$: this is
# "backpropagation in a 'deep' network where each layer is constrained to have the same weights".

# %% [markdown] tags=["rnn_backward"]
# ### 2.1 `rnn_backward`
#
# Every state has an output, so gradients enter at every step: $G^{(t)}$ is the loss's gradient by way of
# $\hat y^{(t)}$ alone. Through $z^{(t+1)}$ comes another. With $g^{(t)}$ for what step $t+1$ hands back
# ($g^{(T)} = 0$), the lecture's two backpropagation equations become, in rows,
#
# $$D^{(t)} = (G^{(t)} + g^{(t)}) \circ f_1'^{(t)}, \qquad g^{(t-1)} = D^{(t)} W_{zz}, \qquad G_{x}^{(t)} = D^{(t)}
# W_{xz},$$
#
# $$G_{W_{xz}} = \sum_t D^{(t)T} x^{(t)}, \qquad G_{W_{zz}} = \sum_t D^{(t)T} z^{(t-1)}, \qquad G_{b_1} = \sum_t \sum_i
# D^{(t)}_i,$$
#
# with $\tanh' = 1 - z^2$. What is left at the end is $g^{(0)}$, the gradient of the first state. Run forward with your
# `rnn_step`, keep the states, and come back.


# %%
def rnn_backward(G, X, z_0, W_xz, W_zz, b_1):
    """The gradients of a recurrent network, through time.

    G     (T, m, k)  gradient of the loss with respect to every z(t), by way of its own output
    X     (T, m, n)  the inputs;  z_0  (m, k)  the first state
    W_xz  (k, n);  W_zz  (k, k);  b_1  (k,)
    Returns G_X (T, m, n), G_z_0 (m, k), G_W_xz (k, n), G_W_zz (k, k), G_b_1 (k,).
    """
    ### BEGIN SOLUTION
    Z = [z_0]
    for x in X:
        Z.append(rnn_step(x, Z[-1], W_xz, W_zz, b_1))
    G_X, G_W_xz, G_W_zz, G_b_1 = (torch.zeros_like(w) for w in (X, W_xz, W_zz, b_1))
    g = torch.zeros_like(z_0)
    for t in reversed(range(len(X))):
        D = (G[t] + g) * (1 - Z[t + 1] ** 2)
        G_X[t] = D @ W_xz
        G_W_xz += D.T @ X[t]
        G_W_zz += D.T @ Z[t]
        G_b_1 += D.sum(dim=0)
        g = D @ W_zz
    return G_X, g, G_W_xz, G_W_zz, G_b_1
    ### END SOLUTION


# %%
one = torch.ones(1, 1)
lab.show(rnn_backward, torch.tensor([[[0.0]], [[1.0]]]), torch.zeros(2, 1, 1), one, one, 0.5 * one, torch.zeros(1))

# %% [markdown]
# One unit, two steps, no input: $z^{(1)} = \tanh 0.5 = 0.4621$, $z^{(2)} = \tanh 0.2311 = 0.2270$, and a loss on the
# second only. $D^{(2)} = 1 - 0.2270^2 = 0.9485$, and half of it comes back to $z^{(1)}$:
#
# ```
# G_X = tensor([[[0.3730]],
#
#         [[0.9485]]])
# G_z_0 = tensor([[0.1865]])
# G_W_xz = tensor([[0.]])
# G_W_zz = tensor([[0.8113]])
# G_b_1 = tensor([1.3214])
# ```
#
# $G_{W_{zz}} = 0.9485 \cdot 0.4621 + 0.3730 \cdot 1$: it is used twice, and both uses count. **The gradient check** of
# the ladder, against differences along one random direction for each input. Expect about $10^{-9}$:

# %%
with when_written():
    source = torch.Generator().manual_seed(0)
    inputs = dict(X=(5, 2, 3), z_0=(2, 4), W_xz=(4, 3), W_zz=(4, 4), b_1=(4,))
    inputs = {name: 0.5 * torch.randn(shape, generator=source) for name, shape in inputs.items()}
    G = torch.randn(5, 2, 4, generator=source)

    def loss(X, z_0, *weights):
        total, z = 0.0, z_0
        for x, g in zip(X, G):
            z = rnn_step(x, z, *weights)
            total += (g * z).sum()
        return total

    for (name, w), g in zip(inputs.items(), rnn_backward(G, **inputs)):
        along, eps = torch.randn(w.shape, generator=source), 1e-6
        up, down = (loss(*(inputs | {name: w + step * along}).values()) for step in (eps, -eps))
        print(f"{name:<5} {abs((up - down) / (2 * eps) - (g * along).sum()):.0e}")

# %%
lab.check(rnn_backward).points

# %% [markdown] tags=["clip_gradients"]
# ### 2.2 `clip_gradients`
#
# A product of many matrices can be huge, and one step of gradient descent along it undoes all before. The remedy
# (Pascanu et al., 2013): take *all* gradients as one long vector, and where its norm exceeds $c$, shorten it to $c$.
# Its direction stays.
#
# $$\|g\| = \Big( \sum_i \|g_i\|^2 \Big)^{1/2}, \qquad g_i \leftarrow \min\Big(1, \frac{c}{\|g\|}\Big)\, g_i.$$
#
# `torch.nn.utils.clip_grad_norm_` divides by $\|g\| + 10^{-6}$; do as you like, but mind that all of them may be 0.


# %%
def clip_gradients(gs, c):
    """Gradients whose common norm is at most c.

    gs  a list of tensors;  c  a number, positive
    Returns clipped, a list like gs, and norm, the norm before clipping.
    """
    ### BEGIN SOLUTION
    norm = math.sqrt(sum((g**2).sum().item() for g in gs))
    factor = c / norm if norm > c else 1.0
    return [factor * g for g in gs], norm
    ### END SOLUTION


# %%
lab.show(clip_gradients, [torch.tensor([3.0, 0.0]), torch.tensor([[4.0]])], 1.0)

# %% [markdown]
# ```
# clipped = [tensor([0.6000, 0.0000]), tensor([[0.8000]])]
# norm = 5
# ```

# %%
lab.check(clip_gradients).points

# %% [markdown] tags=["vanishing"]
# ### 2.3 `vanishing`
#
# "Trouble with plain RNNs is that it is difficult to capture long-term dependencies." How much does $z^{(T)}$ still
# depend on $z^{(t)}$? By the chain rule
#
# $$\frac{\partial z^{(T)}}{\partial z^{(t)}} = J^{(T)} J^{(T-1)} \cdots J^{(t+1)}, \qquad J^{(t)} = \frac{\partial
# z^{(t)}}{\partial z^{(t-1)}} = \operatorname{diag}\big(1 - (z^{(t)})^2\big)\, W_{zz}.$$
#
# Return the spectral norm (the largest singular value: the most by which it lengthens a vector) of this product for
# $t = 0, \dots, T-1$. One sequence here, no batch: `X` is `(T, n)`, and `z_0` is `(k,)`.


# %%
def vanishing(X, z_0, W_xz, W_zz, b_1):
    """How much the last state depends on each one before.

    X     (T, n)  one sequence;  z_0  (k,)  its first state
    W_xz  (k, n);  W_zz  (k, k);  b_1  (k,)
    Returns norms (T,): norms[t] is the spectral norm of ∂z(T)/∂z(t), for t = 0, …, T-1.
    """
    ### BEGIN SOLUTION
    Z = [z_0]
    for x in X:
        Z.append(rnn_step(x[None], Z[-1][None], W_xz, W_zz, b_1)[0])
    norms, J = torch.zeros(len(X)), torch.eye(len(z_0))
    for t in reversed(range(len(X))):
        J = J @ ((1 - Z[t + 1] ** 2)[:, None] * W_zz)
        norms[t] = torch.linalg.matrix_norm(J, 2)
    return norms
    ### END SOLUTION


# %%
lab.show(vanishing, torch.zeros(3, 1), torch.zeros(1), torch.ones(1, 1), torch.tensor([[0.5]]), torch.zeros(1))

# %% [markdown]
# All states are 0, so tanh' is 1, and each step halves:
#
# ```
# norms = tensor([0.1250, 0.2500, 0.5000])
# ```
#
# Below, 50 steps of 32 units, with $W_{zz}$ an orthogonal matrix times a gain: it stretches every vector by that much.

# %%
with when_written():
    source = torch.Generator().manual_seed(0)
    Q = torch.linalg.qr(torch.randn(32, 32, generator=source))[0]
    X, W_xz = torch.randn(50, 8, generator=source), 0.05 * torch.randn(32, 8, generator=source)
    figure, axes = plt.subplots(figsize=(7, 3.2))
    for gain, style in ((0.7, ":"), (0.9, "-."), (1.0, "-"), (1.3, "--")):
        norms = vanishing(X, torch.zeros(32), W_xz, gain * Q, torch.zeros(32))
        axes.semilogy(50 - np.arange(50), norms, style, color="black", label=f"gain {gain}")
        print(f"gain {gain}: over 10 steps {norms[-10]:.1e}, over 50 steps {norms[0]:.1e}")
    axes.set(xlabel="steps back, $T - t$", ylabel=r"$\|\partial z^{(T)} / \partial z^{(t)}\|$")
    axes.legend(loc="lower left")
    describe(
        figure,
        "Norm of the derivative of the last state, on a logarithmic axis, over how many steps it goes back, for four "
        "gains of W_zz. For 0.7 and 0.9 straight lines down, by many orders of magnitude; for 1 a slow decrease; for "
        "1.3 at first an increase.",
    )

# %%
lab.check(vanishing).points

# %% [markdown] tags=["why_vanish"]
# **Question.** Bound $\|\partial z^{(T)} / \partial z^{(t)}\|$ by the largest singular value of $W_{zz}$. For which
# values *must* gradients vanish, and for which *may* they explode? Clipping cures one of the two. Why not the other?
#
# *Your answer:*

# %% [markdown]
# ## 3 Long short term memory (LSTM) networks
#
# "One solution … has more complex structure that specifically encodes memory and pass-through features". Beside its
# output $h$ a cell keeps a state $c$, to which it adds rather than multiplies. In torch's names, $\sigma$ the sigmoid:
#
# $$\begin{aligned} i &= \sigma(a_i) & f &= \sigma(a_f) & g &= \tanh(a_g) & o &= \sigma(a_o) \\ c^{(t)} &= f \circ
# c^{(t-1)} + i \circ g & & & h^{(t)} &= o \circ \tanh(c^{(t)}) \end{aligned} \qquad \begin{bmatrix} a_i \\ a_f \\ a_g
# \\ a_o \end{bmatrix} = W_{ih}\, x^{(t)} + b_{ih} + W_{hh}\, h^{(t-1)} + b_{hh}.$$
#
# *Departures from the slides.* The slide takes its equations from Jozefowicz et al. (2015). Their $j$ is torch's $i$,
# and their $i$ is torch's $g$. As they are usually transcribed they have tanh for the output gate, too: a gate that
# opens from $-1$ to $1$ would turn signs, and nobody computes it so. We take $\sigma$. The two biases are one too
# many, but `nn.LSTM` has them (cuDNN wants them), so that your gradients fit its `state_dict()`.

# %% [markdown] tags=["lstm_step"]
# ### 3.1 `lstm_step`


# %%
def lstm_step(x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    """One step of an LSTM.

    x     (m, n)  the inputs at this time;  h_prev, c_prev  (m, k)  output and cell state of the step before
    W_ih  (4k, n);  W_hh  (4k, k);  b_ih, b_hh  (4k,): the blocks of i, f, g, o, in this order
    Returns h and c, each (m, k).
    """
    ### BEGIN SOLUTION
    i, f, g, o = (x @ W_ih.T + b_ih + h_prev @ W_hh.T + b_hh).chunk(4, dim=1)
    c = f.sigmoid() * c_prev + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c
    ### END SOLUTION


# %%
zero, b_ih = torch.zeros(1, 1), torch.tensor([-9.0, 9.0, 0.0, 0.0])
lab.show(lstm_step, zero, zero, 2 * one, torch.zeros(4, 1), torch.zeros(4, 1), b_ih, torch.zeros(4))

# %% [markdown]
# The input gate is shut ($\sigma(-9) \approx 0$), the forget gate open, and the output gate half open: the cell keeps
# its 2, and shows half of $\tanh 2$.
#
# ```
# h = tensor([[0.4820]])
# c = tensor([[1.9998]])
# ```

# %%
lab.check(lstm_step).points

# %% [markdown] tags=["lstm_step_backward"]
# ### 3.2 `lstm_step_backward`
#
# Two results, so two gradients come in: $G_h$ and $G_c$. Name every intermediate, and go back line by line:
#
# $$\bar c = G_c + G_h \circ o \circ (1 - \tanh^2 c), \quad \bar o = G_h \circ \tanh c, \quad \bar f = \bar c \circ
# c^{(t-1)}, \quad \bar i = \bar c \circ g, \quad \bar g = \bar c \circ i, \quad G_{c^{(t-1)}} = \bar c \circ f.$$
#
# Each times its own $\sigma'$ or $\tanh'$, stacked as the gates are, they are the gradient $A$ of one linear layer's
# output; the other six results are `linear_backward` of lab 2, for $x$ and for $h^{(t-1)}$.


# %%
def lstm_step_backward(G_h, G_c, x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    """The gradients of one step of an LSTM.

    G_h, G_c  (m, k)  gradients of the loss with respect to the step's h and c
    x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh  as in lstm_step
    Returns G_x, G_h_prev, G_c_prev, G_W_ih, G_W_hh, G_b_ih, G_b_hh, each in the shape of what it belongs to.
    """
    ### BEGIN SOLUTION
    a = x @ W_ih.T + b_ih + h_prev @ W_hh.T + b_hh
    i, f, g, o = a.chunk(4, dim=1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    tanh_c = (f * c_prev + i * g).tanh()
    G_c = G_c + G_h * o * (1 - tanh_c**2)
    G_i, G_f, G_g, G_o = G_c * g, G_c * c_prev, G_c * i, G_h * tanh_c
    A = torch.cat([G_i * i * (1 - i), G_f * f * (1 - f), G_g * (1 - g**2), G_o * o * (1 - o)], dim=1)
    G_b = A.sum(dim=0)
    return A @ W_ih, A @ W_hh, G_c * f, A.T @ x, A.T @ h_prev, G_b, G_b.clone()
    ### END SOLUTION


# %%
shut = torch.zeros(4, 1)
lab.show(lstm_step_backward, zero, one, one, 10 * one, 2 * one, shut, shut, torch.zeros(4), torch.zeros(4))

# %% [markdown]
# With weights of zero all gates are $1/2$ and $g = 0$: the cell state halves, from 2 to 1. Asked for $c$ alone
# ($G_h = 0$), half of the gradient goes to the old cell state; the forget gate gets $2 \cdot \sigma'(0) = 1/2$, and $g$
# gets $i = 1/2$. The inputs were 1 and 10:
#
# ```
# G_x = tensor([[0.]])
# G_h_prev = tensor([[0.]])
# G_c_prev = tensor([[0.5000]])
# G_W_ih = tensor([[0.0000],
#         [0.5000],
#         [0.5000],
#         [0.0000]])
# G_W_hh = tensor([[0.],
#         [5.],
#         [5.],
#         [0.]])
# G_b_ih = tensor([0.0000, 0.5000, 0.5000, 0.0000])
# G_b_hh = tensor([0.0000, 0.5000, 0.5000, 0.0000])
# ```

# %%
lab.check(lstm_step_backward).points

# %% [markdown] tags=["lstm_backward"]
# ### 3.3 `lstm_backward`
#
# Through time. The forward pass gives all outputs `H` and the last cell state. So there is one gradient for each
# $h^{(t)}$, and one for $c^{(T)}$; from step to step, two go back.


# %%
def lstm_backward(G_H, G_c, X, h_0, c_0, W_ih, W_hh, b_ih, b_hh):
    """The gradients of an LSTM, through time.

    G_H       (T, m, k)  gradient of the loss with respect to every h(t), by way of its own output
    G_c       (m, k)     gradient of the loss with respect to the last cell state, c(T)
    X         (T, m, n)  the inputs;  h_0, c_0  (m, k)  the first states
    W_ih      (4k, n);  W_hh  (4k, k);  b_ih, b_hh  (4k,)
    Returns G_X, G_h_0, G_c_0, G_W_ih, G_W_hh, G_b_ih, G_b_hh, each in the shape of what it belongs to.
    """
    ### BEGIN SOLUTION
    weights = W_ih, W_hh, b_ih, b_hh
    states = [(h_0, c_0)]
    for x in X:
        states.append(lstm_step(x, *states[-1], *weights))
    G_X, G_h = torch.zeros_like(X), torch.zeros_like(h_0)
    sums = [torch.zeros_like(w) for w in weights]
    for t in reversed(range(len(X))):
        G_X[t], G_h, G_c, *grads = lstm_step_backward(G_H[t] + G_h, G_c, X[t], *states[t], *weights)
        sums = [total + g for total, g in zip(sums, grads)]
    return G_X, G_h, G_c, *sums
    ### END SOLUTION


# %%
X, G_H = torch.ones(2, 1, 1), torch.zeros(2, 1, 1)
lab.show(lstm_backward, G_H, one, X, zero, 4 * one, shut, shut, torch.zeros(4), torch.zeros(4))

# %% [markdown]
# The cell of 3.2 twice, from 4 to 2 to 1. A quarter of the gradient arrives at $c^{(0)}$; the weights' gradients are
# sums over both steps, $g$'s for instance $1/2 + 1/4$:
#
# ```
# G_X = tensor([[[0.]],
#
#         [[0.]]])
# G_h_0 = tensor([[0.]])
# G_c_0 = tensor([[0.2500]])
# G_W_ih = tensor([[0.0000],
#         [1.0000],
#         [0.7500],
#         [0.0000]])
# G_W_hh = tensor([[0.0000],
#         [0.2410],
#         [0.2410],
#         [0.0000]])
# G_b_ih = tensor([0.0000, 1.0000, 0.7500, 0.0000])
# G_b_hh = tensor([0.0000, 1.0000, 0.7500, 0.0000])
# ```

# %%
lab.check(lstm_backward).points

# %% [markdown]
# **What the gates are for.** Below, how much the last cell state depends on each one before it: your `lstm_backward`
# from step $t$ on, with $G_H = 0$. The weights are small and random; only the forget gate's bias differs. (Adding 1 to
# it at the start is the advice of Jozefowicz et al.)

# %%
with when_written():
    source = torch.Generator().manual_seed(0)
    X, k = torch.randn(50, 1, 8, generator=source), 32
    W_ih, W_hh = (0.1 * torch.randn(4 * k, n, generator=source) / n**0.5 for n in (8, k))
    state = torch.zeros(1, k)
    figure, axes = plt.subplots(figsize=(7, 3.2))
    for bias, style in ((0, ":"), (1, "-."), (3, "--"), (6, "-")):
        b = torch.zeros(4 * k)
        b[k : 2 * k] = bias
        ends = torch.ones(1, k) / k**0.5
        reach = [
            lstm_backward(torch.zeros(50 - t, 1, k), ends, X[t:], state, state, W_ih, W_hh, b, 0 * b)[2].norm()
            for t in range(50)
        ]
        axes.semilogy(50 - np.arange(50), reach, style, color="black", label=f"forget bias {bias}")
        print(f"forget bias {bias}: over 10 steps {reach[-10]:.1e}, over 50 steps {reach[0]:.1e}")
    axes.set(xlabel="steps back, $T - t$", ylabel="gradient of $c^{(t)}$")
    axes.legend(loc="lower left")
    describe(
        figure,
        "Norm of the gradient that reaches the cell state so many steps back, on a logarithmic axis, for four biases "
        "of the forget gate: 0 falls fastest, by a half each step, 1 slower, 3 slower still, and 6 not at all.",
    )

# %% [markdown] tags=["why_gate"]
# **Question.** Hold the gates fixed: what is $\partial c^{(t)} / \partial c^{(t-1)}$, and what stands in its place in
# a plain RNN? Why does a larger forget bias help at the start of training, and what could an LSTM no longer do if $f$
# were always 1?
#
# *Your answer:*

# %% [markdown]
# ## 4 Char-RNN
#
# "'Char-RNN' network predicts text one character at a time." It reads symbols, numbers from 0 to $V-1$.

# %% [markdown] tags=["embedding_backward"]
# ### 4.1 `embedding_backward`
#
# The first layer is a table with a row for each symbol: $z^{(t)} = E_{x^{(t)}}$, in code `E[x]`. That is a linear
# layer on one-hot vectors, without the multiplications by 0. A row that is used in many places gets the sum of their
# gradients.


# %%
def embedding_backward(G, x, E):
    """The gradient of a table of embeddings.

    G  (T, m, n)  gradient of the loss with respect to E[x]
    x  (T, m)     symbols, integers from 0 to V - 1
    E  (V, n)     the table
    Returns G_E (V, n).
    """
    ### BEGIN SOLUTION
    return torch.zeros_like(E).index_add_(0, x.flatten(), G.flatten(0, 1))
    ### END SOLUTION


# %%
lab.show(
    embedding_backward, torch.tensor([[[1.0]], [[10.0]], [[100.0]]]), torch.tensor([[2], [0], [2]]), torch.zeros(4, 1)
)

# %% [markdown]
# Symbol 2 is read twice, 1 and 3 never:
#
# ```
# G_E = tensor([[ 10.],
#         [  0.],
#         [101.],
#         [  0.]])
# ```

# %%
lab.check(embedding_backward).points

# %% [markdown] tags=["char_rnn_backward"]
# ### 4.2 `char_rnn_backward`
#
# | | layer | out | parameters in `P` |
# |---|---|---|---|
# | `embedding` | a row for each symbol | $(T, m, n)$ | `embedding.weight` $(V, n)$ |
# | `lstm` | an LSTM, from first states of zeros | $(T, m, k)$ | those of 3.1, named below |
# | `head` | linear: the logits of the next symbol | $(T, m, V)$ | `head.weight` $(V, k)$, `head.bias` $(V,)$ |
#
# The names are those of a `state_dict()`; the LSTM's are `lstm.weight_ih_l0`, `lstm.weight_hh_l0`, `lstm.bias_ih_l0`
# and `lstm.bias_hh_l0`. The loss is the *mean* cross-entropy over all $T m$ places, so that it is measured in nats per
# character whatever the length (the slide's objective is the sum over $t$, $T$ times as much). Return it with a dict of
# gradients that has the keys of `P`.


# %%
def char_rnn_backward(X, y, P):
    """The loss of a char-RNN, and the gradient of every parameter.

    X  (T, m)  the symbols that are read;  y  (T, m)  the symbols to be predicted, at each step
    P  a dict: embedding.weight (V, n), lstm.weight_ih_l0 (4k, n), lstm.weight_hh_l0 (4k, k), lstm.bias_ih_l0 (4k,),
       lstm.bias_hh_l0 (4k,), head.weight (V, k), head.bias (V,)
    Returns loss, a number, and grads, a dict with the keys of P.
    """
    ### BEGIN SOLUTION
    names = [f"lstm.{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    weights = [P[name] for name in names]
    E = P["embedding.weight"][X]
    first = h = c = E.new_zeros(X.shape[1], weights[1].shape[1])
    H = []
    for e in E:
        h, c = lstm_step(e, h, c, *weights)
        H.append(h)
    H = torch.stack(H)
    log_p = (H @ P["head.weight"].T + P["head.bias"]).log_softmax(dim=2)
    Y = F.one_hot(y, log_p.shape[2])
    loss = -(Y * log_p).sum() / y.numel()
    G = (log_p.exp() - Y) / y.numel()
    grads = {"head.weight": G.flatten(0, 1).T @ H.flatten(0, 1), "head.bias": G.sum(dim=(0, 1))}
    G_E, _, _, *sums = lstm_backward(G @ P["head.weight"], torch.zeros_like(first), E, first, first, *weights)
    grads |= dict(zip(names, sums))
    grads["embedding.weight"] = embedding_backward(G_E, X, P["embedding.weight"])
    return loss, grads
    ### END SOLUTION


# %% [markdown]
# The text to try it on: the source of Python's own module `textwrap`. `X` holds 32 pieces of 32 characters, `y` the
# character after each.


# %%
def small_char_rnn(V, n, k, seed):
    """Random parameters of a char-RNN of width 0.1; the forget gate's biases are 1."""
    source = torch.Generator().manual_seed(seed)
    shapes = {"embedding.weight": (V, n), "lstm.weight_ih_l0": (4 * k, n), "lstm.weight_hh_l0": (4 * k, k)}
    shapes |= {"lstm.bias_ih_l0": (4 * k,), "lstm.bias_hh_l0": (4 * k,), "head.weight": (V, k), "head.bias": (V,)}
    P = {name: 0.1 * torch.randn(shape, generator=source) for name, shape in shapes.items()}
    P["lstm.bias_ih_l0"][k : 2 * k] += 1
    return P


def pieces(seed, m=32, T=32):
    """X (T, m) and y (T, m): pieces of the text from random places, and the characters that follow."""
    starts = torch.randint(len(TEXT) - T, (m,), generator=torch.Generator().manual_seed(seed))
    both = SYMBOLS[starts + torch.arange(T + 1)[:, None]]
    return both[:-1], both[1:]


TEXT = inspect.getsource(textwrap)
ALPHABET = sorted(set(TEXT))
SYMBOLS = torch.tensor([ALPHABET.index(character) for character in TEXT])
print(f"textwrap.py: {len(TEXT):,} characters, of {len(ALPHABET)} kinds; log V = {math.log(len(ALPHABET)):.4f}")
with when_written():
    loss, grads = char_rnn_backward(*pieces(0), small_char_rnn(len(ALPHABET), 16, 32, seed=0))
    print(f"loss {loss:.4f}")
    for name, g in grads.items():
        print(f"{name:<19} {tuple(g.shape)!s:<10} largest gradient {g.abs().max():.4f}")

# %% [markdown]
# **Rungs 1 and 2 of the ladder.** With small random weights the loss must be near $\log V$, and there are seven
# gradients in the shapes of the parameters (in any order). Below, the check, then your gradients against differences
# of your loss along one random direction for each parameter. Expect about $10^{-9}$.

# %%
with when_written():
    P, (X, y) = small_char_rnn(len(ALPHABET), 16, 32, seed=0), pieces(0, m=2, T=8)
    grads, eps, source = char_rnn_backward(X, y, P)[1], 1e-6, torch.Generator().manual_seed(1)
    for name, w in P.items():
        along = torch.randn(w.shape, generator=source)
        up, down = (char_rnn_backward(X, y, {**P, name: w + step * along})[0] for step in (eps, -eps))
        print(f"{name:<19} {abs((up - down) / (2 * eps) - (grads[name] * along).sum()):.0e}")

# %%
lab.check(char_rnn_backward).points

# %% [markdown]
# **Rung 3: overfit one batch.** Eight pieces of 32 characters, again and again, with plain gradient descent and
# clipping: the loss must fall far below what any text allows on average. Then the network is asked for one of its
# pieces: it is given the first character, and from there on reads what it wrote itself. Expect a loss
# below 0.3 after some ten seconds, and a line of Python by heart, or nearly.

# %%
with when_written():
    P, (X, y) = small_char_rnn(len(ALPHABET), 16, 32, seed=0), pieces(0, m=8)
    losses = []
    for _ in range(500):
        loss, grads = char_rnn_backward(X, y, P)
        clipped, norm = clip_gradients([grads[name] for name in P], 1.0)
        P = {name: w - 2.0 * g for (name, w), g in zip(P.items(), clipped)}
        losses.append(float(loss))
    print(f"loss {losses[0]:.4f} at first, {losses[-1]:.4f} after {len(losses)} steps")

    weights = [P[f"lstm.{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    which = next(i for i, first in enumerate(X[0]) if ALPHABET[first].isalpha())  # it begins with a letter
    wanted = "".join(ALPHABET[s] for s in [X[0, which], *y[:, which]])
    h = c = torch.zeros(1, 32)
    text = wanted[0]
    for _ in range(len(wanted) - 1):
        h, c = lstm_step(P["embedding.weight"][ALPHABET.index(text[-1])][None], h, c, *weights)
        text += ALPHABET[(h @ P["head.weight"].T + P["head.bias"]).argmax()]
    print(f"the piece    {wanted!r}\nthe network  {text!r}")
    figure, axes = plt.subplots(figsize=(7, 2.8))
    axes.plot(losses, color="black", linewidth=1)
    axes.axhline(math.log(len(ALPHABET)), linestyle=":", color="0.5")
    axes.set(xlabel="step", ylabel="loss, nats per character", ylim=(0, 5), title="eight pieces of textwrap.py")
    describe(
        figure,
        f"The loss over {len(losses)} steps on one batch: from the dotted line at log V it falls, with some spikes, to "
        f"{losses[-1]:.2f}.",
    )

# %% [markdown] tags=["bracket"]
# ### 4.3 `bracket`
#
# "E.g., if we see a '(' character, we expect a ')' to follow at some point." **Rung 4.** A text is 40 symbols: three
# kinds of opening and of closing brackets, well nested, at most three deep, and four letters. Some brackets are still
# open at its end. Which closing bracket must come next? The answer is the kind of the innermost bracket that is open;
# it may stand at the other end of the text, with other pairs in between.
#
# Train an LSTM on 3,000 texts with *your* backward passes: an embedding of the ten symbols, `(10, 16)`; an LSTM with
# $k = 32$; and a head that maps the *last* output $h^{(T)}$ to the three kinds, `(3, 32)`. Only the last step has a
# loss. Return the parameters under the names of 4.2.
#
# The check hands over texts whose ten symbols are numbered in an order of its own, and so are the three kinds, and
# tries your weights on 2,000 other texts, in which the bracket to be closed was opened *more than ten symbols before
# the end*. 95 % has full points, 80 % none. Training has 90 seconds on one thread. In float32 (`dtype=torch.float32`)
# it is faster.


# %%
def bracket(X, y, seed):
    """Train an LSTM to close brackets, by hand-written backpropagation.

    X     (40, m)  texts of symbols 0 to 9, a column each;  y  (m,)  the kind of bracket to be closed, 0 to 2
    seed  an integer, for the generator of all random numbers
    Returns P, a dict: embedding.weight (10, 16), lstm.weight_ih_l0 (128, 16), lstm.weight_hh_l0 (128, 32),
    lstm.bias_ih_l0 (128,), lstm.bias_hh_l0 (128,), head.weight (3, 32), head.bias (3,).
    """
    ### BEGIN SOLUTION
    source, k = torch.Generator().manual_seed(seed), 32
    shapes = dict(embedding=(10, 16), W_ih=(4 * k, 16), W_hh=(4 * k, k), b_ih=(4 * k,), b_hh=(4 * k,), V=(3, k), d=(3,))
    widths = [1, k**-0.5, k**-0.5, 0, 0, k**-0.5, 0]
    P = [s * torch.randn(shape, generator=source, dtype=torch.float32) for s, shape in zip(widths, shapes.values())]
    P[3][k : 2 * k] = 1
    M, S, steps, epochs = [torch.zeros_like(w) for w in P], [torch.zeros_like(w) for w in P], 0, 10
    for epoch in range(epochs):
        for batch in torch.randperm(len(y), generator=source).split(50):
            E, *weights, V, d = P
            symbols, kinds = X[:, batch], F.one_hot(y[batch], 3)
            read = E[symbols]
            first = h = c = read.new_zeros(len(batch), k)
            for e in read:
                h, c = lstm_step(e, h, c, *weights)
            G = ((h @ V.T + d).softmax(dim=1) - kinds) / len(batch)
            G_H = read.new_zeros(len(read), len(batch), k)
            G_H[-1] = G @ V
            G_E, _, _, *sums = lstm_backward(G_H, torch.zeros_like(first), read, first, first, *weights)
            grads = [embedding_backward(G_E, symbols, E), *sums, G.T @ h, G.sum(dim=0)]
            steps += 1
            for j, g in enumerate(clip_gradients(grads, 1.0)[0]):
                M[j] = 0.9 * M[j] + 0.1 * g
                S[j] = 0.999 * S[j] + 0.001 * g**2
                ratio = M[j] / (1 - 0.9**steps) / ((S[j] / (1 - 0.999**steps)).sqrt() + 1e-8)
                P[j] = P[j] - 0.01 * (1 - epoch / epochs) * ratio
    lstm = [f"lstm.{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    return dict(zip(["embedding.weight", *lstm, "head.weight", "head.bias"], P))
    ### END SOLUTION


# %% [markdown]
# Try it on texts that one can read. Beside it, a plain RNN of the same size, with the same optimiser and as many steps,
# learns from the same texts. (Torch and autograd do the work for the RNN: you have shown that you can.)


# %%
def texts(m, seed, far=0):
    """X (40, m), y (m,), and how long ago the bracket to be closed was opened: more than `far` symbols."""
    source, columns, kinds, ages = random.Random(seed), [], [], []
    while len(columns) < m:
        text, still = [], []
        for t in range(40):
            chance = source.random()
            if chance < 0.1 and len(still) < 3:
                still.append((source.randrange(3), t))
                text.append(still[-1][0])
            elif still and chance > 0.94:
                text.append(3 + still.pop()[0])
            else:
                text.append(6 + source.randrange(4))
        if still and 40 - still[-1][1] > far:
            columns.append(text)
            kinds.append(still[-1][0])
            ages.append(40 - still[-1][1])
    return torch.tensor(columns).T, torch.tensor(kinds), torch.tensor(ages)


class OneOf(torch.nn.Module):
    """An embedding, a recurrent layer of torch's, and a head on its last output."""

    def __init__(self, layer):
        super().__init__()
        self.embedding, self.lstm, self.head = torch.nn.Embedding(10, 16), layer(16, 32), torch.nn.Linear(32, 3)

    def forward(self, X):
        return self.head(self.lstm(self.embedding(X))[0][-1])


def trained_rnn(X, y):
    """A plain RNN, trained by torch: Adam, batches of 50, 10 epochs, clipped."""
    torch.manual_seed(0)
    net, epochs = OneOf(torch.nn.RNN).float(), 10
    adam = torch.optim.Adam(net.parameters())
    for epoch in range(epochs):
        adam.param_groups[0]["lr"] = 0.01 * (1 - epoch / epochs)
        for batch in torch.randperm(len(y)).split(50):
            adam.zero_grad()
            F.cross_entropy(net(X[:, batch]), y[batch]).backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            adam.step()
    return net.requires_grad_(False)


signs = np.array(list("([{)]}abcd"))
X, y, _ = texts(3000, seed=0)
X_test, y_test, age = texts(4000, seed=1)
for i in range(5):
    print("".join(signs[X[:, i]]), " → ", signs[3 + y[i]])

# %%
with when_written():
    start = perf_counter()
    P = bracket(X, y, seed=0)
    print(f"{perf_counter() - start:.0f} s")
    lstm = OneOf(torch.nn.LSTM).requires_grad_(False)
    lstm.load_state_dict({name: torch.as_tensor(w) for name, w in P.items()})
    rnn = trained_rnn(X, y)
    figure, axes = plt.subplots(figsize=(7, 3.2))
    edges = [1, 3, 6, 9, 12, 16, 20, 25, 30, 41]
    for net, name, style in ((lstm, "LSTM, yours", "o-"), (rnn, "plain RNN", "s:")):
        right = net(X_test).argmax(1) == y_test
        share = [right[(age >= low) & (age < high)].double().mean() for low, high in pairwise(edges)]
        axes.plot([(low + high - 1) / 2 for low, high in pairwise(edges)], share, style, color="black", label=name)
        old = right[age > 10].double().mean()
        print(f"{name:<12} {right.double().mean():.1%} right; where it was opened over 10 symbols ago, {old:.1%}")
    axes.axhline(1 / 3, color="0.6", linewidth=0.8)
    axes.set(xlabel="symbols since the bracket was opened", ylabel="closed rightly", ylim=(0.25, 1.03))
    axes.text(1, 0.35, "chance", color="0.4")
    axes.legend(loc="center left")
    describe(
        figure,
        "Share of held-out brackets that are closed rightly, over the number of symbols since they were opened. The "
        "LSTM stays near 1 throughout; the plain RNN is near 1 for recent brackets and falls for those that were "
        "opened long ago, towards the line at one third, which is chance.",
    )

# %% [markdown]
# Expect some ten seconds, about 98 % of the old brackets for the LSTM, and about three quarters of them for the RNN: it
# answers rightly where the bracket is near, and guesses where it is far.

# %%
lab.check(bracket).points

# %% [markdown] tags=["why_truncate"]
# **Question.** "How long of sequence (pick something big, say 100)": a text of millions of characters is cut into
# blocks, and the gradient stops at each border, while the state is carried across. Can a network that is trained so
# ever close a bracket that was opened longer ago than one block? What would it need to have learned, and from where?
#
# *Your answer:*

# %%
lab.progress()

# %% [markdown]
# ## 5 Extra
#
# Beside the 100 points of the lab.

# %% [markdown] tags=["sample"]
# ### 5.1 `sample`
#
# A char-RNN writes by drawing the next symbol from its own prediction, and reading it. The *temperature* $\tau$ makes
# it bolder or more careful: draw symbol $v$ with probability
#
# $$p_v = \frac{e^{a_v / \tau}}{\sum_u e^{a_u / \tau}}$$
#
# for logits $a$. Each row is drawn by itself, with the given generator and no other source of randomness.


# %%
def sample(logits, temperature, generator):
    """Draw one symbol from each row of logits.

    logits       (m, V)
    temperature  a positive number: below 1 the likely become likelier, above 1 all become more alike
    generator    a torch.Generator: all randomness comes from it
    Returns symbols (m,), integers from 0 to V - 1.
    """
    ### BEGIN SOLUTION
    p = (logits / temperature).softmax(dim=1)
    return torch.multinomial(p, 1, generator=generator)[:, 0]
    ### END SOLUTION


# %%
lab.show(sample, torch.tensor([[0.0, 9.0], [9.0, 0.0]]), 0.1, torch.Generator().manual_seed(0))

# %% [markdown]
# Logits of 9, and a low temperature: there is no doubt.
#
# ```
# symbols = tensor([1, 0])
# ```

# %%
with when_written():
    a = torch.tensor([[2.0, 1.0, 0.0, -1.0]])
    figure, panels = plt.subplots(1, 3, figsize=(8, 2.2), sharey=True)
    for axes, temperature in zip(panels, (0.5, 1.0, 2.0)):
        drawn = sample(a.repeat(5000, 1), temperature, torch.Generator().manual_seed(0))
        axes.bar(range(4), torch.as_tensor(drawn).bincount(minlength=4) / 5000, color="0.8", edgecolor="black")
        axes.plot(range(4), (a / temperature).softmax(1)[0], "k_", markersize=18)
        axes.set(title=f"temperature {temperature:g}", xlabel="symbol", xticks=range(4))
    panels[0].set_ylabel("share of 5,000")
    describe(
        figure,
        "How often each of four symbols was drawn, in three panels: at temperature 0.5 nearly always the first, at 1 "
        "less so, at 2 all four more alike. A dash in each bar marks its probability.",
    )

# %%
lab.check(sample).points

# %% [markdown] tags=["gru_backward"]
# ### 5.2 `gru_backward`
#
# The gated recurrent unit (Cho et al., 2014) has one state and three blocks, in torch's order *r, z, n*:
#
# $$r = \sigma(a_r + c_r), \quad z = \sigma(a_z + c_z), \quad n = \tanh(a_n + r \circ c_n), \quad h^{(t)} = (1 - z)
# \circ n + z \circ h^{(t-1)},$$
#
# with $a = W_{ih}\, x^{(t)} + b_{ih}$ and $c = W_{hh}\, h^{(t-1)} + b_{hh}$. The reset gate comes *after* the product
# with $W_{hh}$, as torch and cuDNN have it, and not before, as in the paper. So the two biases have different
# gradients.


# %%
def gru_backward(G, X, h_0, W_ih, W_hh, b_ih, b_hh):
    """The gradients of a GRU, through time.

    G     (T, m, k)  gradient of the loss with respect to every h(t), by way of its own output
    X     (T, m, n)  the inputs;  h_0  (m, k)  the first state
    W_ih  (3k, n);  W_hh  (3k, k);  b_ih, b_hh  (3k,): the blocks of r, z, n, in this order
    Returns G_X, G_h_0, G_W_ih, G_W_hh, G_b_ih, G_b_hh, each in the shape of what it belongs to.
    """
    ### BEGIN SOLUTION
    h, kept = h_0, []
    for x in X:
        a, c = x @ W_ih.T + b_ih, h @ W_hh.T + b_hh
        (a_r, a_z, a_n), (c_r, c_z, c_n) = a.chunk(3, dim=1), c.chunk(3, dim=1)
        r, z = (a_r + c_r).sigmoid(), (a_z + c_z).sigmoid()
        n = (a_n + r * c_n).tanh()
        kept.append((h, r, z, n, c_n))
        h = (1 - z) * n + z * h
    G_X, G_W_ih, G_W_hh, G_b_ih, G_b_hh = (torch.zeros_like(w) for w in (X, W_ih, W_hh, b_ih, b_hh))
    g = torch.zeros_like(h_0)
    for t in reversed(range(len(X))):
        h, r, z, n, c_n = kept[t]
        g = G[t] + g
        D_n = g * (1 - z) * (1 - n**2)
        D_z = g * (h - n) * z * (1 - z)
        D_r = D_n * c_n * r * (1 - r)
        A, C = torch.cat([D_r, D_z, D_n], dim=1), torch.cat([D_r, D_z, D_n * r], dim=1)
        G_X[t] = A @ W_ih
        G_W_ih += A.T @ X[t]
        G_W_hh += C.T @ h
        G_b_ih += A.sum(dim=0)
        G_b_hh += C.sum(dim=0)
        g = g * z + C @ W_hh
    return G_X, g, G_W_ih, G_W_hh, G_b_ih, G_b_hh
    ### END SOLUTION


# %%
lab.show(
    gru_backward,
    torch.ones(1, 1, 1),
    one[None],
    one,
    torch.zeros(3, 1),
    torch.zeros(3, 1),
    torch.zeros(3),
    torch.ones(3),
)

# %% [markdown]
# Weights of zero, $b_{hh} = 1$: $r = z = \sigma(1) = 0.7311$, so that 0.7311 of the gradient goes straight to
# $h^{(0)}$.
#
# ```
# G_X = tensor([[[0.]]])
# G_h_0 = tensor([[0.7311]])
# G_W_ih = tensor([[0.0323],
#         [0.0740],
#         [0.1643]])
# G_W_hh = tensor([[0.0323],
#         [0.0740],
#         [0.1201]])
# G_b_ih = tensor([0.0323, 0.0740, 0.1643])
# G_b_hh = tensor([0.0323, 0.0740, 0.1201])
# ```

# %%
lab.check(gru_backward).points

# %% [markdown] tags=["truncated_backward"]
# ### 5.3 `truncated_backward`
#
# Truncated back-propagation through time: cut the sequence into blocks of $s$ steps (the last may be shorter). The
# state is *carried*: a block begins with the last state of the block before it. The gradient is not: at a border it
# stops, as if that state were a constant. Return all states, and the weights' gradients, summed over the blocks.


# %%
def truncated_backward(G, X, z_0, W_xz, W_zz, b_1, s):
    """The states of a recurrent network, and its gradients through s steps at most.

    G     (T, m, k)  gradient of the loss with respect to every z(t), by way of its own output
    X     (T, m, n)  the inputs;  z_0  (m, k)  the first state
    W_xz  (k, n);  W_zz  (k, k);  b_1  (k,)
    s     steps in a block
    Returns Z (T, m, k), all states, and G_W_xz (k, n), G_W_zz (k, k), G_b_1 (k,).
    """
    ### BEGIN SOLUTION
    Z, sums, z = [], [torch.zeros_like(w) for w in (W_xz, W_zz, b_1)], z_0
    for g, block in zip(G.split(s), X.split(s)):
        _, _, *grads = rnn_backward(g, block, z, W_xz, W_zz, b_1)
        sums = [total + grad for total, grad in zip(sums, grads)]
        for x in block:
            z = rnn_step(x, z, W_xz, W_zz, b_1)
            Z.append(z)
    return torch.stack(Z), *sums
    ### END SOLUTION


# %%
G, X = torch.tensor([[[0.0]], [[1.0]]]), torch.zeros(2, 1, 1)
lab.show(truncated_backward, G, X, one, one, 0.5 * one, torch.zeros(1), 1)

# %% [markdown]
# The network of 2.1, in blocks of one step: of $G_{W_{zz}} = 0.8113$ only $0.9485 \cdot 0.4621$ is left.
#
# ```
# Z = tensor([[[0.4621]],
#
#         [[0.2270]]])
# G_W_xz = tensor([[0.]])
# G_W_zz = tensor([[0.4383]])
# G_b_1 = tensor([0.9485])
# ```
#
# How much does truncation cost? The gradient of $W_{zz}$ in 64 steps of 32 units, $W_{zz}$ orthogonal times a gain,
# against the whole one:

# %%
with when_written():
    source = torch.Generator().manual_seed(0)
    Q = torch.linalg.qr(torch.randn(32, 32, generator=source))[0]
    X, G = torch.randn(64, 4, 8, generator=source), torch.randn(64, 4, 32, generator=source)
    W_xz, z_0, b_1 = 0.05 * torch.randn(32, 8, generator=source), torch.zeros(4, 32), torch.zeros(32)
    figure, axes = plt.subplots(figsize=(7, 2.8))
    lengths = (1, 2, 4, 8, 16, 32, 64)
    for gain, style in ((0.7, "o:"), (0.9, "s-."), (1.0, "^-")):
        whole = rnn_backward(G, X, z_0, W_xz, gain * Q, b_1)[3]
        lost = [
            (truncated_backward(G, X, z_0, W_xz, gain * Q, b_1, s)[2] - whole).norm() / whole.norm() for s in lengths
        ]
        axes.plot(range(len(lengths)), lost, style, color="black", label=f"gain {gain}")
    axes.set(xlabel="steps in a block", ylabel="error, relative", ylim=(0, None))
    axes.set_xticks(range(len(lengths)), lengths)
    axes.legend()
    describe(
        figure,
        "Relative error of the truncated gradient of W_zz over the number of steps in a block, for three gains: the "
        "error falls with longer blocks, to 0 for all 64 steps, and is larger the larger the gain.",
    )

# %%
lab.check(truncated_backward).points

# %%
lab.progress()
