"""A network from inside: the filters of its first layer, the maps of its layers, the examples that excite it most
(Zeiler & Fergus 2014, "Visualizing and understanding convolutional networks"; slide "Some classification results from
AlexNet").
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dl780 import UserError
from dl780.data import Split, batches
from dl780.files import whole
from dl780.use.draw import describe, show, tiles
from dl780.use.network import Network, activation, maps

CHANNELS = 8  # of each layer that are drawn
EXAMPLES = 2000  # of the validation set that are searched
BATCH = 100


def first_filters(network: Network) -> Tensor:
    """The weights of the first layer as pictures (k, 1 or 3, h, w) in [0, 1], each on its own scale, 0 in the middle.

    A fully-connected layer's rows have the shape of the input. A filter of another number of channels gives a picture
    for each. Raises `UserError`.
    """
    W = next((p.detach().float() for p in network.model.parameters() if p.ndim > 1), None)
    if W is None:
        raise UserError(f"{network.title}: it has no filters")
    if W.ndim == 2 and W[0].numel() == torch.Size(network.shape).numel():
        W = W.view(-1, *network.shape)
    if W.ndim != 4:
        raise UserError(f"{network.title}: its first weights, {tuple(W.shape)}, are no filters on pictures")
    if W.shape[1] != 3:
        W = W.flatten(0, 1)[:, None]
    return 0.5 + 0.5 * W / W.abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-12)


def chosen(network: Network) -> list[str]:
    """The last layer of every size of map, from the largest to the smallest."""
    by_size = {tuple(shape[1:]): name for name, shape in maps(network).items()}
    return sorted(by_size.values(), key=list(maps(network)).index)


def liveliest(Z: Tensor) -> tuple[Tensor, Tensor]:
    """The channels of one picture's maps Z (c, h, w) whose mean is highest, and those maps, each scaled to [0, 1]."""
    channels = Z.mean((1, 2)).topk(min(CHANNELS, len(Z))).indices
    drawn = Z[channels]
    low, high = drawn.amin((1, 2), keepdim=True), drawn.amax((1, 2), keepdim=True)
    return channels, (drawn - low) / (high - low).clamp(min=1e-12)


def most_exciting(network: Network, layer: str, split: Split) -> tuple[list[int], Tensor, Tensor]:
    """The channels of a layer that vary most over a split, and for each the examples with the highest activation.

    Returns channels (c), the examples' indices (c, 8), and where in them the maximum lies, as shares (c, 8, 2) of
    height and width.
    """
    highest, places = [], []
    for X, _ in batches(split, BATCH):
        with torch.inference_mode():
            Z = activation(network, X, layer)
        h, w = Z.shape[2:]
        value, at = Z.flatten(2).max(2)
        highest.append(value)
        places.append(torch.stack([(at // w + 0.5) / h, (at % w + 0.5) / w], -1))
    value, place = torch.cat(highest), torch.cat(places)
    channels = value.std(0).topk(min(CHANNELS, value.shape[1])).indices
    best = value[:, channels].topk(min(CHANNELS, len(value)), dim=0).indices.T
    return channels.tolist(), best, place[best, channels[:, None]]


def look(network: Network, out: Path, picture: Path | None = None, layer: str | None = None) -> list[str]:
    """Write filters.png, maps.png and examples.png into a folder; return a line for each, or why it is not there."""
    split = network.data.validation if network.data else None
    if split is not None:
        split = split.take(torch.arange(min(EXAMPLES, len(split))))
    lines = [_draw_filters(network, out / "filters.png")]
    names = chosen(network)
    if not names:
        return [*lines, "no maps and no examples: the network has no layer that gives maps"]
    if picture:
        lines.append(_draw_maps(network, network.picture(picture), names, out / "maps.png"))
    elif split:
        lines.append(_draw_maps(network, next(batches(split, 1))[0][0], names, out / "maps.png"))
    else:
        lines.append("no maps: --picture IMAGE names one to look at")
    if split:
        lines.append(_draw_examples(network, layer or names[-1], split, out / "examples.png"))
    else:
        lines.append("no examples: --data FOLDER names pictures to search")
    return lines


def _draw_filters(network: Network, out: Path) -> str:
    W = first_filters(network)
    columns = min(16, len(W))
    figure = _figure(7, 0.6 + 7 * -(-len(W) // columns) / columns)
    show(figure.subplots(), tiles(W, columns))
    return _save(figure, f"the {len(W)} filters of the first layer, {W.shape[2]}×{W.shape[3]}", network, out)


def _draw_maps(network: Network, X: Tensor, names: list[str], out: Path) -> str:
    figure = _figure(1 + 1.1 * (CHANNELS + 1), 0.6 + 1.25 * len(names))
    grid = figure.subplots(len(names), CHANNELS + 1, squeeze=False)
    for row, name in zip(grid, names, strict=True):
        for axes in row:
            axes.axis("off")
        with torch.inference_mode():
            Z = activation(network, X[None], name)[0]
        show(row[0], X)
        row[0].set_title(f"{name}\n{'×'.join(map(str, Z.shape))}", fontsize=7)
        for axes, channel, drawn in zip(row[1:], *liveliest(Z), strict=False):
            show(axes, drawn[None])
            axes.set_title(str(channel.item()), fontsize=7)
    return _save(figure, f"the liveliest maps of {', '.join(names)} for one picture", network, out)


def _draw_examples(network: Network, layer: str, split: Split, out: Path) -> str:
    channels, best, place = most_exciting(network, layer, split)
    figure = _figure(1 + 1.1 * best.shape[1], 0.6 + 1.15 * len(channels))
    grid = figure.subplots(len(channels), best.shape[1], squeeze=False)
    for row, channel, index, places in zip(grid, channels, best, place, strict=True):
        X = torch.cat([X for X, _ in split.feed(index[:, None])])
        for axes, x, (y_share, x_share) in zip(row, X, places.tolist(), strict=True):
            show(axes, x)
            axes.plot(x_share * x.shape[2] - 0.5, y_share * x.shape[1] - 0.5, "o", mfc="none", mec="#ff3b80", ms=9)
        row[0].set_title(f"channel {channel}", fontsize=7)
    text = (
        f"the {best.shape[1]} of {len(split):,} validation examples that excite each channel of {layer} most, and where"
    )
    return _save(figure, text, network, out)


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Any, text: str, network: Network, out: Path) -> str:
    figure.suptitle(f"{text}\n{network.title}", fontsize=8)
    with whole(out) as part:
        figure.savefig(part, dpi=150, format="png", metadata=describe(f"{text}; {network.title}"))
    return f"{out}: {text}"
