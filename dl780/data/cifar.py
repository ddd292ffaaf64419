"""CIFAR-10 as its author gives it out: pickled batches (cifar-10-batches-py), or their binary twins.

A pickle is a program. This one is run by an unpickler that makes plain containers and, for whatever it names, an inert
stand-in: nothing is imported, and the array is built here from raw bytes of the one length that it can have.
"""

import io
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from dl780 import UserError
from dl780.data.dataset import Split

FILES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SHAPE = (3, 32, 32)
PIXELS = 3 * 32 * 32
MOST_BYTES = 64 * 2**20  # a batch has 31 MB
ADMITTED = {"_reconstruct", "ndarray", "dtype", "encode"}


def is_here(folder: Path) -> bool:
    """Whether the first batch lies in a folder, pickled or binary."""
    return any((folder / (FILES[0] + suffix)).is_file() for suffix in ("", ".bin"))


def read(folder: Path) -> tuple[Split, Split]:
    """Train, of as many batches as there should be, and test. Raises `UserError`."""
    parts = [batch(folder, name) for name in FILES]
    return Split(torch.cat([p.X for p in parts[:-1]]), torch.cat([p.y for p in parts[:-1]])), parts[-1]


def batch(folder: Path, name: str) -> Split:
    """One file's pictures. Raises `UserError`."""
    path = next((p for p in (folder / name, folder / f"{name}.bin") if p.is_file()), None)
    if path is None:
        raise UserError(f"{folder} holds no {name}: unpack cifar-10-python.tar.gz there, or `dl780 data get cifar10`")
    if path.stat().st_size > MOST_BYTES:
        raise UserError(f"{path} is larger than a batch of CIFAR-10 can be")
    pixels, labels = (_binary if path.suffix == ".bin" else _pickled)(path)
    if not labels or len(pixels) != PIXELS * len(labels):
        raise UserError(f"{path} holds {len(pixels):,} bytes of pixels for {len(labels):,} labels: get it again")
    if not all(isinstance(label, int) and 0 <= label < len(CLASSES) for label in labels):
        raise UserError(f"{path} holds labels that are no number from 0 to 9: get it again")
    X = torch.frombuffer(bytearray(pixels), dtype=torch.uint8).view(-1, *SHAPE)
    return Split(X, torch.tensor(labels))


def _binary(path: Path) -> tuple[bytes, list[Any]]:
    """Rows of one label and 3,072 pixels."""
    raw = path.read_bytes()
    row = 1 + PIXELS
    return b"".join(raw[i + 1 : i + row] for i in range(0, len(raw), row)), list(raw[::row])


def _pickled(path: Path) -> tuple[bytes, list[Any]]:
    try:
        found = _Unpickler(io.BytesIO(path.read_bytes()), encoding="bytes").load()
        plain = {key.decode() if isinstance(key, bytes) else key: value for key, value in found.items()}
        return _bytes_of(plain["data"]), list(plain["labels"])
    except UserError as error:
        raise UserError(f"{path} {error}") from error
    except Exception as error:  # a broken pickle raises whatever its instructions run into
        raise UserError(f"{path} is no whole pickled batch of CIFAR-10: get it again") from error


def _bytes_of(array: Any) -> bytes:
    """The raw bytes in numpy's state of an array: (version, shape, dtype, Fortran order, bytes)."""
    _, shape, dtype, fortran, raw = array.state
    if dtype.args[0] not in (b"u1", "u1") or fortran or shape[1:] != (PIXELS,) or not isinstance(raw, bytes):
        raise UserError("holds no rows of 3,072 bytes: it is no batch of CIFAR-10")
    return raw


class _Inert:
    """What stands for anything that a pickle names: it keeps what it was called with and does nothing."""

    __slots__ = ("args", "name", "state")

    def __init__(self, name: str, args: tuple[Any, ...] = ()) -> None:
        self.name, self.args, self.state = name, args, None

    def __call__(self, *args: Any) -> Any:
        if self.name == "encode":  # how Python 3 writes bytes for Python 2
            return args[0].encode("latin-1")
        return _Inert(self.name, args)

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Unpickler(pickle._Unpickler):
    """The one written in Python: its memo is a dict, so that a number in a file allocates nothing."""

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] not in ("numpy", "_codecs") or name not in ADMITTED:
            raise UserError(f"asks for {module}.{name}, which no batch of CIFAR-10 does: it is hostile, delete it")
        return _Inert(name)


def files_of(folder: Path) -> Iterator[Path]:
    """The batches as they lie there, for a copy."""
    for name in FILES:
        batch(folder, name)
        yield next(p for p in (folder / name, folder / f"{name}.bin") if p.is_file())
