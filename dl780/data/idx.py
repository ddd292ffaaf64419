"""IDX, the format of MNIST (http://yann.lecun.com/exdb/mnist): gzipped or not, read in place.

A file is a big-endian magic number 0x0000TTDD (type, number of axes), one 32-bit size an axis, then the entries.
What is read is bounded by what the header may claim of a file of that length, before anything is allocated.
"""

import gzip
import hashlib
import zlib
from pathlib import Path
from struct import unpack

import torch
from torch import Tensor

from dl780 import UserError
from dl780.data.dataset import Split

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
KINDS = {0x803: "images", 0x801: "labels"}
MOST_BYTES = 2**30
DEFLATES_TO = 1032  # zlib's best ratio


def is_here(folder: Path) -> bool:
    """Whether the first of the four files lies in a folder."""
    return _place(folder, FILES[0]) is not None


def read(folder: Path) -> tuple[Split, Split, tuple[str, ...]]:
    """Train, test, and the md5 of each of the four files, unzipped. Raises `UserError`."""
    digests, parts = [], []
    for name in FILES:
        data, digest = tensor(folder, name)
        digests.append(digest)
        parts.append(data)
    return _pair(folder, *parts[:2]), _pair(folder, *parts[2:]), tuple(digests)


def tensor(folder: Path, name: str) -> tuple[Tensor, str]:
    """The entries of a file, (N, H, W) or (N,) uint8, and the md5 of its content. Raises `UserError`."""
    raw = content(folder, name)
    sizes = unpack(f">{raw[3]}I", raw[4 : 4 + 4 * raw[3]])
    entries = torch.frombuffer(bytearray(raw), dtype=torch.uint8, offset=4 + 4 * len(sizes))
    return entries.view(sizes), hashlib.md5(raw, usedforsecurity=False).hexdigest()


def content(folder: Path, name: str) -> bytes:
    """The bytes of a file, unzipped: those that its header promises, no more and no fewer. Raises `UserError`."""
    path = _place(folder, name)
    if path is None:
        raise UserError(f"{folder} holds no {name} and no {name}.gz: put the four files of the set there")
    axes = int(name.rsplit("idx", 1)[1][0])
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            head = file.read(4 + 4 * axes)
            wanted = _promised(path, head, axes)
            body = file.read(wanted + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{path} is no whole gzip file: get it again") from error
    if len(body) != wanted:
        has = "more" if len(body) > wanted else f"{len(body):,}"
        raise UserError(f"{path} promises {wanted:,} bytes and holds {has}: it is cut off or changed, get it again")
    return head + body


def _place(folder: Path, name: str) -> Path | None:
    """The file, unzipped or zipped, also under the name with a dot that some tools give it."""
    names = (name, name + ".gz", name.replace("-idx", ".idx"), name.replace("-idx", ".idx") + ".gz")
    return next((folder / n for n in names if (folder / n).is_file()), None)


def _promised(path: Path, head: bytes, axes: int) -> int:
    """How many bytes the header says will follow. Raises `UserError`."""
    if len(head) < 4 + 4 * axes:
        raise UserError(f"{path} ends within its header: get it again")
    magic, *sizes = unpack(f">{1 + axes}I", head)
    if magic != 0x800 + axes:
        holds = KINDS.get(magic, f"magic number {magic:#010x}")
        raise UserError(f"{path} should hold {KINDS[0x800 + axes]} and holds {holds}: the files are swapped or no IDX")
    wanted = 1
    for size in sizes:
        wanted *= size
    if not 0 < wanted <= min(MOST_BYTES, path.stat().st_size * (DEFLATES_TO if path.suffix == ".gz" else 1)):
        raise UserError(f"{path} promises {'×'.join(map(str, sizes))} bytes, which a file of its length cannot hold")
    return wanted


def _pair(folder: Path, images: Tensor, labels: Tensor) -> Split:
    if len(images) != len(labels):
        raise UserError(f"{folder} holds {len(images):,} images and {len(labels):,} labels, files of different sets")
    return Split(images[:, None], labels.long())
