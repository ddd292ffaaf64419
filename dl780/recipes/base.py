"""Settings that recipes share: a flat table each, whose comments are the help of `dl780 train`."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from dl780 import UserError

Precision = Literal["fp32", "bf16", "fp16", "fp64"]
LEAST = dict(epochs=1, batch=1, validation=-1, threads=0, lr=0.0, weight_decay=0.0, clip=0.0)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings that every run has."""

    name: ClassVar[str]  # what the command line calls it
    trainer: ClassVar[str] = "dl780.train.loop"  # the module whose `train` and `evaluate` take it
    seed: int = 0  # of weights, order and everything else that is drawn
    steps: int | None = None  # so many steps
    minutes: float | None = None  # or so much time; the schedule follows whichever is given
    device: str = "auto"  # auto, cpu, cuda, mps …
    precision: Precision = "fp32"  # of forward and backward; weights stay fp32, but for fp64
    compile: bool = False  # torch.compile; measured slower on CPU for small models
    threads: int = 0  # of torch on CPU; 0 leaves its own choice
    out: Path | None = None  # the run's folder; by default a fresh one, dated, under runs/
    resume: bool = False  # go on with the run in --out where it was cut off

    @property
    def about(self) -> str:
        """What it learns from, as one word of a folder's name."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise `UserError` for a setting that cannot be."""
        for name, least in LEAST.items():
            if (value := getattr(self, name, least)) < least:
                raise UserError(f"--{name.replace('_', '-')} takes a number from {least}, not {value}")
        for name in ("steps", "minutes"):
            if (value := getattr(self, name)) is not None and value <= 0:
                raise UserError(f"--{name} takes a number above 0, not {value}")
        if self.steps is not None and self.minutes is not None:
            raise UserError("--steps and --minutes are two budgets: give one")
        if self.resume and not self.out:
            raise UserError("--resume needs --out, the folder of the run that was cut off")


@dataclass(frozen=True, kw_only=True)
class Supervised(Recipe):
    """Settings of everything that one loop trains from examples."""

    data: str = "auto"  # where the data is: auto, embedded, or a path
    epochs: int = 8  # passes over the training set
    steps: int | None = None  # or so many batches
    batch: int = 128  # examples a step, over all processes
    lr: float = 3e-3  # learning rate at its highest: it rises over the first part of the budget and falls to 0
    warm: float = 0.2  # share of the budget over which it rises
    schedule: Literal["cosine", "linear", "steps"] = "cosine"  # how it falls; steps: to a tenth at 1/2, again at 3/4
    optimizer: Literal["adamw", "sgd"] = "adamw"  # sgd has Nesterov's momentum
    momentum: float = 0.9  # of sgd
    weight_decay: float = 0.01  # on weights but not on biases
    clip: float = 0.0  # the gradient's norm is made no longer than this; 0 leaves it
    overfit_batch: bool = False  # train on one batch only: a sound model gets it right

    def check(self) -> None:
        """Raise `UserError` for a setting that cannot be."""
        super().check()
        for name in ("warm", "momentum"):
            if not 0 <= (value := getattr(self, name)) < 1:
                raise UserError(f"--{name} takes a share from 0 to below 1, not {value}")
