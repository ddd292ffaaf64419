"""What a small convolutional network with hand-made filters sees in a scene of `shapes`: features for a captioner.

One convolution with twelve templates, the six shapes in two sizes, of how far each pixel is from the ground; each
window's answer is divided by the window's contrast; then a maximum over all places. Nothing here is trained.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dl780.data.shapes import EDGES, RADII, SHAPES, SIDE

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
    return torch.cat([_best(_fits(depth, sum(RADII[s]) / 2), depth, picture, AROUND[s]) for s in RADII], 1)


def _templates(r: float) -> Tensor:
    """(6, 1, w, w): a shape of radius r and its border; each template has mean 0 and norm 1."""
    reach = int(r + BORDER)
    v, u = torch.meshgrid(*2 * [torch.arange(-reach, reach + 1.0, dtype=torch.float32)], indexing="ij")
    covers = torch.stack([(0.5 - EDGES[shape](u / r, v / r) * r).clamp(0, 1) for shape in SHAPES])[:, None]
    centred = covers - covers.mean((2, 3), keepdim=True)
    return centred / centred.square().sum((2, 3), keepdim=True).sqrt()


def _fits(depth: Tensor, r: float) -> Tensor:
    """(N, 6, 32, 32): each template's answer at each place, as a share of the window's own contrast."""
    templates = _templates(r)
    width = templates.shape[2]
    mean, square = (_mean(image, width) for image in (depth, depth.square()))
    contrast = width * (square - mean.square()).clamp(min=1 / width**2).sqrt()
    return F.conv2d(depth, templates, padding=width // 2) / contrast


def _mean(image: Tensor, width: int) -> Tensor:
    """The mean over the window around each pixel, rows first: w + w additions, not w · w; outside there are zeros."""
    rows = F.avg_pool2d(image, (1, width), 1, (0, width // 2))
    return F.avg_pool2d(rows, (width, 1), 1, (width // 2, 0))


def _best(fits: Tensor, depth: Tensor, picture: Tensor, window: int) -> Tensor:
    """(N, 12): what one size's templates (N, 6, 32, 32) say at the place where one of them fits best."""
    best, at = fits.amax(1).flatten(1).max(1)

    def there(maps: Tensor) -> Tensor:
        return maps.flatten(2).gather(2, at[:, None, None].expand(-1, maps.shape[1], 1))[..., 0]

    weight, weighted = (_mean(image, window) for image in (depth, depth * picture))
    place = torch.linspace(-1, 1, SIDE, dtype=torch.float32)[torch.stack([at % SIDE, at // SIDE], 1)]
    return torch.cat([there(fits), there(weighted / weight.clamp(min=1e-3)), place, best[:, None]], 1)
