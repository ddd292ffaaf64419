"""Scenes of coloured shapes with a label and three captions, drawn from a seed: RGB pictures that nobody has to fetch.

A scene is 3×32×32 and holds one shape, or a large one and a small one that stand above, below, left or right of each
other. The label is the shape of the only or the large one; its colour tells nothing. A caption says nothing that
another scene of the same caption would not show, and each of the three leaves something out or says it another way.

Six pairs of shape and colour (`HELD_OUT`: each shape once, each colour once) are never drawn for training or
validation; the label's shape in *every* test scene is such a pair. Validation accuracy is thus that of scenes like
those trained on, test accuracy that of shapes in colours never seen together.
"""

from collections.abc import Callable
from math import cos, hypot, pi, sin

import torch
from torch import Tensor

from dl780.data.dataset import Split

Edge = Callable[[Tensor, Tensor], Tensor]
SIDE = 32
SHAPES = ("circle", "square", "triangle", "cross", "ring", "star")
COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.90, 0.16, 0.14),
    "green": (0.16, 0.74, 0.24),
    "blue": (0.18, 0.36, 0.95),
    "yellow": (0.97, 0.87, 0.16),
    "purple": (0.68, 0.24, 0.86),
    "white": (0.96, 0.96, 0.96),
}
PAIRS = len(SHAPES) * len(COLOURS)  # a pair is shape * 6 + colour
HELD_OUT = tuple(shape * len(COLOURS) + (shape + 2) % len(COLOURS) for shape in range(len(SHAPES)))
FAMILIAR = tuple(pair for pair in range(PAIRS) if pair not in HELD_OUT)
RADII = {"small": (3.6, 4.6), "large": (6.4, 7.6)}  # pixels; the gap between them can be seen
RELATIONS = ("above", "below", "left of", "right of")  # the large one is … the small one
SIDES = ("below it", "above it", "to its right", "to its left")  # where the small one then stands
PLACES = {  # of a shape that stands alone -> its centre, as shares of the room there is
    "at the top": (0.5, 0.0),
    "at the bottom": (0.5, 1.0),
    "on the left": (0.0, 0.5),
    "on the right": (1.0, 0.5),
    "in the middle": (0.5, 0.5),
}
CHUNK = 1024  # scenes drawn at a time


def splits(seed: int = 0, train: int = 8000, validation: int = 1000, test: int = 2000) -> tuple[Split, Split, Split]:
    """Train, validation and test. The same seed draws the same scenes, for the same torch on the same device."""
    generator = torch.Generator().manual_seed(seed)
    counts, pairs = (train, validation, test), (FAMILIAR, FAMILIAR, HELD_OUT)
    first, second, third = (scenes(n, generator, first) for n, first in zip(counts, pairs, strict=True))
    return first, second, third


def scenes(n: int, generator: torch.Generator, pairs: tuple[int, ...] = FAMILIAR) -> Split:
    """n scenes; the labelled shape is drawn from `pairs`, the small one beside it from the familiar ones."""

    def draw(low: float, high: float, *size: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *size, generator=generator, dtype=torch.float32)

    def choose(among: int) -> Tensor:
        return torch.randint(among, (n,), generator=generator)

    first = torch.tensor(pairs)[choose(len(pairs))]
    second = torch.tensor(FAMILIAR)[choose(len(FAMILIAR) - 1)]
    second = torch.where(second == first, FAMILIAR[-1], second)  # never the same pair twice in a scene
    two, large, relation, place = choose(2) == 1, choose(2) == 1, choose(len(RELATIONS)), choose(len(PLACES))
    large = large | two
    r_large, r_small = draw(*RADII["large"]), draw(*RADII["small"])
    r = torch.where(large, r_large, r_small)
    shake = draw(-1, 1, 2)
    alone = _alone(r, place, shake)
    big, small = _related(r_large, r_small, relation, draw(0, 1), draw(0, 1), shake)
    # One row a shape: x, y, radius, turn; a shape that is not there has no radius.
    objects = torch.stack(
        [
            torch.stack([*torch.where(two[:, None], big, alone).T, r, draw(-0.2, 0.2)], 1),
            torch.stack([*small.T, r_small * two, draw(-0.2, 0.2)], 1),
        ],
        1,
    )
    kinds = torch.stack([first, second], 1)
    colours = torch.tensor(list(COLOURS.values()))[kinds % len(COLOURS)] + draw(-0.05, 0.05, 2, 3)
    ground = draw(0.05, 0.3, 1) + draw(-0.04, 0.04, 3)
    noise = 0.02 * torch.randn(n, 3, SIDE, SIDE, generator=generator, dtype=torch.float32)
    X = torch.cat(
        [
            _paint(*(part[at : at + CHUNK] for part in (objects, kinds // len(COLOURS), colours, ground, noise)))
            for at in range(0, n, CHUNK)
        ]
    )
    told = zip(*(t.tolist() for t in (first, second, two, large, relation, place)), strict=True)
    return Split(X, first // len(COLOURS), tuple(captions(*scene) for scene in told))


def captions(first: int, second: int, two: bool, large: bool, relation: int, place: int) -> tuple[str, str, str]:
    """Three sentences about a scene."""
    one, other = _phrase(first), _phrase(second)
    if two:
        return (
            f"a {one} {RELATIONS[relation]} a {other}",
            f"a {other} {RELATIONS[relation ^ 1]} a {one}",
            f"a large {one} with a small {other} {SIDES[relation]}",
        )
    size, where = "large" if large else "small", list(PLACES)[place]
    return f"a {size} {one} {where}", f"a {one} alone {where}", f"there is one {size} {one}"


def _phrase(pair: int) -> str:
    return f"{list(COLOURS)[pair % len(COLOURS)]} {SHAPES[pair // len(COLOURS)]}"


def _alone(r: Tensor, place: Tensor, shake: Tensor) -> Tensor:
    """Centres (n, 2) as x, y: at the place's edge, or in the middle, each give or take 1.5 pixels."""
    share = torch.tensor(list(PLACES.values()))[place]
    low = (r + 2.5)[:, None]
    return low + share * (SIDE - 2 * low) + 1.5 * shake


def _related(
    R: Tensor, r: Tensor, relation: Tensor, gap: Tensor, slide: Tensor, shake: Tensor
) -> tuple[Tensor, Tensor]:
    """Centres of the large and of the small one: apart along one axis, nearly level on the other."""
    room = SIDE - 2 - 2 * (R + r) - 1.5  # what is left beside the two, a border of 1 and a gap of 1.5 pixels
    between = 1.5 + gap * room.clamp(max=3)
    start = 1 + slide * (room + 1.5 - between)
    near = torch.tensor([0, 1, 0, 1])[relation] == 0  # the large one comes first
    big = torch.where(near, start + R, start + 2 * r + between + R)
    small = torch.where(near, start + 2 * R + between + r, start + r)
    level = SIDE / 2 + 5 * shake[:, 0]
    upright = (relation < 2)[:, None]  # apart along y
    beside = level + 1.5 * shake[:, 1]
    large_at = torch.where(upright, torch.stack([level, big], 1), torch.stack([big, level], 1))
    return large_at, torch.where(upright, torch.stack([beside, small], 1), torch.stack([small, beside], 1))


def _paint(objects: Tensor, shapes: Tensor, colours: Tensor, ground: Tensor, noise: Tensor) -> Tensor:
    """Pictures (m, 3, 32, 32) uint8: each shape covers a pixel by how deep the pixel's centre lies within its edge."""
    picture = ground[:, :, None, None] + noise
    for which in (1, 0):
        x, y, r, turn = (column[:, None, None] for column in objects[:, which].unbind(1))
        across = torch.arange(SIDE) + 0.5
        u, v = (across[None, None, :] - x), (across[None, :, None] - y)
        u, v = (u * turn.cos() + v * turn.sin()) / r.clamp(min=1), (v * turn.cos() - u * turn.sin()) / r.clamp(min=1)
        distance = torch.empty_like(u)
        for number, shape in enumerate(SHAPES):
            those = shapes[:, which] == number
            distance[those] = EDGES[shape](u[those], v[those])
        cover = ((0.5 - distance * r).clamp(0, 1) * (r > 0))[:, None]
        picture = picture + cover * (colours[:, which, :, None, None] - picture)
    return (picture.clamp(0, 1) * 255).round().byte()


def _bars(u: Tensor, v: Tensor, long: float = 0.95, thick: float = 0.34) -> Tensor:
    u, v = u.abs(), v.abs()
    return torch.minimum(torch.maximum(u - long, v - thick), torch.maximum(u - thick, v - long))


def _triangle(u: Tensor, v: Tensor, inner: float = 0.56) -> Tensor:
    """Point up (v grows downwards): three half-planes, `inner` from the centre, which lies a little low."""
    v = v - 0.2
    return torch.stack([v, cos(pi / 6) * u - sin(pi / 6) * v, -cos(pi / 6) * u - sin(pi / 6) * v]).amax(0) - inner


def _star(u: Tensor, v: Tensor, outer: float = 1.12, inner: float = 0.46) -> Tensor:
    """Five points, one of them up: folded into one half of one point, where the edge is a line."""
    angle = torch.atan2(u, -v).remainder(2 * pi / 5)
    angle = torch.minimum(angle, 2 * pi / 5 - angle)
    radius = (u.square() + v.square()).sqrt()
    x, y = radius * angle.cos() - outer, radius * angle.sin()
    dx, dy = inner * cos(pi / 5) - outer, inner * sin(pi / 5)
    return (y * -dx + x * dy) / hypot(dx, dy)


EDGES: dict[str, Edge] = {  # signed distance to the edge, for a radius of 1; negative inside
    "circle": lambda u, v: (u.square() + v.square()).sqrt() - 1,
    "square": lambda u, v: torch.maximum(u.abs(), v.abs()) - 0.86,
    "triangle": _triangle,
    "cross": _bars,
    "ring": lambda u, v: ((u.square() + v.square()).sqrt() - 0.76).abs() - 0.24,
    "star": _star,
}
