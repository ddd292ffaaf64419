"""The reinforcement chapter beside stable-baselines3: steps a cpu-second, and final policies over many seeds.

Every process has one thread, and what is counted is its processor time. Test episodes are the package's 100 fixed ones;
stable-baselines3 plays 100 of its own. Nothing was chosen on them.
"""

import contextlib
import io
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import tyro
from peers import _environment
from report import about, put, table

from dl780.recipes import RECIPES
from dl780.rl.loop import train

VENV = Path(".bench/stable-baselines3")
PACKAGE = "stable-baselines3==2.9.2"  # without what it depends on: torch and gymnasium are those of this environment
# name -> (seeds, options of `dl780 train`, goal)
RUNS = {
    "CartPole": (10, "dqn --env CartPole-v1", "final ≥ 475 on 9 of 10 seeds, in ≤ 6 cpu-s"),
    "LunarLander": (
        3, "dqn --env LunarLander-v3 --steps 300000 --lr 1e-3 --every 8 --hidden 128 128", "final ≥ 200",
    ),
    "MountainCar, tiles": (5, "linear-q --env MountainCar-v0", "final ≥ -110"),
    "FrozenLake, table": (3, "qlearning --env FrozenLake-v1", "table error ≤ 1 %"),
    "CliffWalking, table": (
        3, "qlearning --env CliffWalking-v1 --steps 200000 --lr 1 --epsilon 0.5", "table error ≤ 1 %",
    ),
    "Taxi, table": (3, "qlearning --env Taxi-v4 --steps 500000 --lr 1 --epsilon 1", "table error ≤ 1 %"),
    "Pong, small": (1, "atari-cpu --env ALE/Pong-v5", "a rising curve"),
}  # fmt: skip
# The settings of RL Baselines3 Zoo for CartPole-v1, and the package's own.
PEERS = {
    "stable-baselines3, tuned by its zoo": dict(
        learning_rate=2.3e-3, batch_size=64, buffer_size=100_000, learning_starts=1000, gamma=0.99,
        target_update_interval=10, train_freq=256, gradient_steps=128, exploration_fraction=0.16,
        exploration_final_eps=0.04, policy_kwargs=dict(net_arch=[256, 256]),
    ),
    "stable-baselines3, as it comes": {},
}  # fmt: skip
SCRIPT = """\
import json, sys, time
import torch
from stable_baselines3 import DQN
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
seed, steps, settings = json.loads(sys.argv[1])
torch.set_num_threads(1)
begin = time.process_time()
model = DQN("MlpPolicy", make_vec_env("CartPole-v1", seed=seed), seed=seed, device="cpu", **settings).learn(steps)
cpu = time.process_time() - begin
returns, _ = evaluate_policy(model, make_vec_env("CartPole-v1", seed=10_000), 100, return_episode_rewards=True)
print(json.dumps(dict(return_mean=sum(returns) / 100, cpu_seconds=cpu)))
"""


def main(only: str = "", seeds: int | None = None, peer_seeds: int = 3, out: bool = True) -> None:
    """Measure, print, and put the section into docs/results.md.

    Args:
        only: of the runs, those whose name contains this
        seeds: of each run, where not those of its row
        peer_seeds: of stable-baselines3; 0 leaves it out
        out: write the section
    """
    parts = ["## Reinforcement learning", about("make bench-rl"), runs(only, seeds)]
    if peer_seeds:
        parts.append(peers(peer_seeds))
    section = "\n\n".join(parts)
    print(section, flush=True)
    if out:
        put(section)


def runs(only: str, seeds: int | None) -> str:
    """Final policies of every recipe, mean and spread over its seeds."""
    rows = []
    for name, (usual, options, goal) in RUNS.items():
        if only not in name:
            continue
        found = [ours(f"{options} --seed {seed}") for seed in range(seeds or usual)]
        rows.append((name, *summary(found), goal, f"`dl780 train {options}`"))
        print(rows[-1], file=sys.stderr, flush=True)
    head = ("run", "return, mean ± sd", "least", "best on validation", "table error %", "seeds", "cpu-s", "steps/cpu-s",
            "goal", "command")  # fmt: skip
    words = (
        "Returns are means of 100 fixed test episodes, played greedily by the final policy, over seeds; beside them "
        "those of the policy that was best on the validation episodes, others. cpu-s: median, validation included."
    )
    return f"{words}\n\n{table(head, rows)}"


def summary(found: list[dict[str, Any]]) -> tuple[str, ...]:
    """A row's figures."""
    returns = [result["metrics"]["return_mean"] for result in found]
    errors = [result["metrics"]["table_error"] for result in found if "table_error" in result["metrics"]]
    cpu = median(result["cpu_seconds"] for result in found)
    return (
        f"{mean(returns):.1f}" + (f" ± {stdev(returns):.1f}" if len(found) > 1 else ""),
        f"{min(returns):.1f}",
        f"{mean(result['best']['return_mean'] for result in found):.1f}",
        f"{100 * max(errors):.2f}" if errors else "",
        str(len(found)), f"{cpu:.1f}", f"{found[0]['steps'] / cpu:,.0f}",
    )  # fmt: skip


def peers(seeds: int, steps: int = 50_000) -> str:
    """CartPole by stable-baselines3, in a virtual environment of its own."""
    if not (VENV / "bin/pip").exists():
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        subprocess.run([VENV / "bin/pip", "install", "--quiet", "--no-deps", PACKAGE], check=True)
    rows = []
    for name, settings in PEERS.items():
        found = [theirs((seed, steps, settings)) for seed in range(seeds)]
        returns, cpu = [result["return_mean"] for result in found], median(result["cpu_seconds"] for result in found)
        each = ", ".join(f"{value:.0f}" for value in returns)
        rows.append((name, f"{mean(returns):.1f}", each, f"{cpu:.1f}", f"{steps / cpu:,.0f}"))
    return f"CartPole-v1, {steps:,} steps.\n\n{table(('', 'return', 'each seed', 'cpu-s', 'steps/cpu-s'), rows)}"


def theirs(arguments: Any) -> dict[str, Any]:
    """One training by stable-baselines3."""
    with tempfile.TemporaryDirectory() as folder:
        environment = _environment(VENV.absolute(), Path(folder)) | dict(OMP_NUM_THREADS="1")
        command = [VENV / "bin/python", "-c", SCRIPT, json.dumps(arguments)]
        told = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    found: dict[str, Any] = json.loads(told.splitlines()[-1])
    return found


def ours(options: str) -> dict[str, Any]:
    """What `dl780 train` with these options gives, in a folder that is gone afterwards."""
    name, *rest = shlex.split(options)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        return train(tyro.cli(RECIPES[name], args=[*rest, "--out", f"{folder}/run"]))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    tyro.cli(main)
