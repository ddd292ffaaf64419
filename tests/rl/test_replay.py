"""Replay: what is drawn is what was stored, nothing across an episode's end, frames stacked as seen."""

from collections import Counter

import numpy as np
import pytest
import torch

from dl780.rl.dqn import dqn_loss, dqn_targets
from dl780.rl.envs import Steps
from dl780.rl.replay import FrameReplay, Replay


def numbered(t: int, n: int = 2, terminated: bool = False, truncated: bool = False) -> Steps:
    """Step t of n copies: copy i sees 10 t + i, and is paid that."""
    seen = np.array([[10.0 * t + i] for i in range(n)], np.float32)
    return Steps(seen, np.full(n, t % 2), seen[:, 0], seen + 10, np.full(n, terminated), np.full(n, truncated))


def filled(rows: int, steps: int, n_step: int = 1, **ends: int) -> Replay:
    replay = Replay(rows * 2, 2, torch.zeros(1), n_step, gamma=0.5)
    for t in range(steps):
        replay.add(numbered(t, **{name: t == at for name, at in ends.items()}))
    return replay


def test_the_oldest_goes_first_and_all_that_is_held_is_drawn_alike() -> None:
    replay = filled(4, 6)
    assert len(replay) == 8
    batch = replay.draw(8000, torch.Generator().manual_seed(0))
    counts = Counter(batch.observations[:, 0].tolist())
    assert set(counts) == {20, 21, 30, 31, 40, 41, 50, 51}
    assert all(abs(count - 1000) < 150 for count in counts.values())  # five standard deviations
    assert torch.equal(batch.following, batch.observations + 10)
    assert torch.equal(batch.returns, batch.observations[:, 0])


@pytest.mark.parametrize(("ends", "discount"), [({}, 0.125), (dict(terminated=2), 0.0), (dict(truncated=2), 0.25)])
def test_n_steps_stop_where_an_episode_ends(ends: dict[str, int], discount: float) -> None:
    batch = filled(8, 6, n_step=3, **ends).at(torch.tensor([1]), torch.tensor([0]))
    assert batch.returns.item() == 10 + 0.5 * 20 + (0.25 * 30 if not ends else 0)
    assert batch.discounts.item() == discount
    assert batch.following.item() == (30 if ends else 40)


def test_open_windows_are_not_drawn() -> None:
    batch = filled(8, 6, n_step=3).draw(500, torch.Generator().manual_seed(0))
    assert batch.observations.max() < 40


def test_what_is_drawn_is_no_view() -> None:
    replay = filled(4, 4)
    replay.draw(4, torch.Generator().manual_seed(0)).observations.fill_(-1)
    assert (replay.observations >= 0).all()


def test_a_state_gives_the_same_draws() -> None:
    one, two = filled(4, 7), filled(4, 0)
    two.load_state(one.state())
    draws = [replay.draw(50, torch.Generator().manual_seed(1)) for replay in (one, two)]
    assert all(torch.equal(a, b) for a, b in zip(*draws, strict=True))


def test_frames_are_stacked_as_they_were_seen() -> None:
    """Random lives and cuts: every transition drawn is one that was added, its stacks and all."""
    rng, replay = np.random.default_rng(0), FrameReplay(2 * 40, 2, torch.zeros(3, 2, 2, dtype=torch.uint8), n_step=2)
    seen, known = np.zeros((2, 3, 2, 2), np.uint8), {}
    seen[:, -1] = 1
    for t in range(100):
        after = np.concatenate([seen[:, 1:], rng.integers(1, 255, (2, 1, 2, 2), np.uint8)], 1)
        terminated, truncated = rng.random((2, 2)) < 0.15
        truncated &= ~terminated
        replay.add(Steps(seen, np.array([t, t]), np.ones(2, np.float32), after, terminated, truncated))
        known.update({(t, i): (seen[i], after[i], terminated[i], truncated[i]) for i in range(2)})
        seen = after.copy()
        over = terminated | truncated
        seen[over] = 0
        seen[over, -1] = rng.integers(1, 255, (over.sum(), 2, 2), np.uint8)
    generator = torch.Generator().manual_seed(0)
    rows, copies = replay._choose(300, generator)
    batch = replay.at(rows, copies)
    for k, (t, i) in enumerate(zip(batch.actions.tolist(), copies.tolist(), strict=True)):
        assert np.array_equal(batch.observations[k].numpy(), known[t, i][0])
        last = t if known[t, i][2] or known[t, i][3] else t + 1
        assert not known[last, i][3], "a truncated step has no frame to follow"
        assert (batch.discounts[k] == 0) == known[last, i][2]
        if not known[last, i][2]:
            assert np.array_equal(batch.following[k].numpy(), known[last, i][1])


def test_targets_by_hand() -> None:
    returns, discounts = torch.tensor([1.0, 2.0]), torch.tensor([0.5, 0.0])
    target, online = torch.tensor([[1.0, 3.0], [9.0, 9.0]]), torch.tensor([[2.0, 1.0], [0.0, 1.0]])
    assert dqn_targets(returns, discounts, target).tolist() == [2.5, 2.0]
    assert dqn_targets(returns, discounts, target, online).tolist() == [1.5, 2.0]


def test_huber_loss_by_hand() -> None:
    Q, actions, y = torch.tensor([[1.0, 7.0], [4.0, 0.0]]), torch.tensor([0, 0]), torch.tensor([2.0, 0.0])
    assert dqn_loss(Q, actions, y, delta=2.0).item() == pytest.approx((0.5 + 2 * (4 - 1)) / 2)
