"""The loop: epochs of batches, a schedule that follows the budget, checkpoints that go on bit for bit."""

import json
import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count, islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from dl780 import UserError
from dl780.data import Dataset, Split, batches, generator_for, indices, load
from dl780.data.augment import augment
from dl780.files import write_whole
from dl780.train import checkpoint
from dl780.train.machine import Machine, machine_for
from dl780.train.recipes import Recipe
from dl780.train.run import Log, Metrics, open_run, read_recipe, write_manifest
from dl780.train.tasks import Task, task_of

OFF = 0.5  # nats that the loss before training may differ from log C unremarked
SAVE_EVERY = 60.0  # seconds, where an epoch takes longer
EVALUATED = 1000  # examples at a time


def train(recipe: Recipe) -> dict[str, Any]:
    """Train, evaluate on the test set once, and leave a run's folder; return what `result.json` holds."""
    recipe.check()
    with machine_for(recipe) as machine, _memory(recipe):
        say = print if machine.rank == 0 else None
        held_out = None if recipe.validation < 0 else recipe.validation
        data = load(recipe.dataset, recipe.data, validation=held_out, say=say).to(machine.device)
        augment(data.train.X[:1], generator_for(recipe.seed), recipe.augment)
        task = task_of(recipe, data)  # whatever cannot be is told before there is a folder
        run = open_run(recipe) if machine.rank == 0 else (recipe.out or Path("runs"))
        return Training(recipe, machine, data, run, task).train()


def evaluate(
    run: Path, data: str | None = None, which: checkpoint.Which = "last", device: str = "auto"
) -> tuple[str, Metrics]:
    """A run's model on the test set it was made for, or on that of another source: (what it is, metrics)."""
    recipe = replace(read_recipe(run), device=device)
    with machine_for(recipe) as machine:
        found = load(recipe.dataset, data or recipe.data)
        task = task_of(recipe, found)
        task.model.load_state_dict(checkpoint.load_weights(run, which))
        model = task.model.to(machine.device, machine.dtype)
        return found.name, measure(task, model, found.test.to(machine.device), machine, "test")


def measure(task: Task, model: nn.Module, split: Split, machine: Machine, name: str) -> Metrics:
    """Means over a split, named name_loss, name_accuracy, …; {} for an empty one."""
    if not len(split):
        return {}
    sums: dict[str, Tensor] = {}
    model.eval()
    with torch.inference_mode(), machine.autocast():
        for X, y in batches(split, EVALUATED, share=(machine.rank, machine.world)):
            for key, value in task.sums(model, task.prepare(X).to(machine.dtype), y).items():
                sums[key] = sums.get(key, torch.zeros((), device=machine.device)) + value.float()
    model.train()
    return {f"{name}_{key}": machine.sum(value.double()).item() / len(split) for key, value in sums.items()}


@dataclass
class Progress:
    """How far a run is: all that a checkpoint keeps beside weights and optimizer."""

    epoch: int = 0
    batch: int = 0  # the next one of the epoch
    step: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    loss: float = 0.0  # summed over the examples of the epoch so far
    examples: int = 0
    best: float = math.inf  # validation loss


@dataclass
class Training:
    """One run, from its first step to its result, or from where it was cut off."""

    recipe: Recipe
    machine: Machine
    data: Dataset
    run: Path
    task: Task
    at: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        recipe, machine = self.recipe, self.machine
        self.split = self.data.train
        if recipe.overfit_batch:
            order = indices(len(self.split), recipe.batch, generator_for(recipe.seed, 0))
            self.split = self.split.take(next(order))
        self.base = self.task.model.to(machine.device, machine.dtype)
        if recipe.channels_last:
            self.base = self.base.to(memory_format=torch.channels_last)
        self.optimizer = _adamw(self.base, recipe, machine)
        self.scaler = torch.amp.GradScaler(machine.device.type, enabled=recipe.precision == "fp16")
        if recipe.resume and (state := checkpoint.load_state(self.run, self.base)):
            self.optimizer.load_state_dict(state["optimizer"])
            self.scaler.load_state_dict(state["scaler"])
            self.at = Progress(**state["at"])
        self.model: Any = self.base
        if machine.world > 1:
            self.model = DistributedDataParallel(self.base, find_unused_parameters=self.task.in_parts)
        if recipe.compile:
            self.model = torch.compile(self.model)
        self.begun, self.cpu_begun = time.monotonic() - self.at.seconds, time.process_time() - self.at.cpu_seconds
        self.saved = time.monotonic()

    @property
    def a_epoch(self) -> int:
        """Steps of one epoch; a last batch is left out where not every process would have an example of it."""
        whole, rest = divmod(len(self.split), self.recipe.batch)
        return max(1, whole + (rest >= self.machine.world))

    @property
    def steps(self) -> float:
        """The budget in steps; endless where it is a time."""
        return math.inf if self.recipe.minutes else self.recipe.steps or self.recipe.epochs * self.a_epoch

    @property
    def spent(self) -> float:
        """The share of the budget that is spent."""
        if self.recipe.minutes:
            return (time.monotonic() - self.begun) / (60 * self.recipe.minutes)
        return self.at.step / self.steps

    def train(self) -> dict[str, Any]:
        """Every epoch that the budget allows, then the test set."""
        self._begin()
        with self._log() as log:
            for epoch in count(self.at.epoch):
                if self.spent >= 1:
                    break
                self._epoch(epoch, log)
        return self._end()

    def _begin(self) -> None:
        resumed = f", going on at step {self.at.step}" if self.at.step else ""
        if self.recipe.resume and self.recipe.minutes:
            resumed += ", with the time that is left: under --minutes this is not what one run would have given"
        initial = None
        if not self.at.step and self.task.initial_loss is not None:
            X, y = next(batches(self.split, EVALUATED))
            with torch.inference_mode():
                initial = self.task.loss(self.base, self._prepare(X), y, 0.0).item()
        if self.machine.rank:
            return
        write_manifest(self.run, self.data, self.machine.about(), self.recipe.seed, initial)
        print(f"run: {self.run}, {self.recipe.name} on {self.machine.device}{resumed}")
        if initial is not None:
            off = abs(initial - (nothing := self.task.initial_loss or 0.0)) > OFF
            doubt = ": they should agree, unless the weights have learned before" * off
            print(f"loss before training {initial:.3f}; of a model that knows nothing {nothing:.3f}{doubt}")

    def _epoch(self, epoch: int, log: Log | None) -> None:
        at, recipe, machine = self.at, self.recipe, self.machine
        share = (machine.rank, machine.world)
        fed = batches(self.split, recipe.batch, generator_for(recipe.seed, epoch), start=at.batch, share=share)
        fed = islice(fed, left := self.a_epoch - at.batch)
        bar = tqdm(fed, total=left, desc=f"epoch {epoch + 1}", leave=False, disable=not (log and sys.stderr.isatty()))
        began, examples = time.monotonic(), at.examples
        for X, y in bar:
            if (spent := self.spent) >= 1:
                break
            loss = self._step(X, y, spent)
            at.loss += loss * len(y)
            at.examples += len(y)
            at.batch += 1
            at.step += 1
            if log and time.monotonic() - self.saved > SAVE_EVERY:
                self._save("last")
        rate = (at.examples - examples) * machine.world / max(1e-9, time.monotonic() - began)
        loss, examples = machine.sum(torch.tensor([at.loss, at.examples], device=machine.device)).tolist()
        line: Metrics = dict(epoch=epoch + 1, step=at.step, train_loss=loss / max(1, examples))
        line |= measure(self.task, self.base, self.data.validation, machine, "validation")
        which: tuple[checkpoint.Which, ...] = (
            ("last", "best") if line.get("validation_loss", 0.0) < at.best else ("last",)
        )
        at.best = min(at.best, line.get("validation_loss", math.inf))
        self.at = Progress(epoch + 1, 0, at.step, best=at.best)
        if log:
            log.add(line | dict(seconds=time.monotonic() - self.begun, examples_per_second=rate))
            self._save(*which)
            told = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in line.items() if "_" in name)
            print(f"epoch {epoch + 1}: {told}, {rate:,.0f} examples/s", flush=True)

    def _step(self, X: Tensor, y: Tensor, spent: float) -> float:
        """One batch; returns its mean loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.lr * schedule(spent, self.recipe.warm)
        keys = (self.at.epoch, self.at.batch, self.machine.rank)
        X = self._prepare(augment(X, generator_for(self.recipe.seed, "augment", *keys), self.recipe.augment))
        torch.manual_seed(generator_for(self.recipe.seed, "dropout", *keys).initial_seed())
        with self.machine.autocast():
            loss = self.task.loss(self.model, X, y, spent)
        value = loss.item()
        if not math.isfinite(value):
            raise UserError(self._not_finite())
        self.optimizer.zero_grad(set_to_none=True)
        of_all = min(self.recipe.batch, len(self.split) - self.at.batch * self.recipe.batch)
        loss = loss * (len(y) * self.machine.world / of_all)  # processes are averaged, but their shares may differ
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return value

    def _prepare(self, X: Tensor) -> Tensor:
        X = self.task.prepare(X).to(self.machine.dtype)
        return X.contiguous(memory_format=torch.channels_last) if self.recipe.channels_last else X

    def _not_finite(self) -> str:
        at, last = self.at, checkpoint.last_step(self.run)
        good = f"the last good checkpoint is of step {last}" if last else "there is no checkpoint before it"
        return (
            f"the loss is not finite at step {at.step + 1} (epoch {at.epoch + 1}, batch {at.batch + 1}); {good}, "
            f"in {self.run}: try a smaller --lr than {self.recipe.lr:g}, or a longer --warm"
        )

    def _save(self, *which: checkpoint.Which) -> None:
        self.at.seconds, self.at.cpu_seconds = time.monotonic() - self.begun, time.process_time() - self.cpu_begun
        state = dict(optimizer=self.optimizer.state_dict(), scaler=self.scaler.state_dict(), at=vars(self.at))
        checkpoint.save(self.run, self.at.step, self.base, state, which)
        self.saved = time.monotonic()

    @contextmanager
    def _log(self) -> Iterator[Log | None]:
        if self.machine.rank:
            yield None
            return
        log = Log(self.run, self.at.step)
        try:
            yield log
        finally:
            log.close(f"{self.recipe.name} on {self.data.title}")

    def _end(self) -> dict[str, Any]:
        seconds, cpu_seconds = time.monotonic() - self.begun, time.process_time() - self.cpu_begun
        split = self.split if self.recipe.overfit_batch else self.data.test
        name = "train" if self.recipe.overfit_batch else "test"
        metrics = measure(self.task, self.base, split, self.machine, name)
        result = dict(
            recipe=self.recipe.name, data=self.data.name, seed=self.recipe.seed, epochs=self.at.step / self.a_epoch,
            steps=self.at.step, seconds=round(seconds, 2), cpu_seconds=round(cpu_seconds, 2), metrics=metrics,
        )  # fmt: skip
        if self.machine.rank == 0:
            write_whole(self.run / "result.json", json.dumps(result, indent=1))
            told = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in metrics.items())
            print(f"{told} after {self.at.step} steps, {seconds:.0f} s: {self.run / 'result.json'}")
        return result


def schedule(spent: float, warm: float) -> float:
    """The share of the highest learning rate at a share of the budget: up in a line, down along a cosine."""
    if spent < warm:
        return (spent + 1e-3) / (warm + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (spent - warm) / (1 - warm))))


def _adamw(model: nn.Module, recipe: Recipe, machine: Machine) -> torch.optim.Optimizer:
    """AdamW, fused where the device has it; biases and what is no matrix do not decay."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        dict(params=[p for p in parameters if p.ndim > 1], weight_decay=recipe.weight_decay),
        dict(params=[p for p in parameters if p.ndim <= 1], weight_decay=0.0),
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=recipe.lr, fused=machine.device.type != "mps")


@contextmanager
def _memory(recipe: Recipe) -> Iterator[None]:
    """Out of memory is one line that says which knob to turn."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            knob = f"halve --batch ({recipe.batch})" + ", or take --precision bf16" * (recipe.precision == "fp32")
            raise UserError(f"out of memory: {knob}") from None
        raise
