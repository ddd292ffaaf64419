"""LeNet-5, held against the paper's counts and torch's own operations."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dl780.models import get_model
from dl780.models.lenet import C3_SEES, RadialBasis, ScaledTanh, SparseConv2d, Subsample


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(("name", "weights"), [("lenet5", 61_706), ("lenet5_1998", 60_000)])
def test_weights_and_shapes(name: str, weights: int) -> None:
    model = get_model(name, 0)
    assert count(model) == weights
    assert model(torch.zeros(3, 1, 28, 28)).shape == (3, 10)


def test_the_1998_layers_have_the_weights_of_the_papers_section_two() -> None:
    counts = [count(layer) for layer in get_model("lenet5_1998", 0) if count(layer)]  # type: ignore[arg-type]
    assert counts == [156, 12, 1_516, 32, 48_120, 10_164]


def test_table_one() -> None:
    assert [len(seen) for seen in C3_SEES] == [3] * 6 + [4] * 9 + [6]
    assert len(set(C3_SEES)) == 16
    assert [sum(s in seen for seen in C3_SEES) for s in range(6)] == [10] * 6


def test_a_sparse_convolution_is_one_whose_other_weights_are_zero() -> None:
    layer = SparseConv2d(((0, 2), (1,), (0, 1, 2)), 3).double()
    Z = torch.randn(2, 3, 7, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    dense = torch.zeros(3, 3, 3, 3, dtype=torch.float64)
    for weight, (i, j) in zip(layer.weight, [(0, 0), (0, 2), (1, 1), (2, 0), (2, 1), (2, 2)], strict=True):
        dense[i, j] = weight.detach()
    assert torch.allclose(layer(Z), F.conv2d(Z, dense, layer.bias), atol=1e-12)


def test_subsampling_sums_each_window_and_scales_the_sum() -> None:
    layer = Subsample(2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([2.0, 3.0]).view(2, 1, 1))
        layer.bias.copy_(torch.tensor([0.5, -1.0]).view(2, 1, 1))
    Z = torch.arange(8.0).view(1, 2, 2, 2)
    assert layer(Z).flatten().tolist() == [2 * 6 + 0.5, 3 * 22 - 1]


def test_the_scaled_tanh_takes_one_to_one() -> None:
    assert ScaledTanh()(torch.tensor([1.0, -1.0])).tolist() == pytest.approx([1, -1], abs=1e-4)


def test_a_digits_own_picture_is_nearest_to_it() -> None:
    output = get_model("lenet5_1998", 0)[-1]  # type: ignore[index]
    assert isinstance(output, RadialBasis)
    centres = output.centres
    assert centres.shape == (10, 84)
    assert set(centres.unique().tolist()) == {-1.0, 1.0}
    logits = output(centres)
    assert logits.argmax(1).tolist() == list(range(10))
    assert torch.allclose(logits, -(torch.cdist(centres, centres) ** 2), atol=1e-3)
    assert logits.fill_diagonal_(-99).max() <= -4 * 4, "two digits differ by four pixels or more"
