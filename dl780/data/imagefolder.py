"""A folder, or a tar archive, of pictures: train/<class>/*.jpg with test/ or val/ beside it, or <class>/*.jpg alone.

Pictures of one size that fit into `MOST_BYTES` become tensors. Where decoding them took long, the tensors are kept in
one file in the cache, under a name made of the path and of every picture's name, size and time. Others are streamed.
"""

import json
import os
import tarfile
import time
from collections.abc import Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor

from dl780 import UserError
from dl780.data.dataset import Split
from dl780.data.stream import Source, Stream, open_picture, pixels
from dl780.files import whole

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm", ".webp", ".gif", ".tif", ".tiff"}
SPLITS = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}
MOST_BYTES = 2**30  # as uint8
SLOW = 2.0  # seconds of decoding from which a copy is kept
Entry = tuple[str, str, Source]  # split, class, where the picture is


def is_here(path: Path) -> bool:
    """Whether pictures lie below a path as above: the first one decides. An archive is taken at its word."""
    if path.is_file():
        return ".tar" in path.suffixes or path.suffix == ".tgz"
    return path.is_dir() and next(_below(path), None) is not None


def read(path: Path) -> tuple[dict[str, Split], tuple[str, ...]]:
    """Split name -> pictures (N, 3, H, W), and the classes. Raises `UserError`."""
    kept = cache_folder() / f"{path.name.split('.')[0]}-{_digest(path)}.safetensors"
    with suppress(Exception):  # a copy that cannot be read is made again
        return _from_cache(kept)
    entries = sorted(_unpacked(path) if path.is_file() else _below(path), key=_order)
    classes = _classes(path, entries)
    begun = time.monotonic()
    X = _tensor([source for *_, source in entries])
    if X is None and path.is_file():
        raise UserError(f"the pictures in {path} differ in size or need more than 1 GiB: unpack it and name the folder")
    parts = {}
    for name in dict.fromkeys(split for split, *_ in entries):
        at = [i for i, (split, *_) in enumerate(entries) if split == name]
        y = torch.tensor([classes.index(entries[i][1]) for i in at])
        sources = tuple(source for i in at if isinstance(source := entries[i][2], Path))
        parts[name] = Stream.of(sources, y) if X is None else Split(X[at], y)
    if X is not None and time.monotonic() - begun > SLOW:
        with suppress(OSError):
            _keep(kept, parts, classes)
    return parts, classes


def cache_folder() -> Path:
    """Where decoded copies are kept; a folder that may be deleted at any time."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dl780"


def _below(folder: Path) -> Iterator[Entry]:
    for where, folders, files in os.walk(folder):
        depth = len(Path(where).relative_to(folder).parts)
        folders[:] = sorted(f for f in folders if not f.startswith(".") and depth < 2)
        for file in files:
            path = Path(where, file)
            if entry := _entry(path.relative_to(folder).as_posix(), path):
                yield entry


def _unpacked(path: Path) -> Iterator[Entry]:
    """The pictures of an archive, read in one pass."""
    left = MOST_BYTES
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isfile() and (entry := _entry(member.name, Path(member.name))):
                    left -= member.size
                    if left < 0:
                        raise UserError(f"{path} holds more than 1 GiB of pictures: unpack it and name the folder")
                    file = archive.extractfile(member)
                    yield *entry[:2], file.read() if file else b""
    except UserError:
        raise
    except Exception as error:  # gzip, xz, bzip2 and tar each have errors of their own
        raise UserError(f"{path} is no whole tar archive: get it again") from error


def _entry(name: str, source: Source) -> Entry | None:
    """What a name says: split/class/file or class/file, below any folder in an archive."""
    parts = PurePosixPath(name).parts
    if len(parts) < 2 or PurePosixPath(name).suffix.lower() not in SUFFIXES or parts[-1].startswith("."):
        return None
    split = SPLITS.get(parts[-3].lower(), "train") if len(parts) > 2 else "train"
    return None if parts[-2].lower() in SPLITS else (split, parts[-2], source)


def _order(entry: Entry) -> tuple[str, str, str]:
    split, kind, source = entry
    return split, kind, str(source) if isinstance(source, Path) else ""


def _classes(path: Path, entries: list[Entry]) -> tuple[str, ...]:
    classes = sorted({kind for split, kind, _ in entries if split == "train"})
    if not classes:
        raise UserError(f"no pictures below {path} in train/<class>/ or <class>/")
    if strange := {kind for _, kind, _ in entries} - set(classes):
        raise UserError(f"{path} holds the class {min(strange)!r} only outside train/: a net cannot learn it")
    return tuple(classes)


def _tensor(sources: list[Source]) -> Tensor | None:
    """(N, 3, H, W), or None where sizes differ or there are too many bytes. Raises `UserError`."""
    with open_picture(sources[0]) as first:
        W, H = first.size
    if 3 * H * W * len(sources) > MOST_BYTES:
        return None
    X = torch.empty(len(sources), 3, H, W, dtype=torch.uint8)

    for i, source in enumerate(sources):  # threads made this slower: small pictures are mostly Python
        with open_picture(source) as picture:
            if picture.size != (W, H):
                return None
            X[i] = pixels(picture)
    return X


def _digest(path: Path) -> str:
    """Of the path and of name, size and time of every picture below it."""
    digest = blake2b(os.fsencode(path.resolve()), digest_size=10)
    for file in [path] if path.is_file() else sorted(source for *_, source in _below(path) if isinstance(source, Path)):
        about = file.stat()
        digest.update(b"%b %d %d\0" % (os.fsencode(file.relative_to(path)), about.st_size, about.st_mtime_ns))
    return digest.hexdigest()


def _keep(kept: Path, parts: dict[str, Split], classes: tuple[str, ...]) -> None:
    from safetensors.torch import save_file

    tensors = {f"{part}.{name}": getattr(split, name) for part, split in parts.items() for name in "Xy"}
    with whole(kept) as file:
        save_file(tensors, file, {"classes": json.dumps(classes)})


def _from_cache(kept: Path) -> tuple[dict[str, Split], tuple[str, ...]]:
    from safetensors import safe_open

    with safe_open(kept, "pt") as file:
        names = dict.fromkeys(key.split(".")[0] for key in file.keys())  # noqa: SIM118
        parts = {name: Split(file.get_tensor(f"{name}.X"), file.get_tensor(f"{name}.y")) for name in names}
        return parts, tuple(json.loads(file.metadata()["classes"]))
