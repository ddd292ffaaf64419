"""What a small convolutional network with hand-made filters sees in a scene of `shapes`: features for a captioner.

One convolution with twelve templates, the six shapes in two sizes, of how far each pixel is from the ground; each
window's answer is divided by the window's contrast; then a maximum over all places. Nothing here is trained.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dl780.data.shapes import EDGES, RADII, SHAPES, SIDE

WINDOW = 19  # pixels: the largest template and its border
BORDER = 2  # pixels around a shape that belong to its template
AROUND = {"small": 7, "large": 13}  # pixels: the window over which a shape's colour is averaged


def features(X: Tensor) -> Tensor:
    """Features (N, 24) of scenes X (N, 3, 32, 32) uint8: twelve for the best small shape, twelve for the best large.

    The twelve: how well each of the six templates fits there, the colour there, the place (x, y from -1 to 1), and
    how well the best template fits.
    """
    picture = X.float() / 255
    ground = picture.flatten(2).median(2).values[:, :, None, None]
    depth = 2 * ((picture - ground).square().sum(1, keepdim=True).sqrt() - 0.1).clamp(0, 0.5)
    fits = _fits(depth).reshape(len(X), len(RADII), len(SHAPES), SIDE, SIDE)
    return torch.cat([_best(fits[:, i], depth, picture, AROUND[size]) for i, size in enumerate(RADII)], 1)


def _templates() -> Tensor:
    """(12, 1, 19, 19): small ones, then large; each of mean 0 and norm 1 over the square around its shape."""
    across = torch.arange(WINDOW) - (WINDOW - 1) / 2
    v, u = torch.meshgrid(across, across, indexing="ij")
    made = []
    for r in (sum(ends) / 2 for ends in RADII.values()):
        near = (u.abs() <= r + BORDER) & (v.abs() <= r + BORDER)
        for shape in SHAPES:
            cover = (0.5 - EDGES[shape](u / r, v / r) * r).clamp(0, 1)
            centred = torch.where(near, cover - cover[near].mean(), 0)
            made.append(centred / centred.norm())
    return torch.stack(made)[:, None].float()


def _fits(depth: Tensor) -> Tensor:
    """(N, 12, 32, 32): each template's answer at each place, as a share of the window's own contrast."""
    templates = _templates()
    near = (templates != 0).float()
    total, squares = (F.conv2d(image, near, padding=WINDOW // 2) for image in (depth, depth.square()))
    spread = squares - total.square() / near.sum((1, 2, 3))[:, None, None]
    return F.conv2d(depth, templates, padding=WINDOW // 2) / spread.clamp(min=1).sqrt()


def _best(fits: Tensor, depth: Tensor, picture: Tensor, window: int) -> Tensor:
    """(N, 12): what one size's templates (N, 6, 32, 32) say at the place where one of them fits best."""
    best, at = fits.amax(1).flatten(1).max(1)

    def there(maps: Tensor) -> Tensor:
        return maps.flatten(2).gather(2, at[:, None, None].expand(-1, maps.shape[1], 1))[..., 0]

    weight, weighted = (F.avg_pool2d(image, window, 1, window // 2) for image in (depth, depth * picture))
    place = torch.linspace(-1, 1, SIDE)[torch.stack([at % SIDE, at // SIDE], 1)]
    return torch.cat([there(fits), there(weighted / weight.clamp(min=1e-3)), place, best[:, None]], 1)
