"""`dl780 train alphago`: self-play, learning and gating, an iteration a step, in one folder that goes on exactly."""

import copy
import json
import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from dl780 import UserError
from dl780.data import generator_for
from dl780.files import write_whole
from dl780.models.alphago import AlphaGo as Network
from dl780.recipes import AlphaGo
from dl780.rl.alphago.arena import Score, elo, match
from dl780.rl.alphago.games import Game, game_of
from dl780.rl.alphago.players import Evaluator, Player, player_of, rng, searcher, uniform, without_noise
from dl780.rl.alphago.players import plain_settings as plain
from dl780.rl.alphago.records import read_games
from dl780.rl.alphago.runs import in_earnest, loaded, network, settings_of
from dl780.rl.alphago.selfplay import Positions, join, sampled_play, self_play, turned
from dl780.train import checkpoint
from dl780.train.loop import schedule
from dl780.train.machine import Machine, machine_for
from dl780.train.run import Log, Metrics, open_run, write_manifest

STEPS = 12  # iterations where no budget is given
OPPONENTS = {"tic_tac_toe": "perfect"}
OPPONENT = "openspiel:1000"


class Played(NamedTuple):
    """What a manifest says of the game, in the place of a data set."""

    name: str
    title: str
    source: str
    counts: dict[str, int]


def train(recipe: AlphaGo) -> dict[str, Any]:
    """Play, learn and gate until the budget is spent, then play the test games; return what `result.json` holds."""
    recipe.check()
    with machine_for(recipe) as machine:
        if machine.world > 1:
            raise UserError("this trains in one process: raise --games, not the number of processes")
        game = game_of(recipe.game, recipe.size)
        player_of(opponent_of(recipe, game), game)
        first = read_games(game, recipe.records) if recipe.records and not recipe.resume else None
        run = open_run(recipe)  # whatever cannot be is told before there is a folder
        return Training(recipe, machine, game, run, first).train()


def evaluate(
    run: Path, data: str | None = None, which: checkpoint.Which = "last", device: str = "auto"
) -> tuple[str, Metrics]:
    """A run's network with its search in the test games: (the game, metrics)."""
    if data:
        raise UserError(f"{run} was not trained on a data set: --data means nothing here")
    recipe, game, player = loaded(run, which, device)
    score = measured(recipe, game, player, recipe.test_games, "test")
    return game.name, metrics_of(score, "test")


def opponent_of(recipe: AlphaGo, game: Game) -> str:
    """Whom a run is measured against."""
    return recipe.opponent or OPPONENTS.get(game.kind, OPPONENT)


def measured(recipe: AlphaGo, game: Game, player: Player, games: int, part: str) -> Score:
    """A player's games against the recipe's opponent; nothing is drawn before a perfect one begins to play."""
    name = opponent_of(recipe, game)
    seed = generator_for(recipe.seed, part).initial_seed()
    return match(game, player, player_of(name, game), games, seed, 0 if name == "perfect" else recipe.opening)


def metrics_of(score: Score, part: str) -> Metrics:
    """A score as numbers, named after a part."""
    return {f"{part}_{name}": value for name, value in score.as_json().items()}


@dataclass
class Progress:
    """How far a run is: all that a checkpoint keeps beside weights, optimizer and positions."""

    step: int = 0  # iterations
    games: int = 0
    positions: int = 0
    evaluations: int = 0  # of the network in self-play
    evaluated: int = 0
    taken: int = 0  # networks that the gate let through
    best: float = -1.0  # share of points in the validation games
    seconds: float = 0.0
    cpu_seconds: float = 0.0


@dataclass
class Training:
    """One run, from its first iteration to its result, or from where it was cut off."""

    recipe: AlphaGo
    machine: Machine
    game: Game
    run: Path
    first: Positions | None = None  # of recorded games
    at: Progress = field(default_factory=Progress)
    replay: list[Positions] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.best = network(self.recipe, self.game).to(self.machine.device, self.machine.dtype)
        self.model = copy.deepcopy(self.best)
        self.optimizer = self._fresh_optimizer()
        self.settings = settings_of(self.recipe, self.game)
        if self.recipe.resume and (state := checkpoint.load_state(self.run, self.best)):
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.replay = [Positions(*part) for part in state["replay"]]
            self.at = Progress(**state["at"])
            self.resumed = True
        else:
            self.resumed = False
        self.begun, self.cpu_begun = time.monotonic() - self.at.seconds, time.process_time() - self.at.cpu_seconds

    @property
    def spent(self) -> float:
        """The share of the budget that is spent."""
        if self.recipe.minutes:
            return (time.monotonic() - self.begun) / (60 * self.recipe.minutes)
        return self.at.step / (self.recipe.steps or STEPS)

    def train(self) -> dict[str, Any]:
        """Iterations until the budget is spent, then the test games."""
        self._begin()
        with self._log() as log:
            if not self.resumed:
                self._start()
            bar = tqdm(total=1.0, initial=self.spent, leave=False, disable=not sys.stderr.isatty())
            while (spent := self.spent) < 1:
                self._iteration(spent, log)
                bar.update(min(1.0, self.spent) - bar.n)
            bar.close()
        return self._end()

    def _begin(self) -> None:
        source = f"open_spiel {version('open_spiel')}"
        data = Played(self.game.name, f"{self.game.name} ({source})", source, dict(test_games=self.recipe.test_games))
        write_manifest(self.run, cast(Any, data), self.machine.about(), self.recipe.seed, None)
        resumed = f", going on after iteration {self.at.step}" if self.resumed else ""
        print(f"run: {self.run}, {self.recipe.name} plays {data.title} on {self.machine.device}{resumed}")

    def _start(self) -> None:
        """Learn from recorded games, or from those of a plain search, where the recipe says so."""
        recipe, game, positions = self.recipe, self.game, self.first
        if positions is None and recipe.start_games:
            generator, settings = rng(recipe.seed, "start"), plain(recipe.start_simulations)
            positions, _ = self_play(game, uniform(game), settings, recipe.start_games, recipe.exploring, generator)
        if positions is not None:
            steps = math.ceil(recipe.passes * len(positions.X) / recipe.batch)
            found = self._learn(positions, steps, "start", lambda i: schedule(i / steps, recipe.warm))
            self.best.load_state_dict(self.model.state_dict())
            self.optimizer = self._fresh_optimizer()
            print(f"start: {len(positions.X):,} positions, {_told(found)}")
        self._save("last")

    def _iteration(self, spent: float, log: Log) -> None:
        at, recipe, begun = self.at, self.recipe, time.process_time()
        positions = self._play()
        searched = recipe.improve == "search"
        self.replay = [*self.replay, positions][-(recipe.window if searched else 1) :]
        passes = recipe.passes if searched else 1.0
        steps = math.ceil(passes * len(positions.X) / recipe.batch)
        line = self._learn(join(self.replay), steps, at.step, lambda _: schedule(spent, recipe.warm))
        line |= self._gate()
        at.step += 1
        which: tuple[checkpoint.Which, ...] = ("last",)
        if self.spent * recipe.evaluations >= at.evaluated + 1:
            line |= self._measure()
            which = ("last", "best") if line["validation_score"] > at.best else which
            at.best = max(at.best, line["validation_score"])
        if not all(map(math.isfinite, line.values())):
            raise UserError(f"the loss is not finite at iteration {at.step}, in {self.run}: try a smaller --lr")
        seconds, cpu_seconds = time.monotonic() - self.begun, time.process_time() - self.cpu_begun
        counted = dict(step=at.step, games=at.games, positions=at.positions, evaluations=at.evaluations)
        log.add(counted | line | dict(seconds=seconds, cpu_seconds=cpu_seconds))
        self._save(*which)
        print(f"iteration {at.step}: {_told(line)}, {time.process_time() - begun:.1f} cpu-seconds", flush=True)

    def _play(self) -> Positions:
        at, recipe = self.at, self.recipe
        generator, evaluator = rng(recipe.seed, "play", at.step), Evaluator(self.game, self.best, self.machine)
        if recipe.improve == "search":
            found, asked = self_play(self.game, evaluator, self.settings, recipe.games, recipe.exploring, generator)
        else:
            found, asked = sampled_play(self.game, evaluator, recipe.games, generator)
        at.games += recipe.games
        at.positions += len(found.X)
        at.evaluations += asked
        return found

    def _learn(self, positions: Positions, steps: int, key: int | str, rate: Any) -> Metrics:
        """Steps of the optimizer on positions drawn from all; mean losses."""
        recipe, sums = self.recipe, torch.zeros(2, dtype=torch.float64)
        generator = generator_for(recipe.seed, "learn", key)
        self.model.train()
        for i in range(steps):
            for group in self.optimizer.param_groups:
                group["lr"] = recipe.lr * rate(i)
            index = torch.randint(len(positions.X), (recipe.batch,), generator=generator)
            X, Pi, z = turned(positions.take(index), self.game, generator)
            X = self.machine.place(X.to(self.machine.device).float(), channels_last=True)
            with self.machine.autocast():
                logits, v = self.model(X)
                parts = losses(logits, v, Pi.to(v.device), z.to(v.device), recipe.improve)
            self.optimizer.zero_grad()
            (parts[0] + parts[1]).backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            sums += torch.stack([part.detach() for part in parts]).cpu()
        policy, value = (sums / max(1, steps)).tolist()
        return dict(policy_loss=policy, value_loss=value)

    def _gate(self) -> Metrics:
        """The new network against the best one; it takes its place if it has the points."""
        recipe, share = self.recipe, 1.0
        if recipe.gate_games:
            new, old = (self._player(model) for model in (self.model, self.best))
            seed = generator_for(recipe.seed, "gate", self.at.step).initial_seed()
            share = match(self.game, new, old, recipe.gate_games, seed, recipe.opening).share
        if taken := share >= recipe.gate:
            self.best.load_state_dict(self.model.state_dict())
        self.at.taken += taken
        return dict(gate_score=share, taken=self.at.taken) if recipe.gate_games else {}

    def _measure(self) -> Metrics:
        self.at.evaluated += 1
        recipe = self.recipe
        score = measured(recipe, self.game, self._tested(), recipe.evaluation_games, "validation")
        return metrics_of(score, "validation")

    def _tested(self) -> Player:
        return searcher(Evaluator(self.game, self.best, self.machine), in_earnest(self.recipe, self.game))

    def _player(self, model: Network) -> Player:
        return searcher(Evaluator(self.game, model, self.machine), without_noise(self.settings))

    def _fresh_optimizer(self) -> torch.optim.Optimizer:
        """AdamW; biases and what is no matrix do not decay."""
        parameters = list(self.model.parameters())
        groups = [
            dict(params=[p for p in parameters if p.ndim > 1], weight_decay=self.recipe.weight_decay),
            dict(params=[p for p in parameters if p.ndim <= 1], weight_decay=0.0),
        ]
        return torch.optim.AdamW(groups, lr=self.recipe.lr, fused=self.machine.device.type != "mps")

    def _save(self, *which: checkpoint.Which) -> None:
        self.at.seconds, self.at.cpu_seconds = time.monotonic() - self.begun, time.process_time() - self.cpu_begun
        state = dict(
            model=self.model.state_dict(), optimizer=self.optimizer.state_dict(),
            replay=[tuple(part) for part in self.replay], at=vars(self.at),
        )  # fmt: skip
        checkpoint.save(self.run, self.at.step, self.best, state, which)

    @contextmanager
    def _log(self) -> Iterator[Log]:
        log = Log(self.run, self.at.step)
        try:
            yield log
        finally:
            log.close(f"{self.recipe.name} on {self.game.name}, against {opponent_of(self.recipe, self.game)}", draw)

    def _end(self) -> dict[str, Any]:
        seconds, cpu_seconds = time.monotonic() - self.begun, time.process_time() - self.cpu_begun
        recipe, at, name = self.recipe, self.at, opponent_of(self.recipe, self.game)
        metrics = {}
        if recipe.test_games:
            score = measured(recipe, self.game, self._tested(), recipe.test_games, "test")
            metrics = metrics_of(score, "test")
            print(f"against {name}: {score}")
        result = dict(
            recipe=recipe.name, data=self.game.name, seed=recipe.seed, steps=at.step, games=at.games,
            positions=at.positions, evaluations=at.evaluations, opponent=name, seconds=round(seconds, 2),
            cpu_seconds=round(cpu_seconds, 2), metrics=metrics,
        )  # fmt: skip
        write_whole(self.run / "result.json", json.dumps(result, indent=1))
        print(f"{at.step} iterations, {at.games} games, {cpu_seconds:.1f} cpu-seconds: {self.run / 'result.json'}")
        return result


def losses(logits: Tensor, v: Tensor, Pi: Tensor, z: Tensor, improve: str) -> tuple[Tensor, Tensor]:
    """Of policy and value, means over the batch: (-Pi log p, (z - v)²); L2 is the optimizer's part.

    For the policy gradient the first is -(z - v) log p(a), the value a baseline whose gradient is not taken.
    """
    policy = F.cross_entropy(logits, Pi, reduction="none")
    if improve == "reinforce":
        policy = (z - v.detach()) * policy
    return policy.mean(), F.mse_loss(v, z)


def draw(lines: list[Metrics], title: str, path: Path) -> None:
    """Losses against iterations; beside them Elo against the opponent with its interval of 95 %."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name in ("policy_loss", "value_loss"):
        left.plot([line["step"] for line in lines], [line[name] for line in lines], label=name.replace("_", " "))
    left.set(xlabel="iteration", ylabel="loss")
    left.legend()
    points = [line for line in lines if "validation_score" in line]
    finite = [(p["step"], *(_clipped(p[f"validation_{k}"]) for k in ("score", "low", "high"))) for p in points]
    for step, middle, low, high in finite:
        right.plot([step, step], [low, high], color="C0", alpha=0.4)
        right.plot(step, middle, "o", color="C0")
    right.set(xlabel="iteration", ylabel="Elo against the opponent")
    figure.suptitle(title)
    figure.savefig(path, dpi=120, format="png")


def _clipped(share: float) -> float:
    return elo(min(0.999, max(0.001, share)))


def _told(line: Metrics) -> str:
    told = [
        f"{name.replace('_', ' ')} {line[name]:.3f}"
        for name in ("policy_loss", "value_loss", "gate_score")
        if name in line
    ]
    if "validation_score" in line:
        counts = "/".join(f"{line[f'validation_{kind}']:.0f}" for kind in ("wins", "draws", "losses"))
        told.append(f"validation {counts} (won/drawn/lost)")
    return ", ".join(told)
