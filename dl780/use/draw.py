"""Pictures of tensors: what every figure here shares."""

from typing import Any

import torch
from torch import Tensor

COLOURS = ("#c9ced6", "#e8a66b")  # of a bar that is not, and of one that is; black text is readable on both


def show(axes: Any, X: Tensor) -> None:
    """Draw a picture (C, H, W): uint8, or in [0, 1]; grey where it has one channel."""
    pixels = X.permute(1, 2, 0).squeeze(-1).numpy()
    top = 255 if X.dtype == torch.uint8 else 1
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=top, interpolation="nearest")
    axes.axis("off")


def describe(text: str) -> dict[str, str]:
    """Metadata of a PNG: what can be seen, in words, for those who cannot see it."""
    return {"Description": text}


def tiles(X: Tensor, columns: int, gap: int = 1) -> Tensor:
    """Pictures (N, C, h, w) in [0, 1] side by side, white between them: (C, H, W)."""
    N, C, h, w = X.shape
    rows = -(-N // columns)
    sheet = torch.ones(C, rows * (h + gap) + gap, columns * (w + gap) + gap)
    for i, x in enumerate(X):
        top, left = gap + i // columns * (h + gap), gap + i % columns * (w + gap)
        sheet[:, top : top + h, left : left + w] = x
    return sheet
