"""From a recipe to its data and its task: which module knows what kind of recipe."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from dl780 import recipes
from dl780.train import language, pictures, sentences
from dl780.train.task import Data, Task

KINDS: dict[type[recipes.Supervised], ModuleType] = {
    recipes.Pictures: pictures,
    recipes.CharRNN: language,
    recipes.Captioner: sentences,
    recipes.Seq2Seq: sentences,
}


def data_of(
    recipe: recipes.Supervised, source: str = "", say: Callable[[str], object] | None = print, run: Path | None = None
) -> Data:
    """The data set of a recipe, from where it says or from another source. Raises `UserError`.

    A run that is named lends its vocabulary, where it has one.
    """
    data: Data = _of(recipe).data_of(recipe, source or recipe.data, say, run)
    return data


def task_of(recipe: recipes.Supervised, data: Any) -> Task:
    """The task of a recipe on a data set. Raises `UserError` where they do not fit."""
    task: Task = _of(recipe).task_of(recipe, data)
    return task


def _of(recipe: recipes.Supervised) -> ModuleType:
    return next(module for kind, module in KINDS.items() if isinstance(recipe, kind))
