"""Tables and linear functions: the slide's updates by hand, and against value iteration."""

import numpy as np
import pytest
import torch

from dl780.recipes import QLearning
from dl780.rl.linear_q import fourier, linear_q_step, tiles
from dl780.rl.loop import train
from dl780.rl.qlearning import epsilon_greedy, q_update, value_iteration


@pytest.mark.parametrize(("terminated", "after"), [(False, 1 + 0.5 * (2 + 0.9 * 4 - 1)), (True, 1 + 0.5 * (2 - 1))])
def test_the_slides_update(terminated: bool, after: float) -> None:
    Q = np.array([[1.0, 0.0], [3.0, 4.0]])
    q_update(Q, 0, 0, 2.0, 1, terminated, 0.5, 0.9)
    assert Q.tolist() == [[pytest.approx(after), 0.0], [3.0, 4.0]]


def test_the_linear_update_follows_autograds_gradient() -> None:
    generator = torch.Generator().manual_seed(0)
    theta = torch.randn(3, 5, generator=generator, dtype=torch.float64).requires_grad_()
    phi, phi2 = torch.randn(2, 5, generator=generator, dtype=torch.float64)
    Q = (theta @ phi)[1]
    (gradient,) = torch.autograd.grad(Q, theta)
    want = theta + 0.1 * (2.0 + 0.9 * (theta @ phi2).max() - Q) * gradient
    got = theta.detach().clone()
    linear_q_step(got, phi, 1, 2.0, phi2, False, 0.1, 0.9)
    assert torch.allclose(got, want.detach())


def test_tiles_are_one_in_each_tiling_and_neighbours_share_them() -> None:
    phi = tiles(2, 8, 4)
    x = torch.rand(200, 2, generator=torch.Generator().manual_seed(0))
    assert (phi(x).sum(1) == 8).all()
    near, far = phi(torch.tensor([[0.5, 0.5], [0.52, 0.5], [0.9, 0.1]])) @ phi(torch.tensor([[0.5, 0.5]])).T, 0
    assert near[0] == 8
    assert 4 <= near[1] < 9
    assert near[2] == far
    assert fourier(2, 0, 3)(x).shape == (200, 16)


def test_exploration_takes_every_action_alike() -> None:
    Q = torch.tensor([[0.0, 1.0, 0.0]]).expand(9000, 3)
    counts = epsilon_greedy(Q, 0.3, torch.Generator().manual_seed(0)).bincount() / 9000
    assert torch.allclose(counts, torch.tensor([0.1, 0.8, 0.1]), atol=0.02)


def test_value_iteration_on_the_cliff() -> None:
    Q = value_iteration("CliffWalking-v1", 1.0)
    assert Q is not None
    assert Q[36].max() == -13
    assert Q[36, 1] == -113


def test_a_table_comes_to_value_iteration(tmp_path) -> None:
    settings = dict(lr=1.0, epsilon=0.3, gamma=0.9)
    result = train(
        QLearning(env="CliffWalking-v1", steps=60_000, evaluations=1, episodes=1, out=tmp_path / "r", **settings)
    )
    assert result["metrics"]["table_error"] < 0.01
    assert result["metrics"]["return_mean"] == -13
