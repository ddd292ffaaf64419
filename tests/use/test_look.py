"""A network from inside."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from dl780.models import get_model
from dl780.use.draw import tiles
from dl780.use.look import chosen, first_filters, liveliest, look, most_exciting
from dl780.use.network import Network, open_network

NetworkOf = Callable[..., Network]


def test_filters_are_the_first_weights_each_on_its_scale(resnet: Network) -> None:
    W = next(resnet.model.parameters())
    drawn = first_filters(resnet)
    assert drawn.shape == (16, 3, 3, 3)
    assert drawn.amin() >= 0
    assert torch.allclose((drawn - 0.5).abs().amax((1, 2, 3)), torch.full((16,), 0.5))
    assert torch.equal((drawn > 0.5), W > 0)


@pytest.mark.parametrize(
    ("model", "shape", "drawn"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(3 * 5 * 7, 4)), (3, 5, 7), (4, 3, 5, 7)),
        (nn.Conv2d(1, 6, 5), (1, 8, 8), (6, 1, 5, 5)),
        (nn.Conv2d(4, 6, 5), (4, 8, 8), (24, 1, 5, 5)),
    ],
)
def test_filters_of_other_layers(
    network_of: NetworkOf, model: nn.Module, shape: tuple[int, int, int], drawn: tuple[int, ...]
) -> None:
    assert first_filters(network_of(model, shape)).shape == drawn


def test_one_layer_for_every_size_of_map(resnet: Network) -> None:
    assert chosen(resnet) == ["layer1", "layer2", "layer3"]


def test_the_liveliest_maps() -> None:
    Z = torch.zeros(20, 3, 3)
    Z[7], Z[4, 1, 1] = 2, 9
    channels, drawn = liveliest(Z)
    assert channels[:2].tolist() == [7, 4]
    assert drawn[1, 1, 1] == 1
    assert (drawn.amin(), drawn.amax()) == (0, 1)


def test_the_examples_that_excite_most(one_layer: Network) -> None:
    assert one_layer.data is not None
    split = one_layer.data.validation
    channels, best, place = most_exciting(one_layer, "0", split)
    with torch.no_grad():
        Z = one_layer.model[0](split.X / 255)  # type: ignore[operator, index]
    assert sorted(channels) == [0, 1, 2, 3]
    for channel, index, places in zip(channels, best, place, strict=True):
        value = Z[:, channel].amax((1, 2))
        assert index.tolist() == value.argsort(descending=True)[:8].tolist()
        for i, (y, x) in zip(index.tolist(), places.tolist(), strict=True):
            assert Z[i, channel, int(y * 8), int(x * 8)] == value[i]


def test_tiles_stand_in_rows_with_white_between() -> None:
    sheet = tiles(torch.arange(3.0).view(3, 1, 1, 1).expand(-1, 1, 2, 2) / 4, 2)
    assert sheet.shape == (1, 7, 7)
    assert sheet[0, :, 1].tolist() == [1, 0, 0, 1, 0.5, 0.5, 1]
    assert sheet[0, 1].tolist() == [1, 0, 0, 1, 0.25, 0.25, 1]


def test_a_folder_of_pictures(resnet: Network, tmp_path: Path, photograph: Path) -> None:
    lines = look(resnet, tmp_path / "look", photograph, "layer2")
    assert [line.split(":")[0] for line in lines] == [
        str(tmp_path / "look" / f"{n}.png") for n in ("filters", "maps", "examples")
    ]
    assert "of layer2 most" in lines[2]
    for path in (tmp_path / "look").iterdir():
        with Image.open(path) as picture:
            assert "a net" in picture.text["Description"]  # type: ignore[attr-defined]


def test_what_cannot_be_drawn_is_said(network_of: NetworkOf, tmp_path: Path, lenet_run: Path) -> None:
    mlp = network_of(get_model("mlp", 0, sizes=(27, 5, 10)), (3, 3, 3))
    assert "no layer that gives maps" in look(mlp, tmp_path / "mlp")[1]
    found = open_network(lenet_run, None)
    alone = Network(found.title, found.model, found.prepare, found.shape, found.classes)
    lines = look(alone, tmp_path / "alone")
    assert [line.split(":")[0] for line in lines[1:]] == ["no maps", "no examples"]
