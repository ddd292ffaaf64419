"""LeNet-5 (LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition"; slide
"LeNet network, digit classification").
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Table I of the paper: the maps of S2 that each of the 16 maps of C3 sees.
C3_SEES = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5)),
)
# The fixed output layer holds a picture of each digit, 12 rows of 7 pixels; these are drawn after figure 3.
DIGITS = """
.#####. ...##.. .#####. .#####. .....## ####### ..####. ####### .#####. .#####.
##...## ..###.. ##...## ##...## ....### ##..... .##.... ....... ##...## ##...##
##...## .####.. .....## .....## ...#.## ##..... ##..... .....## ##...## ##...##
##...## ...##.. .....## .....## ..##.## ##..... ##..... .....## ##...## ##...##
##...## ...##.. ....##. .....## .##..## ######. ##..... ....##. .##.##. ##...##
##...## ...##.. ...##.. ..####. ##...## .....## ######. ....##. ..###.. .######
##...## ...##.. ..##... .....## ##...## .....## ##...## ...##.. .##.##. .....##
##...## ...##.. .##.... .....## ####### .....## ##...## ...##.. ##...## .....##
##...## ...##.. ##..... .....## .....## .....## ##...## ..##... ##...## .....##
##...## ...##.. ##..... .....## .....## .....## ##...## ..##... ##...## .....##
##...## ...##.. ##..... ##...## .....## ##...## ##...## .##.... ##...## ....##.
.#####. .#####. ####### .#####. .....## .#####. .#####. .##.... .#####. .####..
"""


def lenet5(channels: int = 1, classes: int = 10) -> nn.Sequential:
    """The form in use today: X (N, channels, 28, 28) -> logits (N, classes); 61,706 weights for 1 and 10.

    Padding 2 stands for the paper's 32×32 inputs; ReLU and max-pooling for tanh and trainable subsampling, every map
    of the second convolution sees all of the first, and the last layer is learned.
    """
    return nn.Sequential(
        nn.Conv2d(channels, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),  # (N, 6, 14, 14)
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),  # (N, 16, 5, 5)
        nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(),
        nn.Linear(120, 84), nn.ReLU(),
        nn.Linear(84, classes),
    )  # fmt: skip


def lenet5_1998() -> nn.Sequential:
    """As in the paper: X (N, 1, 28, 28), padded to 32×32 -> logits (N, 10); 60,000 weights before the fixed output."""
    return nn.Sequential(
        nn.ZeroPad2d(2),
        nn.Conv2d(1, 6, 5), ScaledTanh(),  # C1: (N, 6, 28, 28)
        Subsample(6), ScaledTanh(),  # S2: (N, 6, 14, 14)
        SparseConv2d(C3_SEES, 5), ScaledTanh(),  # C3: (N, 16, 10, 10)
        Subsample(16), ScaledTanh(),  # S4: (N, 16, 5, 5)
        nn.Conv2d(16, 120, 5), ScaledTanh(),  # C5: (N, 120, 1, 1)
        nn.Flatten(),
        nn.Linear(120, 84), ScaledTanh(),  # F6
        RadialBasis(_bitmaps()),
    )  # fmt: skip


class ScaledTanh(nn.Module):
    """f(a) = 1.7159 tanh(2a/3): its slope is greatest in curvature at ±1, where the targets are (appendix A)."""

    def forward(self, a: Tensor) -> Tensor:
        """Elementwise."""
        return 1.7159 * (2 / 3 * a).tanh()


class Subsample(nn.Module):
    """The sum over 2×2 windows, times a weight, plus a bias, both of a map: (N, C, H, W) -> (N, C, H/2, W/2)."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((maps, 1, 1), 0.25))
        self.bias = nn.Parameter(torch.zeros(maps, 1, 1))

    def forward(self, Z: Tensor) -> Tensor:
        """Sum, scale and shift."""
        return self.weight * 4 * F.avg_pool2d(Z, 2) + self.bias


class SparseConv2d(nn.Module):
    """A convolution whose output map i sees the input maps sees[i] alone; a weight stands for a connection."""

    rows: Tensor
    columns: Tensor

    def __init__(self, sees: tuple[tuple[int, ...], ...], size: int) -> None:
        super().__init__()
        pairs = torch.tensor([(i, j) for i, seen in enumerate(sees) for j in seen])
        self.register_buffer("rows", pairs[:, 0], persistent=False)
        self.register_buffer("columns", pairs[:, 1], persistent=False)
        self.shape = (len(sees), 1 + max(map(max, sees)), size, size)
        fan_in = torch.tensor([len(seen) for seen in sees])[self.rows] * size**2
        bound = fan_in.rsqrt().view(-1, 1, 1)
        self.weight = nn.Parameter(torch.empty(len(pairs), size, size).uniform_(-1, 1) * bound)
        self.bias = nn.Parameter(torch.zeros(len(sees)))

    def forward(self, Z: Tensor) -> Tensor:
        """(N, 6, 14, 14) -> (N, 16, 10, 10), for table I."""
        weight = self.weight.new_zeros(self.shape).index_put((self.rows, self.columns), self.weight)
        return F.conv2d(Z, weight, self.bias)


class RadialBasis(nn.Module):
    """y_i = -Σ_j (z_j - w_ij)²: the nearer F6 is to a digit's picture, the larger its logit (eq. 7, and its sign)."""

    centres: Tensor

    def __init__(self, centres: Tensor) -> None:
        super().__init__()
        self.register_buffer("centres", centres)

    def forward(self, Z: Tensor) -> Tensor:
        """(N, 84) -> (N, 10)."""
        return 2 * Z @ self.centres.T - (self.centres**2).sum(1) - (Z**2).sum(1, keepdim=True)


def _bitmaps() -> Tensor:
    """Ten pictures of 12×7 pixels, each ±1, as rows (10, 84)."""
    rows = [line.split() for line in DIGITS.split("\n") if line]
    return torch.tensor([[1.0 if p == "#" else -1.0 for row in rows for p in row[digit]] for digit in range(10)])
