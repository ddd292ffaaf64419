"""Deep Dream: climb the activations of a layer by changing the picture (Mordvintsev, Olah & Tyka 2015, "Inceptionism";
slide "Google Deep Dream software").
"""

from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from dl780 import UserError
from dl780.data.stream import open_picture, pixels
from dl780.files import whole
from dl780.use.film import image
from dl780.use.network import Network, activation, as_channels, maps

LEAST = 16  # pixels of the smallest octave's shorter side


def sample() -> Path:
    """The photograph that comes with matplotlib."""
    import matplotlib

    return Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"


def start(network: Network, path: Path, side: int) -> Tensor:
    """A picture whose longer side has `side` pixels, in the network's channels: (C, H, W), 0 to 255."""
    if side < LEAST:
        raise UserError(f"--side takes a number from {LEAST}, not {side}")
    with open_picture(path) as file:
        X = pixels(file).float()
    share = side / max(X.shape[1:])
    size = [max(LEAST, round(n * share)) for n in X.shape[1:]]
    return as_channels(_resize(X, size), network.shape[0]).clamp(0, 255)


def usual_layer(network: Network) -> str:
    """The deepest layer whose maps are still 4 pixels high, and a sixteenth of the picture: parts of things.

    Raises `UserError`.
    """
    least = max(4, network.shape[1] // 16)
    found = [name for name, shape in maps(network).items() if shape[1] >= least]
    if not found:
        raise UserError(f"{network.title}: it has no layer that gives maps, so it cannot dream")
    return found[-1]


def dream(
    network: Network,
    picture: Tensor,
    layer: str,
    channel: int | None = None,
    octaves: int = 4,
    scale: float = 1.4,
    steps: int = 10,
    rate: float = 1.5,
    jitter: int = 8,
    total_variation: float = 0.0,
    seed: int = 0,
) -> Iterator[Tensor]:
    """The picture (C, H, W), 0 to 255, after every step, at its full size.

    It is climbed at `octaves` sizes, each `scale` times the one before; what was added at one is taken along to the
    next. Raises `UserError`.

    Args:
        network: whose activations are climbed
        picture: where the climb begins
        layer: its ½ mean(Z²) is climbed
        channel: or the mean of this channel alone
        octaves: how many sizes; those under 16 pixels are left out
        scale: from one to the next
        steps: at each
        rate: grey levels that a step moves a pixel, in the mean
        jitter: most pixels that the picture is rolled before each step, so that no grid of the strides is seen
        total_variation: how much of a step goes against differences between neighbours
        seed: of the jitter
    """
    _check(scale, octaves=(octaves, 1), steps=(steps, 1), jitter=(jitter, 0))
    generator = torch.Generator().manual_seed(seed)
    full = list(picture.shape[1:])
    sizes = [[round(n / scale**i) for n in full] for i in reversed(range(octaves))]
    added = torch.zeros_like(picture)
    for size in [s for s in sizes if min(s) >= LEAST or s == full]:
        base, added = _resize(picture, size), _resize(added, size)
        X = (base + added).clamp(0, 255)
        for _ in range(steps):
            shift = torch.randint(-jitter, jitter + 1, (2,), generator=generator).tolist()
            G = ascent(network, X.roll(shift, (1, 2)), layer, channel, total_variation).roll(
                [-s for s in shift], (1, 2)
            )
            X = (X + rate * G).clamp(0, 255)
            yield (picture + _resize(X - base, full)).clamp(0, 255)
        added = X - base


def save(network: Network, picture: Tensor, layer: str, out: Path) -> None:
    """Write a picture as PNG, with what it is in its metadata."""
    from PIL.PngImagePlugin import PngInfo

    about = PngInfo()
    about.add_itxt("Description", f"a picture that excites {layer} of {network.title}")
    with whole(out) as part:
        image(picture).save(part, "PNG", pnginfo=about)


def ascent(network: Network, X: Tensor, layer: str, channel: int | None = None, total_variation: float = 0.0) -> Tensor:
    """The direction in which a picture X (C, H, W) excites a layer more, of mean size 1; against variation if asked."""
    X = X.detach().requires_grad_()
    Z = activation(network, X[None], layer)
    if channel is not None and not 0 <= channel < Z.shape[1]:
        raise UserError(f"{layer} has channels 0 to {Z.shape[1] - 1}, and no {channel}")
    J = (Z**2).mean() / 2 if channel is None else Z[:, channel].mean()
    G = _unit(*torch.autograd.grad(J, X))
    if total_variation:
        G = _unit(G - total_variation * _unit(*torch.autograd.grad(variation(X), X)))
    return G


def variation(X: Tensor) -> Tensor:
    """Σ |X_{i+1,j} - X_{ij}| + |X_{i,j+1} - X_{ij}| over a picture (C, H, W)."""
    return X.diff(dim=1).abs().sum() + X.diff(dim=2).abs().sum()


def _check(scale: float, **numbers: tuple[int, int]) -> None:
    """Each number against its least."""
    for name, (value, least) in numbers.items():
        if value < least:
            raise UserError(f"--{name} takes a number from {least}, not {value}")
    if scale <= 1:
        raise UserError(f"--scale takes a number above 1, not {scale}")


def _unit(G: Tensor) -> Tensor:
    """Of mean absolute value 1; zeros stay zeros."""
    return G / G.abs().mean().clamp(min=1e-20)


def _resize(X: Tensor, size: list[int]) -> Tensor:
    if list(X.shape[1:]) == size:
        return X
    return F.interpolate(X[None], size, mode="bilinear", antialias=True)[0]
