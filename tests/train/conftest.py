"""What the trainer's tests share: small recipes on the digits that scikit-learn ships, without a word on the way."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dl780.recipes import MLP
from dl780.train.loop import train

SMALL = dict(dataset="digits", data="embedded", hidden=(16,), epochs=2, batch=100, threads=1)


@pytest.fixture
def small(tmp_path: Path) -> Callable[..., MLP]:
    """A function that makes a recipe for the run `tmp_path / out`."""

    def make(out: str = "run", **settings: Any) -> MLP:
        return MLP(**{**SMALL, **settings, "out": tmp_path / out})

    return make


@pytest.fixture
def trained(small: Callable[..., MLP]) -> Callable[..., dict[str, Any]]:
    """A function that trains such a recipe."""
    return lambda out="run", **settings: train(small(out, **settings))


@pytest.fixture
def folder_of_pictures(tmp_path: Path) -> Path:
    """Large and small pictures in train/<class>/ and test/<class>/, which stream."""
    import torch
    from torchvision.io import write_png

    for i, (part, kind) in enumerate((part, kind) for part in ("train", "test") for kind in ("cat", "dog")):
        for j in range(3):
            path = tmp_path / "pictures" / part / kind / f"{j}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            X = torch.randint(256, (3, 240 + j, 260), generator=torch.Generator().manual_seed(10 * i + j))
            write_png(X.byte(), str(path))
    return tmp_path / "pictures"
