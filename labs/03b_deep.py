# %% [markdown]
# # Lab 3b: Deep networks, and their dreams
#
# CMU 15-780, "Deep Learning", slides "VGG Network", "GoogLeNet", "Deep ResNet" and "Google Deep Dream"
#
# You count what VGG consists of, row by row of its table; find out, path by path, why gradients come through a network
# with shortcuts; write the backward pass of a block that forks and joins; and let a small network dream. About one and
# a half hours, a laptop, no GPU, no network.
#
# * **Write** between the two marker lines that begin with `###` (leave them in), in place of the
#   `raise NotImplementedError`. You may add functions and cells of your own.
# * **Try** it on numbers small enough to follow on paper; the text says what to expect.
# * **Check** it: `lab.check(f)` draws inputs of odd shapes and compares with autograd, or with torch's own layers.
#   Where they differ it says which output, where, and, for many common mistakes, why. `lab.replay(…)`, its last line,
#   gives you that case's inputs. The grader asks the same questions with other numbers and shapes.
# * Cells that need what you have not written say so and go on: *Run All* works from the first minute.
#
# ## The lab's table
#
# | function | arguments | returns |
# |---|---|---|
# | `vgg_column` | `column`, a list of rows; `C`, `H`, `W` of the image | `shapes (L, 3)`, `counts (L,)`, for L rows |
# | `gradient_norms` | `g (n,)`, `Ws`, a list of k - 1 matrices `(n, n)` | `plain (k,)`, `residual (k,)` |
# | `gradient_by_paths` | `g (n,)`, `Ws`, as above | `parts (k, n)` |
# | `inception_backward` | `G (N, ΣK, H, W)`, `Z (N, C, H, W)`, six filters | `G_Z` and six gradients of filters |
# | `dream_step` | `X (N, C, H, W)`, `Ws`, `bs`, `dy`, `dx`, `alpha`, `eps` | `L (N,)`, `X_next`, shaped as `X` |
# | `total_variation_gradient` | `X (N, C, H, W)`, `eps` | `TV`, a number, and `G_X` |
#
# Not allowed, anywhere: autograd by any path, so `backward`, `torch.autograd`, `torch.func`, `torch.nn.grad` and
# torch's own backward kernels. All else is, `F.conv2d`, `F.conv_transpose2d`, `F.max_pool2d`, `torch.nn` and what you
# wrote in lab 3 among it.
#
# **Rules.** Images are `NCHW`. "Convolution" is the slides' and torch's, stride 1 everywhere here, padded such that H
# and W stay: by $(k-1)/2$ zeros for a filter of $k \times k$. A gradient has the shape of what it belongs to, and is
# summed over the batch, never averaged. A function returns new tensors and leaves its inputs as they were.

# %%
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F

from dl780 import Lab

lab = Lab("deep")
torch.set_default_dtype(torch.float64)  # twice the digits of float32: a wrong gradient cannot pass for rounding

# %% [markdown]
# What the figures below use. Run the cell; there is no need to read it.

# %%
from base64 import b64encode
from contextlib import contextmanager
from html import escape
from io import BytesIO

from IPython.display import HTML, display
from matplotlib.cbook import get_sample_data

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


def image(axes, pixels, **style):
    """Draw a matrix as an image without axes."""
    axes.imshow(pixels, **style)
    axes.axis("off")


# %% [markdown]
# ## 1 VGG: a network as a table
#
# The slide "VGG Network" shows six networks, A to E, side by side, one a column. A row `conv3-64` is a convolution with
# 64 filters of 3×3, and ReLU; `conv1-256` has filters of 1×1; `maxpool` takes the maximum over 2×2 with stride 2;
# `FC-4096` is fully connected, with 4096 outputs. That is all there is to it, and a program can read it.

# %% [markdown] tags=["vgg_column"]
# ### 1.1 `vgg_column`
#
# Go down a column. For each row, give the shape $(C, H, W)$ of what leaves it, and how many parameters it has.
#
# | row | what leaves it | parameters |
# |---|---|---|
# | `convk-n` | $(n, H, W)$: stride 1, padded by $(k-1)/2$ for any odd $k$ | weights *and* biases |
# | `LRN` (local response normalisation) | what came in | none |
# | `maxpool` | $(C, \lfloor H/2 \rfloor, \lfloor W/2 \rfloor)$: a row or column left over is dropped | none |
# | `FC-n` | $(n, 1, 1)$; all $C \cdot H \cdot W$ numbers go in | weights *and* biases |
# | `soft-max` | what came in | none |
#
# The check draws columns, too: other filters, widths and images. (A column travels as its bytes: after a replay,
# `bytes(case["column"].tolist()).decode().split()` is the list.)


# %%
def vgg_column(column, C, H, W):
    """The shapes and sizes of a network that is given as a column of VGG's table.

    column   a list of rows, from the image to the soft-max: ["conv3-64", "LRN", "maxpool", …, "FC-1000", "soft-max"]
    C, H, W  the image's channels, rows and columns
    Returns shapes, for each row (C, H, W) of what leaves it, and counts, for each row its number of parameters.
    """
    ### BEGIN SOLUTION
    shapes, counts = [], []
    for row in column:
        kind, _, n = row.partition("-")
        count = 0
        if kind == "maxpool":
            H, W = H // 2, W // 2
        elif kind == "FC":
            count = (C * H * W + 1) * int(n)
            C, H, W = int(n), 1, 1
        elif kind.startswith("conv"):
            count = (C * int(kind[4:]) ** 2 + 1) * int(n)
            C = int(n)
        shapes.append((C, H, W))
        counts.append(count)
    return shapes, counts
    ### END SOLUTION


# %%
lab.show(vgg_column, ["conv3-64", "LRN", "maxpool", "FC-10", "soft-max"], 3, 5, 4)

# %% [markdown]
# An image of 3×5×4. The 64 filters have $3 \cdot 9$ weights and a bias each. Pooling drops the fifth row, so
# $64 \cdot 2 \cdot 2$ numbers go into the last layer:
#
# ```
# shapes = [(64, 5, 4), (64, 5, 4), (64, 2, 2), (10, 1, 1), (10, 1, 1)]
# counts = [1792, 0, 0, 2570, 0]
# ```

# %%
lab.check(vgg_column).points

# %% [markdown]
# Now the slide's six columns, for its "input (224 × 224 RGB image)". Hold the cell beside the slide. The paper
# (Simonyan and Zisserman, 2015, table 2) gives 133, 133, 134, 138 and 144 million parameters for A and A-LRN, B, C, D,
# E.

# %%
COLUMNS = {
    "A": "64 M 128 M 256 256 M 512 512 M 512 512 M",
    "A-LRN": "64 LRN M 128 M 256 256 M 512 512 M 512 512 M",
    "B": "64 64 M 128 128 M 256 256 M 512 512 M 512 512 M",
    "C": "64 64 M 128 128 M 256 256 1-256 M 512 512 1-512 M 512 512 1-512 M",
    "D": "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
    "E": "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
}


def rows_of(short):
    """A column in the slide's words."""
    words = {"M": "maxpool", "LRN": "LRN"}
    rows = [words.get(word, f"conv{word}" if "-" in word else f"conv3-{word}") for word in short.split()]
    return [*rows, "FC-4096", "FC-4096", "FC-1000", "soft-max"]


with when_written():
    for name, short in COLUMNS.items():
        shapes, counts = (np.array(values) for values in vgg_column(rows_of(short), 3, 224, 224))
        connected = sum(count for row, count in zip(rows_of(short), counts) if row.startswith("FC"))
        layers = np.count_nonzero(counts)
        total = counts.sum()
        print(f"{name:<6}{layers:>3} layers with weights {total:>12,} parameters, {connected / total:.1%} FC")

# %% [markdown]
# ```
# A      11 layers with weights  132,863,336 parameters, 93.1% FC
# A-LRN  11 layers with weights  132,863,336 parameters, 93.1% FC
# B      13 layers with weights  133,047,848 parameters, 92.9% FC
# C      16 layers with weights  133,638,952 parameters, 92.5% FC
# D      16 layers with weights  138,357,544 parameters, 89.4% FC
# E      19 layers with weights  143,667,240 parameters, 86.1% FC
# ```
#
# Where in column D are the numbers? Below, row by row: those that leave the row, which a backward pass must remember,
# and those that are learned.

# %%
with when_written():
    rows = rows_of(COLUMNS["D"])
    shapes, counts = (np.array(values) for values in vgg_column(rows, 3, 224, 224))
    figure, panels = plt.subplots(1, 2, figsize=(9, 4.2), sharey=True)
    for axes, values, title in zip(
        panels, (shapes.prod(1), counts), ("numbers that leave the row", "parameters of the row")
    ):
        axes.barh(range(len(rows)), values / 1e6, color="tab:blue")
        axes.set(title=title, xlabel="millions", yticks=range(len(rows)), yticklabels=rows)
        axes.tick_params(axis="y", labelsize=7)
    panels[0].invert_yaxis()
    describe(
        figure,
        "Column D of VGG, row by row. Left, the numbers that leave a row: 3.2 million after each of the first two "
        "convolutions, half of that after the next two, and ever fewer further down. Right, the parameters: hardly any "
        "in the convolutions, 102.8 million in the first fully connected row, 16.8 and 4.1 million in the last two.",
    )

# %% [markdown] tags=["why_small_filters"]
# **Question.** Two convolutions of 3×3, one after the other, see 5×5 pixels, and three see 7×7. Compare the weights
# with those of one convolution of 7×7, for $C$ channels in and out, and name one more thing that three layers have and
# one has not. And where would you begin, to make column D small: what does GoogLeNet, whose last layer averages over
# all places first, save?
#
# *Your answer:*

# %% [markdown]
# ## 2 ResNet: why gradients come through
#
# The slide's "Deep ResNet" has 152 layers. In lab 3 you saw that shortcuts keep a gradient alive over 50 blocks. Here
# is why. To see nothing but the shortcut, make the stack linear, with $f(a) = a$ and without biases, one vector at a
# time:
#
# $$\text{plain:}\quad z_{i+1} = W_i z_i, \qquad\qquad \text{residual:}\quad z_{i+1} = z_i + W_i z_i.$$

# %% [markdown] tags=["gradient_norms"]
# ### 2.1 `gradient_norms`
#
# Given $g_k = \partial \ell / \partial z_k$, find the gradients $g_i = \partial \ell / \partial z_i$ of both stacks,
# and return their lengths $\|g_1\|, \dots, \|g_k\|$ (the square root of the sum of squares). The slide "Derivation of
# backpropagation" has the plain one.


# %%
def gradient_norms(g, Ws):
    """The lengths of the gradients in a linear stack, without shortcuts and with them.

    g   (n,)  gradient of the loss with respect to the last z
    Ws  list of k - 1 matrices (n, n): z_{i+1} = W_i z_i, or z_i + W_i z_i
    Returns plain (k,) and residual (k,): the lengths of g_1, …, g_k.
    """
    ### BEGIN SOLUTION
    plain = residual = g
    lengths = [(g.norm(), g.norm())]
    for W in reversed(Ws):
        plain = W.T @ plain
        residual = residual + W.T @ residual
        lengths.append((plain.norm(), residual.norm()))
    return torch.tensor(lengths).flip(0).unbind(dim=1)
    ### END SOLUTION


# %%
g, Ws = torch.tensor([3.0, 4.0]), [torch.tensor([[0.0, 1.0], [0.0, 0.0]]), torch.tensor([[0.5, 0.0], [0.0, 0.5]])]
lab.show(gradient_norms, g, Ws)

# %% [markdown]
# Plain: $g_3 = (3, 4)$, $g_2 = (1.5, 2)$, $g_1 = (0, 1.5)$. Residual: $g_2 = (4.5, 6)$ and $g_1 = (4.5, 10.5)$.
#
# ```
# plain = tensor([1.5000, 2.5000, 5.0000])
# residual = tensor([11.4237,  7.5000,  5.0000])
# ```

# %%
lab.check(gradient_norms).points

# %% [markdown] tags=["gradient_by_paths"]
# ### 2.2 `gradient_by_paths`
#
# Multiply the residual stack's Jacobian out:
#
# $$(I + W_{k-1}) \cdots (I + W_2)(I + W_1) = I + \sum_i W_i + \sum_{i > j} W_i W_j + \dots + W_{k-1} \cdots W_1.$$
#
# A residual network is a sum over *paths*: at each block, go through $W_i$ or around it (Veit et al., 2016). So $g_1$
# is a sum of $2^{k-1}$ gradients. Sort them by how many of the $W_i$ they went through: `parts[l]` is the sum of those
# that went through exactly $l$, for $l = 0, \dots, k-1$. The first is $g$ itself, the last is the plain stack's whole
# gradient, and all together are the residual one's.
#
# There are too many paths to follow them one by one (the check has a stack of 23 blocks). But what comes out of a block
# with $l$ on its account came in with $l$, or with $l - 1$.


# %%
def gradient_by_paths(g, Ws):
    """The gradient at the bottom of a linear residual stack, by the number of W on the way.

    g   (n,)  gradient of the loss with respect to the last z
    Ws  list of k - 1 matrices (n, n): z_{i+1} = z_i + W_i z_i
    Returns parts (k, n): parts[l] is the sum over all paths through exactly l of the Ws.
    """
    ### BEGIN SOLUTION
    parts = [g] + [torch.zeros_like(g) for _ in Ws]
    for W in reversed(Ws):
        through = [W.T @ part for part in parts]
        for length in range(1, len(parts)):
            parts[length] = parts[length] + through[length - 1]
    return torch.stack(parts)
    ### END SOLUTION


# %%
lab.show(gradient_by_paths, g, Ws)

# %% [markdown]
# Around both; around one and through the other, $(1.5, 2) + (0, 3)$; through both. The sum is the $(4.5, 10.5)$ of 2.1.
#
# ```
# parts = tensor([[3.0000, 4.0000],
#         [1.5000, 5.0000],
#         [0.0000, 1.5000]])
# ```

# %%
lab.check(gradient_by_paths).points

# %% [markdown]
# Fifty blocks of random matrices, whose entries have the variance $s^2/n$: each makes a vector about $s$ times as long.
# Expect the plain gradient to vanish with $s = 0.3$ and to keep its size with $s = 1$. And the residual one?

# %%
with when_written():
    generator, n = torch.Generator().manual_seed(0), 64
    g, Ws = torch.randn(n, generator=generator), torch.randn(50, n, n, generator=generator) / math.sqrt(n)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.2))
    for s, style in ((0.3, "-"), (1.0, ":")):
        for name, values, color in zip(
            ("plain", "residual"), gradient_norms(g, list(s * Ws)), ("tab:orange", "tab:blue")
        ):
            values = torch.as_tensor(values)
            print(f"s = {s:.1f}, {name:<9} length at block 1 is {values[0] / values[-1]:.0e} of that at the end")
            left.semilogy(range(1, 52), values, style, color=color, label=f"{name}, s = {s:g}")
    left.set(xlabel="i", ylabel=r"$\|g_i\|$")
    left.legend(fontsize=8)
    sizes = torch.as_tensor(gradient_by_paths(g, list(0.3 * Ws))).norm(dim=1)
    right.bar(range(16), sizes[:16], color="tab:blue")
    right.set(xlabel="blocks gone through, of 50", ylabel="length of the part", title="s = 0.3", xticks=range(0, 16, 3))
    print(f"through {sizes.argmax()} blocks of 50: the longest part; through all 50: a part of {sizes[-1]:.0e}")
    describe(
        figure,
        "Left, the length of the gradient against the block on a logarithmic axis. For s = 0.3 the plain one falls "
        "from right to left by 26 powers of ten, while the residual one becomes ten times as long. For s = 1 the plain "
        "one stays level, and the residual one rises by seven powers of ten. Right, for s = 0.3, the lengths of the "
        "gradient's parts: they peak at paths through about four of 50 blocks and are next to nothing beyond twelve.",
    )

# %% [markdown] tags=["why_paths"]
# **Question.** What does the figure on the right say about the depth that a residual network of 50 blocks *trains*
# with, when its blocks are small? On the left the residual gradient explodes for $s = 1$: by about which factor a
# block, and why? Name one thing that is done about it in practice (the paper's blocks have it).
#
# *Your answer:*

# %%
lab.progress()

# %% [markdown]
# ## 3 GoogLeNet: a block that forks and joins
#
# "GoogLeNet (Szegedy et al., 2014)" is built of *inception* blocks. One looks at its input in four ways at once and
# concatenates, channel by channel, what they find:
#
# | branch | operations, with ReLU after each convolution | channels out |
# |---|---|---|
# | 1 | 1×1 with $W_1$ | $K_1$ |
# | 3 | 1×1 with $R_3$ (the "reduce"), then 3×3 with $W_3$ | $K_3$ |
# | 5 | 1×1 with $R_5$, then 5×5 with $W_5$ | $K_5$ |
# | p | maximum over 3×3, stride 1, padding 1, then 1×1 with $W_p$ | $K_p$ |
#
# What is the reduction to few channels good for? Block "3a" of the paper, at 28×28:

# %%
places, C = 28 * 28, 192
for k, reduced, K in ((3, 96, 128), (5, 16, 32)):
    straight, by_reduction = C * k**2 * K, C * reduced + reduced * k**2 * K
    print(
        f"{k}×{k}: {straight * places:>11,} multiplications straight away,"
        f"{by_reduction * places:>11,} over {reduced} channels: {by_reduction / straight:.0%}"
    )

# %% [markdown]
# ```
# 3×3: 173,408,256 multiplications straight away,101,154,816 over 96 channels: 58%
# 5×5: 120,422,400 multiplications straight away, 12,443,648 over 16 channels: 10%
# ```
#
# Bring along your `conv2d_backward` and your `max_pool_backward` of lab 3: copy them here, with whatever they call. (If
# one is missing: with stride 1 and $p$ zeros of padding, `F.conv_transpose2d(G, W, padding=p)` is the gradient of the
# images. It is allowed in this lab.)

# %%
# Your conv2d_backward(G, Z, W, b, stride, padding) and max_pool_backward(G, Z, size, stride, padding) go here.
### BEGIN SOLUTION


def conv2d_backward(G, Z, W, b, stride, padding):
    """The gradients of the images, the filters and the biases."""
    P, Q = G.shape[2:]
    Z = F.pad(Z, 4 * [padding])
    G_Z, G_W = torch.zeros_like(Z), torch.zeros_like(W)
    for u in range(W.shape[2]):
        for v in range(W.shape[3]):
            met = (..., slice(u, u + stride * P, stride), slice(v, v + stride * Q, stride))
            G_W[:, :, u, v] = torch.einsum("nkij,ncij->kc", G, Z[met])
            G_Z[met] += torch.einsum("nkij,kc->ncij", G, W[:, :, u, v])
    return F.pad(G_Z, 4 * [-padding]), G_W, G.sum(dim=(0, 2, 3))


def max_pool_backward(G, Z, size, stride, padding):
    """The gradient of what was pooled."""
    P, Q = G.shape[2:]
    Z = F.pad(Z, 4 * [padding], value=-torch.inf)
    winner = Z.unfold(2, size, stride).unfold(3, size, stride).flatten(4).argmax(dim=4)
    G_Z = torch.zeros_like(Z)
    for u in range(size):
        for v in range(size):
            here = (..., slice(u, u + stride * P, stride), slice(v, v + stride * Q, stride))
            G_Z[here] += G * (winner == size * u + v)
    return F.pad(G_Z, 4 * [-padding])


### END SOLUTION

# %% [markdown] tags=["inception_backward"]
# ### 3.1 `inception_backward`
#
# Write the whole backward pass. There are no biases here; your `conv2d_backward` takes `torch.zeros(len(W))` for them.
# $G$ comes with $K_1 + K_3 + K_5 + K_p$ channels, in the order of the table. It is best to do it in pieces:
#
# 1. A function of your own for one convolution with its ReLU: from the gradient of what leaves, to those of the images
#    and of the filters. You need it six times.
# 2. The forward pass, as far as the second convolutions need it. `F.conv2d` and `F.max_pool2d` may do it.
# 3. $G$ cut into the four branches; each branch backwards.
# 4. Four gradients arrive at $Z$.


# %%
def inception_backward(G, Z, W_1, R_3, W_3, R_5, W_5, W_p):
    """The gradients of an inception block.

    G         (N, K_1 + K_3 + K_5 + K_p, H, W)  gradient of the loss with respect to what leaves the block
    Z         (N, C, H, W)        what enters it
    W_1       (K_1, C, 1, 1)      the first branch
    R_3, W_3  (r_3, C, 1, 1), (K_3, r_3, 3, 3)  the second
    R_5, W_5  (r_5, C, 1, 1), (K_5, r_5, 5, 5)  the third
    W_p       (K_p, C, 1, 1)      after the maximum over 3×3
    Returns G_Z, G_W_1, G_R_3, G_W_3, G_R_5, G_W_5 and G_W_p, in the shapes of what they belong to.
    """
    ### BEGIN SOLUTION

    def through(G, Z, W):
        """Back through one convolution with its ReLU."""
        padding = W.shape[2] // 2
        G = G * (F.conv2d(Z, W, padding=padding) > 0)
        return conv2d_backward(G, Z, W, torch.zeros(len(W)), 1, padding)[:2]

    Z_3, Z_5 = F.conv2d(Z, R_3).clamp(min=0), F.conv2d(Z, R_5).clamp(min=0)
    G_1, G_3, G_5, G_p = G.split([len(W_1), len(W_3), len(W_5), len(W_p)], dim=1)
    from_1, G_W_1 = through(G_1, Z, W_1)
    G_3, G_W_3 = through(G_3, Z_3, W_3)
    from_3, G_R_3 = through(G_3, Z, R_3)
    G_5, G_W_5 = through(G_5, Z_5, W_5)
    from_5, G_R_5 = through(G_5, Z, R_5)
    G_p, G_W_p = through(G_p, F.max_pool2d(Z, 3, 1, 1), W_p)
    from_p = max_pool_backward(G_p, Z, 3, 1, 1)
    return from_1 + from_3 + from_5 + from_p, G_W_1, G_R_3, G_W_3, G_R_5, G_W_5, G_W_p
    ### END SOLUTION


# %%
one, three = torch.ones(1, 1, 1, 1), torch.ones(1, 1, 3, 3)
small = torch.tensor([[[[1.0, 2.0]]]]), one, one, three, one, torch.ones(1, 1, 5, 5), one
with when_written():
    for name, g in zip(("G_Z", "G_W_1", "G_R_3", "G_W_3", "G_R_5"), inception_backward(torch.ones(1, 4, 1, 2), *small)):
        print(name, torch.as_tensor(g)[0, 0].tolist())

# %% [markdown]
# An image of two pixels, 1 and 2, and all filters 1. The windows of 3×3 and of 5×5 hold both pixels, so each pixel gets
# $1 + 1$ from them; the maximum is 2 at both places, so its pixel gets $1 + 1$ from branch p, the other nothing:
#
# ```
# G_Z [[5.0, 7.0]]
# G_W_1 [[3.0]]
# G_R_3 [[6.0]]
# G_W_3 [[0.0, 0.0, 0.0], [1.0, 3.0, 2.0], [0.0, 0.0, 0.0]]
# G_R_5 [[6.0]]
# ```

# %%
lab.check(inception_backward).points

# %% [markdown]
# **The gradient check**, as in every lab: against differences of the block's own forward pass along one random
# direction for each input. Expect to be off by $10^{-8}$ of each slope, or less.

# %%
names = ("Z", "W_1", "R_3", "W_3", "R_5", "W_5", "W_p")
sizes = ((2, 6, 7, 9), (4, 6, 1, 1), (3, 6, 1, 1), (5, 3, 3, 3), (2, 6, 1, 1), (3, 2, 5, 5), (2, 6, 1, 1))


def inception(Z, W_1, R_3, W_3, R_5, W_5, W_p):
    """The block, forwards."""
    convolved = lambda Z, W: F.conv2d(Z, W, padding=W.shape[2] // 2).relu()
    A_3, A_5 = convolved(convolved(Z, R_3), W_3), convolved(convolved(Z, R_5), W_5)
    return torch.cat([convolved(Z, W_1), A_3, A_5, convolved(F.max_pool2d(Z, 3, 1, 1), W_p)], dim=1)


with when_written():
    generator, eps = torch.Generator().manual_seed(3), 1e-6
    inputs = [torch.randn(size, generator=generator) for size in sizes]
    G = torch.randn(2, 14, 7, 9, generator=generator)
    for i, (name, g) in enumerate(zip(names, inception_backward(G, *inputs))):
        along = torch.randn(sizes[i], generator=generator)
        moved = ([*inputs[:i], inputs[i] + step * along, *inputs[i + 1 :]] for step in (eps, -eps))
        up, down = ((inception(*values) * G).sum() for values in moved)
        slope = (torch.as_tensor(g) * along).sum()
        print(f"G_{name:<4}{slope:>9.3f}, off by {abs((up - down) / (2 * eps) / slope - 1):.0e} of it")

# %%
lab.progress()

# %% [markdown]
# ## 4 Deep Dream
#
# "Google Deep Dream software: adjust input images (by gradient descent) to strengthen the activations that are present
# in an image." Not the weights learn here, but the picture: wherever a network sees a trace of something, make it more
# so.

# %% [markdown] tags=["dream_step"]
# ### 4.1 `dream_step`
#
# The network is a stack of convolutions that keep the image's size, with ReLU after each. With $A$ what leaves the last
# layer,
#
# $$L_n = \tfrac12 \sum_{k,i,j} A_{nkij}^2, \qquad \frac{\partial L_n}{\partial A_n} = A_n:$$
#
# an activation that is present strengthens itself. One step, as Mordvintsev et al. (2015) did it:
#
# 1. *Jitter:* roll the images by `dy` rows down and `dx` columns to the right, `torch.roll(X, (dy, dx), (2, 3))`. What
#    leaves on one side comes in on the other.
# 2. Find $L$ and its gradient $G$ with respect to the rolled images.
# 3. *Normalise:* divide the gradient of each image by its own mean absolute value plus $\epsilon$,
#    $\hat G_n = G_n / (\operatorname{mean}_{c,i,j} |G_{ncij}| + \epsilon)$.
# 4. Roll $\hat G$ back, and climb: $X \leftarrow X + \alpha \hat G$. Nothing is cut off at 0 or 1.
#
# Filters have an odd size $k$, 1, 3 or 5, and are padded by $(k-1)/2$.


# %%
def dream_step(X, Ws, bs, dy, dx, alpha, eps):
    """One step of normalised gradient ascent on images.

    X       (N, C, H, W)  the images
    Ws, bs  lists: W_i (K_i, K_{i-1}, k, k), b_i (K_i,), of convolutions with ReLU, where K_0 = C
    dy, dx  how far the images are rolled, down and to the right
    alpha   the step;  eps  is added to the mean absolute value of an image's gradient
    Returns L (N,), at the rolled images, and X_next (N, C, H, W), rolled back.
    """
    ### BEGIN SOLUTION
    Z, inputs = torch.roll(X, (dy, dx), (2, 3)), []
    for W, b in zip(Ws, bs):
        inputs.append(Z)
        Z = F.conv2d(Z, W, b, padding=W.shape[2] // 2).clamp(min=0)
    L, G = (Z**2).sum(dim=(1, 2, 3)) / 2, Z
    for W, b, Z_i in zip(Ws[::-1], bs[::-1], inputs[::-1]):
        G = conv2d_backward(G * (Z > 0), Z_i, W, b, 1, W.shape[2] // 2)[0]
        Z = Z_i
    G = G / (G.abs().mean(dim=(1, 2, 3), keepdim=True) + eps)
    return L, X + alpha * torch.roll(G, (-dy, -dx), (2, 3))
    ### END SOLUTION


# %%
W = torch.tensor([[[[0.0, 0.0, 0.0], [0.0, 1.0, 1.0], [0.0, 0.0, 0.0]]]])
lab.show(dream_step, torch.tensor([[[[2.0, -1.0]]]]), [W], [torch.zeros(1)], 0, 1, 2.0, 2.0)

# %% [markdown]
# The filter adds a pixel and its right neighbour. Rolled, the image is $(-1, 2)$, $A = (1, 2)$, $L = 2.5$, and
# $G = (1, 1 + 2)$ with mean 2. So $\hat G = (\frac14, \frac34)$; rolled back, and twice of it added:
#
# ```
# L = tensor([2.5000])
# X_next = tensor([[[[ 3.5000, -0.5000]]]])
# ```

# %%
lab.check(dream_step).points

# %% [markdown] tags=["total_variation_gradient"]
# ### 4.2 `total_variation_gradient`
#
# Left to itself, a dream becomes grainy: the quickest way to please a filter is a pattern that no photograph has. The
# *total variation* of an image says how much neighbouring pixels differ:
#
# $$\mathrm{TV} = \sum_{n,c,i,j} \sqrt{D_{ncij}^2 + R_{ncij}^2 + \epsilon}, \qquad
# D_{ncij} = X_{n,c,i+1,j} - X_{ncij}, \quad R_{ncij} = X_{n,c,i,j+1} - X_{ncij},$$
#
# where $D$ is 0 in the last row and $R$ in the last column, and every pixel has its root, those of the border, too.
# $\epsilon$ stands **under** the root, so that the slope exists where neighbours are equal. Return TV, a sum over all
# images, and its gradient.


# %%
def total_variation_gradient(X, eps):
    """The total variation of a batch of images, and its gradient.

    X    (N, C, H, W)
    eps  added under the root
    Returns TV, a number, and G_X (N, C, H, W).
    """
    ### BEGIN SOLUTION
    D, R = torch.zeros_like(X), torch.zeros_like(X)
    D[:, :, :-1] = X[:, :, 1:] - X[:, :, :-1]
    R[..., :-1] = X[..., 1:] - X[..., :-1]
    root = (D**2 + R**2 + eps).sqrt()
    D, R = D / root, R / root
    G_X = -D - R
    G_X[:, :, 1:] += D[:, :, :-1]
    G_X[..., 1:] += R[..., :-1]
    return root.sum(), G_X
    ### END SOLUTION


# %%
lab.show(total_variation_gradient, torch.tensor([[[[0.0, 2.0], [2.0, 2.0]]]]), 1.0)

# %% [markdown]
# The first pixel's root is $\sqrt{4 + 4 + 1} = 3$, the others' are 1. Only the first root has a slope, and it pulls on
# three pixels:
#
# ```
# TV = 6
# G_X = tensor([[[[-1.3333,  0.6667],
#           [ 0.6667,  0.0000]]]])
# ```

# %%
lab.check(total_variation_gradient).points

# %% [markdown]
# **Let it dream.** The picture is the sample photograph that comes with matplotlib, of Grace Hopper. The network is no
# trained one: its first layer has hand-made filters for edges and lines of four directions, in light and dark, red and
# green, blue and yellow, not unlike those that AlexNet learned; the second layer mixes them at random. So expect
# contours and stripes, not dogs. Thirty steps of your `dream_step` for each picture, clamped to $[0, 1]$; in the last
# one every step also follows your total variation downhill. It takes some ten seconds.

# %%
pixels = torch.from_numpy(plt.imread(get_sample_data("grace_hopper.jpg")).copy())[30:414, 64:448]
photo = F.interpolate(pixels.movedim(2, 0)[None] / 255, size=(80, 80), mode="area")
generator = torch.Generator().manual_seed(0)

side = torch.arange(-2.0, 3)
down, across = torch.meshgrid(side, side, indexing="ij")
waves = []
for angle in torch.arange(4) * math.pi / 4:
    for phase in (0, math.pi / 2):
        wave = torch.cos(math.pi / 2 * (across * angle.cos() + down * angle.sin()) + phase)
        wave = wave * torch.exp(-(across**2 + down**2) / 4)
        waves.append((wave - wave.mean()) / (wave - wave.mean()).norm())
colours = F.normalize(torch.tensor([[1.0, 1.0, 1.0], [1.0, -1.0, 0.0], [0.5, 0.5, -1.0]]))
edges = torch.einsum("wij,kc->wkcij", torch.stack(waves), colours).flatten(0, 1)
edges = torch.cat([edges, -edges])
mixed = torch.randn(6, len(edges), 5, 5, generator=generator) / math.sqrt(25 * len(edges))


def dream(Ws, smooth=0.0, steps=30):
    """The photograph after some steps, and L at each of them."""
    X, climb, shifts = photo, [], torch.randint(-4, 5, (steps, 2), generator=torch.Generator().manual_seed(0))
    for dy, dx in shifts.tolist():
        L, X = dream_step(X, Ws, [torch.zeros(len(W)) for W in Ws], dy, dx, 0.015, 1e-8)
        if smooth:
            _, G = total_variation_gradient(X, 1e-4)
            X = X - smooth * G / G.abs().mean()
        X = X.clamp(0, 1)
        climb.append(L[0].item())
    return X, climb


with when_written():
    dreams = {
        "first layer": dream([edges]),
        "second layer": dream([edges, mixed]),
        "second, smoothed": dream([edges, mixed], smooth=0.008),
    }
    figure, panels = plt.subplots(1, 4, figsize=(11, 3))
    image(panels[0], photo[0].movedim(0, 2))
    panels[0].set_title("matplotlib's sample", fontsize=9)
    for axes, (name, (X, climb)) in zip(panels[1:], dreams.items()):
        image(axes, X[0].movedim(0, 2))
        axes.set_title(name, fontsize=9)
        print(f"{name:<17} L rises to {climb[-1] / climb[0]:.1f} times its first value")
    describe(
        figure,
        "Four pictures. First the photograph: a woman in uniform with glasses and a cap, before a flag. In the dream "
        "of the first layer every edge is a thick dark or bright contour, as in a woodcut. In the dream of the second "
        "layer coloured stripes cover face, flag and background. Smoothed, the stripes keep to the edges, and the cap, "
        "the coat and the sky are plain again.",
    )

# %% [markdown] tags=["why_normalise"]
# **Question.** $L$ is a sum of squares: how does its gradient grow as the climb goes on, and what would $X + \alpha G$
# do, without normalising, at the start and later? What is the jitter for: which pixels would a network with zero
# padding treat differently without it? And why does the last picture look calmer, although $L$ is lower?
#
# *Your answer:*

# %%
lab.progress()
