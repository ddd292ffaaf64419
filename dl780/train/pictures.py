"""Pictures with labels: what is trained on them, and the networks that are."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dl780 import UserError, recipes
from dl780.data import Dataset, load, normalise
from dl780.data.augment import augment, known
from dl780.models import get_model
from dl780.models.autoencoder import encoder_weights
from dl780.models.googlenet import HEAD_WEIGHT
from dl780.models.resnet import CIFAR_DEPTHS
from dl780.train.checkpoint import load_weights
from dl780.train.task import Task


def data_of(
    recipe: recipes.Pictures, source: str, say: Callable[[str], object] | None, run: Path | None = None
) -> Dataset:
    """The recipe's data set. Raises `UserError`."""
    return load(recipe.dataset, source, validation=None if recipe.validation < 0 else recipe.validation, say=say)


def task_of(recipe: recipes.Pictures, data: Dataset) -> Task:
    """The task of a recipe on a data set. Raises `UserError` where they do not fit."""
    known(recipe.augment)
    if isinstance(recipe, recipes.Autoencoder):
        model = get_model("autoencoder", recipe.seed, sizes=(_pixels(data), *recipe.hidden))
        loss = partial(_reconstruct, depth=len(recipe.hidden))
        return Task(
            model, loss, _reconstruction_sums, lambda X: X / 255, partial(augment, names=recipe.augment), in_parts=True
        )
    model = NETWORKS[type(recipe)](recipe, data)
    heads = sum(name.startswith("aux") for name, _ in model.named_children())
    return Task(
        model,
        partial(_classify, smoothing=recipe.label_smoothing),
        _classification_sums,
        partial(normalise, mean=data.mean, std=data.std),
        partial(augment, names=recipe.augment),
        initial_loss=math.log(len(data.classes)) * (1 + HEAD_WEIGHT * heads),
    )


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


def _alexnet(recipe: recipes.AlexNet, data: Dataset) -> nn.Module:
    _side(recipe, data, 224)
    return get_model("alexnet", recipe.seed, form=recipe.form, classes=len(data.classes))


def _vgg(recipe: recipes.VGG, data: Dataset) -> nn.Module:
    small = _side(recipe, data, 32, 224) == 32
    kind = "_cifar" if small else "_bn" if recipe.batch_norm else ""
    return get_model(f"vgg{recipe.depth}{kind}", recipe.seed, classes=len(data.classes), channels=data.shape[0])


def _googlenet(recipe: recipes.GoogLeNet, data: Dataset) -> nn.Module:
    options: dict[str, Any] = dict(classes=len(data.classes), channels=data.shape[0])
    if _side(recipe, data, 32, 224) == 32:
        return get_model("googlenet_cifar", recipe.seed, **options)
    return get_model("googlenet", recipe.seed, form=recipe.form, **options)


def _resnet(recipe: recipes.ResNet, data: Dataset) -> nn.Module:
    model = get_model(f"resnet{recipe.depth}", recipe.seed, classes=len(data.classes), channels=data.shape[0])
    _side(recipe, data, 32 if recipe.depth in CIFAR_DEPTHS else 224)
    return model


def _side(recipe: recipes.Pictures, data: Dataset, *sides: int) -> int:
    """The side of the data set's pictures, one of those that a network takes. Raises `UserError`."""
    _, height, width = data.shape
    if height != width or height not in sides:
        sizes = " or ".join(f"{side}×{side}" for side in sides)
        raise UserError(
            f"this {recipe.name} takes pictures of {sizes}, not {height}×{width} of {data.name}: name another --dataset"
        )
    return height


NETWORKS: dict[type[recipes.Pictures], Callable[..., nn.Module]] = {
    recipes.AlexNet: _alexnet,
    recipes.GoogLeNet: _googlenet,
    recipes.LeNet: _lenet,
    recipes.MLP: _mlp,
    recipes.ResNet: _resnet,
    recipes.VGG: _vgg,
}


def _pixels(data: Dataset) -> int:
    channels, height, width = data.shape
    return channels * height * width


def _classify(model: nn.Module, X: Tensor, y: Tensor, progress: float, smoothing: float) -> Tensor:
    logits = model(X)
    main, *heads = logits if isinstance(logits, tuple) else (logits,)
    loss = F.cross_entropy(main, y, label_smoothing=smoothing)
    return loss + HEAD_WEIGHT * sum(F.cross_entropy(head, y, label_smoothing=smoothing) for head in heads)


def _classification_sums(model: nn.Module, X: Tensor, y: Tensor) -> dict[str, Tensor]:
    logits = model(X)
    return {"loss": F.cross_entropy(logits, y, reduction="sum"), "accuracy": (logits.argmax(1) == y).sum()}


def _reconstruct(model: nn.Module, X: Tensor, y: Tensor, progress: float, depth: int) -> Tensor:
    error: Tensor = model(X.flatten(1), alone=int(progress * depth))
    return error.mean()


def _reconstruction_sums(model: nn.Module, X: Tensor, y: Tensor) -> dict[str, Tensor]:
    return {"loss": model(X.flatten(1)).sum()}
