"""Deep Dream: a step is the gradient, a climb climbs, and the same seed dreams the same."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dl780 import UserError
from dl780.models import get_model
from dl780.use.dream import ascent, dream, sample, start, usual_layer, variation
from dl780.use.network import Network, activation

NetworkOf = Callable[..., Network]


@pytest.fixture
def X() -> torch.Tensor:
    """A grey-green picture."""
    return 100 + 50 * torch.rand(3, 48, 40, generator=torch.Generator().manual_seed(0))


def excitement(network: Network, X: torch.Tensor, layer: str) -> float:
    with torch.no_grad():
        return (activation(network, X[None], layer) ** 2).mean().item() / 2


@pytest.mark.parametrize("channel", [None, 2])
def test_a_step_is_the_gradient_over_its_mean_size(one_layer: Network, channel: int | None) -> None:
    """Against differences: the direction's entries are in the proportions of what small changes do."""
    X = 255 * torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(0)).double()
    G = ascent(one_layer, X.float(), "0", channel)
    assert G.abs().mean().item() == pytest.approx(1, abs=1e-5)
    model = one_layer.model[0].double()  # type: ignore[operator, index]

    def J(X: torch.Tensor) -> torch.Tensor:
        Z = model(X[None] / 255)
        return (Z**2).mean() / 2 if channel is None else Z[:, channel].mean()

    with torch.no_grad():
        moved = torch.stack([J(X + 1e-3 * e.view(1, 8, 8)) - J(X - 1e-3 * e.view(1, 8, 8)) for e in torch.eye(64)])
    model.float()
    want = moved / moved.abs().mean()
    assert torch.allclose(G.flatten().double(), want, atol=1e-3)


def test_a_climb_climbs(resnet: Network, X: torch.Tensor) -> None:
    pictures = list(dream(resnet, X, "layer2", octaves=2, steps=5))
    assert len(pictures) == 10
    assert all(p.shape == X.shape and p.amin() >= 0 and p.amax() <= 255 for p in pictures)
    before, after = excitement(resnet, X, "layer2"), excitement(resnet, pictures[-1], "layer2")
    assert after > 1.2 * before


def test_a_step_moves_a_pixel_by_the_rate_in_the_mean(resnet: Network, X: torch.Tensor) -> None:
    first, second = dream(resnet, X, "layer1", octaves=1, steps=2, rate=0.5)
    assert (first - X).abs().mean().item() == pytest.approx(0.5, abs=1e-3)
    assert (second - first).abs().mean().item() == pytest.approx(0.5, abs=1e-3)


def test_jitter_rolls_back(one_layer: Network) -> None:
    """On a torus a convolution does not feel a shift, but at the border of zeros: the middle is what it was without."""
    X = 255 * torch.rand(1, 24, 24, generator=torch.Generator().manual_seed(0))
    G = ascent(one_layer, X, "0")
    back = ascent(one_layer, X.roll((3, -2), (1, 2)), "0").roll((-3, 2), (1, 2))
    inner = (slice(None), slice(6, -6), slice(6, -6))
    assert torch.allclose(G[inner] / G[inner].norm(), back[inner] / back[inner].norm(), atol=1e-4)


def test_the_same_seed_dreams_the_same_and_nobodys_random_numbers_are_used(resnet: Network, X: torch.Tensor) -> None:
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    one, two, other = (list(dream(resnet, X, "layer2", octaves=1, steps=3, seed=s))[-1] for s in (0, 0, 1))
    assert torch.equal(torch.rand(2), expected)
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert all(p.grad is None for p in resnet.model.parameters())


def test_variation_is_the_sum_of_differences() -> None:
    X = torch.tensor([[[1.0, 3.0], [0.0, 7.0]]])
    assert variation(X) == 2 + 7 + 1 + 4


def test_total_variation_makes_it_smoother(resnet: Network, X: torch.Tensor) -> None:
    rough, smooth = (list(dream(resnet, X, "layer2", octaves=1, total_variation=tv))[-1] for tv in (0.0, 0.5))
    assert variation(smooth) < 0.9 * variation(rough)
    assert excitement(resnet, smooth, "layer2") > 1.1 * excitement(resnet, X, "layer2")


def test_octaves_that_are_too_small_are_left_out(resnet: Network, X: torch.Tensor) -> None:
    assert len(list(dream(resnet, X, "layer1", octaves=9, steps=1))) == 3  # 40, 29, 20 pixels


@pytest.mark.parametrize(("layer", "channel"), [("layer9", None), ("layer1", 16), ("layer1", -1)])
def test_what_is_not_there_is_one_line(resnet: Network, X: torch.Tensor, layer: str, channel: int | None) -> None:
    with pytest.raises(UserError, match=r"there is no layer|channels 0 to 15"):
        list(dream(resnet, X, layer, channel, steps=1))


@pytest.mark.parametrize(
    ("name", "side", "layer"),
    [
        ("resnet20", 32, "layer3"),
        ("vgg11_cifar", 32, "relu4_2"),
        ("googlenet_cifar", 32, "inception5b"),
        ("resnet18", 224, "layer3"),
        ("googlenet", 224, "inception4e"),
    ],
)
def test_the_usual_layer(network_of: NetworkOf, name: str, side: int, layer: str) -> None:
    assert usual_layer(network_of(get_model(name, 0), (3, side, side))).startswith(layer)


def test_a_network_without_maps_cannot_dream(network_of: NetworkOf) -> None:
    with pytest.raises(UserError, match="cannot dream"):
        usual_layer(network_of(get_model("mlp", 0, sizes=(27, 5, 10)), (3, 3, 3)))


def test_it_starts_from_the_photograph_in_the_networks_channels(resnet: Network, one_layer: Network) -> None:
    assert start(resnet, sample(), 100).shape == (3, 100, 85)
    grey = start(one_layer, sample(), 100)
    assert grey.shape == (1, 100, 85)
    assert 0 <= grey.amin() < grey.amax() <= 255


def test_a_picture_too_small_to_dream_of(resnet: Network, photograph: Path) -> None:
    with pytest.raises(UserError, match="--side takes a number from 16"):
        start(resnet, photograph, 9)
