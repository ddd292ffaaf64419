"""VGG (Simonyan & Zisserman 2015, "Very deep convolutional networks for large-scale image recognition", table 1; slide
"VGG Network (Simonyan and Zisserman, 2015), 2nd place in ILSVRC 2014"): every column of the table.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

from torch import nn

from dl780.models.alexnet import response_norm
from dl780.models.initial import he

# conv3-64 is 64, conv1-256 is 1x256, M is maxpool.
COLUMNS = {
    "A": "64 M 128 M 256 256 M 512 512 M 512 512 M",
    "A-LRN": "64 LRN M 128 M 256 256 M 512 512 M 512 512 M",
    "B": "64 64 M 128 128 M 256 256 M 512 512 M 512 512 M",
    "C": "64 64 M 128 128 M 256 256 1x256 M 512 512 1x512 M 512 512 1x512 M",
    "D": "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
    "E": "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
}


def vgg(
    column: str = "D",
    batch_norm: bool = False,
    classes: int = 1000,
    channels: int = 3,
    side: int = 224,
    hidden: Sequence[int] = (4096, 4096),
    dropout: float = 0.5,
) -> nn.Sequential:
    """X (N, channels, side, side) -> logits (N, classes).

    `hidden` are the units of the fully-connected layers before the last; `side` is a multiple of 32. The form for
    CIFAR-10 has side 32 and no hidden layer: 512 maps of 1×1, then the classes.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    n, stage, i = channels, 1, 1
    for word in COLUMNS[column].split():
        if word == "M":
            layers[f"pool{stage}"] = nn.MaxPool2d(2)
            stage, i = stage + 1, 1
        elif word == "LRN":
            layers[f"norm{stage}"] = response_norm()
        else:
            size, k = (1, int(word[2:])) if word.startswith("1x") else (3, int(word))
            layers[f"conv{stage}_{i}"] = nn.Conv2d(n, k, size, padding=size // 2)
            if batch_norm:
                layers[f"bn{stage}_{i}"] = nn.BatchNorm2d(k)
            layers[f"relu{stage}_{i}"] = nn.ReLU(inplace=True)
            n, i = k, i + 1
    layers["avgpool"] = nn.AdaptiveAvgPool2d(side // 32)  # changes nothing for side×side
    layers["flatten"] = nn.Flatten()
    sizes = (n * (side // 32) ** 2, *hidden, classes)
    for i, (inputs, outputs) in enumerate(pairwise(sizes), 6):
        layers[f"fc{i}"] = nn.Linear(inputs, outputs)
        if i < len(hidden) + 6:
            layers[f"relu{i}"] = nn.ReLU(inplace=True)
            layers[f"dropout{i}"] = nn.Dropout(dropout)
    return he(nn.Sequential(layers), classes)


DEPTHS = {"vgg11": "A", "vgg11_lrn": "A-LRN", "vgg13": "B", "vgg16_c": "C", "vgg16": "D", "vgg19": "E"}
VGG: dict[str, Callable[..., nn.Module]] = {name: partial(vgg, column) for name, column in DEPTHS.items()}
for name in ("vgg11", "vgg13", "vgg16", "vgg19"):
    VGG[f"{name}_bn"] = partial(vgg, DEPTHS[name], batch_norm=True)
    VGG[f"{name}_cifar"] = partial(vgg, DEPTHS[name], batch_norm=True, classes=10, side=32, hidden=())
