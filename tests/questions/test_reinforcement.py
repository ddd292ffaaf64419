"""What the lab `reinforcement` takes for right where autograd alone does not say: its poles, ends, and chance."""

from typing import Any

import gymnasium as gym
import pytest
import torch

from dl780.check.registry import load_lab
from dl780.questions import reinforcement
from dl780.student.cartpoles import CartPoles, mean_return

LAB = load_lab("reinforcement")


def test_the_poles_are_those_of_gymnasium() -> None:
    """Step by step as CartPole-v1, with the reset of every pole one step late."""
    poles, env = CartPoles(1, seed=0), gym.make("CartPole-v1").unwrapped
    S, _ = poles.reset(), env.reset(seed=0)
    env.state = S[0].numpy()  # type: ignore[attr-defined]
    for t in range(60):
        S, r, terminated, truncated = poles.step(torch.tensor([t % 5 > 0]))
        want, reward, ended, *_ = env.step(int(t % 5 > 0))
        assert torch.allclose(S[0].float(), torch.from_numpy(want), atol=1e-5)
        assert (r.item(), terminated.item(), truncated.item()) == (reward, ended, False)
        if ended:
            break
    S, r, terminated, _ = poles.step(torch.tensor([0]))
    assert S.abs().max() <= 0.05 + 1e-6
    assert (r.item(), terminated.item()) == (0, False)


def test_senses_and_hands_are_exchanged() -> None:
    order, scale = torch.tensor([2, 0, 3, 1]), torch.tensor([1.0, -2, 3, 4])
    plain, odd = CartPoles(3, 1), CartPoles(3, 1, order=order, scale=scale, swapped=1)
    assert torch.allclose(odd.reset(), (plain.reset() * scale)[:, order])
    a = torch.tensor([0, 1, 1])
    assert torch.allclose(odd.step(1 - a)[0], (plain.step(a)[0] * scale)[:, order])


def test_a_right_network_holds_every_pole_and_one_for_other_poles_does_not() -> None:
    """What leans right is pushed right: known weights score on the plain poles, and nothing where hands are swapped."""
    Ws = [torch.tensor([[0, 0, 1, 0.3], [0, 0, -1, -0.3]]), torch.tensor([[0.0, 1], [1, 0]])]
    bs = [torch.zeros(2), torch.zeros(2)]
    assert mean_return(CartPoles(20, 0), Ws, bs) > 400
    assert mean_return(CartPoles(20, 0, swapped=1), Ws, bs) < 20


def test_each_seed_draws_poles_of_its_own() -> None:
    (one,), (two,) = (list(reinforcement.train_dqn.cases(master)) for master in (b"1", b"2"))
    assert one.inputs["gravity"] != two.inputs["gravity"]
    assert not torch.equal(one.inputs["scale"], two.inputs["scale"])  # type: ignore[arg-type]
    assert "test_seed" not in reinforcement.train_dqn.sent


@pytest.mark.parametrize("question", [reinforcement.dqn_targets, reinforcement.dqn_gradient])
def test_every_core_case_holds_terminated_truncated_and_other_steps(question: Any) -> None:
    for case in question.cases(b"ends"):
        terminated, truncated = case.inputs["terminated"], case.inputs["truncated"]
        assert not (terminated & truncated).any()
        if not case.edge:
            assert terminated.any()
            assert truncated.any()
            assert not (terminated | truncated).all()


def test_nine_core_questions_hundred_points_three_hours() -> None:
    assert LAB.out_of == 100
    assert len(LAB.questions) == 9
    assert 150 <= sum(question.minutes for question in LAB.questions.values()) <= 200
