"""The networks of the lecture, one file each.

>>> from dl780.models import get_model, list_models
>>> lenet = get_model("lenet5")
>>> sum(p.numel() for p in lenet.parameters())
61706
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import nn

from dl780 import UserError
from dl780.models import pretrained
from dl780.models.alexnet import alexnet
from dl780.models.alphago import AlphaGo
from dl780.models.autoencoder import autoencoder
from dl780.models.captioner import Captioner, small_cnn
from dl780.models.char_rnn import CharRNN
from dl780.models.googlenet import googlenet, googlenet_cifar
from dl780.models.lenet import lenet5, lenet5_1998
from dl780.models.mlp import mlp
from dl780.models.resnet import RESNET
from dl780.models.seq2seq import Seq2Seq
from dl780.models.vgg import VGG

MODELS: dict[str, Callable[..., nn.Module]] = {
    "alexnet": alexnet,
    "alphago": AlphaGo,
    "autoencoder": autoencoder,
    "captioner": Captioner,
    "char_rnn": CharRNN,
    "googlenet": googlenet,
    "googlenet_cifar": googlenet_cifar,
    "lenet5": lenet5,
    "lenet5_1998": lenet5_1998,
    "mlp": mlp,
    "seq2seq": Seq2Seq,
    "small_cnn": small_cnn,
    **RESNET,
    **VGG,
}


def list_models() -> list[str]:
    """Every name that `get_model` takes."""
    return sorted(MODELS)


def get_model(
    name: str, seed: int | None = None, weights: Literal["torchvision"] | None = None, **options: Any
) -> nn.Module:
    """A network with random weights: those of a seed, the same each time, where one is given.

    With `weights="torchvision"` it has torchvision's form and its pretrained weights, read from
    `$TORCH_HOME/hub/checkpoints`; nothing is fetched. The random state of torch is the caller's afterwards. Raises
    `UserError` for an unknown name, and for weights that are not there.
    """
    if name not in MODELS:
        raise UserError(f"there is no model {name!r}; there are: {', '.join(list_models())}")
    if weights:
        return pretrained.load(name, lambda form: get_model(name, seed, **form, **options))
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        return MODELS[name](**options)
