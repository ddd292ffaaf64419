"""Greedy, drawn and beam search, held against an exhaustive search over a tiny vocabulary."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from dl780.models.decode import END, NEVER, PAD, START, State, beam, drawn, greedy

V, MOST = 7, 4


def table(m: int, seed: int) -> tuple[Tensor, State]:
    """Logits (m, V, V) of each sentence's next word by its last two, and the state they are read from."""
    logits = 2 * torch.randn(m, V, V, V, generator=torch.Generator().manual_seed(seed))
    return logits, (torch.arange(m), torch.full((m,), START))


def stepper(logits: Tensor):  # type: ignore[no-untyped-def]
    def step(words: Tensor, state: State) -> tuple[Tensor, State]:
        which, before = state
        return logits[which, before, words], (which, words)

    return step


def exhaustive(logits: Tensor, alpha: float) -> list[tuple[float, tuple[int, ...]]]:
    """Every sentence of one table with its score, best first."""
    logits = logits.clone()
    logits[:, :, list(NEVER)] = -torch.inf
    logp = logits.log_softmax(2)
    said = [word for word in range(V) if word not in (*NEVER, END)]
    found = []
    for length in range(MOST + 1):
        for words in itertools.product(said, repeat=length):
            sentence = (*words, END) if length < MOST else words
            path = (START, START, *sentence)
            total = sum(float(logp[a, b, c]) for a, b, c in zip(path, path[1:], path[2:], strict=False))
            found.append((total / len(sentence) ** alpha, sentence))
    return sorted(found, key=lambda pair: -pair[0])


@pytest.mark.parametrize("alpha", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_wide_beam_is_an_exhaustive_search(alpha: float, seed: int) -> None:
    logits, state = table(3, seed)
    words, scores = beam(stepper(logits), state, MOST, width=3**MOST, alpha=alpha)
    for i in range(3):
        best = exhaustive(logits[i], alpha)[:5]
        for k, (score, sentence) in enumerate(best):
            assert float(scores[i, k]) == pytest.approx(score, abs=1e-5)
            assert tuple(word for word in words[i, k].tolist() if word != PAD) == sentence


def test_a_beam_of_one_without_length_normalisation_is_greedy_or_better() -> None:
    logits, state = table(50, 3)
    said = greedy(stepper(logits), state, MOST)
    words, scores = beam(stepper(logits), state, MOST, width=1, alpha=0.0)
    wide, better = beam(stepper(logits), state, MOST, width=20, alpha=0.0)
    assert (better[:, 0] >= scores[:, 0] - 1e-9).all()
    same = [a.tolist()[: len(b)] == b for a, b in zip(words[:, 0], said.tolist(), strict=True)]
    assert sum(same) > 25
    assert wide.shape[:2] == (50, 20)


def test_a_batch_gives_what_each_gives_alone() -> None:
    logits, state = table(4, 5)
    words, scores = beam(stepper(logits), state, MOST, width=3)
    for i in range(4):
        alone, score = beam(stepper(logits), tuple(part[i : i + 1] for part in state), MOST, width=3)
        assert torch.allclose(score[0], scores[i])
        for a, b in zip(alone[0].tolist(), words[i].tolist(), strict=True):
            assert [w for w in a if w] == [w for w in b if w]


def test_nothing_follows_the_end() -> None:
    logits, state = table(200, 7)
    for said in (
        greedy(stepper(logits), state, 12),
        drawn(stepper(logits), state, 12, 1.0, torch.Generator().manual_seed(0)),
        beam(stepper(logits), state, 12, 4)[0].flatten(0, 1),
    ):
        ends = (said == END).float().argmax(1)
        for row, end in zip(said.tolist(), ends.tolist(), strict=True):
            assert not set(row) & {START, 3}
            if END in row:
                assert set(row[end + 1 :]) <= {PAD}


def test_draws_follow_the_distribution() -> None:
    logits, (which, before) = table(1, 9)
    many = (which.expand(20_000), before.expand(20_000))
    first = drawn(stepper(logits), many, 1, 2.0, torch.Generator().manual_seed(0))[:, 0]
    expected = logits[0, START, START].clone()
    expected[list(NEVER)] = -torch.inf
    share = torch.bincount(first, minlength=V) / 20_000
    assert (share - (expected / 2).softmax(0)).abs().max() < 0.02
    again = drawn(stepper(logits), many, 1, 2.0, torch.Generator().manual_seed(0))[:, 0]
    assert again.equal(first)
    coldest = drawn(stepper(logits), many, 1, 0.0, torch.Generator())
    assert coldest.unique().numel() == 1


def test_ties_go_to_the_lower_word() -> None:
    logits = torch.zeros(1, V, V, V)
    words, scores = beam(stepper(logits), (torch.tensor([0]), torch.tensor([START])), 2, width=3, alpha=1.0)
    assert words[0].tolist() == [[END, PAD], [4, END], [5, END]]
    assert scores[0].tolist() == pytest.approx([-math.log(4)] * 3)
