"""What is trained, and how: one flat table of settings a recipe, whose comments are the help of `dl780 train`.

This module imports no torch: `dl780 --help` reads it.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from dl780 import UserError

Precision = Literal["fp32", "bf16", "fp16", "fp64"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings that every recipe has."""

    dataset: str = "mnist"  # which data set: `dl780 data list` names them
    data: str = "auto"  # where it is: auto, embedded, or a path
    validation: int = -1  # examples held out of the training set; -1 as the set says, 0 trains on all
    epochs: int = 8  # passes over the training set
    steps: int | None = None  # or so many batches
    minutes: float | None = None  # or so much time; the schedule follows whichever is given
    batch: int = 128  # examples a step, over all processes
    lr: float = 3e-3  # learning rate at its highest: it rises over the first part and falls to 0 at the end
    warm: float = 0.2  # share of the budget over which it rises
    weight_decay: float = 0.01  # of AdamW, on weights but not on biases
    augment: tuple[str, ...] = ()  # of shift, flip, affine, cutout, in this order
    seed: int = 0  # of weights, order, augmentation and dropout
    device: str = "auto"  # auto, cpu, cuda, mps …
    precision: Precision = "fp32"  # of forward and backward; weights stay fp32, but for fp64
    channels_last: bool = False  # pictures and filters as N, H, W, C in memory: faster convolution
    compile: bool = False  # torch.compile; measured slower on CPU for small models
    threads: int = 0  # of torch on CPU; 0 leaves its own choice
    overfit_batch: bool = False  # train on one batch only: a sound model gets it right
    out: Path | None = None  # the run's folder; by default a fresh one, dated, under runs/
    resume: bool = False  # go on with the run in --out where it was cut off

    def check(self) -> None:
        """Raise `UserError` for a setting that cannot be."""
        for name, least in dict(epochs=1, batch=1, validation=-1, threads=0, lr=0.0, weight_decay=0.0).items():
            if getattr(self, name) < least:
                raise UserError(f"--{name.replace('_', '-')} takes a number from {least}, not {getattr(self, name)}")
        if not 0 <= self.warm < 1:
            raise UserError(f"--warm takes a share from 0 to below 1, not {self.warm}")
        for name in ("steps", "minutes"):
            if (value := getattr(self, name)) is not None and value <= 0:
                raise UserError(f"--{name} takes a number above 0, not {value}")
        if self.steps is not None and self.minutes is not None:
            raise UserError("--steps and --minutes are two budgets: give one")
        if self.resume and not self.out:
            raise UserError("--resume needs --out, the folder of the run that was cut off")

    @property
    def name(self) -> str:
        """What the command line calls it."""
        return next(name for name, kind in RECIPES.items() if kind is type(self))


@dataclass(frozen=True, kw_only=True)
class LeNet(Recipe):
    """LeNet-5 (LeCun et al. 1998): the modern form, or the paper's own."""

    channels_last: bool = True  # pictures and filters as N, H, W, C in memory: faster pooling and convolution
    form: Literal["modern", "1998"] = "modern"  # 1998: connection table, trainable subsampling, fixed output layer
    label_smoothing: float = 0.0  # share of the target that goes to the other classes


@dataclass(frozen=True, kw_only=True)
class MLP(Recipe):
    """A multi-layer perceptron, fresh or from a stack of autoencoders."""

    hidden: tuple[int, ...] = (256, 128)  # units of each hidden layer
    activation: Literal["relu", "tanh", "sigmoid"] = "relu"  # f of the hidden layers
    dropout: float = 0.0  # share of the hidden units that a step leaves out
    label_smoothing: float = 0.0  # share of the target that goes to the other classes
    start: Path | None = None  # a run of the recipe autoencoder with the same --hidden, whose weights start this one


@dataclass(frozen=True, kw_only=True)
class Autoencoder(Recipe):
    """Greedy layer-wise pre-training: each layer learns to reconstruct its input, for its part of the budget."""

    hidden: tuple[int, ...] = (256, 128)  # units of each hidden layer
    weight_decay: float = 0.0  # of AdamW, on weights but not on biases


RECIPES: dict[str, type[Recipe]] = {"autoencoder": Autoencoder, "lenet": LeNet, "mlp": MLP}


def as_json(recipe: Recipe) -> dict[str, Any]:
    """A recipe's settings as JSON holds them."""
    return {k: str(v) if isinstance(v, Path) else v for k, v in asdict(recipe).items()}


def from_json(name: str, settings: dict[str, Any]) -> Recipe:
    """A recipe from its name and what `as_json` made of it. Raises `UserError`."""
    if name not in RECIPES:
        raise UserError(f"there is no recipe {name!r}; there are: {', '.join(RECIPES)}")
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    settings |= {k: Path(settings[k]) for k in ("out", "start") if settings.get(k)}
    return RECIPES[name](**settings)
