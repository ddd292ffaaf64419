"""Captioner and sequence to sequence: the equations, and that a batch is what each is alone."""

import pytest
import torch

from dl780.models import get_model
from dl780.models.attention import attend
from dl780.models.captioner import Captioner
from dl780.models.decode import START
from dl780.models.seq2seq import Seq2Seq, backwards


def captioner(**options: object) -> Captioner:
    model = get_model("captioner", 0, words=11, hidden=9, embedding=5, **options)
    assert isinstance(model, Captioner)
    return model.double().eval()


def seq2seq(**options: object) -> Seq2Seq:
    model = get_model("seq2seq", 0, words=11, hidden=9, embedding=5, **options)
    assert isinstance(model, Seq2Seq)
    return model.double().eval()


@pytest.mark.parametrize("attention", [False, True])
@pytest.mark.parametrize("form", ["lstm", "multimodal"])
def test_word_by_word_is_all_at_once(form: str, attention: bool) -> None:
    model = captioner(form=form, attention=attention)
    X = torch.randn(3, 3, 16, 16, dtype=torch.float64)
    words = torch.randint(4, 11, (3, 5))
    words[:, 0] = START
    logits = model(X, words)
    assert logits.shape == (3, 5, 11)
    state = model.begin(X)
    for t in range(5):
        step, state = model.step(words[:, t], state)
        assert torch.allclose(step, logits[:, t], atol=1e-12)


def test_the_multimodal_rnn_is_told_the_picture_at_its_first_step_only() -> None:
    """z(1) = f(W_xz x(1) + W_zz z(0) + b + b_v), b_v = W_iv CNN(picture); then without b_v."""
    model = captioner(form="multimodal")
    X, words = torch.randn(2, 3, 16, 16, dtype=torch.float64), torch.tensor([[1, 5, 6], [1, 7, 4]])
    W, W_zz, b = model.rnn.weight_ih_l0, model.rnn.weight_hh_l0, model.rnn.bias_ih_l0 + model.rnn.bias_hh_l0
    W_xz, W_iv = W[:, :5], W[:, 5:]
    cnn = model.project(torch.nn.functional.adaptive_avg_pool2d(model.look(X), 4).flatten(1))
    z, logits = torch.zeros(2, 9, dtype=torch.float64), model(X, words)
    for t in range(3):
        b_v = cnn @ W_iv.T if t == 0 else 0
        z = torch.tanh(model.embed(words[:, t]) @ W_xz.T + z @ W_zz.T + b + b_v)
        assert torch.allclose(model.out(z), logits[:, t], atol=1e-12)


@pytest.mark.parametrize("attention", [False, True])
def test_padding_changes_nothing(attention: bool) -> None:
    model = seq2seq(attention=attention, layers=2)
    X = torch.tensor([[4, 5, 6, 0, 0], [7, 8, 9, 10, 4]])
    words = torch.tensor([[1, 5, 6], [1, 9, 8]])
    together = model(X, words)
    assert torch.allclose(model(X[:1, :3], words[:1]), together[:1], atol=1e-12)
    state = model.begin(X)
    for t in range(3):
        step, state = model.step(words[:, t], state)
        assert torch.allclose(step, together[:, t], atol=1e-12)


def test_the_encoder_reads_from_the_last_word() -> None:
    X = torch.tensor([[4, 5, 6, 0], [7, 0, 0, 0]])
    assert backwards(X, torch.tensor([3, 1])).tolist() == [[6, 5, 4, 0], [7, 0, 0, 0]]


def test_the_gradient_crosses_from_the_decoder_into_the_encoder() -> None:
    model = seq2seq()
    model(torch.tensor([[4, 5]]), torch.tensor([[1, 6]]))[0, 1, 3].backward()
    assert model.encoder.weight_hh_l0.grad.abs().sum() > 0  # type: ignore[union-attr]


def test_attention_is_torchs() -> None:
    Q, K, V = (torch.randn(2, n, k, dtype=torch.float64) for n, k in ((3, 4), (5, 4), (5, 6)))
    seen = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    expected = torch.nn.functional.scaled_dot_product_attention(Q, K, V, attn_mask=seen[:, None])
    assert torch.allclose(attend(Q, K, V, seen), expected, atol=1e-12)


def test_a_frozen_cnn_stays_as_it_is() -> None:
    look = get_model("small_cnn", 0)
    look.requires_grad_(False)
    model = get_model("captioner", 0, look=look, words=11).train()
    before = {name: value.clone() for name, value in look.state_dict().items()}
    model(torch.randn(4, 3, 16, 16), torch.tensor([[1]] * 4)).sum().backward()
    assert all(value.equal(before[name]) for name, value in look.state_dict().items())
