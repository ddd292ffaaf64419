"""torchvision's weights in these networks, and back: what its files are called, and what its keys are called here."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dl780 import UserError

State = dict[str, Tensor]


FORMS: dict[str, dict[str, Any]] = {  # what makes a network of the name the one that torchvision has
    "alexnet": dict(form="torchvision"),
    "googlenet": dict(form="torchvision", heads=False, rescale=True),
    **{name: dict(form="torchvision") for name in ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")},
}


def load(name: str, make: Callable[[dict[str, Any]], nn.Module]) -> nn.Module:
    """The network that `make` builds in torchvision's form, with torchvision's weights. Raises `UserError`."""
    theirs = _read(find(name)[0])
    with torch.device("meta"):
        model = make(FORMS.get(name, {}))
    from_torchvision(name, model, theirs, assign=True)
    return model


def to_torchvision(name: str, model: nn.Module) -> State:
    """Our network's weights under torchvision's keys."""
    keys = key_map(name, model)
    return {keys[key]: value for key, value in model.state_dict().items()}


def from_torchvision(name: str, model: nn.Module, theirs: State, assign: bool = False) -> None:
    """Put torchvision's weights into our network. Heads that it was made without are left out.

    `assign` shares the tensors instead of copying them. Raises `UserError` where the two differ.
    """
    ours = {key: theirs[their] for key, their in key_map(name, model).items() if their in theirs}
    try:
        missing, _ = model.load_state_dict(ours, strict=False, assign=assign)
        lacking = [key for key in missing if not key.endswith("num_batches_tracked")]  # older files have none
        left = {key for key in theirs if not key.startswith("aux")} - set(key_map(name, model).values())
    except RuntimeError as error:
        raise UserError(f"these are no weights for {name}: {str(error).splitlines()[-1].strip()}") from None
    if lacking or left:
        raise UserError(f"these are no weights for {name}: {min([*lacking, *left])} fits nowhere")


def key_map(name: str, model: nn.Module) -> dict[str, str]:
    """Our key -> torchvision's, for every entry of a model's `state_dict()`.

    AlexNet's and VGG's layers have the paper's names here, and numbers there: features.0, features.1, … up to the
    flattening, then classifier.0, classifier.1, …. The keys of GoogLeNet and ResNet are the same.
    """
    keys = list(model.state_dict())
    if not name.startswith(("alexnet", "vgg")):
        return {key: key for key in keys}
    layers = [layer for layer, _ in model.named_children()]
    features = layers.index("flatten")
    numbered = [f"features.{i}" if i < features else f"classifier.{i - features - 1}" for i in range(len(layers))]
    of = dict(zip(layers, numbered, strict=True))
    return {key: re.sub(r"^\w+", lambda layer: of[layer.group()], key) for key in keys}


def find(name: str) -> tuple[Path, tuple[str, ...]]:
    """The file of torchvision's weights of a network, and the names of its classes; nothing is fetched.

    Files are looked for in `$TORCH_HOME/hub/checkpoints`, as torchvision itself does, its default first. Raises
    `UserError`, which names the file, the folder and the address.
    """
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    kinds = _kinds(name)
    for kind in kinds:
        if (file := folder / Path(kind.url).name).exists():
            return file, tuple(kind.meta["categories"])
    file = folder / Path(kinds[0].url).name
    raise UserError(f"there are no weights {file} (set TORCH_HOME where they lie elsewhere); get {kinds[0].url}")


def _read(file: Path) -> State:
    try:
        state: State = torch.load(file, weights_only=True, map_location="cpu")
    except Exception as error:  # torch raises several kinds for a file that is cut off
        raise UserError(f"{file} cannot be read ({type(error).__name__}): get it again") from None
    return state


def _kinds(name: str) -> list[Any]:
    """torchvision's kinds of weights for a network, the default first. Raises `UserError`."""
    import torchvision

    try:
        kinds = torchvision.models.get_model_weights(name)
    except ValueError:
        raise UserError(f"torchvision has no weights for {name}") from None
    return sorted(kinds, key=lambda kind: kind is not kinds.DEFAULT)
