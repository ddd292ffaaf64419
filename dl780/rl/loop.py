"""The loop of the reinforcement chapter: steps of many environments, a learner, a run's folder that goes on exactly."""

import json
import math
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from tqdm import tqdm

from dl780 import UserError
from dl780.files import write_whole
from dl780.recipes import DQN, LinearQ, QLearning, Reinforcement
from dl780.rl.dqn import DeepQ
from dl780.rl.envs import Environments, episode_seed, make
from dl780.rl.evaluate import TEST_EPISODES, greedy_policy, play, summary
from dl780.rl.linear_q import LinearLearner
from dl780.rl.qlearning import TableLearner, value_iteration
from dl780.train import checkpoint
from dl780.train.machine import Machine, machine_for
from dl780.train.run import Log, Metrics, open_run, read_recipe, write_manifest

SAVE_EVERY = 300.0  # seconds, beside the evaluations: a replay of frames is large
SIDE_BY_SIDE = 20  # copies in an evaluation

LEARNERS: dict[type[Reinforcement], Callable[..., Any]] = {
    QLearning: TableLearner,
    LinearQ: LinearLearner,
    DQN: DeepQ,
}


class Played(NamedTuple):
    """What a manifest says of the environment, in the place of a data set."""

    name: str
    title: str
    source: str
    counts: dict[str, int]


def train(recipe: Reinforcement) -> dict[str, Any]:
    """Train, play the 100 test episodes with the final policy, and leave a run's folder; return its `result.json`."""
    recipe.check()
    with machine_for(recipe) as machine, torch.autograd.set_multithreading_enabled(False):
        if machine.world > 1:
            raise UserError("this trains in one process: raise --envs, not the number of processes")
        frame = getattr(recipe, "frame", 84)
        vector = make(recipe.env, recipe.envs, frame, clip=True)
        envs = Environments(vector, lambda i, k: episode_seed(recipe.seed, "train", i, k))
        kind = next(kind for kind in type(recipe).__mro__ if kind in LEARNERS)
        learner = LEARNERS[kind](recipe, machine, envs)  # whatever cannot be is told before there is a folder
        run = open_run(recipe)
        return Training(recipe, machine, envs, learner, run).train()


def evaluate(
    run: Path, data: str | None = None, which: checkpoint.Which = "last", device: str = "auto"
) -> tuple[str, Metrics]:
    """A run's greedy policy on the 100 test episodes: (the environment, metrics)."""
    if data:
        raise UserError(f"{run} was not trained on a data set: --data means nothing here")
    recipe, learner, machine = loaded(run, which, device)
    return recipe.env, final(recipe, learner, machine)


def loaded(run: Path, which: checkpoint.Which, device: str) -> tuple[Any, Any, Machine]:
    """A run's recipe, a learner with its policy, and the machine that it is on."""
    recipe = cast(Any, replace(read_recipe(run), device=device))
    with machine_for(recipe) as machine:
        envs = Environments(make(recipe.env, 1, getattr(recipe, "frame", 84)), lambda i, k: k)
        kind = next(kind for kind in type(recipe).__mro__ if kind in LEARNERS)
        learner = LEARNERS[kind](replace(recipe, envs=1, **small(recipe)), machine, envs)
    learner.policy.load_state_dict(checkpoint.load_weights(run, which))
    return recipe, learner, machine


def small(recipe: Reinforcement) -> dict[str, Any]:
    """What a learner that only plays does without: a large replay."""
    return dict(replay=1) if isinstance(recipe, DQN) else {}


def final(recipe: Reinforcement, learner: Any, machine: Machine) -> Metrics:
    """The greedy policy on the test episodes."""
    return summary(list(_play(recipe, learner, machine, "test", TEST_EPISODES)))


def _play(recipe: Reinforcement, learner: Any, machine: Machine, part: str, n: int) -> Iterator[tuple[float, int]]:
    vector = make(recipe.env, min(n, SIDE_BY_SIDE), getattr(recipe, "frame", 84))
    try:
        yield from play(vector, greedy_policy(learner.policy, machine.device), part, n)
    finally:
        vector.close()


@dataclass
class Progress:
    """How far a run is: all that a checkpoint keeps beside learner and environments."""

    step: int = 0
    episodes: int = 0
    evaluated: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    best: float = -math.inf  # mean return of the validation episodes
    first_solved: int | None = None  # the step at which that first reached the environment's threshold


@dataclass
class Training:
    """One run, from its first step to its result, or from where it was cut off."""

    recipe: Reinforcement
    machine: Machine
    envs: Environments
    learner: Any
    run: Path
    at: Progress = field(default_factory=Progress)
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=100))  # returns of the last episodes

    def __post_init__(self) -> None:
        if self.recipe.resume and (state := checkpoint.load_state(self.run, self.learner.policy)):
            self.learner.load_state(state["learner"])
            self.envs.load_state(state["envs"])
            self.recent.extend(state["recent"])
            self.at = Progress(**state["at"])
        spec = self.envs.vector.spec
        self.threshold = spec.reward_threshold if spec and spec.reward_threshold is not None else math.inf
        self.begun, self.cpu_begun = time.monotonic() - self.at.seconds, time.process_time() - self.at.cpu_seconds
        self.saved = time.monotonic()

    @property
    def spent(self) -> float:
        """The share of the budget that is spent."""
        if self.recipe.minutes:
            return (time.monotonic() - self.begun) / (60 * self.recipe.minutes)
        return self.at.step / self.recipe.steps

    @property
    def epsilon(self) -> float:
        """ε: 1 at first, falling in a line to the recipe's."""
        recipe = self.recipe
        share = min(1.0, self.spent / recipe.exploration) if recipe.exploration else 1.0
        return 1 + (recipe.epsilon - 1) * share

    def train(self) -> dict[str, Any]:
        """Steps until the budget is spent, then the test episodes."""
        self._begin()
        bar = tqdm(total=self.recipe.steps, initial=self.at.step, leave=False, disable=not sys.stderr.isatty())
        with self._log() as log, bar:
            while (spent := self.spent) < 1:
                steps, ended = self.envs.step(self.learner.act(self.envs.observations, self.epsilon))
                self.learner.learn(steps, spent)
                self.at.step += self.envs.n
                self.at.episodes += len(ended)
                self.recent.extend(total for _, total, _ in ended)
                bar.update(self.envs.n)
                if ended:
                    bar.set_postfix(return_mean=f"{np.mean(self.recent):.1f}", refresh=False)
                if self.spent * self.recipe.evaluations >= self.at.evaluated + 1:
                    self._evaluate(log)
                elif time.monotonic() - self.saved > SAVE_EVERY:
                    self._save("last")
        return self._end()

    def _begin(self) -> None:
        recipe, package = self.recipe, "ale_py" if self.recipe.env.startswith("ALE/") else "gymnasium"
        source = f"{package} {version(package)}"
        data = Played(recipe.env, f"{recipe.env} ({source})", source, dict(test_episodes=TEST_EPISODES))
        write_manifest(self.run, data, self.machine.about(), recipe.seed, None)
        resumed = f", going on at step {self.at.step}" if self.at.step else ""
        print(f"run: {self.run}, {recipe.name} on {data.title}, {recipe.envs} copies, {self.machine.device}{resumed}")

    def _evaluate(self, log: Log) -> None:
        at, recipe = self.at, self.recipe
        at.evaluated += 1
        value = float(np.mean([r for r, _ in _play(recipe, self.learner, self.machine, "validation", recipe.episodes)]))
        if not math.isfinite(self.learner.loss):
            raise UserError(
                f"the loss is not finite at step {at.step}, in {self.run}: try a smaller --lr than {recipe.lr:g}"
            )
        if value >= self.threshold and at.first_solved is None:
            at.first_solved = at.step
        which: tuple[checkpoint.Which, ...] = ("last", "best") if value > at.best else ("last",)
        at.best = max(at.best, value)
        seconds = time.monotonic() - self.begun
        line: Metrics = dict(step=at.step, episodes=at.episodes, epsilon=self.epsilon, loss=self.learner.loss)
        if self.recent:
            line["train_return"] = float(np.mean(self.recent))
        line["validation_return"] = value
        told = ", ".join(f"{name.replace('_', ' ')} {line[name]:.2f}" for name in line if name.endswith("return"))
        log.add(line | dict(seconds=seconds, steps_per_second=at.step / seconds))
        self._save(*which)
        print(f"step {at.step}: {told}, {at.step / seconds:,.0f} steps/s", flush=True)

    def _save(self, *which: checkpoint.Which) -> None:
        self.at.seconds, self.at.cpu_seconds = time.monotonic() - self.begun, time.process_time() - self.cpu_begun
        state = dict(learner=self.learner.state(), envs=self.envs.state(), recent=list(self.recent), at=vars(self.at))
        checkpoint.save(self.run, self.at.step, self.learner.policy, state, which)
        self.saved = time.monotonic()

    @contextmanager
    def _log(self) -> Iterator[Log]:
        log = Log(self.run, self.at.step)
        try:
            yield log
        finally:
            log.close(f"{self.recipe.name} on {self.recipe.env}", draw)

    def _end(self) -> dict[str, Any]:
        seconds, cpu_seconds = time.monotonic() - self.begun, time.process_time() - self.cpu_begun
        if self.at.evaluated < self.recipe.evaluations or checkpoint.last_step(self.run) < self.at.step:
            self._save("last")
        metrics = final(self.recipe, self.learner, self.machine)
        last = {name: value.clone() for name, value in self.learner.policy.state_dict().items()}
        self.learner.policy.load_state_dict(checkpoint.load_weights(self.run, "best"))
        chosen = final(self.recipe, self.learner, self.machine)
        self.learner.policy.load_state_dict(last)
        if isinstance(self.learner, TableLearner):
            best = value_iteration(self.recipe.env, self.recipe.gamma)
            metrics |= {} if best is None else dict(table_error=self.learner.error(best))
        result = dict(
            recipe=self.recipe.name, data=self.recipe.env, seed=self.recipe.seed, steps=self.at.step,
            episodes=self.at.episodes, first_solved_step=self.at.first_solved, seconds=round(seconds, 2),
            cpu_seconds=round(cpu_seconds, 2), metrics=metrics, best=chosen,
        )  # fmt: skip
        write_whole(self.run / "result.json", json.dumps(result, indent=1))
        told = f"{metrics['return_mean']:.1f} ± {metrics['return_std']:.1f} over {TEST_EPISODES} test episodes"
        print(f"return {told} after {self.at.step} steps, {cpu_seconds:.1f} cpu-seconds: {self.run / 'result.json'}")
        return result


def draw(lines: list[Metrics], title: str, path: Path) -> None:
    """Returns against steps: of the episodes with exploration, and of the greedy policy's validation episodes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.4), layout="constrained")
    axes = figure.subplots()
    for name, style in (("train_return", "--"), ("validation_return", "-")):
        points = [(line["step"], line[name]) for line in lines if name in line]
        if points:
            axes.plot(*zip(*points, strict=True), style, marker=".", label=name.replace("_", " "))
    axes.set_xlabel("environment steps")
    axes.set_ylabel("mean return")
    axes.legend()
    figure.suptitle(title)
    figure.savefig(path, dpi=120, format="png")
