"""Batches, generators, normalisation and augmentation."""

import pytest
import torch

from dl780 import UserError
from dl780.data import Split, augment, batches, generator_for, indices, normalise
from dl780.data.dataset import hold_out, statistics, stratified


@pytest.fixture
def split() -> Split:
    X = torch.randint(256, (23, 3, 8, 6), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return Split(X, torch.arange(23) % 4)


def test_an_epoch_has_every_example_once(split: Split) -> None:
    parts = list(batches(split, 5, generator_for(1, 0)))
    assert [len(y) for _, y in parts] == [5, 5, 5, 5, 3]
    assert torch.cat([X for X, _ in parts]).double().sum() == split.X.double().sum()
    in_order = torch.cat([y for _, y in batches(split, 5)])
    assert in_order.equal(split.y)


def test_a_resumed_epoch_goes_on_with_the_same_batches(split: Split) -> None:
    whole = list(batches(split, 5, generator_for(7, 3)))
    rest = list(batches(split, 5, generator_for(7, 3), start=2))
    assert len(rest) == 3
    assert all(a.equal(b) for w, r in zip(whole[2:], rest, strict=True) for a, b in zip(w, r, strict=True))
    for step in (0, 9):
        one, two = (augment.augment(split.X, generator_for(7, 3, step), augment.AUGMENTATIONS) for _ in range(2))
        assert one.equal(two)
    assert not augment.shift(split.X, generator_for(7, 3, 0)).equal(augment.shift(split.X, generator_for(7, 3, 1)))


def test_processes_share_a_batch() -> None:
    shares = [list(indices(20, 6, generator_for(0, 0), share=(rank, 2))) for rank in (0, 1)]
    whole = list(indices(20, 6, generator_for(0, 0)))
    assert [sorted(torch.cat(both).tolist()) for both in zip(*shares, strict=True)] == [
        sorted(w.tolist()) for w in whole
    ]
    with pytest.raises(UserError, match="at least one"):
        next(indices(3, 0))


def test_generators_differ_by_every_key_and_leave_the_global_one_alone() -> None:
    before = torch.get_rng_state()
    keys = [(0,), (1,), (0, 0), (0, 1), (0, 0, 0), (0, 0, 1), (0, 1, 0), (0, "dropout", 0)]
    draws = {float(torch.rand(1, dtype=torch.float64, generator=generator_for(*key))) for key in keys}
    assert len(draws) == len(keys)
    assert before.equal(torch.get_rng_state())


def test_normalise_and_statistics(split: Split) -> None:
    mean, std = statistics(split.X)
    scaled = split.X.double().transpose(0, 1).flatten(1) / 255
    assert mean == pytest.approx(scaled.mean(1).tolist(), abs=1e-4)
    assert std == pytest.approx(scaled.std(1, correction=0).tolist(), abs=1e-4)
    Z = normalise(split.X, mean, std)
    assert Z.dtype == torch.get_default_dtype()
    assert Z.mean((0, 2, 3)).abs().max() < 1e-3
    assert (Z.std((0, 2, 3), correction=0) - 1).abs().max() < 1e-3
    assert statistics(torch.zeros(2, 1, 3, 3, dtype=torch.uint8)) == ((0.0,), (1.0,))


def test_splits_are_fixed_disjoint_and_stratified() -> None:
    n = 200
    split = Split(torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1), torch.arange(n) % 4)
    for parts in (hold_out(split, 20), stratified(split)):
        seen = torch.cat([part.X.flatten() for part in parts])
        assert sorted(seen.tolist()) == list(range(n))
    assert [p.y.bincount().tolist() for p in stratified(split)] == [[35] * 4, [5] * 4, [10] * 4]
    assert hold_out(split, 5)[1].X.flatten().tolist() == hold_out(split, 5)[1].X.flatten().tolist()
    assert len(hold_out(split, 0)[1]) == 0
    for count in (-1, n):
        with pytest.raises(UserError, match="cannot validate"):
            hold_out(split, count)


@pytest.mark.parametrize("name", augment.AUGMENTATIONS)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
def test_augmentations_keep_shape_and_type_and_draw_for_each_picture(name: str, dtype: torch.dtype) -> None:
    X = (
        torch.randint(1, 256, (64, 3, 9, 7), generator=torch.Generator().manual_seed(1))
        .to(dtype)[:1]
        .repeat(64, 1, 1, 1)
    )
    before = X.clone()
    Z = augment.AUGMENTATIONS[name](X, generator_for(0))
    assert (Z.shape, Z.dtype) == (X.shape, dtype)
    assert X.equal(before)
    assert len({tuple(z.flatten().tolist()) for z in Z}) > 1
    assert Z.equal(augment.AUGMENTATIONS[name](X, generator_for(0)))
    assert not Z.equal(augment.AUGMENTATIONS[name](X, generator_for(1)))


def test_shift_moves_by_whole_pixels_each_way() -> None:
    X = torch.zeros(500, 2, 7, 6)
    X[:, :, 3, 2] = 1
    at = augment.shift(X, generator_for(0), by=1)[:, 0].nonzero()[:, 1:]
    assert len(at) == 500
    assert {tuple(a) for a in at.tolist()} == {(r, c) for r in (2, 3, 4) for c in (1, 2, 3)}
    assert augment.shift(X, generator_for(0), by=0).equal(X)


def test_flip_mirrors_half() -> None:
    X = torch.arange(6.0).view(1, 1, 2, 3).repeat(1000, 1, 1, 1)
    mirrored = (augment.flip(X, generator_for(0)) == X.flip(3)).all((1, 2, 3))
    assert 400 < mirrored.sum() < 600
    assert augment.flip(X, generator_for(0), p=0).equal(X)


def test_affine_turns_a_picture_that_is_not_square_without_bending_it() -> None:
    X = torch.zeros(20, 1, 41, 21, dtype=torch.float64)
    X[:, :, 12:29, 10] = 1  # an upright bar of 17 pixels
    assert (augment.affine(X, generator_for(0), degrees=0, scale=0) - X).abs().max() < 1e-5
    Z = augment.affine(X, generator_for(0), degrees=30, scale=0)
    rows, columns = (torch.arange(n, dtype=torch.float64) for n in (41, 21))
    for z in Z[:, 0]:
        r, c = (z.sum(1) @ rows) / z.sum(), (z.sum(0) @ columns) / z.sum()
        dr, dc = (rows - r)[:, None].expand(41, 21), (columns - c)[None].expand(41, 21)
        length = (z * (dr**2 + dc**2)).sum() / z.sum()
        assert length == pytest.approx((17**2 - 1) / 12, rel=0.06)


def test_cutout_blacks_out_one_square() -> None:
    X = torch.ones(300, 3, 12, 10)
    black = (augment.cutout(X, generator_for(0), size=4) == 0).sum((2, 3))
    assert (black[:, 0] == black[:, 2]).all()
    assert (black.min(), black.max()) == (4, 16)  # a corner, and the whole square


def test_an_unknown_augmentation_is_named() -> None:
    with pytest.raises(UserError, match="no augmentation 'blur'; there are: shift"):
        augment.augment(torch.zeros(1, 1, 2, 2), generator_for(0), ["blur"])
