"""The loop: its folder, its results, killed and resumed as never killed; what cannot be is one line."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dl780 import UserError
from dl780.recipes import DQN, LinearQ, QLearning
from dl780.rl.envs import Environments, episode_seed, make
from dl780.rl.evaluate import play
from dl780.rl.loop import evaluate, train
from dl780.rl.networks import NATURE, QNetwork, convolutions, q_network
from dl780.rl.play import film
from dl780.train.checkpoint import load_weights

SMALL: dict[str, Any] = dict(steps=4000, evaluations=2, episodes=2, hidden=(16,), replay=2000)


def test_a_run_leaves_its_folder_and_its_result(tmp_path: Path) -> None:
    result = train(DQN(out=tmp_path / "run", **SMALL))
    assert json.loads((tmp_path / "run" / "result.json").read_text()) == result
    assert {"first_solved_step", "steps", "cpu_seconds"} < result.keys()
    assert result["metrics"]["episodes"] == 100
    assert result["metrics"]["return_mean"] > 9
    assert evaluate(tmp_path / "run") == ("CartPole-v1", result["metrics"])
    assert (tmp_path / "run" / "curves.png").exists()
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["data"]["title"].startswith("CartPole-v1 (gymnasium")
    total, length = film(tmp_path / "run", tmp_path / "film.gif", frames=5)
    assert (total, length) == (5, 5)
    assert (tmp_path / "film.gif").stat().st_size > 1000
    with pytest.raises(UserError, match=r"ends in \.gif or \.mp4"):
        film(tmp_path / "run", tmp_path / "film.avi")


KILLED: dict[str, tuple[Any, str]] = {
    "dqn": (
        DQN(steps=6000, evaluations=12, episodes=2, hidden=(16,), replay=2000, n_step=3),
        "dqn --steps 6000 --evaluations 12 --episodes 2 --hidden 16 --replay 2000 --n-step 3",
    ),
    "linear-q": (LinearQ(steps=8000, evaluations=8, episodes=2), "linear-q --steps 8000 --evaluations 8 --episodes 2"),
    "qlearning": (
        QLearning(steps=20_000, evaluations=20, episodes=2), "qlearning --steps 20000 --evaluations 20 --episodes 2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", KILLED)
def test_killed_and_resumed_is_as_never_killed(name: str, tmp_path: Path) -> None:
    recipe, options = KILLED[name]
    command = [sys.executable, "-m", "dl780", "train", *options.split(), "--out", tmp_path / "cut"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while not (tmp_path / "cut" / "checkpoints.json").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it was killed"
    assert not (tmp_path / "cut" / "result.json").exists()
    results = [
        train(replace(recipe, out=tmp_path / "cut", resume=True)),
        train(replace(recipe, out=tmp_path / "whole")),
    ]
    one, two = (load_weights(tmp_path / name) for name in ("whole", "cut"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    for result in results:
        del result["seconds"], result["cpu_seconds"]
    assert results[0] == results[1]


@pytest.mark.parametrize("env", ["CartPole-v1", "FrozenLake-v1", "LunarLander-v3", "ALE/Breakout-v5"])
def test_environments_go_on_where_they_were(env: str) -> None:
    pytest.importorskip({"L": "Box2D", "A": "ale_py"}.get(env[0], "gymnasium"))
    rng = np.random.default_rng(0)
    one, two = (Environments(make(env, 3, 42), lambda i, k: episode_seed(5, i, k)) for _ in range(2))
    ended = []
    for _ in range(250):
        ended += one.step(rng.integers(one.actions, size=3))[1]
    two.load_state(one.state())
    assert ended
    assert np.array_equal(one.observations, two.observations)
    for _ in range(30):
        actions = rng.integers(one.actions, size=3)
        (a, _), (b, _) = one.step(actions), two.step(actions)
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_no_step_is_a_reset() -> None:
    envs = Environments(make("CartPole-v1", 4), lambda i, k: episode_seed(0, i, k))
    total, paid = 0, 0.0
    for _ in range(200):
        steps, ended = envs.step(np.zeros(4, np.int64))
        assert (steps.rewards == 1).all()
        over = steps.terminated | steps.truncated
        assert (np.abs(steps.following[over][:, [0, 2]]) > [2.4, 0.2]).any(1).all(), (
            "s' is the last state, not the next first"
        )
        assert (np.abs(envs.observations[over]) <= 0.05).all()
        total, paid = total + len(ended), paid + sum(r for _, r, _ in ended)
    assert 8 <= paid / total <= 11


def test_fixed_episodes_do_not_depend_on_how_many_play_at_a_time() -> None:
    left = lambda observations: (observations[:, 2] > 0).astype(np.int64)
    found = [sorted(play(make("CartPole-v1", n), left, "test", 12)) for n in (1, 5, 12)]
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 12
    assert sorted(play(make("CartPole-v1", 5), left, "validation", 12)) != found[0]


def test_the_nature_network_has_its_weights() -> None:
    network = QNetwork(convolutions((4, 84, 84), NATURE, 512), 512, 6)
    assert sum(p.numel() for p in network.parameters()) == 1_687_206


def test_dueling_values_average_to_V() -> None:
    torch.manual_seed(0)
    network = q_network(make("CartPole-v1", 1).single_observation_space, 2, (8,), dueling=True)
    X = torch.randn(5, 4)
    assert network.value is not None
    assert torch.allclose(network(X).mean(1), network.value(network.body(X))[:, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (DQN(env="CartPool-v1"), "CartPool"),
        (DQN(env="Pendulum-v1"), "discrete choice"),
        (QLearning(env="CartPole-v1"), "take linear-q or dqn"),
        (LinearQ(env="CartPole-v1"), "take dqn"),
        (DQN(gamma=1.5), "--gamma takes a share from 0 to 1, not 1.5"),
        (DQN(resume=True), "--resume needs --out"),
    ],
)
def test_what_cannot_be_is_one_line(recipe: Any, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=words) as caught:
        train(recipe)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_cartpole_is_learned(tmp_path: Path) -> None:
    result = train(DQN(out=tmp_path / "run", steps=20_000, evaluations=2))
    assert result["metrics"]["return_mean"] > 150
