"""GoogLeNet (Szegedy et al. 2014, "Going deeper with convolutions", table 1 and figure 3; slide "GoogLeNet (Szegedy et
al., 2014), winner of ILSVRC 2014").
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from dl780.models.alexnet import response_norm
from dl780.models.initial import he

Form = Literal["paper", "torchvision"]
Row = tuple[int, int, int, int, int, int]
Conv = Callable[..., nn.Module]
TABLE: dict[str, Row] = {
    # #1×1, #3×3 reduce, #3×3, #5×5 reduce, #5×5, pool proj
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
HEADS = {"4a": "aux1", "4d": "aux2"}  # the auxiliary classifiers, and after which block each looks on
HEAD_WEIGHT = 0.3  # of a head's loss beside that of the last layer (§5)


class GoogLeNet(nn.Sequential):
    """Layers in a row; a head stands after the block that it looks at, and is passed by."""

    def forward(self, X: Tensor) -> Tensor | tuple[Tensor, ...]:
        """(N, C, H, W) -> logits (N, classes); in training with heads (logits, those of aux1, those of aux2)."""
        heads = []
        for name, layer in self.named_children():
            if name not in HEADS.values():
                X = layer(X)
            elif self.training:
                heads.append(layer(X))
        return (X, *heads) if heads else X


class Inception(nn.ModuleDict):
    """Four branches that see the same maps, their own maps side by side."""

    def __init__(self, n: int, row: Row, conv: Conv, large: int) -> None:
        one, reduce3, three, reduce5, five, project = row
        super().__init__({
            "branch1": conv(n, one, 1),
            "branch2": nn.Sequential(conv(n, reduce3, 1), conv(reduce3, three, 3)),
            "branch3": nn.Sequential(conv(n, reduce5, 1), conv(reduce5, five, large)),
            "branch4": nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), conv(n, project, 1)),
        })  # fmt: skip

    def forward(self, Z: Tensor) -> Tensor:
        """(N, n, H, W) -> (N, #1×1 + #3×3 + #5×5 + pool proj, H, W)."""
        return torch.cat([branch(Z) for branch in self.values()], 1)


class Rescale(nn.Module):
    """Pictures normalised by ImageNet's means, as (x - 0.5) / 0.5: so torchvision's weights were trained."""

    def forward(self, X: Tensor) -> Tensor:
        """(N, 3, H, W)."""
        mean, std = (X.new_tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        return (X * std + mean - 0.5) / 0.5


def googlenet(
    form: Form = "paper",
    classes: int = 1000,
    channels: int = 3,
    heads: bool = True,
    rescale: bool = False,
    dropout: float = 0.4,
    head_dropout: float = 0.7,
) -> GoogLeNet:
    """X (N, channels, 224, 224) -> logits (N, classes), and those of the heads in training.

    The paper's form has 6,998,552 weights, and 13,378,280 with its heads. torchvision's has batch norm, 3×3 for the
    table's 5×5, and 6,624,904, or 13,004,888. `rescale` is for its pretrained weights.
    """
    paper = form == "paper"
    conv = partial(_conv, batch_norm=not paper)
    layers: OrderedDict[str, nn.Module] = OrderedDict(rescale=Rescale()) if rescale else OrderedDict()
    layers |= dict(conv1=conv(channels, 64, 7, 2), maxpool1=_pool())
    layers |= dict(norm1=response_norm()) if paper else {}
    layers |= dict(conv2=conv(64, 64, 1), conv3=conv(64, 192, 3))
    layers |= dict(norm2=response_norm()) if paper else {}
    layers |= dict(maxpool2=_pool())
    n = 192
    for name, row in TABLE.items():
        if name == "4a":
            layers["maxpool3"] = _pool()
        if name == "5a":
            layers["maxpool4"] = _pool(3 if paper else 2)
        layers[f"inception{name}"] = Inception(n, row, conv, 5 if paper else 3)
        n = _maps(row)
        if heads and name in HEADS:
            layers[HEADS[name]] = _head(n, classes, conv, head_dropout, paper)
    return he(GoogLeNet(layers | _last(n, classes, dropout)), classes)


def googlenet_cifar(classes: int = 10, channels: int = 3, share: int = 4, dropout: float = 0.0) -> GoogLeNet:
    """For pictures of 32×32: three stages of two blocks each at 32, 16 and 8 pixels, the table's numbers over `share`.

    Batch norm, no heads; this package's own reduction, in no paper.
    """
    conv = partial(_conv, batch_norm=True)
    n = 128 // share
    layers: OrderedDict[str, nn.Module] = OrderedDict(conv1=conv(channels, n, 3))
    for name in ("3a", "3b", "4a", "4e", "5a", "5b"):
        if name in ("4a", "5a"):
            layers[f"maxpool{int(name[0]) - 1}"] = _pool()
        one, reduce3, three, reduce5, five, project = (number // share for number in TABLE[name])
        row = (one, reduce3, three, reduce5, five, project)
        layers[f"inception{name}"] = Inception(n, row, conv, 5)
        n = _maps(row)
    return he(GoogLeNet(layers | _last(n, classes, dropout)), classes)


def _conv(n: int, k: int, size: int, stride: int = 1, batch_norm: bool = False) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv"] = nn.Conv2d(n, k, size, stride, size // 2, bias=not batch_norm)
    if batch_norm:
        layers["bn"] = nn.BatchNorm2d(k, eps=1e-3)
    layers["relu"] = nn.ReLU(inplace=True)
    return nn.Sequential(layers)


def _pool(size: int = 3) -> nn.MaxPool2d:
    return nn.MaxPool2d(size, stride=2, ceil_mode=True)


def _maps(row: Row) -> int:
    one, _, three, _, five, project = row
    return one + three + five + project


def _head(n: int, classes: int, conv: Conv, dropout: float, paper: bool) -> nn.Sequential:
    """An auxiliary classifier of maps (N, n, 14, 14)."""
    return nn.Sequential(OrderedDict(
        pool=nn.AvgPool2d(5, stride=3) if paper else nn.AdaptiveAvgPool2d(4),
        conv=conv(n, 128, 1), flatten=nn.Flatten(),
        fc1=nn.Linear(128 * 4 * 4, 1024), relu=nn.ReLU(inplace=True), dropout=nn.Dropout(dropout),
        fc2=nn.Linear(1024, classes),
    ))  # fmt: skip


def _last(n: int, classes: int, dropout: float) -> dict[str, nn.Module]:
    return dict(
        avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), dropout=nn.Dropout(dropout), fc=nn.Linear(n, classes)
    )
