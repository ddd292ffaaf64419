"""What a folder may hold, as a table: how each layout is recognised, and how it becomes a data set."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from dl780.data import cifar, idx, imagefolder
from dl780.data.dataset import Dataset, Split, hold_out, statistics, stratified
from dl780.data.sets import SETS, whose
from dl780.data.stream import Stream

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # for pictures that are streamed
VALIDATION = 5000


class Layout(NamedTuple):
    """`is_here(path)`, and `read(path, validation)`, which raises `UserError` for files that are not whole."""

    is_here: Callable[[Path], bool]
    read: Callable[[Path, int | None], Dataset]


def layout_of(path: Path) -> Layout | None:
    """The first layout of the table that a path has, or None."""
    return next((layout for layout in LAYOUTS if layout.is_here(path)), None)


def _idx(path: Path, validation: int | None) -> Dataset:
    train, test, contents = idx.read(path)
    name = whose(contents)
    classes = SETS[name].classes if name else tuple(str(i) for i in range(int(train.y.max()) + 1))
    title = f"{SETS[name].title}, the originals" if name else f"{path.name}, IDX files of no set known here"
    return _dataset(name or path.name, title, path, {"train": train, "test": test}, classes, validation)


def _cifar(path: Path, validation: int | None) -> Dataset:
    train, test = cifar.read(path)
    name, title = "cifar10", "CIFAR-10"
    if (len(train), len(test)) != (50_000, 10_000):
        name, title = "cifar10-part", "a part of CIFAR-10"
    return _dataset(name, title, path, {"train": train, "test": test}, cifar.CLASSES, validation)


def _pictures(path: Path, validation: int | None) -> Dataset:
    parts, classes = imagefolder.read(path)
    name = path.resolve().name.split(".")[0]
    if set(parts) == {"train"}:
        parts = dict(zip(("train", "validation", "test"), stratified(parts["train"]), strict=True))
    elif "test" not in parts:  # as ImageNet is given out: its validation pictures are what is tested on
        parts["test"] = parts.pop("validation")
    return _dataset(name, f"{name}, a folder of pictures", path, parts, classes, validation)


def _dataset(
    name: str, title: str, path: Path, parts: dict[str, Split], classes: tuple[str, ...], validation: int | None
) -> Dataset:
    """The test split as it is; a validation split, where there is none, out of train, of which mean and std are."""
    train = parts["train"]
    mean, std = IMAGENET if isinstance(train, Stream) else statistics(train.X)
    if "validation" in parts:
        held = parts["validation"]
    else:
        train, held = hold_out(train, min(VALIDATION, len(train) // 10) if validation is None else validation)
    return Dataset(name, title, str(path), train, held, parts["test"], classes, mean, std)


LAYOUTS = (
    Layout(idx.is_here, _idx),
    Layout(cifar.is_here, _cifar),
    Layout(imagefolder.is_here, _pictures),
)
