"""What the lab `captioning` takes for right beside autograd: searches, BLEU, and what a captioner is told."""

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from dl780.check.cases import PUBLIC, Draw
from dl780.check.registry import load_lab
from dl780.questions import captioning
from dl780.questions.captioning import END, PAD, START
from dl780.student import adapters_captioning
from dl780.student.call import WrongOutputs
from dl780.student.drawn import speaker
from dl780.student.worker import ADAPTERS

LAB = load_lab("captioning")
SEEDS = range(5)


def drawn(seed: int, V: int = 5, n: int = 3) -> dict[str, Any]:
    d = Draw(seed)
    return dict(**captioning._drawn_speaker(d, V, n, ties=False), Z=d.normal(n))


def score(inputs: dict[str, Any], words: tuple[int, ...], alpha: float) -> float:
    step, Z, total = speaker(*(inputs[name] for name in ("E", "A", "O", "kind"))), inputs["Z"], 0.0
    for before, word in zip((START, *words), words, strict=False):
        log_p, Z = step(Z, before)
        total += log_p[word].item()
    return total / len(words) ** alpha


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("alpha", [0.0, 0.7, 1.0])
def test_a_beam_that_holds_everything_finds_what_exhaustive_search_finds(seed: int, alpha: float) -> None:
    inputs, T = drawn(seed), 3
    every = {w[: w.index(END) + 1] if END in w else w for w in product(range(5), repeat=T)}
    best = sorted(((score(inputs, words, alpha), words) for words in every), reverse=True)
    words, scores = captioning.beam_search.of(**inputs, T=T, B=5**T, alpha=alpha)
    assert len(words) == len(every)
    assert [tuple(w.tolist()) for w in words] == [w for _, w in best]
    assert scores.tolist() == pytest.approx([s for s, _ in best])


@pytest.mark.parametrize("seed", SEEDS)
def test_a_beam_of_one_is_greedy(seed: int) -> None:
    inputs = drawn(seed)
    (words,), _ = captioning.beam_search.of(**inputs, T=9, B=1, alpha=0.5)
    assert words.tolist() == captioning.greedy.of(**inputs, T=9).tolist()


def test_a_drawn_speaker_says_probabilities_and_words_of_one_kind_are_alike() -> None:
    inputs = captioning._drawn_speaker(Draw(1), 11, 3, ties=True)
    step = speaker(**inputs)  # type: ignore[arg-type]
    log_p, _ = step(torch.zeros(3, dtype=torch.float64), START)
    assert log_p.exp().sum().item() == pytest.approx(1)
    kind = inputs["kind"]
    assert isinstance(kind, Tensor)
    assert len(kind.unique()) < 11 == len(kind)
    for k in kind.unique():
        assert len(log_p[kind == k].unique()) == 1


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("settings", [dict(), dict(R=1), dict(scrambled=True)], ids=str)
def test_bleu_is_sacrebleus(seed: int, settings: dict[str, Any]) -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    inputs = captioning.bleu.draw(Draw(seed), 5, 7, **settings)
    R = len(inputs["references"]) // len(inputs["hypotheses"])

    def lines(sentences: list[Tensor]) -> list[str]:
        return [" ".join(map(str, s.tolist())) for s in sentences]

    theirs = sacrebleu.corpus_bleu(
        lines(inputs["hypotheses"]),
        [lines(inputs["references"][r::R]) for r in range(R)],
        tokenize="none",
        smooth_method="exp",
    )
    p, penalty, score = captioning.bleu.of(**inputs)
    assert (100 * p).tolist() == pytest.approx(theirs.precisions)
    assert penalty.item() == pytest.approx(theirs.bp)
    assert 100 * score.item() == pytest.approx(theirs.score)


@pytest.mark.parametrize("name", ["masked_cross_entropy", "multimodal_rnn_backward", "encoder_decoder_backward"])
def test_captions_end_and_are_padded(name: str) -> None:
    for case in LAB.questions[name].cases(PUBLIC):
        for row in case.inputs["y"].tolist():  # type: ignore[union-attr]
            words = row[: row.index(PAD)] if PAD in row else row
            assert words[-1] == END
            assert all(word > END for word in words[:-1])
            assert not any(row[len(words) :])
    assert any((case.inputs["y"] == PAD).any() for case in LAB.questions[name].cases(PUBLIC))  # type: ignore[union-attr]


def test_padding_leaves_no_trace() -> None:
    case = next(captioning.masked_cross_entropy.cases(PUBLIC))
    Z, y = case.inputs["Z"], case.inputs["y"]
    assert isinstance(Z, Tensor)
    assert isinstance(y, Tensor)
    other = Z + 9 * torch.randn(Z.shape, generator=torch.Generator().manual_seed(0)) * (y == PAD)[..., None]
    right, same = (captioning.masked_cross_entropy.answers({"Z": logits, "y": y}) for logits in (Z, other))
    assert not torch.equal(Z, other)
    assert torch.equal(right["loss"], same["loss"])  # type: ignore[arg-type]
    assert torch.equal(right["G_Z"], same["G_Z"])  # type: ignore[arg-type]


def test_attention_is_torchs() -> None:
    case = next(captioning.attention_backward.cases(PUBLIC))
    Q, K, V = (case.inputs[name] for name in "QKV")
    wanted = torch.nn.functional.scaled_dot_product_attention(Q, K, V)  # type: ignore[arg-type]
    assert torch.allclose(captioning.attention_backward.of(Q, K, V), wanted, rtol=1e-10)


def test_self_attention_is_torchs() -> None:
    case = next(captioning.self_attention_backward.cases(PUBLIC))
    X, *Ws = (case.inputs[name] for name in ("X", "W_Q", "W_K", "W_V"))
    Q, K, V = (X @ W.T for W in Ws)  # type: ignore[union-attr, operator]
    wanted = torch.nn.functional.scaled_dot_product_attention(Q, K, V, is_causal=True)
    assert torch.allclose(captioning.self_attention_backward.of(X, *Ws), wanted, rtol=1e-10)


def test_what_step_functions_return_may_be_numbers_or_tensors() -> None:
    inputs = drawn(0) | dict(T=3)
    for words in ([3, 4], (torch.tensor(3), torch.tensor(4)), torch.tensor([3, 4])):
        row = adapters_captioning.greedy_words(lambda step, Z, T, words=words: words, **inputs)
        assert isinstance(row, Tensor)
        assert row.tolist() == [3, 4]
    inputs |= dict(B=2, alpha=1.0)
    found: Any = adapters_captioning.beams(lambda *_: ([[3], torch.tensor([4, 2])], [torch.ones(())] * 2), **inputs)
    assert [row.tolist() for row in found[0]] == [[3], [4, 2]]
    assert found[1].tolist() == [1, 1]
    with pytest.raises(WrongOutputs, match="a dict for words, where a list of hypotheses"):
        adapters_captioning.beams(lambda *_: ({}, [1.0]), **inputs)


def test_the_child_finds_the_adapters_by_name() -> None:
    for question in LAB.questions.values():
        module = ADAPTERS[question.adapter.__module__.rpartition(".")[2]]
        assert getattr(module, question.adapter.__name__) is question.adapter


def test_features_are_turned_and_words_renumbered_by_the_seed() -> None:
    (one,), (two,) = (list(captioning.train_captioner.cases(master)) for master in (b"1", b"2"))
    X, y, V = (one.inputs[name] for name in "XyV")
    assert isinstance(X, Tensor)
    assert isinstance(y, Tensor)
    assert X.shape == (3500, 24)
    assert y.max() == V - 1 == 29  # type: ignore[operator]
    assert one.inputs["X_test"].shape == (1000, 24)  # type: ignore[union-attr]
    assert captioning.train_captioner.sent == ["X", "y", "V", "seed"]
    assert not torch.equal(X[0], two.inputs["X"][0])  # type: ignore[index]
    assert [w.tolist() for w in (y[:, -1].unique(), y.unique()[:3])] == [[PAD, END], [PAD, END, 3]]
    turned = [case.inputs["X_test"].norm(dim=1) for case in (one, two)]  # type: ignore[union-attr]
    assert torch.allclose(*turned)  # the same scenes, seen from elsewhere


def test_no_held_out_scene_is_told_in_training() -> None:
    _, y, _ = captioning._scenes()
    trained, held = ({tuple(row) for row in part.tolist()} for part in (y[:4000], y[4000:]))
    assert len(trained) > 1000 < len(trained | held)
    assert not trained & held


def test_the_score_is_that_of_greedy_captions() -> None:
    (case,) = captioning.train_captioner.cases(PUBLIC)
    held = dict(X_test=case.inputs["X_test"][:40], y_test=case.inputs["y_test"][:40])  # type: ignore[index]
    shapes = captioning._captioner_shapes(30, 24, 5, 7)
    P: dict[str, Any] = captioning._drawn_state(Draw(0), shapes)
    assert captioning.train_captioner.score(**held, **P) == 0
    words, W, b = held["y_test"][0], P["W_zy.weight"], P["W_zy.bias"]
    W.zero_()
    b[words[0]] = 1  # says one word for ever: right at the first place alone
    assert captioning.train_captioner.score(X_test=held["X_test"], y_test=words[:1].repeat(40, 1), **P) == 1
    assert captioning.train_captioner.score(**held, **P) == 0


def test_ten_questions_at_most_hundred_points_three_hours() -> None:
    core = [question for question in LAB.questions.values() if not question.extra]
    assert LAB.out_of == 100
    assert len(core) <= 10
    assert 150 <= sum(question.minutes for question in core) <= 200
