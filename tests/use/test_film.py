"""A film that does not flash, whatever it shows."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from dl780 import UserError
from dl780.use.dream import dream, sample, start
from dl780.use.film import MOST, RATE, calm, check, luminance, save
from dl780.use.network import Network


def frames(path: Path) -> np.ndarray:
    """(frames, H, W, 3), one every tenth of a second: what stands longer is there several times."""
    with Image.open(path) as film:
        shown = [(np.array(f.convert("RGB")), f.info["duration"]) for f in ImageSequence.Iterator(film)]
    return np.stack([frame for frame, ms in shown for _ in range(round(ms / 100))]).astype(int)


def travelled(shown: np.ndarray) -> float:
    """How far any point's luminance travels in any second."""
    steps = np.abs(np.diff(luminance(shown), axis=0))
    return max(steps[i : i + RATE].sum(0).max() for i in range(max(1, len(steps) - RATE + 1)))


def flicker(n: int = 24) -> list[torch.Tensor]:
    """Black and white, in turn: what a film must not be."""
    return [torch.full((1, 6, 5), 255.0 * (i % 2)) for i in range(n)]


def test_a_frame_differs_little_from_the_one_before_and_the_last_is_reached() -> None:
    pictures = flicker(7)
    shown = torch.stack(list(calm(pictures)))
    assert shown.diff(dim=0).abs().max() <= MOST
    assert torch.equal(shown[0], pictures[0])
    assert torch.equal(shown[-1], pictures[-1])
    assert len(list(calm([torch.zeros(1, 2, 2)]))) == 1


@pytest.mark.parametrize("kind", ["png", "webp", "gif"])
@pytest.mark.parametrize("noise", [False, True])
def test_whatever_is_shown_no_film_flashes_three_times_a_second(tmp_path: Path, kind: str, noise: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    pictures = [255 * torch.rand(3, 16, 16, generator=generator) for _ in range(20)] if noise else flicker()
    number = save(pictures, tmp_path / f"film.{kind}")
    shown = frames(tmp_path / f"film.{kind}")
    assert travelled(shown) < 0.6
    if kind != "gif":
        assert len(shown) == number
        assert np.abs(np.diff(shown, axis=0)).max() <= MOST
        assert np.abs(shown[-1] - pictures[-1].expand(3, -1, -1).permute(1, 2, 0).numpy()).max() <= 0.5


def test_the_film_of_a_dream(resnet: Network, tmp_path: Path) -> None:
    picture = start(resnet, sample(), 64)
    pictures = [picture, *dream(resnet, picture, "layer3", octaves=3, steps=6, rate=4)]
    for kind in ("gif", "png"):
        save(pictures, tmp_path / f"film.{kind}")
        assert travelled(frames(tmp_path / f"film.{kind}")) < 0.6
        with Image.open(tmp_path / f"film.{kind}") as film:
            assert film.info.get("loop", 1) == 1, "once: the way back from the end would be a jump"
    last = frames(tmp_path / "film.gif")[-1]
    assert np.abs(last - pictures[-1].permute(1, 2, 0).numpy()).mean() < 12


def test_another_kind_is_refused_before_it_is_made(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--film takes a name that ends with .gif, .png, .webp, not climb.mp4"):
        check(tmp_path / "climb.mp4")
