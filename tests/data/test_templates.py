"""What hand-made filters see in a scene: the shape, its colour and place, without having been trained."""

import torch
from torch import Tensor

from dl780.data.shapes import COLOURS, HELD_OUT, SHAPES, scenes
from dl780.data.templates import features


def large_ones() -> tuple[Tensor, list[list[str]]]:
    """Features of the large shape in scenes that have two, and the scenes' captions, word by word."""
    split = scenes(300, torch.Generator().manual_seed(3), HELD_OUT)
    two = [i for i, told in enumerate(split.captions) if "small" in told[2] and "large" in told[2]]
    return features(split.X)[two, 12:], [split.captions[i][0].split() for i in two]


def test_the_best_template_is_the_shape() -> None:
    found, told = large_ones()
    shapes = [SHAPES[i] for i in found[:, :6].argmax(1).tolist()]
    assert sum(shape == words[2] for shape, words in zip(shapes, told, strict=True)) > 0.97 * len(told) > 100


def test_the_colour_is_that_of_the_shape() -> None:
    found, told = large_ones()
    tones = torch.tensor(list(COLOURS.values()))
    nearest = torch.cdist(found[:, 6:9], tones).argmin(1).tolist()
    names = [list(COLOURS)[i] for i in nearest]
    assert sum(name == words[1] for name, words in zip(names, told, strict=True)) > 0.9 * len(told)


def test_the_place_is_on_the_side_that_is_told() -> None:
    found, told = large_ones()
    for (x, y), words in zip(found[:, 9:11].tolist(), told, strict=True):
        side = {"above": y < 0, "below": y > 0, "left": x < 0, "right": x > 0}[words[3]]
        assert side, (x, y, words)


def test_one_row_a_scene_the_same_alone_or_together() -> None:
    X = scenes(5, torch.Generator().manual_seed(0)).X
    together = features(X)
    assert together.shape == (5, 24)
    assert together.dtype == torch.float32
    assert together.isfinite().all()
    assert torch.allclose(together[3:4], features(X[3:4]), atol=1e-5)
