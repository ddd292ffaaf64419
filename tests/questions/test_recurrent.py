"""What the lab `recurrent` takes for right, against torch's own layers, and what it does not allow."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dl780.check.cases import PUBLIC, Draw
from dl780.check.question import Question, given
from dl780.check.registry import load_lab
from dl780.questions import recurrent
from dl780.student.call import attempt

LAB = load_lab("recurrent")


def inputs_of(question: Question) -> dict[str, Any]:
    """The first core case."""
    return dict(question.case(1, 7).inputs)


def torchs(layer: type[nn.RNNBase], inputs: dict[str, Any], names: tuple[str, ...]) -> nn.RNNBase:
    """A layer of torch's with the drawn parameters, in float64."""
    parameters = [inputs[name] for name in names]
    made = layer(parameters[0].shape[1], parameters[1].shape[1], dtype=torch.float64)
    for mine, drawn in zip(made.parameters(), parameters, strict=True):
        mine.data = drawn
    return made


def test_the_rnn_is_torchs() -> None:
    x = inputs_of(recurrent.rnn_backward) | {"none": torch.zeros(1, dtype=torch.float64)}
    x["none"] = torch.zeros_like(x["b_1"])
    Z, _ = torchs(nn.RNN, x, ("W_xz", "W_zz", "b_1", "none"))(x["X"], x["z_0"][None])
    assert torch.allclose(given(recurrent.rnn_backward.of, x), Z, atol=1e-14, rtol=0)


def test_the_lstm_is_torchs() -> None:
    x = inputs_of(recurrent.lstm_backward)
    H, (_, c) = torchs(nn.LSTM, x, ("W_ih", "W_hh", "b_ih", "b_hh"))(x["X"], (x["h_0"][None], x["c_0"][None]))
    mine, last = given(recurrent.lstm_backward.of, x)
    assert torch.allclose(mine, H, atol=1e-14, rtol=0)
    assert torch.allclose(last, c[0], atol=1e-14, rtol=0)


def test_the_gru_is_torchs() -> None:
    x = inputs_of(recurrent.gru_backward)
    H, _ = torchs(nn.GRU, x, ("W_ih", "W_hh", "b_ih", "b_hh"))(x["X"], x["h_0"][None])
    assert torch.allclose(given(recurrent.gru_backward.of, x), H, atol=1e-14, rtol=0)


def test_the_char_rnn_takes_the_names_of_a_state_dict() -> None:
    class CharRNN(nn.Module):
        def __init__(self, V: int, n: int, k: int) -> None:
            super().__init__()
            self.embedding, self.lstm, self.head = nn.Embedding(V, n), nn.LSTM(n, k), nn.Linear(k, V)

    x = inputs_of(recurrent.char_rnn_backward)
    net = CharRNN(*x["embedding.weight"].shape, x["head.weight"].shape[1]).double()
    assert tuple(net.state_dict()) == recurrent.CHAR_RNN
    net.load_state_dict({name: x[name] for name in recurrent.CHAR_RNN})
    Z = net.head(net.lstm(net.embedding(x["X"]))[0])
    loss = nn.functional.cross_entropy(Z.flatten(0, 1), x["y"].flatten())
    assert abs(given(recurrent.char_rnn_backward.of, x) - loss) < 1e-14


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("lstm_step", lambda x, h, c, *w: torch.lstm_cell(x, (h, c), *w)),
        ("rnn_step", lambda x, z, W, V, b: torch.rnn_tanh_cell(x, z, W, V, b, 0 * b)),
        ("lstm_step", lambda x, h, c, *w: nn.LSTMCell(x.shape[1], h.shape[1])(x, (h, c))),
        ("rnn_step", lambda x, z, W, V, b: nn.RNN(x.shape[1], z.shape[1])(x[None])[1]),
        ("rnn_step", lambda x, z, W, V, b: nn.GRU(x.shape[1], z.shape[1])(x[None])[1]),
    ],
)
def test_torchs_own_layers_are_out_of_reach(name: str, call: Any) -> None:
    q = LAB.questions[name]
    case = next(q.cases(PUBLIC))
    outcome = attempt(call, q.adapter, q.sent_inputs(case), q.outputs, q.not_allowed, name)
    assert "uses a library's own version" in outcome.error


def _by_clip_grad_norm(gs: list[Tensor], c: float) -> Any:
    held = [nn.Parameter(torch.zeros_like(g)) for g in gs]
    for parameter, g in zip(held, gs, strict=True):
        parameter.grad = g
    norm = nn.utils.clip_grad_norm_(held, c)
    return [parameter.grad for parameter in held], norm


_HELD_BEFORE = nn.utils.get_total_norm


@pytest.mark.parametrize("call", [_by_clip_grad_norm, lambda gs, c: (gs, _HELD_BEFORE(gs))])
def test_torchs_own_clipping_is_out_of_reach(call: Any) -> None:
    q = recurrent.clip_gradients
    outcome = attempt(call, q.adapter, q.sent_inputs(next(q.cases(PUBLIC))), q.outputs, q.not_allowed, q.name)
    assert "uses a library's own version" in outcome.error


def test_clipping_of_gradients_that_are_all_zero_gives_zeros() -> None:
    *_, zero = recurrent.clip_gradients.cases(PUBLIC)
    answers = recurrent.clip_gradients.answers(zero.inputs)
    assert float(answers["norm"]) == 0  # type: ignore[arg-type]
    assert not any(g.any() for g in answers["clipped"])


def test_brackets_are_nested_and_the_held_out_ones_are_old() -> None:
    X, y = recurrent._brackets(Draw(0), 500, recurrent.FAR)
    assert X.shape == (recurrent.LENGTH, 500)
    for text, kind in zip(X.T.tolist(), y.tolist(), strict=True):
        still = list[tuple[int, int]]()
        for t, symbol in enumerate(text):
            if symbol < recurrent.KINDS:
                still.append((symbol, t))
            elif symbol < 2 * recurrent.KINDS:
                assert still.pop()[0] == symbol - recurrent.KINDS
            assert len(still) <= recurrent.DEEP
        assert still[-1][0] == kind
        assert recurrent.LENGTH - still[-1][1] > recurrent.FAR


def test_symbols_and_kinds_are_numbered_by_the_seed() -> None:
    (one,), (two,) = (list(recurrent.bracket.cases(master)) for master in (b"1", b"2"))
    assert one.inputs["X"].shape == (40, 3000)  # type: ignore[union-attr]
    assert one.inputs["X_test"].shape == (40, 2000)  # type: ignore[union-attr]
    common = [case.inputs["X"].flatten().bincount().argsort().tolist() for case in (one, two)]  # type: ignore[union-attr]
    assert common[0] != common[1]
    assert recurrent.bracket.sent == ["X", "y", "seed"]


def test_ten_core_questions_hundred_points_three_hours() -> None:
    core = [question for question in LAB.questions.values() if not question.extra]
    assert len(core) == 10
    assert LAB.out_of == 100
    assert 150 <= sum(question.minutes for question in core) <= 200
