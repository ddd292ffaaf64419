"""Text as a data set: where it is found, how it is split, and windows that continue from batch to batch.

A text is encoded once into a tensor of one or two bytes a symbol; no Python object a character is ever made.
"""

import codecs
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dl780 import UserError
from dl780.data.dataset import permutation
from dl780.data.imagefolder import cache_folder

UNKNOWN = "\N{REPLACEMENT CHARACTER}"
MOST = 1 << 15  # symbols of a vocabulary; the rarest of more are unknown
Bytes = bytes | memoryview
Parts = dict[str, list[Bytes]]


@dataclass(frozen=True)
class Windows:
    """A text of N symbols, read as parallel streams whose windows go on where the batch before ended.

    A batch is `X` and `y` (m, length) int64: m streams, and for each symbol the one that follows it.
    """

    symbols: Tensor  # (N,) uint8 or int16
    length: int  # symbols of a window, over which gradients flow

    def __len__(self) -> int:
        return max(0, len(self.symbols) - 1) // self.length

    def to(self, device: torch.device | str) -> "Windows":
        """The same text on a device."""
        return replace(self, symbols=self.symbols.to(device))

    def few(self, size: int, generator: torch.Generator) -> "Windows":
        """One batch: the beginning of the text."""
        return replace(self, symbols=self.symbols[: size * self.length + 1])

    def steps(self, size: int, world: int = 1) -> int:
        """Batches of an epoch of training."""
        return max(1, (len(self.symbols) - 1 - self.length) // size // self.length)

    def order(
        self, size: int, generator: torch.Generator | None, *, start: int = 0, share: tuple[int, int] = (0, 1)
    ) -> Iterator[Tensor]:
        """First and last place (m, 2) of each stream's window, batch by batch.

        A generator draws where the first stream begins, so that no epoch cuts the text at the same places. Without
        one the whole text is read, by no more streams than have 64 windows each: a stream begins with an empty state.
        """
        n, T = len(self.symbols) - 1, self.length
        streams = max(1, min(size, n // T if generator else n // T // 64))
        each = n // streams
        offset = 0
        if generator is not None and len(self) > streams:
            each = (n - T) // streams
            offset = int(torch.randint(T, (), generator=generator))
        begins = offset + each * torch.arange(streams)
        rank, world = share
        for at in list(range(0, each if generator is None else each - T + 1, T))[start:]:
            yield torch.stack([begins + at, begins + min(at + T, each)], 1)[rank::world]

    def feed(self, batches: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """`X` and `y` of each batch."""
        for places in batches:
            length = int(places[0, 1] - places[0, 0])
            at = places[:, :1].to(self.symbols.device) + torch.arange(length + 1, device=self.symbols.device)
            window = self.symbols[at].long()
            yield window[:, :-1], window[:, 1:]


@dataclass(frozen=True)
class Text:
    """A text as it was found, in three splits by file; a single file is split from front to end."""

    name: str
    title: str
    source: str
    vocabulary: tuple[str, ...]  # of characters, UNKNOWN first; of bytes, empty
    train: Windows
    validation: Windows
    test: Windows

    @property
    def counts(self) -> dict[str, int]:
        """Split -> number of symbols."""
        return {name: len(getattr(self, name).symbols) for name in ("train", "validation", "test")}

    @property
    def unit(self) -> str:
        """What a symbol is."""
        return "character" if self.vocabulary else "byte"

    def describe(self) -> str:
        """One line: what it is, where from, how much in which split."""
        counts = ", ".join(f"{number:,} {name}" for name, number in self.counts.items())
        return f"data: {self.title}, from {self.source}: {counts} {self.unit}s; {len(self.vocabulary) or 256} symbols"

    def to(self, device: torch.device | str) -> "Text":
        """The same text on a device."""
        parts = {name: getattr(self, name).to(device) for name in ("train", "validation", "test")}
        return replace(self, **parts)


def load_text(
    source: str = "auto",
    *,
    files: str = "*",
    members: str = "",
    unit: str = "character",
    length: int = 128,
    shares: tuple[float, float] = (0.05, 0.1),
    vocabulary: tuple[str, ...] = (),
    say: Callable[[str], object] | None = print,
) -> Text:
    """A text: of auto or embedded, the Python standard library's source; else of a file, a folder or a tar archive.

    Args:
        files: of a folder or an archive, the names that are taken, such as *.c
        members: of an archive, the path that they stand below, such as linux-source-6.1/kernel/
        unit: character or byte
        length: symbols of a window
        shares: of the text, that validate and that test
        vocabulary: of a checkpoint; otherwise the characters of the training split, from the most frequent on
    Raises `UserError`.
    """
    name, title, where, documents = _found(source, files, members)
    parts = _split(documents, shares)
    if unit == "byte":
        coded = {part: torch.frombuffer(bytearray(b"".join(texts)), dtype=torch.uint8) for part, texts in parts.items()}
    else:
        vocabulary = vocabulary or _vocabulary(parts["train"])
        coded = {part: encode(texts, vocabulary) for part, texts in parts.items()}
    if len(coded["train"]) <= 2 * length:
        raise UserError(
            f"{where} is too short to learn from: {len(coded['train']):,} {unit}s train, windows of {length}"
        )
    windows = {part: Windows(symbols, length) for part, symbols in coded.items()}
    text = Text(name, title, where, vocabulary if unit == "character" else (), **windows)
    if say:
        say(text.describe())
    return text


def encode(texts: Iterable[Bytes], vocabulary: tuple[str, ...]) -> Tensor:
    """Indices into a vocabulary (n,), uint8 or int16, of UTF-8 texts; 0 for what it does not hold."""
    kind = np.uint8 if len(vocabulary) <= 256 else np.int16
    table = np.zeros(0x110000, dtype=kind)
    for i, symbol in enumerate(vocabulary):
        table[ord(symbol)] = i
    table[ord(UNKNOWN)] = 0
    pieces = [table[points] for points in _code_points(texts)]
    return torch.from_numpy(np.concatenate(pieces) if pieces else np.zeros(0, dtype=kind))


def _code_points(texts: Iterable[Bytes], piece: int = 1 << 22) -> Iterator["np.ndarray[Any, Any]"]:
    """A text's characters as numbers, a piece at a time."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    for text in texts:
        for at in range(0, len(text), piece):
            last = at + piece >= len(text)
            yield np.frombuffer(decoder.decode(bytes(text[at : at + piece]), last).encode("utf-32-le"), dtype=np.uint32)


def _vocabulary(texts: list[Bytes]) -> tuple[str, ...]:
    count = np.zeros(0x110000, dtype=np.int64)
    for points in _code_points(texts):
        count += np.bincount(points, minlength=len(count))
    order = np.argsort(-count, kind="stable")[: MOST - 1]
    found = [chr(point) for point in order if count[point] and point != ord(UNKNOWN)]
    return (UNKNOWN, *sorted(found))


def _split(documents: list[Bytes], shares: tuple[float, float]) -> Parts:
    """Whole files, in a fixed permutation, until each split has its share; of a single file, its middle and its end."""
    validation, test = shares
    total = sum(map(len, documents))
    if len(documents) < 10:
        text = memoryview(documents[0] if len(documents) == 1 else b"\n".join(documents))
        first, second = round(len(text) * (1 - validation - test)), round(len(text) * (1 - test))
        return {"train": [text[:first]], "validation": [text[first:second]], "test": [text[second:]]}
    place, taken = {}, 0
    for i in permutation(len(documents)).tolist():
        share = taken / total
        place[i] = "test" if share < test else "validation" if share < test + validation else "train"
        taken += len(documents[i])
    parts: Parts = {"train": [], "validation": [], "test": []}
    for i, document in enumerate(documents):
        parts[place[i]].append(document)
    return parts


def _found(source: str, files: str, members: str) -> tuple[str, str, str, list[Bytes]]:
    """Name, title, place and documents."""
    if source in ("auto", "embedded"):
        return _standard_library()
    path, documents = Path(source), list[Bytes]()
    if path.is_dir():
        paths = sorted(p for p in path.rglob(files) if p.is_file() and not p.is_symlink())
        documents, name, title = [p.read_bytes() for p in paths], path.resolve().name, f"{len(paths):,} files {files}"
    elif path.name.endswith((".tar", ".tar.xz", ".tar.gz", ".tar.bz2", ".tgz", ".txz")):
        documents = _of_archive(path, files, members)
        name, title = path.name.split(".tar")[0], f"{len(documents):,} files {files} of {members or 'an archive'}"
        name += "-" + members.strip("/").split("/")[-1] if members else ""
    elif path.is_file():
        documents, name, title = [_mapped(path)], path.stem, "one file"
    else:
        raise UserError(f"there is no {path}; --data takes auto, a text file, a folder or a tar archive")
    documents = [document for document in documents if len(document)]
    if not documents:
        raise UserError(f"{path} holds no text in files {files}" + f" below {members}" * bool(members))
    return name, f"{name}, {title}", str(path), documents


def _mapped(path: Path) -> Bytes:
    """A file's bytes, which stay on disk until they are read."""
    import mmap

    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) if path.stat().st_size else b""


def _standard_library() -> tuple[str, str, str, list[Bytes]]:
    import platform
    import sysconfig

    root = Path(sysconfig.get_path("stdlib"))
    paths = []
    for where, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in ("site-packages", "dist-packages", "test", "tests"))
        paths += [Path(where, name) for name in sorted(names) if name.endswith(".py")]
    version = ".".join(platform.python_version_tuple()[:2])
    title = f"source of Python {version}'s standard library, {len(paths):,} files"
    return f"python-{version}", title, str(root), [d for path in paths if (d := path.read_bytes())]


def _of_archive(path: Path, files: str, members: str) -> list[Bytes]:
    """The members of an archive, in order; kept as a tar of their own: to unpack all takes a minute."""
    stat = path.stat()
    key = blake2b(repr((str(path.resolve()), stat.st_size, stat.st_mtime_ns, files, members)).encode(), digest_size=8)
    kept = cache_folder() / f"{path.name.split('.tar')[0]}-{key.hexdigest()}.tar"
    try:
        if not kept.exists():
            _keep(path, files, members, kept)
        with tarfile.open(kept) as archive:
            return [file.read() for member in archive if (file := archive.extractfile(member))]
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as a tar archive: {error}") from error


def _keep(path: Path, files: str, members: str, kept: Path) -> None:
    from dl780.files import whole

    kept.parent.mkdir(parents=True, exist_ok=True)
    with whole(kept) as part, tarfile.open(path, "r|*") as archive, tarfile.open(part, "w") as copy:
        for member in archive:
            name = member.name.removeprefix("./")
            if member.isfile() and name.startswith(members) and fnmatch(name.rsplit("/", 1)[-1], files):
                copy.addfile(member, archive.extractfile(member))
