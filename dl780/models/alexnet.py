"""AlexNet (Krizhevsky, Sutskever & Hinton 2012, "ImageNet classification with deep convolutional neural networks",
figure 2; slide "“AlexNet” (Krizhevsky et al., 2012), winner of ILSVRC 2012").
"""

from collections import OrderedDict
from typing import Literal

from torch import nn

from dl780.models.initial import he

Form = Literal["paper", "torchvision"]
Row = tuple[int, int, int, int, int] | str
# maps, size, stride, padding, groups (2: the two GPUs of the paper, which see each other in layer 3 alone)
LAYERS: dict[Form, tuple[Row, ...]] = {
    "paper": (
        (96, 11, 4, 2, 1), "norm", "pool",
        (256, 5, 1, 2, 2), "norm", "pool",
        (384, 3, 1, 1, 1),
        (384, 3, 1, 1, 2),
        (256, 3, 1, 1, 2), "pool",
    ),
    "torchvision": (
        (64, 11, 4, 2, 1), "pool",
        (192, 5, 1, 2, 1), "pool",
        (384, 3, 1, 1, 1),
        (256, 3, 1, 1, 1),
        (256, 3, 1, 1, 1), "pool",
    ),
}  # fmt: skip
DROPPED: dict[Form, tuple[str, str]] = {"paper": ("fc7", "fc8"), "torchvision": ("fc6", "fc7")}  # whose inputs


def alexnet(form: Form = "paper", classes: int = 1000, channels: int = 3, dropout: float = 0.5) -> nn.Sequential:
    """X (N, channels, 224, 224) -> logits (N, classes).

    The paper's form has 60,965,224 weights. torchvision's, 61,100,840, is that of Krizhevsky 2014, "One weird trick
    for parallelizing convolutional neural networks": no normalisation, no groups.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    n, i = channels, 0
    for row in LAYERS[form]:
        if isinstance(row, str):
            layers[f"{row}{i}"] = response_norm() if row == "norm" else nn.MaxPool2d(3, stride=2)  # overlapping
        else:
            i += 1
            k, size, stride, padding, groups = row
            layers[f"conv{i}"] = nn.Conv2d(n, k, size, stride, padding, groups=groups)
            layers[f"relu{i}"] = nn.ReLU(inplace=True)
            n = k
    layers["avgpool"] = nn.AdaptiveAvgPool2d(6)  # changes nothing for 224×224
    layers["flatten"] = nn.Flatten()
    for name, inputs, outputs in (("fc6", n * 6 * 6, 4096), ("fc7", 4096, 4096), ("fc8", 4096, classes)):
        if name in DROPPED[form]:
            layers[f"dropout_{name}"] = nn.Dropout(dropout)
        layers[name] = nn.Linear(inputs, outputs)
        if name != "fc8":
            layers[name.replace("fc", "relu")] = nn.ReLU(inplace=True)
    return he(nn.Sequential(layers), classes)


def response_norm() -> nn.LocalResponseNorm:
    """Z_i / (2 + 10⁻⁴ Σ_j Z_j²)^0.75, j the five maps around i (§3.3); torch divides its α by that five."""
    return nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2)
