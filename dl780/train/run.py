"""A run's folder: settings, manifest, metrics as lines, curves, result; each file is there whole or not at all."""

import json
import sys
from collections.abc import Callable, Iterable
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

from dl780 import UserError
from dl780.files import whole, write_whole
from dl780.recipes import RECIPES, Recipe, as_json, from_json
from dl780.train.task import Data

Metrics = dict[str, float]
HERE = ("out", "resume", "device", "threads", "compile")  # settings that a resumed run may change


def open_run(recipe: Recipe) -> Path:
    """The recipe's folder, with its settings in it. Raises `UserError` where they are another run's."""
    out = recipe.out or _fresh(recipe)
    config = out / "config.json"
    if recipe.resume:
        _same(recipe, read_recipe(out))
    elif config.exists():
        raise UserError(f"{out} holds a run already: --resume goes on with it, another --out begins one")
    else:
        write_whole(config, json.dumps({"recipe": recipe.name, "settings": as_json(recipe)}, indent=1))
    return out


def read_recipe(run: Path) -> Recipe:
    """The recipe of a run. Raises `UserError` where a folder is none."""
    try:
        config = json.loads((run / "config.json").read_text())
        return from_json(config["recipe"], config["settings"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{run} is no run's folder (it needs a config.json that can be read): {error}") from None


def write_manifest(run: Path, data: Data, machine: dict[str, Any], seed: int, initial_loss: float | None) -> None:
    """What the run was made with. Raises `UserError` where a resumed run has other data."""
    about = dict(name=data.name, title=data.title, source=data.source, counts=data.counts)
    path = run / "manifest.json"
    if path.exists():
        before = json.loads(path.read_text())["data"]
        if (before["name"], before["counts"]) != (data.name, data.counts):
            raise UserError(f"{run} was trained on {before['title']}, and now --data finds {data.title}")
        return
    manifest = dict(data=about, seed=seed, initial_loss=initial_loss, machine=machine, command=sys.argv)
    write_whole(path, json.dumps(manifest, indent=1))


class Log:
    """Metrics of every epoch: lines of `metrics.jsonl`, TensorBoard events, and the pictures drawn of them."""

    def __init__(self, run: Path, step: int) -> None:
        """Go on after `step`: what a run that was cut off wrote later is forgotten."""
        from torch.utils.tensorboard import SummaryWriter  # imported late: it takes a second

        self.run = run
        self.lines = [line for line in read_metrics(run) if line["step"] <= step]
        self._rewrite()
        self.board = SummaryWriter(str(run / "events"), purge_step=step + 1)

    def add(self, line: Metrics) -> None:
        """One epoch."""
        self.lines.append(line)
        self._rewrite()
        for name in line.keys() - {"step", "epoch"}:
            self.board.add_scalar(name, line[name], int(line["step"]))

    def close(self, title: str, drawn: "Callable[[list[Metrics], str, Path], None] | None" = None) -> None:
        """Draw `curves.png`, by `draw` or another function of lines, title and path."""
        self.board.close()
        if self.lines:
            with whole(self.run / "curves.png") as part:
                (drawn or draw)(self.lines, title, part)

    def _rewrite(self) -> None:
        write_whole(self.run / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in self.lines))


def read_metrics(run: Path) -> list[Metrics]:
    """The lines of `metrics.jsonl`; none where there is no such file."""
    try:
        return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    except FileNotFoundError:
        return []


def draw(lines: list[Metrics], title: str, path: Path) -> None:
    """Loss, and accuracy where there is one, against the epoch."""
    from matplotlib.figure import Figure

    kinds = [kind for kind in ("loss", "accuracy") if any(f"validation_{kind}" in line for line in lines)] or ["loss"]
    figure = Figure(figsize=(5 * len(kinds), 3.4), layout="constrained")
    for axes, kind in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds, strict=True):
        for part, style in (("train", "--"), ("validation", "-")):
            points = [(line["epoch"], line[f"{part}_{kind}"]) for line in lines if f"{part}_{kind}" in line]
            if points:
                axes.plot(*zip(*points, strict=True), style, marker=".", label=part)
        axes.set_xlabel("epoch")
        axes.set_ylabel(kind)
        axes.legend()
    figure.suptitle(title)
    figure.savefig(path, dpi=120, format="png")


def results(folders: Iterable[Path]) -> list[tuple[Path, dict[str, Any]]]:
    """Every finished run at or one below the folders, with its result."""
    found = []
    for folder in folders:
        for path in sorted([folder / "result.json", *folder.glob("*/result.json")]):
            if path.exists():
                found.append((path.parent, json.loads(path.read_text())))
    return found


def newest(minutes: dict[str, int], folder: Path = Path("runs")) -> Path:
    """The run that finished last, at or below a folder, of the recipes that `minutes` names.

    Raises `UserError` where there is none: it says how to make one with the first of them, and in how many minutes.
    """
    found = [run for run, result in results([folder]) if result["recipe"] in minutes]
    if not found:
        first = next(name for name in minutes if name in RECIPES)
        takes = f"about {minutes[first]} min on two cores"
        raise UserError(f"no finished run below {folder}/: `dl780 train {first}` makes one ({takes})")
    return max(found, key=lambda run: (run / "result.json").stat().st_mtime_ns)


def compare(found: list[tuple[Path, dict[str, Any]]]) -> str:
    """Tables of runs, one for each data set: only what was measured on the same data stands together."""
    tables = []
    for data in sorted({result["data"] for _, result in found}):
        rows = [(run, r) for run, r in found if r["data"] == data]
        names = sorted({name for _, r in rows for name in r["metrics"]})
        head = ["run", "recipe", "seed", "steps", "seconds", *names]
        lines = [
            [run.name, r["recipe"], str(r["seed"]), str(r["steps"]), f"{r['seconds']:.0f}"]
            + [f"{r['metrics'][name]:.4f}" if name in r["metrics"] else "" for name in names]
            for run, r in rows
        ]
        widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
        text = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in [head, *lines]]
        tables.append("\n".join([f"data: {data}", *text]))
    return "\n\n".join(tables)


def _same(recipe: Recipe, before: Recipe) -> None:
    old, new = as_json(before), as_json(recipe)
    other = [name for name in new if name not in HERE and old.get(name) != new[name]]
    if before.name != recipe.name or other:
        what = ", ".join(f"--{name.replace('_', '-')} {old[name]}" for name in other) or before.name
        raise UserError(f"the run was begun with {what}: --resume takes the same command again")


def _fresh(recipe: Recipe) -> Path:
    plain = f"{date.today():%Y-%m-%d}-{recipe.name}-{recipe.about}"
    names = (plain if i == 1 else f"{plain}-{i}" for i in count(1))
    return next(path for name in names if not (path := Path("runs") / name).exists())
