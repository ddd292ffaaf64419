"""Scenes that are what their label and captions say."""

import itertools

import pytest
import torch

from dl780.data import shapes
from dl780.data.dataset import Split

COLOUR = torch.tensor(list(shapes.COLOURS.values()))


@pytest.fixture(scope="module")
def parts() -> tuple[Split, Split, Split]:
    return shapes.splits(3, 600, 100, 200)


def nearest_colours(X: torch.Tensor) -> set[str]:
    """The colours of the table that at least six pixels (3, H, W) have."""
    far = torch.cdist(X.flatten(1).T.float() / 255, COLOUR)
    counts = far.argmin(1)[far.amin(1) < 0.16].bincount(minlength=len(COLOUR))
    return {name for name, count in zip(shapes.COLOURS, counts.tolist(), strict=True) if count >= 6}


def test_pairs_held_out_are_in_every_test_scene_and_in_no_other(parts: tuple[Split, Split, Split]) -> None:
    held = {shapes._phrase(pair) for pair in shapes.HELD_OUT}
    assert len({pair % 6 for pair in shapes.HELD_OUT}) == len({pair // 6 for pair in shapes.HELD_OUT}) == 6
    train, validation, test = (
        [any(phrase in " ".join(told) for phrase in held) for told in part.captions] for part in parts
    )
    assert not any(train)
    assert not any(validation)
    assert all(test)
    told = " ".join(itertools.chain.from_iterable(parts[0].captions))
    assert all(shapes._phrase(pair) in told for pair in shapes.FAMILIAR)


def test_colours_of_a_caption_are_those_of_the_picture(parts: tuple[Split, Split, Split]) -> None:
    for X, told in zip(parts[2].X, parts[2].captions, strict=True):
        assert nearest_colours(X) == {word for word in told[0].split() if word in shapes.COLOURS}, told


def test_labels_are_the_shape_told_first_and_balanced(parts: tuple[Split, Split, Split]) -> None:
    train = parts[0]
    for label, told in zip(train.y.tolist(), train.captions, strict=True):
        assert shapes.SHAPES[label] == next(word for word in told[0].split() if word in shapes.SHAPES)
    assert train.y.bincount().min() > 70


def test_relations_are_those_of_the_picture(parts: tuple[Split, Split, Split]) -> None:
    """The centres of two colours, weighed pixel by pixel, against what the caption says."""
    seen = set()
    for X, told in zip(parts[0].X, parts[0].captions, strict=True):
        words = told[0].split()
        colours = [word for word in words if word in shapes.COLOURS]
        if len(colours) < 2 or colours[0] == colours[1]:
            continue
        near = torch.cdist(X.flatten(1).T.float() / 255, COLOUR)
        at = [((near.argmin(1) == list(shapes.COLOURS).index(c)) & (near.amin(1) < 0.16)).nonzero() for c in colours]
        (r1, c1), (r2, c2) = (((i // 32).float().mean(), (i % 32).float().mean()) for i in at)
        relation = next(r for r in shapes.RELATIONS if f" {r} " in told[0])
        apart = {"above": r2 - r1, "below": r1 - r2, "left of": c2 - c1, "right of": c1 - c2}
        assert max(apart, key=lambda key: float(apart[key])) == relation, told
        seen.add(relation)
    assert seen == set(shapes.RELATIONS)


def test_captions_say_the_same_in_three_ways() -> None:
    red_circle, blue_square = 0, 8
    assert shapes.captions(red_circle, blue_square, True, True, 0, 0) == (
        "a red circle above a blue square",
        "a blue square below a red circle",
        "a large red circle with a small blue square below it",
    )
    assert shapes.captions(red_circle, blue_square, True, True, 3, 0)[1:] == (
        "a blue square left of a red circle",
        "a large red circle with a small blue square to its left",
    )
    assert shapes.captions(blue_square, 0, False, False, 0, 2) == (
        "a small blue square on the left",
        "a blue square alone on the left",
        "there is one small blue square",
    )


def test_a_seed_draws_the_same_scenes(parts: tuple[Split, Split, Split]) -> None:
    again = shapes.splits(3, 600, 100, 200)
    assert all(a.X.equal(b.X) and a.captions == b.captions for a, b in zip(parts, again, strict=True))
    assert not shapes.splits(4, 600, 100, 200)[0].X.equal(parts[0].X)


def test_no_shape_is_cut_by_the_border(parts: tuple[Split, Split, Split]) -> None:
    X = torch.cat([part.X for part in parts]).float() / 255
    ground = X.flatten(2).median(2).values[:, :, None, None]
    edge = torch.cat([X[..., 0, :], X[..., -1, :], X[..., 0], X[..., -1]], 2)
    assert ((edge - ground[..., 0]).abs().amax((1, 2)) > 0.3).float().mean() < 0.02


@pytest.mark.parametrize("shape", shapes.SHAPES)
def test_a_shape_is_of_its_size(shape: str) -> None:
    """Within a third of a radius of what it should be, and in the middle."""
    across = torch.linspace(-2, 2, 81)
    u, v = torch.meshgrid(across, across, indexing="xy")
    inside = shapes.EDGES[shape](u, v) < 0
    assert 0.5 < inside.sum() * 0.05**2 < 3.2
    assert (u.square() + v.square()).sqrt()[inside].max() < 1.33
    assert u[inside].mean().abs() < 0.05
    assert v[inside].mean().abs() < 0.22  # a triangle stands in the middle of its box
