"""AlphaGo's network with one trunk for policy and value (Silver et al. 2017, "Mastering the game of Go without human
knowledge", methods; slide "Artificial intelligence: Google's AlphaGo beats Go master Lee Se-dol").
"""

import copy
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from dl780.models.initial import he
from dl780.models.resnet import Basic


class AlphaGo(nn.Module):
    """X (N, c, h, w) -> logits of the moves (N, A), and the value for the player to move v (N) in [-1, 1].

    A convolution, `blocks` residual blocks of `maps` maps, then two heads: 1×1 convolution to 2 maps and a linear
    layer; 1×1 convolution to 1 map, `hidden` units, tanh.
    """

    def __init__(
        self, planes: int = 2, rows: int = 3, columns: int = 3, moves: int = 9, maps: int = 32, blocks: int = 2,
        hidden: int = 64,
    ) -> None:  # fmt: skip
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(planes, maps, 3, padding=1, bias=False), nn.BatchNorm2d(maps), nn.ReLU(inplace=True),
            *(Basic(maps, maps, 1, "B", "paper") for _ in range(blocks)),
        )  # fmt: skip
        self.policy = nn.Sequential(
            nn.Conv2d(maps, 2, 1, bias=False), nn.BatchNorm2d(2), nn.ReLU(inplace=True), nn.Flatten(),
            nn.Linear(2 * rows * columns, moves),
        )  # fmt: skip
        self.value = nn.Sequential(
            nn.Conv2d(maps, 1, 1, bias=False), nn.BatchNorm2d(1), nn.ReLU(inplace=True), nn.Flatten(),
            nn.Linear(rows * columns, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, 1), nn.Tanh(),
        )  # fmt: skip
        he(self.trunk, 0)
        he(self.policy, moves)
        he(self.value, 1)

    def forward(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """(N, c, h, w) -> (N, A), (N)."""
        Z = self.trunk(X)
        return self.policy(Z), self.value(Z).squeeze(1)


def folded(model: nn.Module) -> nn.Module:
    """A copy in evaluation, every batch norm folded into the convolution before it: the same function, fewer passes."""
    model = copy.deepcopy(model).eval().requires_grad_(False)
    for layers in [module for module in model.modules() if isinstance(module, nn.Sequential | Basic)]:
        named = list(layers.named_children())
        for (conv_name, conv), (bn_name, bn) in pairwise(named):
            if isinstance(conv, nn.Conv2d) and isinstance(bn, nn.BatchNorm2d):
                layers.add_module(conv_name, fuse_conv_bn_eval(conv, bn))
                layers.add_module(bn_name, nn.Identity())
    return model
