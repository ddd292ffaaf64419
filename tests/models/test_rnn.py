"""Recurrent networks: what is written out is what torch's kernels compute."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dl780.models.char_rnn import CharRNN
from dl780.models.lstm import GRU, LSTM
from dl780.models.rnn import RNN, written_out

CASES = [
    (RNN, {}),
    (RNN, {"nonlinearity": "relu"}),
    (LSTM, {}),
    (GRU, {}),
    (LSTM, {"bias": False}),
]


def flat(state: Any) -> list[Tensor]:
    return list(state) if isinstance(state, tuple) else [state]


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize(("kind", "options"), CASES, ids=lambda case: getattr(case, "__name__", str(case)))
def test_written_out_gives_the_numbers_and_gradients_of_the_kernel(
    kind: type[nn.Module], options: dict[str, Any], given: bool
) -> None:
    torch.manual_seed(0)
    net: Any = kind(3, 5, num_layers=2, dtype=torch.float64, **options)
    X = torch.randn(7, 4, 3, dtype=torch.float64, requires_grad=True)
    state: Any = tuple(torch.randn(2, 4, 5, dtype=torch.float64, requires_grad=True) for _ in range(net.states))
    state = (state if net.states > 1 else state[0]) if given else None
    found = []
    for forward in (net, lambda X, s: written_out(net, X, s)):
        Z, last = forward(X, state)
        outputs = [Z, *flat(last)]
        loss = sum((out * torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)).sum() for out in outputs)
        leaves = [X, *net.parameters(), *(flat(state) if given else [])]
        found.append([*outputs, *torch.autograd.grad(loss, leaves)])
    for mine, theirs in zip(*found, strict=True):
        assert (mine - theirs).abs().max() < 1e-10


def test_the_recurrence_is_the_lectures() -> None:
    """z(t) = tanh(W_xz x(t) + W_zz z(t-1) + b1), z(0) = 0, time by time."""
    torch.manual_seed(0)
    net = RNN(3, 5, dtype=torch.float64)
    W_xz, W_zz, b1 = net.weight_ih_l0, net.weight_hh_l0, net.bias_ih_l0 + net.bias_hh_l0
    X = torch.randn(4, 2, 3, dtype=torch.float64)
    z = torch.zeros(2, 5, dtype=torch.float64)
    for x, expected in zip(X, net(X)[0], strict=True):
        z = torch.tanh(x @ W_xz.T + z @ W_zz.T + b1)
        assert torch.allclose(z, expected, atol=1e-12)


def test_an_lstm_begins_by_remembering() -> None:
    net = LSTM(3, 5, num_layers=2)
    for layer in (0, 1):
        both = getattr(net, f"bias_ih_l{layer}") + getattr(net, f"bias_hh_l{layer}")
        assert both.chunk(4)[1].eq(1).all()
        assert both.chunk(4)[0].abs().max() < 1


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("embedding", [0, 6])
def test_a_text_in_two_halves_is_the_text(kind: str, embedding: int) -> None:
    torch.manual_seed(0)
    net = CharRNN(11, kind, hidden=8, layers=2, embedding=embedding).double()
    X = torch.randint(11, (3, 10))
    whole, _ = net(X)
    first, state = net(X[:, :4])
    second, _ = net(X[:, 4:], state)
    assert whole.shape == (3, 10, 11)
    assert torch.allclose(torch.cat([first, second], 1), whole, atol=1e-12)
    assert whole.abs().max() < 1  # it knows nothing: the loss starts near log V
