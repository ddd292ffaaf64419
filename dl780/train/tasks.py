"""What a recipe trains and what it is measured by: one task for each kind of model."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dl780 import UserError
from dl780.data import Dataset, normalise
from dl780.models import get_model
from dl780.models.autoencoder import encoder_weights
from dl780.train import recipes
from dl780.train.checkpoint import load_weights


@dataclass(frozen=True)
class Task:
    """A model, its loss, and what is counted of it.

    `prepare(X)` makes of a data set's examples what the model takes;
    `loss(model, X, y, progress)` is the mean over a batch, a scalar, where progress in [0, 1) is the share of the
    budget that is spent; `sums(model, X, y)` are sums over a batch of what is reported as means.
    """

    model: nn.Module
    prepare: Callable[[Tensor], Tensor]
    loss: Callable[[nn.Module, Tensor, Tensor, float], Tensor]
    sums: Callable[[nn.Module, Tensor, Tensor], dict[str, Tensor]]
    initial_loss: float | None = None  # of a model that knows nothing
    in_parts: bool = False  # whether a step may leave some weights without a gradient


def task_of(recipe: recipes.Recipe, data: Dataset) -> Task:
    """The task of a recipe on a data set. Raises `UserError` where they do not fit."""
    match recipe:
        case recipes.LeNet():
            return _classify(data, _lenet(recipe, data), recipe.label_smoothing)
        case recipes.MLP():
            return _classify(data, _mlp(recipe, data), recipe.label_smoothing)
        case recipes.Autoencoder():
            sizes = (_pixels(data), *recipe.hidden)
            model = get_model("autoencoder", recipe.seed, sizes=sizes)
            loss = partial(_reconstruct, depth=len(recipe.hidden))
            return Task(model, lambda X: X / 255, loss, _reconstruction_sums, in_parts=True)
    raise UserError(f"the recipe {recipe.name} has no task")


def _lenet(recipe: recipes.LeNet, data: Dataset) -> nn.Module:
    channels, height, width = data.shape
    if (height, width) != (28, 28) or (recipe.form == "1998" and (channels, len(data.classes)) != (1, 10)):
        raise UserError(f"LeNet-5 takes pictures of 28×28, not {height}×{width} of {data.name}: name another --dataset")
    if recipe.form == "1998":
        return get_model("lenet5_1998", recipe.seed)
    return get_model("lenet5", recipe.seed, channels=channels, classes=len(data.classes))


def _mlp(recipe: recipes.MLP, data: Dataset) -> nn.Module:
    sizes = (_pixels(data), *recipe.hidden, len(data.classes))
    model = get_model("mlp", recipe.seed, sizes=sizes, activation=recipe.activation, dropout=recipe.dropout)
    if recipe.start and not recipe.resume:
        linear = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
        for layer, (W, b) in zip(linear, encoder_weights(load_weights(recipe.start)), strict=False):
            if layer.weight.shape != W.shape:
                raise UserError(f"{recipe.start} has layers of other sizes than {sizes}: give both the same --hidden")
            with torch.no_grad():
                layer.weight.copy_(W)
                layer.bias.copy_(b)
    return model


def _pixels(data: Dataset) -> int:
    channels, height, width = data.shape
    return channels * height * width


def _classify(data: Dataset, model: nn.Module, smoothing: float) -> Task:
    def loss(model: nn.Module, X: Tensor, y: Tensor, progress: float) -> Tensor:
        return F.cross_entropy(model(X), y, label_smoothing=smoothing)

    def sums(model: nn.Module, X: Tensor, y: Tensor) -> dict[str, Tensor]:
        logits = model(X)
        return {"loss": F.cross_entropy(logits, y, reduction="sum"), "accuracy": (logits.argmax(1) == y).sum()}

    prepare = partial(normalise, mean=data.mean, std=data.std)
    return Task(model, prepare, loss, sums, initial_loss=math.log(len(data.classes)))


def _reconstruct(model: nn.Module, X: Tensor, y: Tensor, progress: float, depth: int) -> Tensor:
    error: Tensor = model(X.flatten(1), alone=int(progress * depth))
    return error.mean()


def _reconstruction_sums(model: nn.Module, X: Tensor, y: Tensor) -> dict[str, Tensor]:
    return {"loss": model(X.flatten(1)).sum()}
