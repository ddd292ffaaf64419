"""Points on a line and in the plane, drawn from a seed: what features, learned or not, are shown on.

Slides "Supervised learning setup" (the temperature of a day) and "Feature learning, take one".
"""

import math

import torch
from torch import Tensor

DAYS = "made-up days, drawn by dl780.data.points"
ARCS = "two arcs, drawn by dl780.data.points"


def days(m: int, seed: int) -> tuple[Tensor, Tensor]:
    """m days of a year: x (m,), the day's high in °C, and y (m,), the peak demand for electricity in GW.

    y is `demand(x)` and noise of 0.08 GW; x that of a day drawn uniformly from a year that swings between 2 and 30 °C.
    """
    generator = torch.Generator().manual_seed(seed)
    day, weather, noise = torch.rand(m, generator=generator), *torch.randn(2, m, generator=generator)
    x = 16 - 14 * torch.cos(math.tau * day) + 4 * weather
    return x, demand(x) + 0.08 * noise


def demand(x: Tensor) -> Tensor:
    """The demand in GW on a day of x °C, without the noise: cold days are heated, hot ones cooled."""
    heating = torch.nn.functional.softplus((10 - x) / 4)
    cooling = torch.nn.functional.softplus((x - 24) / 3)
    return 1.6 + 0.225 * heating + 0.45 * cooling


def arcs(m: int, seed: int, noise: float = 0.12) -> tuple[Tensor, Tensor]:
    """m points of two interleaved half circles that no line separates: X (m, 2) and y (m,), -1 or +1."""
    generator = torch.Generator().manual_seed(seed)
    angle = math.pi * torch.rand(m, generator=generator)
    y = 2.0 * torch.randint(2, (m,), generator=generator) - 1
    X = torch.stack([angle.cos() + 0.5 * y, y * (0.25 - angle.sin())], 1)
    return X + noise * torch.randn(m, 2, generator=generator), y
