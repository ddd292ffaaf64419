"""The loop: epochs of batches, a schedule that follows the budget, checkpoints that go on bit for bit."""

import json
import math
import sys
import time
from collections.abc import Callable, Iterator
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
from dl780.data import Examples, batches, generator_for
from dl780.files import write_whole
from dl780.recipes import Supervised
from dl780.train import checkpoint
from dl780.train.machine import Machine, machine_for
from dl780.train.run import Log, Metrics, open_run, read_recipe, write_manifest
from dl780.train.task import Data, Task
from dl780.train.tasks import data_of, task_of

OFF = 0.5  # nats that the loss before training may differ from log C unremarked
SAVE_EVERY = 60.0  # seconds, where an epoch takes longer


def train(recipe: Supervised) -> dict[str, Any]:
    """Train, evaluate on the test set once, and leave a run's folder; return what `result.json` holds."""
    recipe.check()
    with machine_for(recipe) as machine, _memory(recipe):
        say = print if machine.rank == 0 else None
        data = data_of(recipe, say=say).to(machine.device)
        task = task_of(recipe, data)  # whatever cannot be is told before there is a folder
        run = open_run(recipe) if machine.rank == 0 else (recipe.out or Path("runs"))
        return Training(recipe, machine, data, run, task).train()


def evaluate(
    run: Path, data: str | None = None, which: checkpoint.Which = "last", device: str = "auto"
) -> tuple[str, Metrics]:
    """A run's model on the test set it was made for, or on that of another source: (what it is, metrics)."""
    recipe = read_recipe(run)
    if not isinstance(recipe, Supervised):
        raise UserError(f"{run} is a run of {recipe.name}, which no test set measures")
    recipe = replace(recipe, device=device)
    with machine_for(recipe) as machine:
        found = data_of(recipe, data or "", run=run).to(machine.device)
        task = task_of(recipe, found)
        task.model.load_state_dict(checkpoint.load_weights(run, which))
        model = task.model.to(machine.device, machine.dtype)
        return found.name, report(task, model, machine, measure(task, model, found.test, machine, "test"))


def measure(task: Task, model: nn.Module, split: Examples, machine: Machine, name: str) -> Metrics:
    """Means over a split, named name_loss, name_accuracy, …; {} for an empty one."""
    if not len(split):
        return {}
    sums: dict[str, Tensor] = {}
    kept = dict(task.memory)
    task.memory.clear()
    model.eval()
    with torch.inference_mode(), machine.autocast():
        for X, y in batches(split, task.together, share=(machine.rank, machine.world)):
            found = task.sums(model, machine.place(task.prepare(X)), y)
            for key, value in (found | {"": torch.tensor(task.counted(X, y), device=machine.device)}).items():
                sums[key] = sums.get(key, torch.zeros((), device=machine.device, dtype=torch.float64)) + value
    model.train()
    task.memory.clear()
    task.memory.update(kept)
    counted = machine.sum(sums.pop("")).item()
    return {f"{name}_{key}": machine.sum(value).item() / counted for key, value in sums.items()}


def report(task: Task, model: nn.Module, machine: Machine, found: Metrics) -> Metrics:
    """Metrics of the test set, and what else a task tells of it; by the first of several processes."""
    if machine.rank:
        return found
    model.eval()
    with torch.inference_mode():
        return found | {f"test_{name}": value for name, value in task.report(model, machine, found).items()}


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

    recipe: Supervised
    machine: Machine
    data: Data
    run: Path
    task: Task
    at: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        recipe, machine = self.recipe, self.machine
        self.split = self.data.train
        if recipe.overfit_batch:
            self.split = self.split.few(recipe.batch, generator_for(recipe.seed, 0))
        self.base = self.task.model.to(machine.device, machine.dtype)
        self.channels_last = getattr(recipe, "channels_last", False)
        if self.channels_last:
            self.base = self.base.to(memory_format=torch.channels_last)
        self.optimizer = optimizer_of(self.base, recipe, machine)
        self.scaler = torch.amp.GradScaler(machine.device.type, enabled=recipe.precision == "fp16")
        if recipe.resume and (state := checkpoint.load_state(self.run, self.base)):
            self.optimizer.load_state_dict(state["optimizer"])
            self.scaler.load_state_dict(state["scaler"])
            self.at = Progress(**state["at"])
            self.task.memory.update(_moved(state["memory"], machine.device))
        self.model: Any = self.base
        if machine.world > 1:
            self.model = DistributedDataParallel(self.base, find_unused_parameters=self.task.in_parts)
        if recipe.compile:
            self.model = torch.compile(self.model)
        self.begun, self.cpu_begun = time.monotonic() - self.at.seconds, time.process_time() - self.at.cpu_seconds
        self.saved = time.monotonic()

    @property
    def a_epoch(self) -> int:
        """Steps of one epoch."""
        return self.split.steps(self.recipe.batch, self.machine.world)

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
            X, y = next(batches(self.split, self.task.together))
            with torch.inference_mode():
                initial = self.task.loss(self.base, self._prepare(X), y, 0.0).item()
            self.task.memory.clear()
        if self.machine.rank:
            return
        for name, text in self.task.files.items():
            write_whole(self.run / name, text)
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
        self.task.memory.clear()
        line: Metrics = dict(epoch=epoch + 1, step=at.step, train_loss=loss / max(1, examples))
        if not recipe.overfit_batch:
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
            group["lr"] = self.recipe.lr * schedule(spent, self.recipe.warm, self.recipe.schedule)
        keys = (self.at.epoch, self.at.batch, self.machine.rank)
        X = self._prepare(self.task.augment(X, generator_for(self.recipe.seed, "augment", *keys)))
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
        if self.recipe.clip:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.base.parameters(), self.recipe.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return value

    def _prepare(self, X: Any) -> Any:
        return self.machine.place(self.task.prepare(X), self.channels_last)

    def _not_finite(self) -> str:
        at, last = self.at, checkpoint.last_step(self.run)
        good = f"the last good checkpoint is of step {last}" if last else "there is no checkpoint before it"
        return (
            f"the loss is not finite at step {at.step + 1} (epoch {at.epoch + 1}, batch {at.batch + 1}); {good}, "
            f"in {self.run}: try a smaller --lr than {self.recipe.lr:g}, or a longer --warm"
        )

    def _save(self, *which: checkpoint.Which) -> None:
        self.at.seconds, self.at.cpu_seconds = time.monotonic() - self.begun, time.process_time() - self.cpu_begun
        state = dict(
            optimizer=self.optimizer.state_dict(), scaler=self.scaler.state_dict(), at=vars(self.at),
            memory=self.task.memory,
        )  # fmt: skip
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
        if not self.recipe.overfit_batch:
            metrics = report(self.task, self.base, self.machine, metrics)
        result = dict(
            recipe=self.recipe.name, data=self.data.name, seed=self.recipe.seed, epochs=self.at.step / self.a_epoch,
            steps=self.at.step, seconds=round(seconds, 2), cpu_seconds=round(cpu_seconds, 2), metrics=metrics,
        )  # fmt: skip
        if self.machine.rank == 0:
            write_whole(self.run / "result.json", json.dumps(result, indent=1))
            told = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in metrics.items())
            print(f"{told} after {self.at.step} steps, {seconds:.0f} s: {self.run / 'result.json'}")
        return result


FALL: dict[str, Callable[[float], float]] = {
    "cosine": lambda t: 0.5 * (1 + math.cos(math.pi * t)),
    "linear": lambda t: 1 - t,
    "steps": lambda t: 0.1 ** ((t >= 0.5) + (t >= 0.75)),
}


def schedule(spent: float, warm: float, fall: str = "cosine") -> float:
    """The share of the highest learning rate at a share of the budget: up in a line, then down."""
    if spent < warm:
        return (spent + 1e-3) / (warm + 1e-3)
    return FALL[fall](min(1.0, (spent - warm) / (1 - warm)))


def optimizer_of(model: nn.Module, recipe: Supervised, machine: Machine) -> torch.optim.Optimizer:
    """The recipe's optimizer, fused where the device has it; biases and what is no matrix do not decay."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        dict(params=[p for p in parameters if p.ndim > 1], weight_decay=recipe.weight_decay),
        dict(params=[p for p in parameters if p.ndim <= 1], weight_decay=0.0),
    ]
    groups, fused = [g for g in groups if g["params"]], machine.device.type != "mps"
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.momentum > 0, fused=fused
        )
    return torch.optim.AdamW(groups, lr=recipe.lr, fused=fused)


def _moved(memory: Any, device: torch.device) -> Any:
    """What a checkpoint kept, on a device."""
    if isinstance(memory, Tensor):
        return memory.to(device)
    if isinstance(memory, dict):
        return {name: _moved(value, device) for name, value in memory.items()}
    return tuple(_moved(value, device) for value in memory)


@contextmanager
def _memory(recipe: Supervised) -> Iterator[None]:
    """Out of memory is one line that says which knob to turn."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            knob = f"halve --batch ({recipe.batch})" + ", or take --precision bf16" * (recipe.precision == "fp32")
            raise UserError(f"out of memory: {knob}") from None
        raise
