"""Captions: sequence to sequence, and the multimodal RNN.

Slide "Combining convolution and recurrent networks"; Karpathy and Fei-Fei 2015, Sutskever et al. 2014.
A batch is rows: a caption is a row of word indices, closed by END and filled up with PAD; the network's first word is
START. The loss is a mean over real words, END among them, of the whole batch.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache, partial
from math import exp, log
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dl780.check.cases import Draw
from dl780.check.question import Gradients, Trained, Values, looks_like, slope_elsewhere
from dl780.questions.backprop import BY_HAND
from dl780.student import adapters, adapters_captioning
from dl780.student.arrays import Inputs
from dl780.student.drawn import speaker
from dl780.student.traps import KERNELS

OPENING = """\
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F

from dl780 import Lab

lab = Lab("captioning")
PAD, START, END = 0, 1, 2
"""
WRITTEN = {"why_end": 4.0, "why_once": 4.0, "why_length": 4.0}
PAD, START, END = 0, 1, 2
CAPTIONS = "Combining convolution and recurrent networks"
ANSWERS = "Question answering network (Vinyals and Le, 2015)"

Layer = Callable[..., Tensor]


def _drawn_words(d: Draw, N: int, T: int, V: int, full: bool = False) -> Tensor:
    """Captions (N, T) of different lengths, END counted, in a vocabulary of V; none is padded where they are `full`.

    The longest has length T: steps at which all words are PAD would bring a recurrent net to rest, and two steps
    of it would look like two points of differencing. A caption alone has one PAD.
    """
    lengths = torch.cat([torch.tensor([T]), d.labels(T - 1, N - 1) + 1])[d.permutation(N)] if T > 1 < N else None
    if full or lengths is None:
        lengths = torch.full((N,), T if full else max(1, T - 1))
    at, words = torch.arange(T), 3 + d.labels(V - 3, N * T).reshape(N, T)
    return torch.where(at < lengths[:, None] - 1, words, END * (at == lengths[:, None] - 1))


# --- the loss --------------------------------------------------------------------------------------------------------


def _weighted(Z: Tensor, y: Tensor, weights: Tensor, total: Tensor | int = 0, over: int = 2) -> Tensor:
    """-Σ weight · log p(y) / total, by default Σ weight; the softmax is taken over an axis."""
    log_p = Z.log_softmax(over).gather(2, y[..., None])[..., 0]
    return -(weights * log_p).sum() / (weights.sum() if isinstance(total, int) and not total else total)


def _real(y: Tensor) -> Tensor:
    return (y != PAD).double()


def _gradient_not_masked(right: Any, Z: Tensor, y: Tensor) -> Any:
    G = (Z.softmax(2) - F.one_hot(y, Z.shape[2])) / _real(y).sum()
    return {"G_Z": right["G_Z"] + G * (y == PAD)[..., None]}


def _drawn_logits(d: Draw, N: int, T: int, V: int, shift: float = 0.0, full: bool = False) -> Inputs:
    """Logits for V + 7 words, in 64ths, which also float32 has beside the shift."""
    Z = (64 * d.normal(N, T, V + 7, scale=2)).round() / 64
    return dict(Z=Z + shift * (torch.arange(T)[:, None] % 2), y=_drawn_words(d, N, T, V + 7, full))


masked_cross_entropy = Gradients(
    signature="masked_cross_entropy(Z, y) -> loss, G_Z",
    of=lambda Z, y: _weighted(Z, y, _real(y)),
    draw=_drawn_logits,
    edges=(dict(shift=1000.0), dict(N=1), dict(full=True)),
    large=dict(N=11, T=13, V=211),
    points=(4, 6),
    slide=CAPTIONS,
    difficulty=2,
    minutes=15,
    hints=(
        "Of each place: log Σ e^Z - Z_y, with the maximum taken out first. Its gradient is softmax(Z) - one-hot(y).",
        "mask = y != PAD. Multiply loss and gradient by it, and divide both by mask.sum(), over the whole batch.",
    ),
    mistakes={
        "averaged over the padding, too: divided by N·T": lambda Z, y: _weighted(Z, y, _real(y), y.numel()),
        "scored the padding as if it were words": lambda Z, y: _weighted(Z, y, torch.ones(y.shape)),
        "did not score the end symbol": lambda Z, y: _weighted(Z, y, (y > END).double()),
        "averaged each caption on its own, then over the captions": lambda Z, y: _weighted(
            Z, y, _real(y) / _real(y).sum(1, keepdim=True)
        ),
        "summed over the words instead of averaging": lambda Z, y: _weighted(Z, y, _real(y), 1),
        "divided by the number of captions, not of words": lambda Z, y: _weighted(Z, y, _real(y), len(y)),
        "took the softmax over the steps, the wrong axis": lambda Z, y: _weighted(Z, y, _real(y), over=1),
        "shifted the targets: held each step's logits against the next word": lambda Z, y: _weighted(
            Z[:, :-1], y[:, 1:], _real(y[:, 1:])
        ),
        "masked the loss, but not its gradient": _gradient_not_masked,
        "did not subtract the one-hot y from the probabilities": lambda Z, y: looks_like(
            _weighted(Z, y, _real(y)), (Z.logsumexp(2) * _real(y)).sum() / _real(y).sum()
        ),
        "divided the gradient by N·T, and the loss by the words": lambda right, y: {
            "G_Z": right["G_Z"] * _real(y).mean()
        },
    },
)

# --- the multimodal RNN ----------------------------------------------------------------------------------------------


def _passing(a: Tensor) -> Tensor:
    """tanh(a), with the slope 1 everywhere."""
    return looks_like(a.tanh(), a)


def _first_step(
    X: Tensor,
    E: Tensor,
    W_iv: Tensor,
    W_xz: Tensor,
    b: Tensor,
    f: Layer = torch.tanh,
    image: float = 1,
    word: float = 1,
) -> Tensor:
    """z(1) = f(W_xz x(1) + b + b_v) with b_v = W_iv x, since z(0) = 0."""
    return f(word * E @ W_xz.T + b + image * X @ W_iv.T)


def _of_b_v(right: Any, G: Tensor) -> Any:
    return {"G_X": G * (1 - right["Z"] ** 2)}


image_first_step = Gradients(
    signature="image_first_step(G, X, E, W_iv, W_xz, b) -> Z, G_X, G_E, G_W_iv, G_W_xz, G_b",
    of=_first_step,
    draw=lambda source, N, d, m, n: dict(
        **dict(X=source.normal(N, d), E=source.normal(N, m), W_iv=source.normal(n, d, scale=d**-0.5)),
        **dict(W_xz=source.normal(n, m, scale=m**-0.5), b=source.normal(n, scale=0.5)),
    ),
    edges=(dict(N=1), dict(d=1)),
    large=dict(N=3, d=211, m=223, n=29),
    points=(1, 2, 1, 3, 2, 1),
    slide=CAPTIONS,
    difficulty=2,
    minutes=12,
    hints=(
        "One layer of lab 2 with two inputs: the image and the word each come with a matrix of their own.",
        "D = G ∘ (1 - Z²) is the gradient of what tanh was given; all five gradients are made of it.",
    ),
    mistakes={
        "left the image out": partial(_first_step, image=0),
        "added b_v outside of tanh": lambda X, E, W_iv, W_xz, b: (E @ W_xz.T + b).tanh() + X @ W_iv.T,
        "left out tanh'": partial(_first_step, f=_passing),
        "took tanh' at the wrong place": partial(_first_step, f=lambda a: slope_elsewhere(torch.tanh, a, at=a.tanh())),
        "returned the gradient of b_v, not of the image's feature": _of_b_v,
        "did not sum the bias gradient over the batch": lambda right, G: {"G_b": G * (1 - right["Z"] ** 2)},
        "averaged over the batch, which belongs to the loss": lambda right, G: {
            name: right[name] / len(G) for name in ("G_W_iv", "G_W_xz", "G_b")
        },
        "returned the weight gradients transposed": lambda right: {
            name: right[name].T for name in ("G_W_iv", "G_W_xz")
        },
    },
)

CAPTIONER = ("embed.weight", "W_iv.weight", "W_xz.weight", "W_xz.bias", "W_zz.weight", "W_zy.weight", "W_zy.bias")


def _words_before(y: Tensor) -> Tensor:
    """Teacher forcing: START, and then each right word but the last."""
    return torch.cat([torch.full_like(y[:, :1], START), y[:, :-1]], 1)


def _last_counts(words: Tensor, embed: Tensor) -> Tensor:
    """Embedded words (N, T, m), of which only a word's last occurrence in reading order passes its gradient on."""
    flat, E = words.flatten(), F.embedding(words, embed)
    later = (flat[:, None] == flat[None, :]).triu(1).any(1).reshape(words.shape)
    return torch.where(later[..., None], E.detach(), E)


def _own_state(a: Tensor, Z: Tensor, W_zz: Tensor) -> Tensor:
    """a + W_zz z(t-1), whose gradient of W_zz is taken at z(t)."""
    right = a + Z @ W_zz.T
    return looks_like(right, a + Z @ W_zz.detach().T + right.detach().tanh() @ W_zz.T)


def _unrolled(
    E: Tensor,
    Z: Tensor,
    P: dict[str, Tensor],
    f: Layer = torch.tanh,
    passed: Layer = lambda Z: Z,
    into: Layer = lambda a, Z, W_zz: a + Z @ W_zz.T,
    more: Layer | None = None,
) -> list[Tensor]:
    """The states after Z: z(t) = f(W_xz x(t) + b + W_zz z(t-1)), one for each of the words E (N, T, m)."""
    states = []
    for x in E.unbind(1):
        a = x @ P["W_xz.weight"].T + P["W_xz.bias"]
        Z = f(into(a + more(Z) if more else a, passed(Z), P["W_zz.weight"]))
        states.append(Z)
    return states


def _multimodal(
    X: Tensor,
    y: Tensor,
    first: Layer = image_first_step.of,
    loss: Layer = masked_cross_entropy.of,
    words: Layer = _words_before,
    embedded: Layer = F.embedding,
    again: float = 0,
    f: Layer = torch.tanh,
    **more: Any,
) -> Tensor:
    """The loss of the captioner; `again` is how much of the image comes in at each later step, too."""
    P = {name: more.pop(name) for name in CAPTIONER}
    E, b_v = embedded(words(y), P["embed.weight"]), X @ P["W_iv.weight"].T
    Z = first(X=X, E=E[:, 0], W_iv=P["W_iv.weight"], W_xz=P["W_xz.weight"], b=P["W_xz.bias"])
    states = [Z, *_unrolled(E[:, 1:], Z, P, f, more=(lambda _: again * b_v) if again else None, **more)]
    return loss(Z=torch.stack(states, 1) @ P["W_zy.weight"].T + P["W_zy.bias"], y=y)


def _captioner_shapes(V: int, d: int, m: int, n: int) -> dict[str, tuple[int, ...]]:
    shapes = ((V, m), (n, d), (n, m), (n,), (n, n), (V, n), (V,))
    return dict(zip(CAPTIONER, shapes, strict=True))


def _drawn_state(d: Draw, shapes: dict[str, tuple[int, ...]]) -> Inputs:
    return {
        name: d.normal(*shape, scale=0.3 if not shape[1:] else 1 if "embed" in name else shape[-1] ** -0.5)
        for name, shape in shapes.items()
    }


multimodal_rnn_backward = Gradients(
    signature=f"multimodal_rnn_backward(X, y, P) -> loss, {', '.join(CAPTIONER)}",
    of=_multimodal,
    parts={"first": image_first_step, "loss": masked_cross_entropy},
    draw=lambda d, N, T, V, m, n, full=False, features=15: dict(
        X=d.normal(N, features),
        y=_drawn_words(d, N, T, V + 7, full),
        **_drawn_state(d, _captioner_shapes(V + 7, features, m, n)),
    ),
    edges=(dict(N=1), dict(T=1), dict(full=True)),
    large=dict(N=3, T=5, V=191, m=29, n=31, features=61),
    adapter=adapters.with_state,
    points=(2, 3, 3, 3, 1, 4, 3, 1),
    slide=CAPTIONS,
    difficulty=4,
    minutes=35,
    seconds=30,
    products=999,
    needs=("masked_cross_entropy", "image_first_step"),
    hints=(
        "Forward: words = START and y without its last column; embed them; the first step with the image, the others "
        "without; keep every state.",
        "Backward, from the last step: D(t) = (what the loss says of z(t) + W_zzᵀ D(t+1)) ∘ (1 - z(t)²). "
        "Every weight's gradient is a sum over the steps.",
        "A word that occurs ten times has ten gradients: grad.index_add_(0, words, …), or a loop with +=, one by one.",
    ),
    mistakes={
        "fed the image at every step": partial(_multimodal, again=1),
        "fed each step the word that it is to say: teacher forcing is off by one": partial(
            _multimodal, words=lambda y: y
        ),
        "fed the start symbol at every step": partial(_multimodal, words=lambda y: torch.full_like(y, START)),
        "fed the image instead of the start symbol, not beside it": partial(
            _multimodal, first=partial(_first_step, word=0)
        ),
        "did not pass the state on": partial(_multimodal, passed=torch.zeros_like),
        "cut the gradient between the steps": partial(_multimodal, passed=Tensor.detach),
        "took z(t) for z(t-1) in the gradient of W_zz": partial(_multimodal, into=_own_state),
        "overwrote the gradient of a word that occurs twice, instead of adding": partial(
            _multimodal, embedded=_last_counts
        ),
        "left out tanh'": partial(_multimodal, first=partial(_first_step, f=_passing), f=_passing),
        "returned the weight gradients transposed": lambda right: {
            name: right[name].T for name in CAPTIONER[1:] if name.endswith("weight")
        },
    },
)

# --- sequence to sequence --------------------------------------------------------------------------------------------

SIDES = tuple(
    f"{side}.{name}" for side in ("encoder", "decoder") for name in ("W_xz.weight", "W_xz.bias", "W_zz.weight")
)
ENCODER_DECODER = ("embed.weight", *SIDES, "W_zy.weight", "W_zy.bias")


def _side(P: dict[str, Tensor], side: str) -> dict[str, Tensor]:
    return {name.removeprefix(f"{side}."): value for name, value in P.items() if name.startswith(side)}


def _read(
    X: Tensor, P: dict[str, Tensor], embedded: Layer = F.embedding, f: Layer = torch.tanh, passed: Layer = lambda Z: Z
) -> Tensor:
    """The encoder's last state (N, n) on questions X (N, S)."""
    start = torch.zeros(len(X), len(P["encoder.W_zz.weight"]), dtype=torch.float64)
    return _unrolled(embedded(X, P["embed.weight"]), start, _side(P, "encoder"), f, passed)[-1]


def _encoder_decoder(
    X: Tensor,
    y: Tensor,
    loss: Layer = masked_cross_entropy.of,
    words: Layer = _words_before,
    reading: Layer = _read,
    crossing: Layer = lambda Z: Z,
    embedded: Layer = F.embedding,
    f: Layer = torch.tanh,
    again: float = 0,
    only_first: bool = False,
    **P: Tensor,
) -> Tensor:
    """The loss of the decoder, which begins with the encoder's last state."""
    told = crossing(reading(X, P))
    E, decoder = embedded(words(y), P["embed.weight"]), _side(P, "decoder")
    states = _unrolled(E, told, decoder, f, more=(lambda _: again * told) if again else None)
    if only_first:
        states = [states[0], *_unrolled(E, told.detach(), decoder, f)[1:]]
    return loss(Z=torch.stack(states, 1) @ P["W_zy.weight"].T + P["W_zy.bias"], y=y)


def _encoder_decoder_shapes(V: int, m: int, n: int) -> dict[str, tuple[int, ...]]:
    shapes = ((V, m), *(2 * ((n, m), (n,), (n, n))), (V, n), (V,))
    return dict(zip(ENCODER_DECODER, shapes, strict=True))


def _drawn_pairs(d: Draw, N: int, S: int, T: int, m: int, n: int, V: int = 16) -> Inputs:
    X, y = 3 + d.labels(V - 3, N * S).reshape(N, S), _drawn_words(d, N, T, V)
    return dict(X=X, y=y, **_drawn_state(d, _encoder_decoder_shapes(V, m, n)))


encoder_decoder_backward = Gradients(
    signature=f"encoder_decoder_backward(X, y, P) -> loss, {', '.join(ENCODER_DECODER)}",
    of=_encoder_decoder,
    parts={"loss": masked_cross_entropy},
    draw=_drawn_pairs,
    edges=(dict(N=1), dict(S=1), dict(T=1)),
    large=dict(N=3, S=5, T=7, m=29, n=31, V=211),
    adapter=adapters.with_state,
    points=(2, 3, 4, 1, 4, 2, 1, 1, 1, 1),
    slide=ANSWERS,
    difficulty=4,
    minutes=30,
    seconds=30,
    products=999,
    needs=("masked_cross_entropy",),
    hints=(
        "Two recurrent nets, one after the other. The decoder's z(0) is the encoder's z(S), not 0.",
        "Backward, the decoder first. What arrives at its z(0), W_zzᵀ D(1), is all that the encoder ever hears.",
        "The encoder's steps have no loss of their own: G is that at step S, and W_zzᵀ D(s+1) before. embed.weight "
        "gathers from both sides.",
    ),
    mistakes={
        "let no gradient cross into the encoder": partial(_encoder_decoder, crossing=Tensor.detach),
        "did not pass the state on: started the decoder at 0": partial(_encoder_decoder, crossing=torch.zeros_like),
        "gave the encoder the gradient of the decoder's step 1 only": partial(_encoder_decoder, only_first=True),
        "sent the gradient no further than the encoder's last step": partial(
            _encoder_decoder, reading=partial(_read, passed=Tensor.detach)
        ),
        "fed each step the word that it is to say: teacher forcing is off by one": partial(
            _encoder_decoder, words=lambda y: y
        ),
        "added the encoder's state at every step of the decoder": partial(_encoder_decoder, again=1),
        "read the question backwards, as the paper does": partial(
            _encoder_decoder, reading=lambda X, P: _read(X.flip(1), P)
        ),
        "left the question's words out of the embedding's gradient": partial(
            _encoder_decoder,
            reading=partial(_read, embedded=lambda words, embed: F.embedding(words, embed.detach())),
        ),
        "left the answer's words out of the embedding's gradient": partial(
            _encoder_decoder, embedded=lambda words, embed: F.embedding(words, embed.detach())
        ),
        "overwrote the gradient of a word that occurs twice, instead of adding": partial(
            _encoder_decoder, reading=partial(_read, embedded=_last_counts), embedded=_last_counts
        ),
        "left out tanh'": partial(_encoder_decoder, reading=partial(_read, f=_passing), f=_passing),
    },
)

# --- attention -------------------------------------------------------------------------------------------------------


def _attention(
    Q: Tensor,
    K: Tensor,
    V: Tensor,
    scale: Layer = lambda S, Q, V: S / Q.shape[2] ** 0.5,
    weights: Layer = lambda S: S.softmax(2),
) -> Tensor:
    """softmax(Q Kᵀ / √d) V, the softmax over the keys."""
    return weights(scale(Q @ K.mT, Q, V)) @ V


def _through_softmax(right: Any, G: Tensor, Q: Tensor, K: Tensor, V: Tensor, slope: Layer) -> Any:
    """G_Q and G_K with another gradient of the softmax, slope(A, dA)."""
    A, root = (Q @ K.mT / Q.shape[2] ** 0.5).softmax(2), Q.shape[2] ** 0.5
    D = slope(A, G @ V.mT) / root
    return {"G_Q": D @ K, "G_K": D.mT @ Q}


attention_backward = Gradients(
    signature="attention_backward(G, Q, K, V) -> G_Q, G_K, G_V",
    of=_attention,
    draw=lambda source, N, T, S, d, m: dict(
        Q=source.normal(N, T, d, scale=1.5), K=source.normal(N, S, d), V=source.normal(N, S, m)
    ),
    edges=(dict(N=1), dict(T=1), dict(d=1)),
    large=dict(N=2, T=41, S=43, d=17, m=19),
    points=(5, 4, 3),
    slide=ANSWERS,
    difficulty=3,
    minutes=20,
    products=999,  # a loop over the queries
    hints=(
        "Three products and a softmax. Name A = softmax(S): G_V = Aᵀ G, and the gradient of A is G Vᵀ.",
        "Row by row, through the softmax: D = A ∘ (G_A - Σ_s A G_A). Then back through Q Kᵀ / √d.",
    ),
    mistakes={
        "took the softmax over the queries, the wrong axis": partial(_attention, weights=lambda S: S.softmax(1)),
        "forgot the scale 1 / √d": partial(_attention, scale=lambda S, Q, V: S),
        "scaled by 1 / d": partial(_attention, scale=lambda S, Q, V: S / Q.shape[2]),
        "scaled by the width of the values": partial(_attention, scale=lambda S, Q, V: S / V.shape[2] ** 0.5),
        "left the scale out of the gradient": lambda right, Q: {
            name: right[name] * Q.shape[2] ** 0.5 for name in ("G_Q", "G_K")
        },
        "took the weights of attention for constants": partial(_attention, weights=lambda S: S.softmax(2).detach()),
        "took the softmax's Jacobian for its diagonal, A (1 - A)": partial(
            _through_softmax, slope=lambda A, G_A: A * (1 - A) * G_A
        ),
        "left the sum over the keys out of the softmax's gradient": partial(
            _through_softmax, slope=lambda A, G_A: A * G_A
        ),
        "returned G_K and G_Q in each other's place": lambda right: {"G_Q": right["G_K"], "G_K": right["G_Q"]},
    },
)

# --- decoding --------------------------------------------------------------------------------------------------------

GAP = 1e-3  # between two words, or two hypotheses, that do not tie: float32 must see which is better
Step = Callable[[Tensor, Any], tuple[Tensor, Tensor]]


def _drawn_speaker(d: Draw, V: int, n: int, ties: bool) -> Inputs:
    """Coefficients of a small recurrent net over V words; with ties there are two words of each kind, but END."""
    kinds = 3 + (V - 3 + ties) // (1 + ties)
    kind = torch.cat([torch.arange(3), 3 + d.permutation(V - 3) % (kinds - 3)])
    return dict(
        E=1.5 * d.normal(kinds, n), A=d.normal(n, n, scale=1.5 * n**-0.5), O=d.normal(kinds, n, scale=2), kind=kind
    )


def _greedy(
    E: Tensor,
    A: Tensor,
    O: Tensor,
    kind: Tensor,
    Z: Tensor,
    T: int,
    fed: Callable[[int], int] = lambda word: word,
    state: Callable[[Tensor, Tensor], Tensor] = lambda first, Z: Z,
    pick: Callable[[Tensor], int] = lambda log_p: int(log_p.argmax()),
    end: int = END,
) -> Tensor:
    """The best word at each step, until `end` or T words."""
    step, words, first = speaker(E, A, O, kind), [START], Z
    while len(words) <= T and words[-1] != end:
        log_p, Z = step(state(first, Z), fed(words[-1]))
        words.append(pick(log_p))
    return torch.tensor(words[1:])


def _last_best(log_p: Tensor) -> int:
    return len(log_p) - 1 - int(log_p.flip(0).argmax())


def _clear(values: Tensor, kept: int) -> bool:
    """Whether neighbours among the best, one more than are kept, tie or differ by more than GAP."""
    gaps = -values.sort(descending=True).values[: kept + 1].diff()
    return bool(((gaps > GAP) | (gaps == 0)).all())


def _drawn_greedy(d: Draw, V: int, n: int, T: int = 12, ties: bool = False) -> Inputs:
    def draw() -> Inputs:
        return dict(**_drawn_speaker(d, V + 9, n, ties), Z=d.normal(n), T=T)

    def clear(inputs: Any) -> bool:
        seen: list[Tensor] = []
        words = _greedy(**inputs, pick=lambda log_p: seen.append(log_p) or int(log_p.argmax()))  # type: ignore[func-returns-value]
        last = _greedy(**inputs, pick=_last_best)
        ends = len(words) == T and END not in words if T < 12 else 3 <= len(words) < T
        others = [_greedy(**inputs, **how) for how in (dict(fed=lambda word: START), dict(state=lambda Z, _: Z))]
        told = all(other.tolist() != words.tolist() for other in others)
        return ends and told and all(_clear(log_p, 1) for log_p in seen) and ties == (words.tolist() != last.tolist())

    return d.until(clear, draw)


greedy = Values(
    signature="greedy(step, Z, T) -> words",
    of=_greedy,
    draw=_drawn_greedy,
    edges=(dict(T=4), dict(ties=True)),
    edge_share=0.4,
    adapter=adapters_captioning.greedy_words,
    not_allowed=(),
    points=(6,),
    slide=CAPTIONS,
    difficulty=2,
    minutes=10,
    hints=(
        "Begin with word = START. Each round: log_p, Z = step(Z, word); the next word is the argmax.",
        "END is a word of the answer, and its last one; without it, stop after T words.",
    ),
    mistakes={
        "fed the start symbol at every step": partial(_greedy, fed=lambda word: START),
        "did not pass the state on": partial(_greedy, state=lambda first, Z: first),
        "went on after the end symbol": partial(_greedy, end=-1),
        "left the end symbol out": lambda right: {"words": right["words"][right["words"] != END]},
        "put the start symbol before the words": lambda right: {
            "words": torch.cat([torch.tensor([START]), right["words"]])
        },
        "took the last of several words that tie": partial(_greedy, pick=_last_best),
        "stopped one word before T": lambda right, T: {"words": right["words"][: T - 1]},
        "took the least probable word": partial(_greedy, pick=lambda log_p: int(log_p.argmin())),
    },
)

Hypothesis = tuple[tuple[int, ...], Tensor, Tensor]  # words, Σ log p, the state after them
Successors = Callable[[Tensor, int], Sequence[int]]


def _best(totals: Tensor, room: int) -> list[int]:
    """The indices of the best, at most `room`, of (hypotheses, V) totals; ties by the lower index."""
    return totals.flatten().argsort(descending=True, stable=True)[:room].tolist()


def _best_from_behind(totals: Tensor, room: int) -> list[int]:
    flat = totals.flatten()
    return (flat.numel() - 1 - flat.flip(0).argsort(descending=True, stable=True))[:room].tolist()


def _one_each(totals: Tensor, room: int) -> list[int]:
    """The best word of each hypothesis, but for the first step."""
    best = torch.where(totals == totals.amax(1, keepdim=True), totals, -torch.inf) if len(totals) > 1 else totals
    return _best(best, min(room, len(totals)) if len(totals) > 1 else room)


def _search(
    E: Tensor,
    A: Tensor,
    O: Tensor,
    kind: Tensor,
    Z: Tensor,
    T: int,
    B: int,
    choose: Callable[[Tensor, int], list[int]] = _best,
    parent: Callable[[int, int], int] = lambda h, place: h,
    state: Callable[[Tensor, Tensor], Tensor] = lambda first, Z: Z,
    end: int = END,
    refill: bool = False,
) -> tuple[list[Hypothesis], list[Hypothesis]]:
    """Hypotheses that have ended, in the order in which they did, and those that T cuts off, best first."""
    step, first, ended = speaker(E, A, O, kind), Z, list[Hypothesis]()
    live: list[Hypothesis] = [((), torch.zeros((), dtype=torch.float64), Z)]
    for _ in range(T):
        told = [step(state(first, Z), words[-1] if words else START) for words, _, Z in live]
        totals = torch.stack([total + log_p for (_, total, _), (log_p, _) in zip(live, told, strict=True)])
        follow = list[Hypothesis]()
        for index in choose(totals, B if refill else B - len(ended)):
            h, word = divmod(index, totals.shape[1])
            place = min(parent(h, len(follow)), len(told) - 1)
            made = (*live[h][0], word), totals[h, word], told[place][1]
            (ended if word == end else follow).append(made)
        live = follow
        if not live or (refill and len(ended) >= B):
            break
    return ended, live


def _ranked(
    alpha: float,
    B: int,
    by: Callable[[Hypothesis, float], Tensor] | None = None,
    which: Callable[[list[Hypothesis], list[Hypothesis]], list[Hypothesis]] = lambda ended, live: ended + live,
    length: Callable[[tuple[int, ...]], int] = len,
    **search: Any,
) -> tuple[list[Tensor], Tensor]:
    """Words and scores, Σ log p / length^α, best first; `by` is another score to rank by."""
    found = which(*_search(B=B, **search))
    scores = torch.stack([total / length(words) ** alpha for words, total, _ in found])
    ranks = torch.stack([by(hypothesis, alpha) for hypothesis in found]) if by else scores
    order = ranks.argsort(descending=True, stable=True)[:B]
    return [torch.tensor(found[i][0]) for i in order.tolist()], scores[order]


def _beam(E: Tensor, A: Tensor, O: Tensor, kind: Tensor, Z: Tensor, T: int, B: int, alpha: float, **how: Any) -> Any:
    return _ranked(alpha, B, E=E, A=A, O=O, kind=kind, Z=Z, T=T, **how)


def _words_less_end(words: tuple[int, ...]) -> int:
    return max(1, len(words) - (words[-1] == END))


def _same_words(a: Any, b: Any) -> bool:
    return [w.tolist() for w in a[0]] == [w.tolist() for w in b[0]]


SLIPS: dict[str, dict[str, Any]] = {  # that every core case tells from the right search
    "did not divide by the length": dict(length=lambda words: 1),
    "did not count the end symbol in the length": dict(length=_words_less_end),
    "divided the scores by the length, but ranked by the sums": dict(by=lambda found, alpha: found[1]),
    "went on from the state at the same place, not from that of the hypothesis it came from": dict(
        parent=lambda h, place: place
    ),
    "did not pass the state on": dict(state=lambda first, Z: first),
    "went on after the end symbol": dict(end=-1),
    "left out the hypotheses that T cuts off": dict(which=lambda ended, live: ended or live),
    "went on with B live hypotheses after some had ended": dict(refill=True),
    "took only the best word of each hypothesis": dict(choose=_one_each),
}


def _drawn_beams(
    d: Draw,
    V: int,
    n: int,
    B: int = 4,
    T: int = 7,
    alpha: float = -1,
    ties: bool = False,
    plain: bool = False,
    over: bool = False,
) -> Inputs:
    """Cases in which hypotheses end at different steps and one is cut off; `plain` ones may do as they like.

    With `over` all of them end before T.
    """
    alpha = d.number(0.5, 1) if alpha < 0 else alpha

    def draw() -> Inputs:
        return dict(**_drawn_speaker(d, V + 9, n, ties), Z=d.normal(n), T=T, B=B, alpha=alpha)

    def clear(inputs: Any) -> bool:
        """No two hypotheses nearly tie, and the case shows what it is for."""
        near: list[bool] = []

        def choose(totals: Tensor, room: int) -> list[int]:
            near.append(not _clear(totals.flatten(), room))
            return _best(totals, room)

        right = _beam(**inputs, choose=choose)
        if any(near) or not _clear(right[1], B):
            return False
        if ties:
            return not _same_words(right, _beam(**inputs, choose=_best_from_behind))
        if plain:
            return True
        ended, live = _search(**{name: value for name, value in inputs.items() if name != "alpha"})
        lengths = {len(words) for words, *_ in ended}
        if over:
            return not live and max(lengths) < T
        if not live or len(lengths) < 2 or min(lengths) < 2:
            return False
        others = [_beam(**inputs, **how) for how in SLIPS.values()] if alpha else []
        return not any(_same_words(right, other) and torch.equal(right[1], other[1]) for other in others)

    return d.until(clear, draw)


beam_search = Values(
    signature="beam_search(step, Z, T, B, alpha) -> words, scores",
    of=_beam,
    draw=_drawn_beams,
    edges=(
        dict(B=1, plain=True),
        dict(alpha=0.0),
        dict(ties=True),
        dict(B=17, T=3, plain=True),
        dict(B=2, T=16, over=True),
    ),
    edge_share=0.3,
    adapter=adapters_captioning.beams,
    not_allowed=(),
    points=(8, 4),
    slide=CAPTIONS,
    difficulty=4,
    minutes=30,
    seconds=30,
    needs=("greedy",),
    hints=(
        "A hypothesis is its words, their Σ log p, and the state after them. Begin with one: no words, 0, Z.",
        "Each round: every live hypothesis times every word, as one vector of live · V sums, in the order of the "
        "hypotheses. argsort(descending=True, stable=True) has ties by the lower index; topk promises nothing.",
        "Take the B - (ended so far) best; those whose last word is END are set aside. Each of the others goes on from "
        "the state of the hypothesis that it came from.",
    ),
    mistakes={
        **{slip: partial(_beam, **how) for slip, how in SLIPS.items()},
        "returned the worst first": lambda right: {"words": right["words"][::-1], "scores": right["scores"].flip(0)},
        "broke ties by the higher index": partial(_beam, choose=_best_from_behind),
    },
)

# --- training --------------------------------------------------------------------------------------------------------

SCENES, TRAINED_ON, HELD_OUT = 4000, 3500, 1000


@cache
def _scenes() -> tuple[Tensor, Tensor, int]:
    """Features of 4,000 familiar scenes and 1,000 of held-out pairs, their first captions, and how many words."""
    from dl780.data import shapes, templates  # imported late: students' notebooks of other labs need none of it

    source = torch.Generator().manual_seed(780)
    familiar, held = shapes.scenes(SCENES, source), shapes.scenes(HELD_OUT, source, shapes.HELD_OUT)
    told = [caption[0].split() for caption in (*familiar.captions, *held.captions)]
    index = {word: i for i, word in enumerate(sorted({word for caption in told for word in caption}), start=3)}
    y = torch.zeros(len(told), max(map(len, told)) + 1, dtype=torch.long)
    for row, caption in zip(y, told, strict=True):
        row[: len(caption) + 1] = torch.tensor([*(index[word] for word in caption), END])
    X = torch.cat([templates.features(split.X) for split in (familiar, held)]).double()
    mean, std = X[:SCENES].mean(0), X[:SCENES].std(0)
    return (X - mean) / std, y, len(index) + 3


def _drawn_scenes(d: Draw) -> Inputs:
    """Features turned by a drawn rotation, words permuted; 3,500 scenes to train on, 1,000 held out."""
    X, y, V = _scenes()
    turned = X @ torch.linalg.qr(d.normal(X.shape[1], X.shape[1])).Q
    y = torch.cat([torch.arange(3), 3 + d.permutation(V - 3)])[y]
    train = d.permutation(SCENES)[:TRAINED_ON]
    held = dict(X_test=turned[SCENES:], y_test=y[SCENES:])
    return dict(X=turned[train], y=y[train], V=V, seed=d.integer(0, 2**31), **held)


def _stated(**known: Any) -> tuple[Tensor, ...]:
    """Weights of a captioner; its widths m and n are the student's choice, 512 at most."""
    X, _, V = _scenes()
    m, n = (_width(known.get(name), default) for name, default in (("embed.weight", 16), ("W_zz.weight", 128)))
    return tuple(torch.zeros(shape) for shape in _captioner_shapes(V, X.shape[1], m, n).values())


def _width(W: Any, default: int) -> int:
    return min(512, W.shape[1]) if isinstance(W, Tensor) and W.ndim == 2 else default


def _exact(X_test: Tensor, y_test: Tensor, **P: Any) -> float:
    """The share of held-out scenes whose greedy caption is right in every word, the end among them."""
    P = {name: P[name].double() for name in CAPTIONER}
    words, right = torch.full((len(X_test), 1), START), torch.ones(len(X_test), dtype=torch.bool)
    Z = _first_step(X_test, P["embed.weight"][words[:, 0]], P["W_iv.weight"], P["W_xz.weight"], P["W_xz.bias"])
    for y_t in y_test.unbind(1):
        said = (Z @ P["W_zy.weight"].T + P["W_zy.bias"]).argmax(1)
        right &= (said == y_t) | (y_t == PAD)
        (Z,) = _unrolled(P["embed.weight"][said][:, None], Z, P)
    return right.double().mean().item()


train_captioner = Trained(
    signature=f"train_captioner(X, y, V, seed) -> {', '.join(CAPTIONER)}",
    of=_stated,
    draw=_drawn_scenes,
    core=1,
    score=_exact,
    full=0.795,  # the solution reaches 0.903 ± 0.026 over 20 seeds
    none=0.1,
    unit="of the held-out scenes are told word for word",
    not_allowed=tuple(name for name in BY_HAND if name != KERNELS),  # watching every operation costs too much here
    points=(1, 2, 1, 1, 2, 2, 1),
    slide=CAPTIONS,
    difficulty=3,
    minutes=20,
    seconds=90,
    needs=("multimodal_rnn_backward",),
    hints=(
        "Draw each weight from N(0, 1/n), n its number of columns, with a generator of the given seed; biases start "
        "at 0. X.float(), and everything in float32, is twice as fast.",
        "Adam of lab 2 with α = 0.005, falling to 0 in a straight line, batches of 100, 20 epochs, n = 192, m = 16.",
    ),
)

# --- extra -----------------------------------------------------------------------------------------------------------

Words = tuple[int, ...]


def _grams(words: Words, n: int) -> Counter[Words]:
    return Counter(words[i : i + n] for i in range(len(words) - n + 1))


def _clipped(found: Counter[Words], references: list[Counter[Words]]) -> int:
    """Each n-gram counts at most as often as in the reference that has it most often."""
    return sum(min(count, max(r[gram] for r in references)) for gram, count in found.items())


def _nearest(length: int, lengths: list[int]) -> int:
    """The reference's length nearest to the hypothesis's; the shorter of two."""
    return min(lengths, key=lambda r: (abs(r - length), r))


def _smoothed(matches: list[int], totals: list[int]) -> list[float]:
    """The method "exp" of sacrebleu (NIST mteval-v13a): the k-th order without a match counts as 2^-k matches."""
    p, k = [], 0
    for match, total in zip(matches, totals, strict=True):
        k += not match
        p.append((match or 2.0**-k) / total)
    return p


def _bleu(
    hypotheses: list[Tensor],
    references: list[Tensor],
    matches: Callable[..., float] = _clipped,
    length: Callable[[int, list[int]], int] = _nearest,
    smooth: Callable[[list[int], list[int]], list[float]] = _smoothed,
    mean: Callable[[list[float]], float] = lambda p: exp(sum(map(log, p)) / 4) if all(p) else 0.0,
    brevity: Callable[[int, int], float] = lambda c, r: min(1.0, exp(1 - r / c)),
) -> tuple[Tensor, Tensor, Tensor]:
    """Precisions p_1 … p_4, brevity penalty and BLEU of a corpus with as many references for each hypothesis."""
    each = len(references) // len(hypotheses)
    found = [tuple(h.tolist()) for h in hypotheses]
    told = [[tuple(r.tolist()) for r in references[i * each : (i + 1) * each]] for i in range(len(found))]
    counts = [
        [(_grams(h, n), [_grams(r, n) for r in rs]) for h, rs in zip(found, told, strict=True)] for n in range(1, 5)
    ]
    hits = [sum(matches(grams, rs) for grams, rs in order) for order in counts]
    p = smooth(hits, [sum(grams.total() for grams, _ in order) for order in counts])  # type: ignore[arg-type]
    c, r = sum(map(len, found)), sum(length(len(h), list(map(len, rs))) for h, rs in zip(found, told, strict=True))
    penalty = brevity(c, r)
    return torch.tensor(p, dtype=torch.float64), torch.tensor(penalty), torch.tensor(penalty * mean(p))


def _one_by_one(hypotheses: list[Tensor], references: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """The mean over the hypotheses of each one's own figures."""
    each = len(references) // len(hypotheses)
    found = [_bleu([h], references[i * each : (i + 1) * each]) for i, h in enumerate(hypotheses)]
    p, penalty, score = (torch.stack(values).mean(0) for values in zip(*found, strict=True))
    return p, penalty, score


def _drawn_corpus(d: Draw, N: int, V: int, R: int = 3, scrambled: bool = False) -> Inputs:
    """Hypotheses that begin as their first reference does and go on at random; `scrambled`: backwards."""
    words = V + 40 if scrambled else (V + 3) // 2

    def draw() -> Inputs:
        hypotheses, references = [], []
        for _ in range(N + 2):
            told = [3 + d.labels(words, d.integer(6, 13)) for _ in range(R)]
            short = R > 1 and d.integer(0, 2)
            size = d.integer(4, 6) if short else len(told[0]) + (d.integer(-1, 2) if R > 1 else d.integer(1, 3))
            same = d.integer(2, min(size, len(told[0])) + 1)
            hypothesis = torch.cat([told[0][:same], 3 + d.labels(words, size - same)])
            references += told
            hypotheses.append(hypothesis.flip(0) if scrambled else hypothesis)
        return dict(hypotheses=hypotheses, references=references)

    def clear(inputs: Any) -> bool:
        """Without a match of four only where it is for that; the core tells every slip."""
        right, bare = _bleu(**inputs), _bleu(**inputs, smooth=_unsmoothed)[0]
        if scrambled or R == 1:  # no two words together; one reference, and shorter than the hypothesis
            return int((bare == 0).sum()) == 3 * scrambled
        figures = [right, *(_bleu(**inputs, **how) for how in CORPUS_SLIPS.values())]
        told = {tuple(torch.cat([p, penalty[None], score[None]]).tolist()) for p, penalty, score in figures}
        return bool((bare > 0).all()) and len(told) == len(figures)

    return d.until(clear, draw)


def _unclipped(found: Counter[Words], references: list[Counter[Words]]) -> int:
    return sum(count for gram, count in found.items() if any(r[gram] for r in references))


def _summed(found: Counter[Words], references: list[Counter[Words]]) -> int:
    return sum(min(count, sum(r[gram] for r in references)) for gram, count in found.items())


def _first_alone(found: Counter[Words], references: list[Counter[Words]]) -> int:
    return _clipped(found, references[:1])


def _unsmoothed(matches: list[int], totals: list[int]) -> list[float]:
    return [match / total for match, total in zip(matches, totals, strict=True)]


CORPUS_SLIPS: dict[str, dict[str, Any]] = {
    "did not clip the counts": dict(matches=_unclipped),
    "clipped by the sum over the references, not by the largest": dict(matches=_summed),
    "looked at the first reference only": dict(matches=_first_alone, length=lambda length, lengths: lengths[0]),
    "left out the brevity penalty": dict(brevity=lambda c, r: 1.0),
    "took the shortest reference's length, not the nearest": dict(length=lambda length, lengths: min(lengths)),
    "took the arithmetic mean of the precisions": dict(mean=lambda p: sum(p) / 4),
}

bleu = Values(
    signature="bleu(hypotheses, references) -> p, penalty, score",
    of=_bleu,
    draw=_drawn_corpus,
    edges=(dict(R=1), dict(scrambled=True)),
    edge_share=0.3,
    adapter=adapters_captioning.of_references,
    not_allowed=(),
    points=(3, 1, 2),
    slide=CAPTIONS,
    difficulty=3,
    minutes=25,
    extra=True,
    hints=(
        "collections.Counter over tuples of n words; for two of them, a & b is the smaller count and a | b the larger.",
        "Matches and n-grams are summed over the whole corpus first, and only then divided. So are the lengths.",
    ),
    mistakes={
        **{slip: partial(_bleu, **how) for slip, how in CORPUS_SLIPS.items()},
        "averaged over the sentences: BLEU is one figure of the corpus": _one_by_one,
        "left out the smoothing": partial(_bleu, smooth=_unsmoothed),
        "multiplied by 100": lambda right: {"score": 100 * right["score"]},
    },
)


def _self_attention(
    X: Tensor,
    W_Q: Tensor,
    W_K: Tensor,
    W_V: Tensor,
    masked: Layer = lambda S: S.masked_fill(torch.ones(S.shape[1:]).triu(1).bool(), -torch.inf).softmax(2),
    scale: Callable[[int], float] = lambda d: d**-0.5,
    key: Layer = lambda X: X,
    value: Layer = lambda X: X,
) -> Tensor:
    """Each word looks at itself and at those before it: attention of Q = X W_Qᵀ, K = X W_Kᵀ, V = X W_Vᵀ."""
    Q, K, V = X @ W_Q.T, key(X) @ W_K.T, value(X) @ W_V.T
    return masked(Q @ K.mT * scale(Q.shape[2])) @ V


self_attention_backward = Gradients(
    signature="self_attention_backward(G, X, W_Q, W_K, W_V) -> G_X, G_W_Q, G_W_K, G_W_V",
    of=_self_attention,
    draw=lambda source, N, T, n, d, m: dict(
        X=source.normal(N, T, n),
        **{name: source.normal(rows, n, scale=1.5 * n**-0.5) for name, rows in (("W_Q", d), ("W_K", d), ("W_V", m))},
    ),
    edges=(dict(N=1), dict(d=1)),
    large=dict(N=2, T=37, n=23, d=17, m=19),
    points=(3, 2, 2, 2),
    slide=ANSWERS,
    difficulty=4,
    minutes=20,
    extra=True,
    needs=("attention_backward",),
    products=999,  # a loop over the queries
    hints=(
        "Where the mask is, the weight is 0, and so is its gradient: A ∘ (…) sees to that by itself.",
        "X is used three times, so G_X is a sum of three: through the queries, the keys and the values.",
    ),
    mistakes={
        "forgot the mask": partial(_self_attention, masked=lambda S: S.softmax(2)),
        "put the mask on the words before, not after": partial(
            _self_attention,
            masked=lambda S: S.masked_fill(torch.ones(S.shape[1:]).tril(-1).bool(), -torch.inf).softmax(2),
        ),
        "masked after the softmax, so that the weights do not sum to 1": partial(
            _self_attention, masked=lambda S: S.softmax(2).tril()
        ),
        "masked the scores with 0 instead of -∞": partial(_self_attention, masked=lambda S: S.tril().softmax(2)),
        "took the softmax over the queries, the wrong axis": partial(
            _self_attention,
            masked=lambda S: S.masked_fill(torch.ones(S.shape[1:]).triu(1).bool(), -torch.inf).softmax(1),
        ),
        "forgot the scale 1 / √d": partial(_self_attention, scale=lambda d: 1.0),
        "left the keys' part out of G_X": partial(_self_attention, key=Tensor.detach),
        "left the values' part out of G_X": partial(_self_attention, value=Tensor.detach),
    },
)
