"""How a decoder's words are chosen: greedily, by drawing, or by beam search; for a whole batch at a time.

A decoder is a function `step(words, state) -> (logits, state)` of words (m,) int64 and a state, a tuple of tensors
whose first dimension is the batch; logits are (m, V). A sentence begins with START, which is not returned, and ends
with END.
"""

from collections.abc import Callable

import torch
from torch import Tensor

PAD, START, END, UNKNOWN = 0, 1, 2, 3
State = tuple[Tensor, ...]
Step = Callable[[Tensor, State], tuple[Tensor, State]]
NEVER = (PAD, START, UNKNOWN)  # said to nobody


def greedy(step: Step, state: State, most: int) -> Tensor:
    """The likeliest word at every step: (m, T) int64, T ≤ most; PAD after END."""
    return _one_by_one(step, state, most, lambda logits: logits.argmax(1))


def drawn(step: Step, state: State, most: int, temperature: float, generator: torch.Generator) -> Tensor:
    """Each word from softmax(logits / temperature): (m, T) int64, T ≤ most; PAD after END."""

    def draw(logits: Tensor) -> Tensor:
        return torch.multinomial((logits / temperature).softmax(1), 1, generator=generator).squeeze(1)

    return _one_by_one(step, state, most, draw if temperature > 0 else lambda logits: logits.argmax(1))


def beam(step: Step, state: State, most: int, width: int, alpha: float = 0.7) -> tuple[Tensor, Tensor]:
    """The best sentences that a beam of `width` finds, best first: words (m, width, T) and scores (m, width).

    A sentence w of length L, END counted, scores Σ_t log p(w_t) / L^α. The beam keeps, of all continuations of its
    unfinished sentences, the `width` likeliest; what ends leaves the beam for the list of finished ones. Ties go to
    the lower index. What is unfinished after `most` words is scored as it stands.
    """
    m, device = len(state[0]), state[0].device
    words = torch.full((m, width, 0), PAD, device=device)
    logp = torch.full((m, width), -torch.inf, device=device, dtype=torch.float64)
    logp[:, 0] = 0.0  # the beam begins with one empty sentence
    state = tuple(part.repeat_interleave(width, 0) for part in state)
    last = torch.full((m * width,), START, device=device)
    best_words = torch.full((m, width, most), PAD, device=device)
    best = torch.full((m, width), -torch.inf, device=device, dtype=torch.float64)
    row = torch.arange(m, device=device)[:, None]
    for t in range(most):
        logits, state = step(last, state)
        after = logp[..., None] + _log_softmax(logits).double().view(m, width, -1)
        V = after.shape[2]
        # What ends here leaves the beam.
        best, best_words = _best(best, best_words, after[:, :, END] / (t + 1) ** alpha, words, END, width)
        after[:, :, END] = -torch.inf
        logp, flat = _top(after.flatten(1), width)
        parent, word = flat // V, flat % V
        words = torch.cat([words[row, parent], word[..., None]], 2)
        state = tuple(part[(parent + width * row).flatten()] for part in state)
        last = word.flatten()
        if (best[:, -1] >= logp[:, 0] / (most if alpha > 0 else 1) ** alpha).all():
            break  # log p only falls: nothing in the beam can still get in
    else:
        best, best_words = _best(best, best_words, logp / most**alpha, words, None, width)
    return best_words[:, :, : max(1, int((best_words != PAD).sum(2).max()))], best


def _best(
    best: Tensor, best_words: Tensor, scores: Tensor, words: Tensor, end: int | None, width: int
) -> tuple[Tensor, Tensor]:
    """The best `width` of the finished sentences and of those that end now."""
    m, _, most = best_words.shape
    tail = words if end is None else torch.cat([words, words.new_full((m, words.shape[1], 1), end)], 2)
    ended = torch.nn.functional.pad(tail, (0, most - tail.shape[2]), value=PAD)
    best, which = _top(torch.cat([best, scores], 1), width)
    return best, torch.cat([best_words, ended], 1)[torch.arange(m, device=best.device)[:, None], which]


def _top(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest of each row; of those that tie, the lower index first (torch.topk promises no order)."""
    found = scores.sort(stable=True, dim=1, descending=True)
    return found.values[:, :k], found.indices[:, :k]


def _log_softmax(logits: Tensor) -> Tensor:
    logits = logits.float().clone()
    logits[:, list(NEVER)] = -torch.inf
    return logits.log_softmax(1)


def _one_by_one(step: Step, state: State, most: int, choose: Callable[[Tensor], Tensor]) -> Tensor:
    m, device = len(state[0]), state[0].device
    word = torch.full((m,), START, device=device)
    done, said = torch.zeros(m, dtype=torch.bool, device=device), list[Tensor]()
    for _ in range(most):
        logits, state = step(word, state)
        word = torch.where(done, PAD, choose(_log_softmax(logits)))
        said.append(word)
        done = done | (word == END)
        if done.all():
            break
    return torch.stack(said, 1)
