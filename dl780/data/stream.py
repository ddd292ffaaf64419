"""Pictures that do not fit: decoded by the processes of a DataLoader, batch by batch, in the order that is asked."""

import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from dl780 import UserError
from dl780.data.dataset import Split

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 224
MOST_PIXELS = 2**26  # of one picture
Source = Path | bytes


def open_picture(source: Source) -> "Image":
    """A picture whose size is known and whose pixels are not read yet. Raises `UserError`."""
    from PIL import Image

    try:
        picture = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{_name(source)} is no picture that can be read: delete it or get it again") from error
    if picture.width * picture.height > MOST_PIXELS:
        raise UserError(f"{_name(source)} is too large, {picture.width}×{picture.height} pixels: make it smaller")
    return picture


def pixels(picture: "Image") -> Tensor:
    """(3, H, W) uint8, grey pictures too. Raises `UserError`."""
    import numpy as np

    try:
        return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)
    except (OSError, SyntaxError, ValueError) as error:
        name = getattr(picture, "filename", "") or "a picture of the archive"
        raise UserError(f"{name} is cut off or broken: delete it or get it again") from error


@dataclass(frozen=True)
class Stream(Split):
    """Pictures in files. `X` (0, 3, 224, 224) holds none, only their shape; `batches` brings them.

    Each is scaled until its shorter side has 224 pixels, and the middle is taken.
    """

    paths: tuple[Path, ...] = ()
    device: str = "cpu"
    workers: int = min(8, os.cpu_count() or 1)

    @classmethod
    def of(cls, paths: tuple[Path, ...], y: Tensor) -> "Stream":
        return cls(torch.empty(0, 3, SIDE, SIDE, dtype=torch.uint8), y, paths=paths)

    def to(self, device: torch.device | str) -> "Stream":
        """The same pictures, each batch of which goes to a device."""
        return replace(self, device=str(device))

    def take(self, index: Tensor) -> "Stream":
        """The pictures at `index` (n,), in that order."""
        return replace(self, y=self.y[index], paths=tuple(self.paths[i] for i in index.tolist()))

    def feed(self, batches: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """As `Split.feed`. Raises `UserError` for a picture that cannot be read."""
        loader: DataLoader[tuple[Tensor, Tensor]] = DataLoader(
            _Pictures(self.paths, self.y),  # type: ignore[arg-type]
            batch_sampler=[batch.tolist() for batch in batches],
            num_workers=self.workers,
            pin_memory=self.device.startswith("cuda"),
            generator=torch.Generator(),  # else the loader draws from the global one
        )
        try:
            for X, y in loader:
                yield X.to(self.device, non_blocking=True), y.to(self.device, non_blocking=True)
        except UserError as error:  # a worker's comes with its traceback as the message
            raise UserError(str(error).strip().splitlines()[-1].removeprefix("dl780.UserError: ")) from None


class _Pictures:
    """What the processes of a loader index."""

    def __init__(self, paths: tuple[Path, ...], y: Tensor) -> None:
        self.paths, self.y = paths, y

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        from PIL import ImageOps

        with open_picture(self.paths[i]) as picture:
            try:
                fitted = ImageOps.fit(picture.convert("RGB"), (SIDE, SIDE))
            except (OSError, SyntaxError, ValueError) as error:
                raise UserError(f"{self.paths[i]} is cut off or broken: delete it or get it again") from error
        return pixels(fitted), self.y[i]


def _name(source: Source) -> str:
    return "a picture of the archive" if isinstance(source, bytes) else str(source)
