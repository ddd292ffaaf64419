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
