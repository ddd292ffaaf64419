"""Augmentation on the device: pure functions of a batch and a generator.

Each takes and returns pictures (N, C, H, W), uint8 or float, and draws for every picture by itself. The draws are made
on the generator's device and then moved: one generator on the CPU gives the same augmentation on every device. What
comes in from beyond the border is 0, so augment before `normalise`.
"""

from collections.abc import Callable, Iterable
from functools import partial
from math import log, pi

import torch
import torch.nn.functional as F
from torch import Tensor

from dl780 import UserError

Augmentation = Callable[[Tensor, torch.Generator], Tensor]


def _uniform(X: Tensor, generator: torch.Generator, columns: int) -> Tensor:
    """(N, columns) in [0, 1), in float32 whatever the default is."""
    drawn = torch.rand(len(X), columns, generator=generator, device=generator.device, dtype=torch.float32)
    return drawn.to(X.device, non_blocking=True)


def shift(X: Tensor, generator: torch.Generator, by: int = 2) -> Tensor:
    """Pad by `by` pixels and crop at random: a move of up to `by` pixels each way (Krizhevsky 2012, section 4.1)."""
    N, C, H, W = X.shape
    down, right = (_uniform(X, generator, 2) * (2 * by + 1)).long().unbind(1)
    rows = (down[:, None] + torch.arange(H, device=X.device)).view(N, 1, H, 1).expand(N, C, H, W + 2 * by)
    columns = (right[:, None] + torch.arange(W, device=X.device)).view(N, 1, 1, W).expand(N, C, H, W)
    return F.pad(X, (by, by, by, by)).gather(2, rows).gather(3, columns)


def flip(X: Tensor, generator: torch.Generator, p: float = 0.5) -> Tensor:
    """Mirror left and right with probability p. Not for digits."""
    mirrored = _uniform(X, generator, 1).view(-1, 1, 1, 1) < p
    return torch.where(mirrored, X.flip(3), X)


def affine(X: Tensor, generator: torch.Generator, degrees: float = 10, scale: float = 0.1, shear: float = 0) -> Tensor:
    """Turn by up to ±degrees, zoom by up to 1 ± scale and shear by up to ±shear, about the centre, bilinearly.

    Angles are those of the picture: where H ≠ W, the matrix is taken to the [-1, 1] coordinates of `affine_grid`.
    """
    H, W = X.shape[2:]
    turn, zoom, lean = (2 * _uniform(X, generator, 3) - 1).unbind(1)
    turn, zoom, lean = turn * degrees * pi / 180, 1 / (1 + zoom * scale), lean * shear
    cos, sin = turn.cos() * zoom, turn.sin() * zoom
    zero = torch.zeros_like(cos)
    rows = torch.stack([cos, (lean * cos - sin) * H / W, zero, sin * W / H, lean * sin + cos, zero], 1)
    return _sampled(X, rows)


def cutout(X: Tensor, generator: torch.Generator, size: int = 8) -> Tensor:
    """Black out a square of `size` pixels, centred anywhere and cut at the border (DeVries & Taylor 2017)."""
    H, W = X.shape[2:]
    top, left = (_uniform(X, generator, 2) * torch.tensor([H, W], device=X.device)).long().unbind(1)
    rows = torch.arange(H, device=X.device) - top[:, None] + size // 2  # (N, H): 0 … size-1 inside the square
    columns = torch.arange(W, device=X.device) - left[:, None] + size // 2
    inside = ((rows >= 0) & (rows < size))[:, None, :, None] & ((columns >= 0) & (columns < size))[:, None, None, :]
    return X.masked_fill(inside, 0)


def zoom(X: Tensor, generator: torch.Generator, least: float = 0.35) -> Tensor:
    """A part of the picture, from `least` of its area to all of it, made as large as the whole (Szegedy et al. 2014).

    Its sides are in 3:4 to 4:3, log-uniformly, as far as the picture reaches.
    """
    area, ratio, *at = _uniform(X, generator, 4).unbind(1)
    side, stretch = (least + (1 - least) * area).sqrt(), ((2 * ratio - 1) * log(4 / 3) / 2).exp()
    width, height = (side * stretch).clamp(max=1), (side / stretch).clamp(max=1)
    x, y = ((1 - length) * (2 * place - 1) for length, place in zip((width, height), at, strict=True))
    zero = torch.zeros_like(width)
    rows = torch.stack([width, zero, x, zero, height, y], 1)
    return _sampled(X, rows)


AUGMENTATIONS: dict[str, Augmentation] = {
    "shift": shift,
    "crop": partial(shift, by=4),  # of CIFAR-10 (He et al. 2015, section 4.2)
    "flip": flip,
    "affine": affine,
    "zoom": zoom,
    "cutout": cutout,
}


def _sampled(X: Tensor, rows: Tensor) -> Tensor:
    """Each picture under its affine map (N, 6) of [-1, 1] coordinates, bilinearly; 0 from beyond the border."""
    dtype = X.dtype if X.dtype.is_floating_point else torch.float32
    grid = F.affine_grid(rows.view(-1, 2, 3).to(dtype), list(X.shape), align_corners=False)
    moved = F.grid_sample(X.to(dtype), grid, align_corners=False)
    return moved if X.dtype.is_floating_point else moved.round().to(X.dtype)


def augment(X: Tensor, generator: torch.Generator, names: Iterable[str]) -> Tensor:
    """The named augmentations, one after the other, each with its defaults. Raises `UserError`."""
    for step in known(names):
        X = step(X, generator)
    return X


def known(names: Iterable[str]) -> list[Augmentation]:
    """The functions of these names. Raises `UserError`."""
    if wrong := [name for name in names if name not in AUGMENTATIONS]:
        raise UserError(f"there is no augmentation {wrong[0]!r}; there are: {', '.join(AUGMENTATIONS)}")
    return [AUGMENTATIONS[name] for name in names]
