"""Pictures with captions: `shapes`, Flickr8k (token file, CSV, Karpathy's JSON), COCO's captions JSON."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from dl780 import UserError
from dl780.data import shapes
from dl780.data.dataset import Split, permutation, statistics
from dl780.data.stream import open_picture, pixels
from dl780.data.words import Pairs, Spoken, rows, vocabulary_of, words_of

LONGEST = 30  # words
Captions = dict[str, list[str]]  # picture's file -> its captions
Splits = dict[str, str]  # picture's file -> train, validation or test, where a file says so


def load_captions(
    source: str = "auto",
    *,
    side: int = 96,
    least: int = 3,
    vocabulary: tuple[str, ...] = (),
    say: Callable[[str], object] | None = print,
) -> Spoken:
    """Captioned pictures: of auto or embedded, `shapes`; else of a folder or a file of captions.

    Args:
        source: a folder that holds a file of captions and the pictures, or that file
        side: to which a picture is fitted, in pixels
        least: how often a word occurs in training before the vocabulary holds it
        vocabulary: of a checkpoint
    Raises `UserError`.
    """
    if source in ("auto", "embedded"):
        parts = dict(zip(("train", "validation", "test"), shapes.splits(), strict=True))
        found = ("shapes", "coloured shapes with captions, drawn by this package", "a seed")
    else:
        path = Path(source)
        parts = _read(path, side)
        found = (
            path.stem if path.is_file() else path.resolve().name,
            f"{len(parts['train'].X):,} pictures train",
            source,
        )
    said = {name: [[words_of(c) for c in captions] for captions in part.captions] for name, part in parts.items()}
    vocabulary = vocabulary or vocabulary_of((c for captions in said["train"] for c in captions), least)
    pairs = [_pairs(parts[name].X, captions, vocabulary) for name, captions in said.items()]
    mean, std = statistics(parts["train"].X)
    references = tuple(tuple(" ".join(c) for c in captions) for captions in said["test"])
    spoken = Spoken(*found, vocabulary, (pairs[0], pairs[1], pairs[2]), references, mean, std)
    if say:
        say(spoken.describe())
    return spoken


def _pairs(X: Tensor, captions: list[list[list[str]]], vocabulary: tuple[str, ...]) -> Pairs:
    which = torch.tensor([i for i, several in enumerate(captions) for _ in several], dtype=torch.int64)
    return Pairs(X, which, rows([c for several in captions for c in several], vocabulary, LONGEST))


def _read(path: Path, side: int) -> dict[str, Split]:
    """Three splits of pictures that a file of captions names."""
    file = path if path.is_file() else _file_in(path)
    captions, splits = READERS[file.suffix](file)
    folder = next((f for f in (file.parent / "images", file.parent / "Images", file.parent) if f.is_dir()), file.parent)
    if file.parent.joinpath("val2014").is_dir():
        folder = file.parent
    there = sorted(name for name in captions if (folder / name).is_file())
    if not there:
        raise UserError(f"{file} names {len(captions):,} pictures, but none of them lies in {folder}")
    if not splits:
        order = permutation(len(there)).tolist()
        tenth = max(1, len(there) // 10)
        splits = {
            there[i]: "test" if k < tenth else "validation" if k < 2 * tenth else "train" for k, i in enumerate(order)
        }
    parts = {}
    for part in ("train", "validation", "test"):
        names = [name for name in there if splits.get(name, "train") == part]
        if not names and part != "validation":
            raise UserError(f"{file} has no picture to {part} on in {folder}")
        X = torch.stack([fitted(folder / name, side) for name in names]) if names else _none(side)
        parts[part] = Split(X, torch.zeros(len(names), dtype=torch.int64), tuple(tuple(captions[n]) for n in names))
    return parts


def _none(side: int) -> Tensor:
    return torch.empty(0, 3, side, side, dtype=torch.uint8)


def fitted(path: Path, side: int) -> Tensor:
    """A picture's middle as (3, side, side) uint8. Raises `UserError`."""
    from PIL import ImageOps

    with open_picture(path) as picture:
        return pixels(ImageOps.fit(picture.convert("RGB"), (side, side)))


def _file_in(folder: Path) -> Path:
    if not folder.is_dir():
        raise UserError(
            f"there is no {folder}; --data takes auto, a captions file, or a folder of captions and pictures"
        )
    known = [p for p in sorted(folder.iterdir()) if p.suffix in READERS and p.is_file()]
    named = [p for p in known if any(word in p.name.lower() for word in ("caption", "token", "dataset"))]
    if not (named or known):
        raise UserError(f"{folder} holds no captions: captions.txt, Flickr8k.token.txt, dataset.json …")
    return (named or known)[0]


def _of_text(file: Path) -> tuple[Captions, Splits]:
    """`picture.jpg#0<tab>caption` lines of a token file, or `picture.jpg,caption` of a CSV with a head."""
    captions: Captions = {}
    text = file.read_text(encoding="utf-8", errors="replace")
    if "\t" in text.partition("\n")[0]:
        lines = [line.split("\t", 1) for line in text.splitlines() if "\t" in line]
        lines = [[name.rpartition("#")[0] or name, caption] for name, caption in lines]
    else:
        lines = [line for line in csv.reader(text.splitlines()) if len(line) >= 2]
        if lines and lines[0][0].strip().lower() in ("image", "file", "filename", "picture"):
            lines = lines[1:]
        lines = [[line[0], ",".join(line[1:])] for line in lines]
    for name, caption in lines:
        captions.setdefault(name.strip(), []).append(caption.strip().strip('"').strip())
    if not captions:
        raise UserError(f"{file} holds no captions: lines of picture.jpg#0<tab>caption, or of picture.jpg,caption")
    return captions, {}


def _of_json(file: Path) -> tuple[Captions, Splits]:
    """Karpathy's `dataset.json`, which also says the splits, or COCO's captions."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if "annotations" in content:
            return _of_coco(content), {}
        named = {"train": "train", "restval": "train", "val": "validation", "test": "test"}
        captions = {i["filename"]: [s["raw"] for s in i["sentences"]] for i in content["images"]}
        return captions, {i["filename"]: named[i["split"]] for i in content["images"]}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} is neither Karpathy's dataset.json nor COCO's captions: {error!r}") from None


def _of_coco(content: dict[str, list[dict[str, str]]]) -> Captions:
    names = {image["id"]: image["file_name"] for image in content["images"]}
    captions: Captions = {}
    for annotation in content["annotations"]:
        captions.setdefault(names[annotation["image_id"]], []).append(annotation["caption"])
    return captions


READERS: dict[str, Callable[[Path], tuple[Captions, Splits]]] = {".txt": _of_text, ".csv": _of_text, ".json": _of_json}
