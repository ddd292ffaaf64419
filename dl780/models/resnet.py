"""ResNet (He, Zhang, Ren & Sun 2015, "Deep residual learning for image recognition", table 1 and §4.2; slide "Deep
ResNet (He et al., 2015), winner of ILSVRC 2015").
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from dl780 import UserError
from dl780.models.initial import he

Form = Literal["paper", "torchvision"]
Shortcut = Literal["A", "B"]


class Basic(nn.Module):
    """Z -> relu(F(Z) + Z), F two 3×3 convolutions, each with batch norm (figure 5, left)."""

    expansion = 1

    def __init__(self, n: int, k: int, stride: int, shortcut: Shortcut, form: Form) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(n, k, 3, stride), nn.BatchNorm2d(k)
        self.conv2, self.bn2 = _conv(k, k, 3), nn.BatchNorm2d(k)
        self.downsample = _shortcut(n, k, stride, shortcut)

    def forward(self, Z: Tensor) -> Tensor:
        """(N, n, H, W) -> (N, k, H/stride, W/stride)."""
        H = F.relu(self.bn1(self.conv1(Z)), inplace=True)
        H = self.bn2(self.conv2(H))
        return F.relu(H.add_(self.downsample(Z)), inplace=True)


class Bottleneck(nn.Module):
    """Z -> relu(F(Z) + Z), F of 1×1 to k maps, 3×3, 1×1 to 4k maps (figure 5, right)."""

    expansion = 4

    def __init__(self, n: int, k: int, stride: int, shortcut: Shortcut, form: Form) -> None:
        super().__init__()
        first, second = (stride, 1) if form == "paper" else (1, stride)
        self.conv1, self.bn1 = _conv(n, k, 1, first), nn.BatchNorm2d(k)
        self.conv2, self.bn2 = _conv(k, k, 3, second), nn.BatchNorm2d(k)
        self.conv3, self.bn3 = _conv(k, 4 * k, 1), nn.BatchNorm2d(4 * k)
        self.downsample = _shortcut(n, 4 * k, stride, shortcut)

    def forward(self, Z: Tensor) -> Tensor:
        """(N, n, H, W) -> (N, 4k, H/stride, W/stride)."""
        H = F.relu(self.bn1(self.conv1(Z)), inplace=True)
        H = F.relu(self.bn2(self.conv2(H)), inplace=True)
        H = self.bn3(self.conv3(H))
        return F.relu(H.add_(self.downsample(Z)), inplace=True)


class Pad(nn.Module):
    """Option A: every stride-th pixel, and maps of zeros for those that are new; no weights."""

    def __init__(self, more: int, stride: int) -> None:
        super().__init__()
        self.more, self.stride = more, stride

    def forward(self, Z: Tensor) -> Tensor:
        """(N, n, H, W) -> (N, n + more, H/stride, W/stride)."""
        return F.pad(Z[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))


# Table 1: how many blocks stand in conv2_x, conv3_x, conv4_x and conv5_x.
TABLE: dict[int, tuple[type[Basic | Bottleneck], tuple[int, int, int, int]]] = {
    18: (Basic, (2, 2, 2, 2)),
    34: (Basic, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}
CIFAR_DEPTHS = (20, 32, 44, 56, 110)


def resnet(
    depth: int = 50, form: Form = "paper", classes: int = 1000, channels: int = 3, shortcut: Shortcut = "B"
) -> nn.Sequential:
    """X (N, channels, 224, 224) -> logits (N, classes); the depths of table 1.

    A bottleneck of stride 2 halves its maps in its first convolution in the paper, in its 3×3 in torchvision.
    """
    block, counts = TABLE[depth]
    start = dict(
        conv1=_conv(channels, 64, 7, 2), bn1=nn.BatchNorm2d(64), relu=nn.ReLU(inplace=True),
        maxpool=nn.MaxPool2d(3, stride=2, padding=1),
    )  # fmt: skip
    return _network(start, block, (64, 128, 256, 512), counts, classes, shortcut, form)


def resnet_cifar(depth: int = 20, classes: int = 10, channels: int = 3, shortcut: Shortcut = "A") -> nn.Sequential:
    """X (N, channels, 32, 32) -> logits (N, classes); 6n + 2 layers: n blocks each of 16, 32 and 64 maps (§4.2).

    0.27, 0.46, 0.66, 0.85 and 1.7 million weights for 20, 32, 44, 56 and 110 layers. Raises `UserError`.
    """
    n, rest = divmod(depth - 2, 6)
    if n < 1 or rest:
        raise UserError(f"a ResNet for CIFAR-10 has 6n + 2 layers, 8, 14, 20, …: not {depth}")
    start: dict[str, nn.Module] = dict(conv1=_conv(channels, 16, 3), bn1=nn.BatchNorm2d(16), relu=nn.ReLU(inplace=True))
    return _network(start, Basic, (16, 32, 64), (n, n, n), classes, shortcut, "paper")


def _network(
    start: dict[str, nn.Module], block: type[Basic | Bottleneck], widths: Sequence[int], counts: Sequence[int],
    classes: int, shortcut: Shortcut, form: Form,
) -> nn.Sequential:  # fmt: skip
    """Every stage but the first halves the picture in its first block."""
    layers = OrderedDict(start)
    n = widths[0]
    for i, (k, count) in enumerate(zip(widths, counts, strict=True), 1):
        stage = nn.Sequential()
        for j in range(count):
            stage.append(block(n, k, 2 if i > 1 and j == 0 else 1, shortcut, form))
            n = k * block.expansion
        layers[f"layer{i}"] = stage
    layers |= dict(avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Linear(n, classes))
    return he(nn.Sequential(layers), classes)


def _conv(n: int, k: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(n, k, size, stride, size // 2, bias=False)


def _shortcut(n: int, k: int, stride: int, shortcut: Shortcut) -> nn.Module:
    """The identity; where sizes change, zeros in new maps (option A) or a projection (option B)."""
    if n == k and stride == 1:
        return nn.Identity()
    if shortcut == "A":
        return Pad(k - n, stride)
    return nn.Sequential(_conv(n, k, 1, stride), nn.BatchNorm2d(k))


RESNET: dict[str, Callable[..., nn.Module]] = {
    **{f"resnet{depth}": partial(resnet, depth) for depth in TABLE},
    **{f"resnet{depth}": partial(resnet_cifar, depth) for depth in CIFAR_DEPTHS},
}
