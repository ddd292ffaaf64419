# %% [markdown]
# # Lab 5: Captions
#
# CMU 15-780, "Deep Learning", slide "Combining convolution and recurrent networks" and the lecture's question
# answering network
#
# You write the loss of a batch of sentences; the multimodal RNN, which is told an image and says a caption, with every
# gradient by hand; an encoder and a decoder; attention; greedy and beam search. Then you train a captioner on coloured
# shapes and let it describe scenes of a kind that it has never seen. About three hours, a laptop, no GPU, no network.
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
# | function | arguments | returns |
# |---|---|---|
# | `masked_cross_entropy` | `Z (N, T, V)`, `y (N, T)` | `loss`, `G_Z` |
# | `image_first_step` | `G (N, n)`, `X (N, d)`, `E (N, m)`, `W_iv (n, d)`, `W_xz (n, m)`, `b (n,)` | `Z`, `G_X` … |
# | `multimodal_rnn_backward` | `X (N, d)`, `y (N, T)`, `P`, a dict | `loss`, a dict with the keys of `P` |
# | `encoder_decoder_backward` | `X (N, S)`, words, `y (N, T)`, `P`, a dict | `loss`, a dict with the keys of `P` |
# | `attention_backward` | `G (N, T, m)`, `Q (N, T, d)`, `K (N, S, d)`, `V (N, S, m)` | `G_Q`, `G_K`, `G_V` |
# | `greedy` | `step`, `Z (n,)`, `T` | `words`, at most `T` |
# | `beam_search` | `step`, `Z (n,)`, `T`, `B`, `alpha` | `words`, a list of lists, and `scores` |
# | `train_captioner` | `X (N, d)`, `y (N, T)`, `V`, `seed` | `P`, a dict |
# | *extra* `bleu` | `hypotheses`, lists of words, `references`, lists of such | `p (4,)`, `penalty`, `score` |
# | *extra* `self_attention_backward` | `G (N, T, m)`, `X (N, T, n)`, `W_Q (d, n)`, `W_K`, `W_V (m, n)` | `G_X` … |
#
# A gradient has the shape of what it belongs to. Not allowed is autograd by any path: `backward`, `torch.autograd`,
# `torch.func` and torch's own backward kernels; in `train_captioner`, `torch.optim`, too. All else is allowed.
#
# **Rules.** A batch is rows, and a sentence is a row of `y`: its words, then `END` = 2, then `PAD` = 0 up to the length
# of the longest. What a network is given at its first step is `START` = 1. Words are numbers from 3 on.
#
# * The loss is the mean over all *real* words of the batch, taken together: the end symbol is scored, padding is not.
# * Teacher forcing: at step $t$ the network is given the *right* word $t - 1$, whatever it would have said itself.
# * Attention is scaled by $1 / \sqrt d$, $d$ the width of queries and keys; its softmax runs over the keys.
# * The score of a hypothesis $w_1 … w_L$, `END` counted, is $\frac{1}{L^\alpha} \sum_t \log p(w_t)$. Ties go to the
#   lower index.
# * BLEU is smoothed by the method "exp" of NIST's mteval-v13a, sacrebleu's default.

# %%
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F

from dl780 import Lab

lab = Lab("captioning")
PAD, START, END = 0, 1, 2
torch.set_default_dtype(torch.float64)  # twice the digits of float32: a wrong gradient cannot pass for rounding

# %% [markdown]
# What the figures below use. Run the cell; there is no need to read it.

# %%
from base64 import b64encode
from contextlib import contextmanager
from html import escape
from io import BytesIO
from time import perf_counter

from IPython.display import HTML, display

from dl780.data.shapes import HELD_OUT, scenes
from dl780.data.templates import features

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


def gallery(pictures, titles, columns=4):
    """Scenes with a title each, as a figure."""
    rows = -(-len(pictures) // columns)
    figure, panels = plt.subplots(rows, columns, figsize=(2.9 * columns, 2.4 * rows), layout="constrained")
    for axes in np.ravel(panels):
        axes.axis("off")
    for axes, picture, title in zip(np.ravel(panels), pictures, titles):
        axes.imshow(picture.movedim(0, -1))
        axes.set_title(title, fontsize=8)
    return figure


# %% [markdown]
# ## 1 Sentences as numbers
#
# "Multimodal RNN (Karpathy and Fei-Fei, 2015 …), uses the output of a convolution neural network as the first input to
# the hidden units of an RNN". Here are the data for one: scenes of coloured shapes, drawn by this package, each with a
# sentence. They come in two sets. In the second, the only or the large shape is of a kind that the first never shows:
# a purple triangle, say. There are purple circles and green triangles to learn from, and no purple triangle.

# %%
source = torch.Generator().manual_seed(0)
known, unseen = scenes(4000, source), scenes(1000, source, HELD_OUT)
said, said_unseen = ([caption[0].split() for caption in split.captions] for split in (known, unseen))

vocabulary = ["<pad>", "<start>", "<end>", *sorted({word for caption in said for word in caption})]
index = {word: i for i, word in enumerate(vocabulary)}


def numbers(captions):
    """Captions, each a list of words, as rows of numbers: the words, END, and PAD."""
    y = torch.full((len(captions), 1 + max(map(len, captions))), PAD)
    for row, caption in zip(y, captions):
        row[: len(caption) + 1] = torch.tensor([*(index[word] for word in caption), END])
    return y


def sentence(row):
    """A row of numbers as words, up to the end symbol."""
    row = [int(word) for word in row]
    return " ".join(vocabulary[word] for word in row[: row.index(END) if END in row else None])


y_known, y_unseen = numbers(said), numbers(said_unseen)
print(f"{len(vocabulary)} words: {' '.join(vocabulary)}")
print(*y_known[:4].tolist(), sep="\n")
describe(
    gallery([*known.X[:4], *unseen.X[:4]], [*map(sentence, y_known[:4]), *map(sentence, y_unseen[:4])]),
    "Eight small pictures of one or two coloured shapes on dark ground. The four above are of the known kinds: "
    + "; ".join(map(sentence, y_known[:4]))
    + ". The four below are not: "
    + "; ".join(map(sentence, y_unseen[:4]))
    + ".",
)

# %% [markdown]
# Sentences have different lengths, and a batch is a rectangle. So the shorter ones end in `PAD`, which no one may learn
# to say: it must leave no trace in loss or gradient.

# %% [markdown] tags=["masked_cross_entropy"]
# ### 1.1 `masked_cross_entropy`
#
# At each step the network gives logits $Z_{nt} \in \mathbb{R}^V$. With $M = \{(n, t) : y_{nt} \ne \mathtt{PAD}\}$, the
# places of all real words, end symbols among them,
#
# $$\ell = -\frac{1}{|M|} \sum_{(n,t) \in M} \log p_{nt}(y_{nt}), \qquad
# p_{nt} = \operatorname{softmax}(Z_{nt}).$$
#
# It is one mean over the whole batch: a long sentence counts for more than a short one.


# %%
def masked_cross_entropy(Z, y):
    """The mean cross-entropy of a batch of sentences over their real words, and its gradient.

    Z  (N, T, V)  logits: of each sentence, at each step, for each word of the vocabulary
    y  (N, T)     the right words: from 3 on, then END, then PAD
    Returns loss, a number, and G_Z (N, T, V).
    """
    ### BEGIN SOLUTION
    real = y != PAD
    log_p = Z.log_softmax(dim=2)
    loss = -(log_p.gather(2, y[..., None])[..., 0] * real).sum() / real.sum()
    G = (log_p.exp() - F.one_hot(y, Z.shape[2])) / real.sum()
    return loss, G.masked_fill(~real[..., None], 0)
    ### END SOLUTION


# %%
Z = torch.zeros(2, 2, 4)
Z[0, 0, 3] = math.log(5)
lab.show(masked_cross_entropy, Z, torch.tensor([[3, END], [END, PAD]]))

# %% [markdown]
# Two sentences of one word and of none; three real places. At the first, $p = (1, 1, 1, 5) / 8$; elsewhere
# $p = \frac14$: the loss is $(\log \frac85 + 2 \log 4) / 3$. The last place is padding:
#
# ```
# loss = 1.08086
# G_Z = tensor([[[ 0.0417,  0.0417,  0.0417, -0.1250],
#          [ 0.0833,  0.0833, -0.2500,  0.0833]],
#
#         [[ 0.0833,  0.0833, -0.2500,  0.0833],
#          [ 0.0000,  0.0000,  0.0000,  0.0000]]])
# ```

# %%
lab.check(masked_cross_entropy).points

# %% [markdown] tags=["why_end"]
# **Question.** What would a network that was never scored on `END` say, once trained? And one that was scored on
# padding as if `PAD` were a word: it would be trained for that, too, and its loss would look *better*. Why?
#
# *Your answer:*

# %% [markdown]
# ## 2 The multimodal RNN
#
# $$z^{(t)} = f(W_{xz} x^{(t)} + W_{zz} z^{(t-1)} + b), \qquad \hat y^{(t)} = \operatorname{softmax}(W_{zy} z^{(t)} +
# b_y),$$
#
# the slide's recurrent network with $f = \tanh$ and $z^{(0)} = 0$; $x^{(t)}$ is a row of an embedding, one for each
# word. The image comes in once, as one more bias at the first step:
#
# $$z^{(1)} = f(W_{xz} x^{(1)} + b + b_v), \qquad b_v = W_{iv}\, \mathrm{CNN}(\text{image}).$$

# %% [markdown] tags=["image_first_step"]
# ### 2.1 `image_first_step`
#
# For a batch: `X` holds what the CNN made of $N$ images, `E` the embedded start symbols, both as rows. Return the state
# and, given $G = \partial \ell / \partial z^{(1)}$, the gradient of everything: that of `X` is what would be sent on
# into the CNN.


# %%
def image_first_step(G, X, E, W_iv, W_xz, b):
    """The first state of the multimodal RNN, and its gradients.

    G     (N, n)  gradient of the loss with respect to the state
    X     (N, d)  the image's features;     E     (N, m)  the embedded start symbol
    W_iv  (n, d), W_xz (n, m), b (n,)
    Returns Z (N, n), and G_X, G_E, G_W_iv, G_W_xz and G_b, in the shapes of what they belong to.
    """
    ### BEGIN SOLUTION
    Z = torch.tanh(E @ W_xz.T + b + X @ W_iv.T)
    D = G * (1 - Z**2)
    return Z, D @ W_iv, D @ W_xz, D.T @ X, D.T @ E, D.sum(dim=0)
    ### END SOLUTION


# %%
one = torch.ones(1, 1)
lab.show(image_first_step, one, 2 * one, 3 * one, one / 4, one / 2, torch.tensor([-2.0]))

# %% [markdown]
# $\frac12 \cdot 3 - 2 + \frac14 \cdot 2 = 0$, where $\tanh$ is 0 and has the slope 1:
#
# ```
# Z = tensor([[0.]])
# G_X = tensor([[0.2500]])
# G_E = tensor([[0.5000]])
# G_W_iv = tensor([[2.]])
# G_W_xz = tensor([[3.]])
# G_b = tensor([1.])
# ```

# %%
lab.check(image_first_step).points

# %% [markdown]
# Two helpers, for this part and the next. Bring your recurrent network of lab 4 along, or write it here, batch first:
# `unroll` goes forward through $z^{(t)} = \tanh(a^{(t)} + W_{zz} z^{(t-1)})$, and `through_time` backward. Use them or
# not: they are not checked.

# %%
### BEGIN SOLUTION


def unroll(A, Z, W_zz):
    """The states (N, T, n) after Z (N, n), for what comes in at each step, A (N, T, n)."""
    states = []
    for a in A.unbind(1):
        Z = torch.tanh(a + Z @ W_zz.T)
        states.append(Z)
    return torch.stack(states, dim=1)


def through_time(G, states, W_zz):
    """From what the loss says of each state, G (N, T, n), the gradient of A, and that of the state before the first."""
    D, later = torch.empty_like(states), torch.zeros_like(states[:, 0])
    for t in reversed(range(states.shape[1])):
        D[:, t] = (G[:, t] + later) * (1 - states[:, t] ** 2)
        later = D[:, t] @ W_zz
    return D, later


### END SOLUTION

# %% [markdown] tags=["multimodal_rnn_backward"]
# ### 2.2 `multimodal_rnn_backward`
#
# The whole captioner, its parameters named as torch would in a `state_dict()`:
#
# | | shape | |
# |---|---|---|
# | `embed.weight` | $(V, m)$ | a row for each word, $x^{(t)}$ |
# | `W_iv.weight` | $(n, d)$ | the image's projection |
# | `W_xz.weight`, `W_xz.bias` | $(n, m)$, $(n,)$ | from word to state, and $b$ |
# | `W_zz.weight` | $(n, n)$ | from state to state |
# | `W_zy.weight`, `W_zy.bias` | $(V, n)$, $(V,)$ | from state to logits |
#
# At step 1 it is given `START` and the image, at step $t$ the right word $y_{n,t-1}$, and is to say $y_{nt}$: the
# *inputs* are `y` moved one place to the right. The loss is that of 1.1.
#
# A parameter is used at every step, and gradients of all uses add up. So do those of a word that occurs twice: mind
# that `grad[words] += G` of torch adds only one of them.


# %%
def multimodal_rnn_backward(X, y, P):
    """The loss of the captioner under teacher forcing, and the gradient of every parameter.

    X  (N, d)  the images' features;  y  (N, T)  their captions
    P  a dict: embed.weight (V, m), W_iv.weight (n, d), W_xz.weight (n, m), W_xz.bias (n,), W_zz.weight (n, n),
       W_zy.weight (V, n), W_zy.bias (V,)
    Returns loss, a number, and grads, a dict with the keys of P.
    """
    ### BEGIN SOLUTION
    words = torch.cat([torch.full_like(y[:, :1], START), y[:, :-1]], dim=1)
    E = P["embed.weight"][words]
    A = E @ P["W_xz.weight"].T + P["W_xz.bias"]
    A[:, 0] += X @ P["W_iv.weight"].T
    states = unroll(A, torch.zeros_like(A[:, 0]), P["W_zz.weight"])
    loss, G = masked_cross_entropy(states @ P["W_zy.weight"].T + P["W_zy.bias"], y)
    D, _ = through_time(G @ P["W_zy.weight"], states, P["W_zz.weight"])
    G_E = (D @ P["W_xz.weight"]).flatten(0, 1)
    grads = {
        "embed.weight": torch.zeros_like(P["embed.weight"]).index_add(0, words.flatten(), G_E),
        "W_iv.weight": D[:, 0].T @ X,
        "W_xz.weight": torch.einsum("ntk,ntm->km", D, E),
        "W_xz.bias": D.sum(dim=(0, 1)),
        "W_zz.weight": torch.einsum("ntk,ntj->kj", D[:, 1:], states[:, :-1]),
        "W_zy.weight": torch.einsum("ntv,ntk->vk", G, states),
        "W_zy.bias": G.sum(dim=(0, 1)),
    }
    return loss, grads
    ### END SOLUTION


# %% [markdown]
# **Rungs 1 and 2 of the ladder**: with small random weights every word is as good as another, so the loss must be near
# $\log V$. Then your gradients against differences of your loss, along one random direction for each parameter.

# %%
X_known, X_unseen = features(known.X).double(), features(unseen.X).double()
mean, std = X_known.mean(dim=0), X_known.std(dim=0)
X_known, X_unseen = (X_known - mean) / std, (X_unseen - mean) / std


def small_captioner(seed, V, d, m=5, n=7):
    """A captioner with random parameters of width 0.1."""
    source = torch.Generator().manual_seed(seed)
    shapes = dict(embed=(V, m), W_iv=(n, d), W_xz=(n, m), W_zz=(n, n), W_zy=(V, n))
    P = {f"{name}.weight": 0.1 * torch.randn(shape, generator=source) for name, shape in shapes.items()}
    return P | {"W_xz.bias": torch.zeros(n), "W_zy.bias": torch.zeros(V)}


with when_written():
    P, few, their = small_captioner(0, len(vocabulary), X_known.shape[1]), X_known[:5], y_known[:5]
    loss, grads = multimodal_rnn_backward(few, their, P)
    print(f"loss {loss:.4f}, log {len(vocabulary)} = {math.log(len(vocabulary)):.4f}")
    eps, source = 1e-6, torch.Generator().manual_seed(1)
    for name, w in P.items():
        along = torch.randn(w.shape, generator=source)
        up, down = (multimodal_rnn_backward(few, their, {**P, name: w + step * along})[0] for step in (eps, -eps))
        print(f"{name:<13} {tuple(w.shape)!s:<9} {abs((up - down) / (2 * eps) - (grads[name] * along).sum()):.0e}")

# %% [markdown]
# Expect a loss of 3.3964, where $\log 30 = 3.4012$, and differences below $10^{-8}$.

# %%
lab.check(multimodal_rnn_backward).points

# %% [markdown] tags=["why_once"]
# **Question.** The image comes in at step 1 alone. How, then, can the network say the *last* word right? What does it
# need `W_zz` for, apart from remembering which words it has said? Karpathy and Fei-Fei found that to show the image at
# every step makes captions worse. What might a network that sees it at every step not learn to do?
#
# *Your answer:*

# %%
lab.progress()

# %% [markdown]
# ## 3 Sequence to sequence
#
# "Question answering network (Vinyals and Le, 2015), using sequence to sequence learning method (Sutskever et al.,
# 2014)": one recurrent network reads, another one writes, and the state is all that passes between them.

# %% [markdown] tags=["encoder_decoder_backward"]
# ### 3.1 `encoder_decoder_backward`
#
# The encoder reads the words $x^{(1)} … x^{(S)}$ of a question, from $u^{(0)} = 0$; the decoder begins with the
# encoder's last state, and says the answer under teacher forcing, from `START`, as in 2.2 but without an image:
#
# $$u^{(s)} = \tanh(W^e_{xz} x^{(s)} + b^e + W^e_{zz} u^{(s-1)}), \qquad z^{(0)} = u^{(S)}, \qquad
# z^{(t)} = \tanh(W^d_{xz} x^{(t)} + b^d + W^d_{zz} z^{(t-1)}).$$
#
# Both look words up in the same `embed.weight`. The parameters: `embed.weight` $(V, m)$; `encoder.W_xz.weight`
# $(n, m)$, `encoder.W_xz.bias` $(n,)$, `encoder.W_zz.weight` $(n, n)$; the same three of the `decoder`; `W_zy.weight`
# $(V, n)$ and `W_zy.bias` $(V,)$. Questions all have the same length; answers end in `END` and `PAD`.
#
# The encoder has no loss of its own. All that it learns comes through one gradient, $\partial \ell / \partial z^{(0)}$,
# which has come back through every step of the decoder, and goes on through every step of the encoder.


# %%
def encoder_decoder_backward(X, y, P):
    """The loss of an answer under teacher forcing, and the gradient of every parameter of encoder and decoder.

    X  (N, S)  the questions' words, all real;  y  (N, T)  the answers
    P  a dict: embed.weight (V, m), encoder.W_xz.weight (n, m), encoder.W_xz.bias (n,), encoder.W_zz.weight (n, n),
       the same three of decoder, W_zy.weight (V, n), W_zy.bias (V,)
    Returns loss, a number, and grads, a dict with the keys of P.
    """
    ### BEGIN SOLUTION
    words = torch.cat([torch.full_like(y[:, :1], START), y[:, :-1]], dim=1)
    E_x, E_y = P["embed.weight"][X], P["embed.weight"][words]
    start = torch.zeros(len(X), len(P["encoder.W_zz.weight"]), dtype=E_x.dtype)
    A = E_x @ P["encoder.W_xz.weight"].T + P["encoder.W_xz.bias"]
    read = unroll(A, start, P["encoder.W_zz.weight"])
    A = E_y @ P["decoder.W_xz.weight"].T + P["decoder.W_xz.bias"]
    written = unroll(A, read[:, -1], P["decoder.W_zz.weight"])
    loss, G = masked_cross_entropy(written @ P["W_zy.weight"].T + P["W_zy.bias"], y)
    grads = {"W_zy.weight": torch.einsum("ntv,ntk->vk", G, written), "W_zy.bias": G.sum(dim=(0, 1))}
    grads["embed.weight"] = torch.zeros_like(P["embed.weight"])

    def back(side, G, states, first, E, spoken):
        D, G_first = through_time(G, states, P[f"{side}.W_zz.weight"])
        before = torch.cat([first[:, None], states[:, :-1]], dim=1)
        grads[f"{side}.W_xz.weight"] = torch.einsum("ntk,ntm->km", D, E)
        grads[f"{side}.W_xz.bias"] = D.sum(dim=(0, 1))
        grads[f"{side}.W_zz.weight"] = torch.einsum("ntk,ntj->kj", D, before)
        G_E = D @ P[f"{side}.W_xz.weight"]
        grads["embed.weight"].index_add_(0, spoken.flatten(), G_E.flatten(0, 1))
        return G_first

    G_read = torch.zeros_like(read)
    G_read[:, -1] = back("decoder", G @ P["W_zy.weight"], written, read[:, -1], E_y, words)
    back("encoder", G_read, read, start, E_x, X)
    return loss, grads
    ### END SOLUTION


# %% [markdown]
# Widths of one, a question and an answer of one word each: `[3]`, answered by `[4, END]`. All weights are 0.5, but for
# one of 1, and the biases 0.

# %%
sides = [f"{side}.{name}" for side in ("encoder", "decoder") for name in ("W_xz.weight", "W_zz.weight")]
P = {"embed.weight": torch.ones(5, 1) / 2, "W_zy.weight": torch.ones(5, 1) / 2, "W_zy.bias": torch.zeros(5)}
P["W_zy.weight"][4] = 1  # the right word's logit grows with the state
P |= {name: 0.5 * torch.ones(1, 1) for name in sides}
P |= {f"{side}.W_xz.bias": torch.zeros(1) for side in ("encoder", "decoder")}
with when_written():
    loss, grads = encoder_decoder_backward(torch.tensor([[3]]), torch.tensor([[4, END]]), P)
    print(f"loss {loss:.4f}")
    for name in ("embed.weight", *sides):
        print(f"{name:<20}", *(f"{g + 0:8.4f}" for g in grads[name].flatten().tolist()))

# %% [markdown]
# The encoder's one step started from 0, so its `W_zz` gets no gradient. Of the embedding, the question's word 3,
# `START` and the answer's 4 were used:
#
# ```
# loss 1.5614
# embed.weight           0.0000  -0.0733   0.0000  -0.0345   0.0245
# encoder.W_xz.weight   -0.0345
# encoder.W_zz.weight    0.0000
# decoder.W_xz.weight   -0.0488
# decoder.W_zz.weight   -0.0185
# ```

# %%
lab.check(encoder_decoder_backward).points

# %% [markdown]
# How much of the gradient arrives at the question's first word? Below, its size at each of 40 words, for encoders whose
# `W_zz` is a rotation times a factor. Expect a straight line on the logarithmic axis for each, steeper than the factor
# says: $\tanh'$ adds to it.

# %%
with when_written():
    n, S, V = 12, 40, 46
    source = torch.Generator().manual_seed(0)
    rotation = torch.linalg.qr(torch.randn(n, n, generator=source)).Q
    question, answer = 3 + torch.arange(S)[None], torch.tensor([[S + 3, S + 4, END]])  # each word once
    figure, axes = plt.subplots(figsize=(6.5, 3))
    for factor, marker in ((1.0, "o"), (0.9, "s"), (0.7, "^")):
        P = {"embed.weight": 0.3 * torch.randn(V, n, generator=source), "W_zy.bias": torch.zeros(V)}
        P["W_zy.weight"] = torch.randn(V, n, generator=source) / math.sqrt(n)
        for side in ("encoder", "decoder"):
            P |= {f"{side}.W_xz.weight": 0.3 * torch.eye(n), f"{side}.W_xz.bias": torch.zeros(n)}
            P[f"{side}.W_zz.weight"] = factor * rotation
        size = encoder_decoder_backward(question, answer, P)[1]["embed.weight"].norm(dim=1)[3 : S + 3]
        axes.semilogy(range(1, S + 1), size, marker=marker, markersize=3, label=f"{factor:g} × a rotation")
    axes.set(xlabel="word of the question", ylabel="size of its gradient")
    axes.legend()
    describe(
        figure,
        "The size of the gradient at each of 40 words of a question, on a logarithmic axis. It grows from the first "
        "word to the last, slowly for the rotation itself, and over many powers of ten for 0.7 times a rotation.",
    )

# %% [markdown] tags=["attention_backward"]
# ### 3.2 `attention_backward`
#
# One vector for a whole question is a narrow pass, and a long way back. Attention (Bahdanau et al., 2015) opens a
# direct one: at each step the decoder asks all of the encoder's states, and takes a mean of what they hold, weighted by
# how well they fit. With queries $Q$, keys $K$ of width $d$, and values $V$,
#
# $$A = \operatorname{softmax}\!\Big(\frac{Q K^T}{\sqrt d}\Big), \qquad \text{result} = A V,$$
#
# for each example, the softmax over the keys: each row of $A$ sums to 1. Given $G$, the gradient of the result, return
# those of $Q$, $K$ and $V$.


# %%
def attention_backward(G, Q, K, V):
    """The gradients of softmax(Q Kᵀ / √d) V.

    G  (N, T, m)  gradient of the loss with respect to the result
    Q  (N, T, d)  queries;  K  (N, S, d)  keys;  V  (N, S, m)  values
    Returns G_Q, G_K and G_V, in the shapes of Q, K and V.
    """
    ### BEGIN SOLUTION
    root = math.sqrt(Q.shape[2])
    A = (Q @ K.mT / root).softmax(dim=2)
    D = G @ V.mT
    D = A * (D - (A * D).sum(dim=2, keepdim=True)) / root
    return D @ K, D.mT @ Q, A.mT @ G
    ### END SOLUTION


# %%
Q, K = torch.tensor([[[2.0, 0.0, 0.0, 0.0]]]), torch.tensor([[[math.log(3), 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]])
lab.show(attention_backward, torch.tensor([[[1.0]]]), Q, K, torch.tensor([[[5.0], [1.0]]]))

# %% [markdown]
# One query, two keys; $d = 4$. The scores are $2 \log 3 / \sqrt 4 = \log 3$ and 0, so the weights are $\frac34$ and
# $\frac14$, the result is 4, and the first key lies 1 above it: its score's gradient is $\frac34 \cdot 1$.
#
# ```
# G_Q = tensor([[[0.4120, 0.0000, 0.0000, 0.0000]]])
# G_K = tensor([[[ 0.7500,  0.0000,  0.0000,  0.0000],
#          [-0.7500,  0.0000,  0.0000,  0.0000]]])
# G_V = tensor([[[0.7500],
#          [0.2500]]])
# ```

# %%
lab.check(attention_backward).points

# %% [markdown]
# Why $\sqrt d$? Queries and keys with entries of $N(0, 1)$ have products of variance $d$. Without the scale a softmax
# over them soon takes one key for all; $A$ is then near 0 or 1, and nearly no gradient comes through. The cell measures
# both, over 16 keys, with your function. (Where $m = 1$ and $G = 1$, its $G_V$ is the row of $A$ itself.)

# %%
with when_written():
    source, widths = torch.Generator().manual_seed(0), [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
    found = {"scaled by 1 / √d": [], "not scaled": []}
    for d in widths:
        Q, K, V = (torch.randn(500, rows, width, generator=source) for rows, width in ((1, d), (16, d), (16, 1)))
        for name, factor in zip(found, (1, math.sqrt(d))):  # factor · Q takes the scale out again
            G_Q, _, A = attention_backward(torch.ones(500, 1, 1), factor * Q, K, V)
            found[name].append((A.amax(dim=1).mean(), G_Q.norm(dim=2).median()))
    figure, panels = plt.subplots(1, 2, figsize=(9, 3))
    for (name, values), marker in zip(found.items(), "os"):
        for axes, value in zip(panels, zip(*values)):
            axes.semilogx(widths, value, marker=marker, label=name)
    panels[0].set(xlabel="width $d$ of queries and keys", ylabel="largest weight, mean", ylim=(0, 1))
    panels[1].set(xlabel="width $d$ of queries and keys", ylabel="size of the gradient, median", ylim=(0, None))
    panels[0].legend()
    describe(
        figure,
        "Two curves each against the width d, from 1 to 512. Left, the largest weight of attention: with the scale it "
        "stays near a quarter, without it rises to nearly 1. Right, the median size of the gradient: it "
        "levels off with the scale, and falls to 0 without.",
    )

# %%
lab.progress()

# %% [markdown]
# ## 4 Saying it
#
# A trained network gives probabilities; a caption is a choice. From here on a network is a function
#
# ```
# log_p, Z_next = step(Z, word)
# ```
#
# which takes a state and the last word said, and returns the log-probabilities `(V,)` of the next word with the next
# state. `Z` is whatever the network needs to know: pass it on as it is. Here is a toy one, of five words, whose state
# counts the steps.

# %%
table = torch.tensor(
    [
        # <pad> <start> <end>  red  ring
        [0.00, 0.00, 0.00, 0.55, 0.45],  # the first word
        [0.00, 0.00, 0.10, 0.30, 0.60],  # after red, at step 2
        [0.00, 0.00, 0.80, 0.00, 0.20],  # after ring, at step 2
        [0.00, 0.00, 1.00, 0.00, 0.00],  # from step 3 on
    ]
)


def toy(Z, word):
    """Log-probabilities of the next word, and the next state."""
    row = 0 if Z == 0 else 3 if Z > 1 else int(word) - 2
    return table[row].clamp(min=1e-9).log(), Z + 1


# %% [markdown] tags=["greedy"]
# ### 4.1 `greedy`
#
# Take the most probable word at each step, and give it to the next one. Begin with `START`; stop after `END`, which is
# the last of the words returned, or when there are `T`. Where words tie, take the one with the lowest number.


# %%
def greedy(step, Z, T):
    """The words that a network says if it always says the most probable one.

    step  a function: log_p (V,), Z = step(Z, word)
    Z     the first state;  T  the most words, at least 1
    Returns words, a list of numbers: up to END, or T of them.
    """
    ### BEGIN SOLUTION
    word, words = START, []
    while len(words) < T and word != END:
        log_p, Z = step(Z, word)
        word = int(log_p.argmax())
        words.append(word)
    return words
    ### END SOLUTION


# %%
lab.show(greedy, toy, torch.zeros(()), 5)

# %% [markdown]
# Red, for 0.55; then ring, for 0.60; then the end. In all, 0.33:
#
# ```
# words = [3, 4, 2]
# ```

# %%
lab.check(greedy).points

# %% [markdown] tags=["beam_search"]
# ### 4.2 `beam_search`
#
# But `ring <end>` has the probability 0.45 · 0.80 = 0.36. Beam search keeps the `B` best beginnings. A hypothesis is
# its words, their $\sum \log p$, and the state after them. Start with one: no words, 0, and `Z`. Then, for `T` rounds:
#
# 1. Ask `step` for every hypothesis that is still live, and make all its $V$ successors.
# 2. Of all of these together take the best by $\sum \log p$: `B` less the number of those that have ended in earlier
#    rounds. (So `B` hypotheses are kept in all, or fewer as long as there are not so many.) Where they tie, the
#    lower hypothesis comes first, in the order that step 2 of the round before gave them, and then the lower word.
# 3. Those that end in `END` are set aside; the others live on. Stop if none does.
#
# At the end rank all of them, those that have ended (in the order in which they did), then those that `T` has cut off,
# by
#
# $$\text{score}(w_1 … w_L) = \frac{1}{L^\alpha} \sum_{t=1}^{L} \log p(w_t), \qquad L \text{ with END}.$$
#
# With $\alpha = 0$ short sentences win, since each word costs; with $\alpha = 1$ it is the mean. Ties again stay in
# order: Python's `sorted` and `argsort(stable=True)` see to that, `topk` does not.


# %%
def beam_search(step, Z, T, B, alpha):
    """The best sentences that a beam finds, with their scores.

    step   a function: log_p (V,), Z = step(Z, word)
    Z      the first state;  T  the most words
    B      how many hypotheses are kept;  alpha  the power of the length in the score
    Returns words, a list of lists of numbers, and scores, a list, the best first.
    """
    ### BEGIN SOLUTION
    live, ended = [([], 0.0, Z)], []
    for _ in range(T):
        told = [step(Z, words[-1] if words else START) for words, _, Z in live]
        totals = torch.stack([total + log_p for (_, total, _), (log_p, _) in zip(live, told)])
        best = totals.flatten().argsort(descending=True, stable=True)[: B - len(ended)]
        parents, live = live, []
        for i in best.tolist():
            h, word = divmod(i, totals.shape[1])
            grown = (parents[h][0] + [word], totals[h, word].item(), told[h][1])
            (ended if word == END else live).append(grown)
        if not live:
            break
    scored = [(total / len(words) ** alpha, words) for words, total, _ in ended + live]
    scored.sort(key=lambda found: -found[0])
    return [words for _, words in scored], [score for score, _ in scored]
    ### END SOLUTION


# %%
lab.show(beam_search, toy, torch.zeros(()), 5, 2, 0.0)
lab.show(beam_search, toy, torch.zeros(()), 5, 2, 1.0)

# %% [markdown]
# A beam of two finds `ring <end>`, of probability 0.36, beside `red ring <end>`, of 0.33. By the sums (α = 0) the first
# is better, by the means (α = 1) the second:
#
# ```
# words = [[4, 2], [3, 4, 2]]
# scores = [-1.0216512475319814, -1.1086626245216111]
# words = [[3, 4, 2], [4, 2]]
# scores = [-0.36955420817387036, -0.5108256237659907]
# ```

# %%
lab.check(beam_search).points

# %% [markdown] tags=["why_length"]
# **Question.** Whatever it is trained on, a network gives no sentence a probability over 1, and each word multiplies by
# a number below 1. Which sentence does an endless beam with $\alpha = 0$ prefer, if the network is at all unsure how to
# begin? Why may a *larger* beam thus give *worse* captions, although it finds what it looks for more often?
#
# *Your answer:*

# %%
lab.progress()

# %% [markdown]
# ## 5 A captioner
#
# What does the network see? A real captioner has a CNN that was trained on a million photographs. Ours has one
# layer of twelve filters, made by hand: the six shapes in two sizes. For the best fit of each size, `features` tells
# how well each shape fits there, the colour, and the place: 24 numbers, of which nobody tells the network what they
# mean.

# %% [markdown] tags=["train_captioner"]
# ### 5.1 `train_captioner`
#
# **Rung 4.** Train it with *your* `multimodal_rnn_backward`. Start with weights of variance $1/n$, $n$ the number of a
# matrix's columns, and biases of 0; then mini-batches in a new random order in each epoch, and Adam of lab 2. Draw all
# random numbers from one generator with the given `seed`. The widths $m$ and $n$ are yours, 512 at most.
#
# The check hands over 3,500 scenes, with the features turned by a random rotation and the words renumbered, and asks
# your weights for captions of 1,000 scenes of unseen combinations, word by word, greedily. A caption counts if every
# word of it is right, the end among them. 79.5 % have full points. Training has 90 seconds on one thread.


# %%
def train_captioner(X, y, V, seed):
    """Train the captioner of 2.2 by hand-written backpropagation.

    X     (N, d)  the images' features, each of mean 0 and variance 1
    y     (N, T)  their captions;  V  how many words there are, PAD, START and END among them
    seed  an integer, for the generator of all random numbers
    Returns P, a dict of the parameters, as in multimodal_rnn_backward.
    """
    ### BEGIN SOLUTION
    generator = torch.Generator().manual_seed(seed)
    m, n, epochs, batch, alpha, t = 16, 192, 20, 100, 0.005, 0
    shapes = dict(embed=(V, m), W_iv=(n, X.shape[1]), W_xz=(n, m), W_zz=(n, n), W_zy=(V, n))
    X, P = X.float(), {}
    for layer, (rows, columns) in shapes.items():
        W = torch.randn(rows, columns, generator=generator, dtype=torch.float32)
        P[f"{layer}.weight"] = W / math.sqrt(columns)
    P["W_xz.bias"], P["W_zy.bias"] = torch.zeros(n, dtype=torch.float32), torch.zeros(V, dtype=torch.float32)
    means = {name: torch.zeros_like(w) for name, w in P.items()}
    squares = {name: torch.zeros_like(w) for name, w in P.items()}
    steps = epochs * math.ceil(len(X) / batch)
    for _ in range(epochs):
        for some in torch.randperm(len(X), generator=generator).split(batch):
            t += 1
            _, grads = multimodal_rnn_backward(X[some], y[some], P)
            for name, g in grads.items():
                means[name] = 0.9 * means[name] + 0.1 * g
                squares[name] = 0.999 * squares[name] + 0.001 * g**2
                root = (squares[name] / (1 - 0.999**t)).sqrt() + 1e-8
                P[name] = P[name] - alpha * (1 - t / steps) * means[name] / (1 - 0.9**t) / root
    return P
    ### END SOLUTION


# %% [markdown]
# **Rung 3**: eight scenes, again and again. Expect all eight captions right, or nearly; they are eight of the fifty-two
# thousand that there could be.


# %%
def speak(P, x):
    """The step function and the first state of a trained captioner for one image: the image acts in the first step."""
    P = {name: torch.as_tensor(w).double() for name, w in P.items()}

    def step(Z, word):
        state, image = Z
        a = P["W_xz.weight"] @ P["embed.weight"][word] + P["W_xz.bias"] + P["W_zz.weight"] @ state + image
        state = torch.tanh(a)
        return (P["W_zy.weight"] @ state + P["W_zy.bias"]).log_softmax(0), (state, torch.zeros_like(image))

    image = P["W_iv.weight"] @ x
    return step, (torch.zeros_like(image), image)


def exact(P, X, y):
    """Of each image, whether its greedy caption is right to the last word."""
    return torch.tensor([sentence(greedy(*speak(P, x), y.shape[1])) == sentence(row) for x, row in zip(X, y)])


with when_written():
    P = train_captioner(X_known[:8].repeat(50, 1), y_known[:8].repeat(50, 1), len(vocabulary), seed=0)
    print(f"{exact(P, X_known[:8], y_known[:8]).sum()} of 8 captions right")

# %% [markdown]
# Now all of it. Expect some seconds, nearly all captions of *known* combinations right (these are 500 scenes that were
# not trained on), and about nine in ten of the unseen ones.

# %%
P = None
with when_written():
    start = perf_counter()
    P = train_captioner(X_known[:3500], y_known[:3500], len(vocabulary), seed=0)
    print(f"{perf_counter() - start:.0f} s")
    right = exact(P, X_unseen, y_unseen)
    print(f"known combinations, not trained on  {exact(P, X_known[3500:], y_known[3500:]).double().mean():.1%}")
    print(f"unseen combinations                 {right.double().mean():.1%}")

# %%
lab.check(train_captioner).points

# %% [markdown]
# What it says of scenes that it could not have learned by heart: four that are right, and, where there are any, four
# that are not. Under each stands what a beam of three finds, with its probability. Where it errs, which words are
# wrong?

# %%
with when_written():
    if P is None:
        raise NotImplementedError("train_captioner")
    chosen = [*right.nonzero()[:4, 0].tolist(), *(~right).nonzero()[:4, 0].tolist()]
    titles = []
    for i in chosen:
        words, scores = beam_search(*speak(P, X_unseen[i]), 10, 3, 0.0)
        titles.append("\n".join(f"{math.exp(score):.0%} {sentence(w)}" for w, score in zip(words, scores)))
    told = "; ".join(f"{sentence(y_unseen[i])}: “{title.splitlines()[0]}”" for i, title in zip(chosen, titles))
    describe(
        gallery(unseen.X[chosen], titles),
        f"Scenes of unseen combinations, with the three best captions of a beam. The first four are told right, the "
        f"others not. What they show, and the best caption: {told}.",
    )

# %% [markdown]
# And what does the state hold? Below are the states of scenes with one shape after the *first* step, along two
# directions (the principal ones of the means by colour). Expect six clouds: the network has kept apart what it will
# need when it comes to the colour.

# %%
with when_written():
    if P is None:
        raise NotImplementedError("train_captioner")
    alone = [i for i, caption in enumerate(said[:1500]) if caption[1] in ("small", "large")]
    paint = [said[i][2] for i in alone]
    captioners = [speak(P, X_known[i]) for i in alone]
    Z = torch.stack([step(first, START)[1][0] for step, first in captioners])
    names = sorted(set(paint))
    centres = torch.stack([Z[[i for i, p in enumerate(paint) if p == name]].mean(dim=0) for name in names])
    flat = (Z - Z.mean(dim=0)) @ torch.linalg.svd(centres - centres.mean(dim=0)).Vh[:2].T
    figure, axes = plt.subplots(figsize=(5.5, 3.6))
    for name, marker in zip(names, "os^Dv*"):
        of = flat[[i for i, p in enumerate(paint) if p == name]]
        shown = "0.75" if name == "white" else "gold" if name == "yellow" else name
        axes.scatter(*of.T, s=9, color=shown, marker=marker, label=name)
    axes.set(xlabel="first direction", ylabel="second direction", title="states after the first step, by colour")
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    describe(
        figure,
        "The states of scenes with one shape, as points in the plane, marked by the shape's colour: "
        + ", ".join(names)
        + ". Points of one colour lie together.",
    )

# %%
lab.progress()

# %% [markdown]
# ## 6 Extra
#
# Beside the 100 points of the lab.

# %% [markdown] tags=["bleu"]
# ### 6.1 `bleu`
#
# Papers on captions and translation report BLEU (Papineni et al., 2002). Of a whole corpus, with one or several
# references for each hypothesis, here as lists of words without `END`, count the $n$-grams of the hypotheses,
# $n = 1 … 4$, and their *clipped* matches: an $n$-gram counts at most as often as it stands in the reference that has
# it most often. Then
#
# $$p_n = \frac{\text{clipped matches}}{n\text{-grams of the hypotheses}}, \qquad
# \text{penalty} = \min\{1,\ e^{1 - r/c}\}, \qquad
# \text{BLEU} = \text{penalty} \cdot (p_1 p_2 p_3 p_4)^{1/4},$$
#
# where $c$ is the number of all words of the hypotheses, and $r$ that of the references, of each hypothesis' references
# the one nearest in length (the shorter of two). All sums run over the corpus, before any division.
#
# *Smoothing* "exp": where $p_n$ has no match, one over $2^k$ is put for it, $k = 1$ for the first such $n$, 2 for the
# second, and so on. `sacrebleu` does just this, and prints the score times 100; here it is between 0 and 1. Hypotheses
# have at least four words, and some word is right.


# %%
def bleu(hypotheses, references):
    """BLEU-4 of a corpus, with smoothing "exp".

    hypotheses  list of lists of words (numbers);  references  list of lists of references, as many for each
    Returns p (4,), the precisions, penalty and score, two numbers.
    """
    ### BEGIN SOLUTION
    from collections import Counter

    def grams(words, n):
        return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))

    p, halvings = [], 0
    for n in range(1, 5):
        matches = total = 0
        for hypothesis, told in zip(hypotheses, references):
            found, most = grams(hypothesis, n), Counter()
            for reference in told:
                most |= grams(reference, n)
            matches += (found & most).total()
            total += found.total()
        if not matches:
            halvings += 1
            matches = 1 / 2**halvings
        p.append(matches / total)
    c = sum(map(len, hypotheses))
    r = sum(min((abs(len(t) - len(h)), len(t)) for t in told)[1] for h, told in zip(hypotheses, references))
    penalty = min(1.0, math.exp(1 - r / c))
    return p, penalty, penalty * math.prod(p) ** 0.25
    ### END SOLUTION


# %%
lab.show(bleu, [[3, 4, 5, 6, 3]], [[[3, 4, 5, 6, 7, 8], [3, 4, 9, 9, 9, 9, 9]]])

# %% [markdown]
# Of the five words four match: the second 3 is one too many. Three of four pairs match, and so on; and the hypothesis
# is a word short of the nearer reference: $e^{1 - 6/5}$.
#
# ```
# p = [0.8, 0.75, 0.6666666666666666, 0.5]
# penalty = 0.818731
# score = 0.547518
# ```

# %%
lab.check(bleu).points

# %% [markdown] tags=["self_attention_backward"]
# ### 6.2 `self_attention_backward`
#
# The bridge to what came after the lecture (Vaswani et al., 2017): let a sentence ask *itself*, and the recurrence can
# go. Queries, keys and values all come from the same rows $X$,
#
# $$Q = X W_Q^T, \qquad K = X W_K^T, \qquad V = X W_V^T, \qquad
# \text{result} = \operatorname{softmax}\!\Big(\frac{Q K^T}{\sqrt d} + M\Big) V,$$
#
# and no word may look at a later one, which it is yet to say: $M_{ts} = -\infty$ for $s > t$, and 0 elsewhere.


# %%
def self_attention_backward(G, X, W_Q, W_K, W_V):
    """The gradients of causal self-attention with one head.

    G  (N, T, m)  gradient of the loss with respect to the result
    X  (N, T, n)  the sentence;  W_Q, W_K  (d, n);  W_V  (m, n)
    Returns G_X, G_W_Q, G_W_K and G_W_V, in the shapes of what they belong to.
    """
    ### BEGIN SOLUTION
    Q, K, V = X @ W_Q.T, X @ W_K.T, X @ W_V.T
    root, T = math.sqrt(Q.shape[2]), X.shape[1]
    later = torch.ones(T, T).triu(1) > 0
    A = (Q @ K.mT / root).masked_fill(later, -torch.inf).softmax(dim=2)
    D = G @ V.mT
    D = A * (D - (A * D).sum(dim=2, keepdim=True)) / root
    G_Q, G_K, G_V = D @ K, D.mT @ Q, A.mT @ G
    G_W_Q, G_W_K, G_W_V = (torch.einsum("ntd,ntk->dk", G_Y, X) for G_Y in (G_Q, G_K, G_V))
    return G_Q @ W_Q + G_K @ W_K + G_V @ W_V, G_W_Q, G_W_K, G_W_V
    ### END SOLUTION


# %%
one = torch.ones(1, 1)
lab.show(self_attention_backward, torch.tensor([[[1.0], [0.0]]]), torch.tensor([[[2.0], [3.0]]]), one, one, one)

# %% [markdown]
# Only the first word's result has a gradient, and the first word sees only itself: it is handed back its value.
#
# ```
# G_X = tensor([[[1.],
#          [0.]]])
# G_W_Q = tensor([[0.]])
# G_W_K = tensor([[0.]])
# G_W_V = tensor([[2.]])
# ```

# %%
lab.check(self_attention_backward).points

# %%
lab.progress()
