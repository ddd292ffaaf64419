"""A trained network with what belongs to it: from a run's folder, or with torchvision's weights that lie on disk."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dl780 import UserError
from dl780.data import Dataset, load, normalise
from dl780.data.layouts import IMAGENET
from dl780.data.stream import SIDE, open_picture, pixels
from dl780.models import get_model, pretrained
from dl780.recipes import Pictures
from dl780.train.checkpoint import load_weights
from dl780.train.run import newest, read_recipe
from dl780.train.tasks import data_of, task_of

# Recipes for pictures, the best to look at first, and the minutes that one takes on two cores.
MINUTES = {"resnet": 30, "googlenet": 40, "vgg": 60, "lenet": 1, "mlp": 1}
BORDER = 1 / 16  # of a picture, on each side, that ImageNet's networks are not shown: 224 of 256 pixels


@dataclass(frozen=True)
class Network:
    """A network in evaluation whose weights want no gradient.

    `prepare(X)` makes of pictures (N, C, H, W), 0 to 255, what the model takes, and can be differentiated; `shape` is
    C, H, W of those that it was trained on, `data` the set itself where there is one.
    """

    title: str
    model: nn.Module
    prepare: Callable[[Tensor], Tensor]
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    data: Dataset | None = None
    border: float = 0.0

    def picture(self, path: Path) -> Tensor:
        """A picture's middle, as large as those that the network was trained on: (C, H, W) uint8."""
        from PIL import ImageOps

        channels, height, width = self.shape
        with open_picture(path) as file:
            whole = pixels(file)  # whatever is broken is told here
            fitted = ImageOps.fit(_image(whole), (width, height), bleed=self.border)
        return as_channels(pixels(fitted), channels)


def usual_run() -> Path:
    """The newest finished run on pictures. Raises `UserError`, with the command that makes one."""
    return newest(MINUTES)


def open_network(run: Path | None, model: str | None, data: str | None = None) -> Network:
    """The network of a run, or of torchvision; where neither is named, that of the newest finished run on pictures.

    Args:
        run: the folder of a run
        model: a name of torchvision's, whose weights lie below $TORCH_HOME
        data: another place of the run's data set; for torchvision's weights a folder of pictures, or none
    Raises `UserError`.
    """
    if model and run:
        raise UserError(f"--model {model} and --checkpoint {run} are two networks: name one")
    return _of_torchvision(model, data) if model else _of_run(run or usual_run(), data)


def layers(network: Network) -> dict[str, tuple[str, torch.Size]]:
    """Name -> kind and shape of what a layer gives for one picture of the network's size, in the order of the pass."""
    found: dict[str, tuple[str, torch.Size]] = {}

    def note(module: nn.Module, _: object, Z: object, name: str) -> None:
        if isinstance(Z, Tensor):
            found[name] = (type(module).__name__, Z.shape[1:])

    handles = [m.register_forward_hook(partial(note, name=name)) for name, m in network.model.named_modules() if name]
    with torch.no_grad():
        network.model(network.prepare(torch.zeros(1, *network.shape)))
    for handle in handles:
        handle.remove()
    return found


def maps(network: Network) -> dict[str, torch.Size]:
    """Those of `layers` that give maps of more than one pixel: name -> (channels, height, width)."""
    return {name: shape for name, (_, shape) in layers(network).items() if len(shape) == 3 and shape[1] * shape[2] > 1}


def activation(network: Network, X: Tensor, layer: str) -> Tensor:
    """What a layer makes of pictures X (N, C, H, W), 0 to 255; the pass ends there. Raises `UserError`."""
    modules = dict(network.model.named_modules())
    if not layer or layer not in modules:
        near = get_close_matches(layer, modules, 3, 0.4)
        raise UserError(f"there is no layer {layer!r}{', but ' * bool(near)}{', '.join(near)}: --list-layers names all")

    def stop(_module: nn.Module, _inputs: object, Z: Tensor) -> None:
        raise _Reached(Z)

    handle = modules[layer].register_forward_hook(stop)
    try:
        network.model(network.prepare(X))
    except _Reached as reached:
        return reached.Z
    finally:
        handle.remove()
    raise UserError(f"the layer {layer} is not used on a picture: --list-layers names those that are")


class _Reached(Exception):
    def __init__(self, Z: Tensor) -> None:
        self.Z = Z


def as_channels(X: Tensor, channels: int) -> Tensor:
    """A picture (3, H, W) as the network's channels: grey, as ITU-R 601 weighs it, where it has one."""
    if channels == 3:
        return X
    weights = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    return (X * weights).sum(0, keepdim=True).round().to(X.dtype).expand(channels, -1, -1)


def _image(X: Tensor) -> Any:
    from PIL import Image

    return Image.fromarray(X.permute(1, 2, 0).numpy())


def _of_run(run: Path, source: str | None) -> Network:
    recipe = read_recipe(run)
    if not isinstance(recipe, Pictures):
        raise UserError(f"{run} is a run of {recipe.name}, which sees no pictures")
    data = data_of(recipe, source or "")
    assert isinstance(data, Dataset)
    trained_on = json.loads((run / "manifest.json").read_text())["data"]
    if data.name != trained_on["name"] and not source:
        raise UserError(f"{run} was trained on {trained_on['title']}, and now there is {data.title}: name it by --data")
    task = task_of(recipe, data)
    try:
        task.model.load_state_dict(load_weights(run))
    except RuntimeError as error:
        raise UserError(f"{run} does not fit {data.title}: {str(error).splitlines()[-1].strip()}") from None
    title = f"{run.name}, {recipe.name} trained on {data.title}"
    return Network(title, _still(task.model), task.prepare, data.shape, data.classes, data)


def _of_torchvision(name: str, source: str | None) -> Network:
    model = get_model(name, weights="torchvision")
    file, classes = pretrained.find(name)
    data = load("imagefolder", source) if source else None
    prepare = partial(normalise, mean=IMAGENET[0], std=IMAGENET[1])
    return Network(
        f"{name}, {file.name} of torchvision", _still(model), prepare, (3, SIDE, SIDE), classes, data, BORDER
    )


def _still(model: nn.Module) -> nn.Module:
    return model.eval().requires_grad_(False)
