"""Points drawn for the lab `features`: the same for the same seed, and as their docstrings say."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from dl780.data.points import arcs, days, demand


@pytest.mark.parametrize("draw", [days, arcs])
def test_the_same_seed_draws_the_same_points(draw: Callable[[int, int], tuple[Tensor, Tensor]]) -> None:
    before = torch.random.get_rng_state()
    assert all(map(torch.equal, draw(20, 3), draw(20, 3)))
    assert not torch.equal(draw(20, 3)[0], draw(20, 4)[0])
    assert torch.equal(torch.random.get_rng_state(), before)


def test_days_scatter_by_their_noise_around_the_demand() -> None:
    x, y = days(10_000, 0)
    assert x.shape == y.shape == (10_000,)
    assert (y - demand(x)).std().item() == pytest.approx(0.08, rel=0.03)
    assert demand(torch.tensor([-5.0, 15.0, 35.0])).tolist() == pytest.approx([2.48, 1.70, 3.26], abs=0.05)


def test_no_line_separates_the_arcs_but_a_curve_does() -> None:
    X, y = arcs(2000, 0)
    assert set(y.tolist()) == {-1.0, 1.0}

    def right(Phi: Tensor) -> float:
        theta = torch.linalg.lstsq(Phi, y[:, None]).solution[:, 0]
        return float(((Phi @ theta).sign() == y).double().mean())

    powers = torch.stack([X[:, 0] ** i * X[:, 1] ** j for i in range(6) for j in range(6 - i)], 1)
    assert right(torch.cat([X, torch.ones(2000, 1)], 1)) < 0.9
    assert right(powers) > 0.97
