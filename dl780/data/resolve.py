"""One resolver: `load(name, source)` finds a set, reads it, and says what it really is. It fetches nothing."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from dl780 import UserError
from dl780.data.dataset import Dataset
from dl780.data.embedded import EMBEDDED
from dl780.data.layouts import layout_of
from dl780.data.sets import SETS, named


def load(
    name: str,
    source: str | Path = "auto",
    *,
    validation: int | None = None,
    say: Callable[[str], object] | None = print,
) -> Dataset:
    """A data set of `SETS`, from where it is found.

    Args:
        name: a name of the table; where `source` is a path, it only helps to find the set below it
        source: "auto" (the real set where it is found, else the embedded one), "embedded", or a path
        validation: how many training pictures of a real set validate: 5,000 of them, or a tenth if that is less;
            0 trains on all. An embedded set and a folder with a split of its own keep theirs.
        say: is given the one line of `Dataset.describe`
    Raises `UserError`.
    """
    row = named(name)
    found = None if source == "embedded" else find(name) if source == "auto" else _below(Path(source), name)
    if found and (layout := layout_of(found)):
        data = layout.read(found, validation)
    elif row.embedded:
        data = EMBEDDED[row.embedded]()
    else:
        raise UserError(missing(name))
    if not found and source == "auto" and row.embedded != name:
        data = replace(data, note=f"It stands in for {row.title}, which was not found; {mend(name)}")
    if say:
        say(data.describe())
    return data


def find(name: str) -> Path | None:
    """Where a real set lies, or None: $DL780_DATA, then ./data, then where a distribution puts it."""
    return next((path for path in places(name) if layout_of(path)), None)


def places(name: str) -> list[Path]:
    """Where a set is looked for, in this order. Raises `UserError` where $DL780_DATA is no folder."""
    row = named(name)
    return [root / place for root in roots() for place in row.places] + [Path(path) for path in row.elsewhere]


def roots() -> list[Path]:
    """$DL780_DATA, if it is set, and ./data; the first is where `get` and `import` write."""
    told = os.environ.get("DL780_DATA")
    if told and not Path(told).is_dir():
        raise UserError(f"$DL780_DATA is {told}, which is no folder: make it, or unset the variable")
    return [Path(told), Path("data")] if told else [Path("data")]


def mend(name: str) -> str:
    """The commands that bring a set."""
    row = named(name)
    ways = [f"`dl780 data get {name}` fetches it ({row.bytes / 1e6:,.1f} MB)"] if row.files else []
    if row.debian:
        ways.append(f"`apt install {row.debian}` brings it too")
    return "; ".join([*ways, "`--data PATH` names a folder that holds it"])


def missing(name: str) -> str:
    """One line for a set that is nowhere."""
    looked = ", ".join(map(str, places(name)))
    return f"{named(name).title}: not found" + (f" (looked in {looked})" if looked else "") + f"; {mend(name)}"


def table() -> list[str]:
    """The lines of `dl780 data list`: name, train + test, what is found, what stands in, what there is to fetch."""
    rows = [("name", "pictures", "found", "else", "to fetch")]
    for name, row in SETS.items():
        found = str(find(name) or "-") if row.places else "always" if row.embedded else "by its path"
        other = "-" if row.embedded == name else row.embedded or "an error"
        rows.append((name, row.pictures, found, other, f"{row.bytes / 1e6:,.1f} MB" if row.files else "-"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def reasons(name: str) -> list[str]:
    """The lines of `dl780 data where`: each place that is looked at, and what is taken."""
    found = find(name)
    looked = places(name)
    until = looked.index(found) + 1 if found else len(looked)
    lines = [f"{path}: {'found' if path == found else 'nothing'}" for path in looked[:until]]
    load(name, say=lines.append)
    return lines


def _below(path: Path, name: str) -> Path:
    """The folder at or below a path that holds a set. Raises `UserError`."""
    if not path.exists():
        raise UserError(f"there is no {path}; --data takes auto, embedded or a path")
    for folder in [path, *(path / place for place in named(name).places)]:
        if layout_of(folder):
            return folder
    raise UserError(f"{path} holds no IDX files, no batches of CIFAR-10 and no pictures in train/<class>/ or <class>/")
