"""A film of pictures that does not flash: in any second no point travels further than 0.55 in relative luminance.

Three flashes, each two opposite changes of 0.1 or more (WCAG 2.2, criterion 2.3.1), would need 0.6. Frames follow the
pictures: from one to the next a point moves at most `MOST` grey levels of 255, at `RATE` frames a second, and luminance
rises by at most 2.28 times the share of a level (sRGB, at white): 10 · 6/255 · 2.28 = 0.54. The film plays once: from
the last frame to the first would be a jump.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dl780 import UserError
from dl780.files import whole

RATE = 10  # frames a second
MOST = 6.0  # grey levels
TRAVEL = 0.55  # relative luminance, of a point in a second
KEEP = 16  # grey levels that a point of a GIF is off before it takes another of its 256 colours
KINDS = {".gif": "GIF", ".png": "PNG", ".webp": "WEBP"}


def calm(pictures: Iterable[Tensor]) -> Iterator[Tensor]:
    """Frames that move at most `MOST` towards each picture (C, H, W), 0 to 255, and at last reach the last one."""
    frame = picture = None
    for picture in pictures:
        frame = picture if frame is None else frame + (picture - frame).clamp(-MOST, MOST)
        yield frame
    while frame is not None and picture is not None and not torch.equal(frame, picture):
        frame = frame + (picture - frame).clamp(-MOST, MOST)
        yield frame


def check(path: Path) -> None:
    """Raise `UserError` for a film that is none of the kinds."""
    if path.suffix.lower() not in KINDS:
        raise UserError(f"--film takes a name that ends with {', '.join(KINDS)}, not {path.name}")


def save(pictures: Iterable[Tensor], path: Path) -> int:
    """Write a film of pictures (C, H, W), 0 to 255; returns its number of frames.

    `.png` and `.webp` keep every colour. A GIF has 256 for all its frames; a point has the nearest one, and keeps it
    until it is `KEEP` levels off, so that points between two colours do not flicker.
    """
    check(path)
    kind = KINDS[path.suffix.lower()]
    frames = [image(frame) for frame in calm(pictures)]
    if kind == "GIF":
        frames = _indexed(frames)
    loop: dict[str, Any] = {} if kind == "GIF" else dict(loop=1)
    more = dict(lossless=True) if kind == "WEBP" else dict(optimize=False, disposal=1) if kind == "GIF" else {}
    with whole(path) as part:
        frames[0].save(
            part, kind, save_all=True, append_images=frames[1:], duration=1000 // RATE, **loop, **more
        )  # fmt: skip
    return len(frames)


def image(X: Tensor) -> Any:
    """A picture (C, H, W), 0 to 255, as one of PIL, in RGB."""
    from PIL import Image

    return Image.fromarray(X.round().byte().expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy())


def _indexed(frames: list[Any]) -> list[Any]:
    """The same in 256 colours. A point that has travelled `TRAVEL` in a second waits until it may go on."""
    import numpy as np
    from PIL import Image

    some = [*frames[:: -(-len(frames) // 8)], frames[-1]]
    palette = Image.fromarray(np.concatenate([np.array(frame) for frame in some])).quantize(256)
    colours = np.array(palette.getpalette()).reshape(-1, 3)
    light = luminance(colours)
    shown = np.array(frames[0].quantize(palette=palette, dither=Image.Dither.NONE))
    found, travelled = [shown], deque([np.zeros(shown.shape)], maxlen=RATE - 1)
    for frame in [*frames[1:], *[frames[-1]] * RATE]:
        nearest = np.array(frame.quantize(palette=palette, dither=Image.Dither.NONE))
        off = np.abs(np.array(frame, dtype=float) - colours[shown]).max(2)
        step = np.abs(light[nearest] - light[shown])
        moves = (off > KEEP) & (sum(travelled) + step <= TRAVEL)
        travelled.append(np.where(moves, step, 0))
        shown = np.where(moves, nearest, shown)
        found.append(shown)
    images = [Image.fromarray(indices.astype(np.uint8)) for indices in found]
    for drawn in images:
        drawn.putpalette(palette.getpalette())  # type: ignore[arg-type]
    return images


def luminance(colours: Any) -> Any:
    """Relative luminance of sRGB colours (…, 3), 0 to 255, as WCAG defines it."""
    import numpy as np

    v = colours / 255
    linear = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])
