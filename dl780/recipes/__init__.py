"""What is trained, and how: one flat table of settings a recipe.

Nothing here imports torch: `dl780 --help` reads it.
"""

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_args

from dl780 import UserError
from dl780.recipes.alphago import AlphaGo
from dl780.recipes.base import Recipe, Supervised
from dl780.recipes.language import Captioner, CharRNN, Seq2Seq
from dl780.recipes.pictures import MLP, VGG, AlexNet, Autoencoder, GoogLeNet, LeNet, Pictures, ResNet
from dl780.recipes.reinforcement import DQN, Atari, AtariCPU, LinearQ, QLearning, Reinforcement

__all__ = [
    "DQN",
    "MLP",
    "RECIPES",
    "VGG",
    "AlexNet",
    "AlphaGo",
    "Atari",
    "AtariCPU",
    "Autoencoder",
    "Captioner",
    "CharRNN",
    "GoogLeNet",
    "LeNet",
    "LinearQ",
    "Pictures",
    "QLearning",
    "Recipe",
    "Reinforcement",
    "ResNet",
    "Seq2Seq",
    "Supervised",
    "as_json",
    "from_json",
]

RECIPES: dict[str, type[Recipe]] = {
    kind.name: kind
    for kind in (
        AlexNet,
        Atari,
        AtariCPU,
        AlphaGo,
        Autoencoder,
        Captioner,
        CharRNN,
        DQN,
        GoogLeNet,
        LeNet,
        LinearQ,
        MLP,
        QLearning,
        ResNet,
        Seq2Seq,
        VGG,
    )
}


def as_json(recipe: Recipe) -> dict[str, Any]:
    """A recipe's settings as JSON holds them."""
    return {k: str(v) if isinstance(v, Path) else v for k, v in asdict(recipe).items()}


def from_json(name: str, settings: dict[str, Any]) -> Recipe:
    """A recipe from its name and what `as_json` made of it. Raises `UserError`."""
    if name not in RECIPES:
        raise UserError(f"there is no recipe {name!r}; there are: {', '.join(RECIPES)}")
    kinds = {field.name: field.type for field in fields(RECIPES[name])}
    paths = [k for k, kind in kinds.items() if kind is Path or Path in get_args(kind)]
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    settings |= {k: Path(settings[k]) for k in paths if settings.get(k)}
    return RECIPES[name](**settings)
