"""Small files in the formats of the real sets, written by the tests."""

import gzip
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from dl780.data import cifar, idx

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No data of this machine, and no cache of its user."""
    monkeypatch.delenv("DL780_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def idx_bytes(data: Tensor) -> bytes:
    return struct.pack(f">{1 + data.ndim}I", 0x800 + data.ndim, *data.shape) + data.numpy().tobytes()


@pytest.fixture
def write_idx(tmp_path: Path) -> Write:
    """A function that writes the four files of a set: 60 + 20 pictures of 5×4."""

    def write(folder: Path = tmp_path / "idx", zipped: bool = True) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        draw = torch.Generator().manual_seed(0)
        for name in idx.FILES:
            n = 60 if name.startswith("train") else 20
            pictures = torch.randint(256, (n, 5, 4), generator=draw, dtype=torch.uint8)
            data = pictures if "images" in name else torch.arange(n, dtype=torch.uint8) % 10
            raw = idx_bytes(data)
            (folder / (name + ".gz" * zipped)).write_bytes(gzip.compress(raw) if zipped else raw)
        return folder

    return write


@pytest.fixture
def write_cifar(tmp_path: Path) -> Write:
    """A function that writes six batches of 30 pictures: as Python 3 pickles them, as Python 2 did, or binary."""

    def write(folder: Path = tmp_path / "cifar", kind: str = "three") -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        draw = np.random.default_rng(0)
        for name in cifar.FILES:
            data, labels = draw.integers(256, size=(30, 3072), dtype=np.uint8), [i % 10 for i in range(30)]
            if kind == "binary":
                rows = np.concatenate([np.array(labels, np.uint8)[:, None], data], 1)
                (folder / f"{name}.bin").write_bytes(rows.tobytes())
            elif kind == "two":
                (folder / name).write_bytes(as_python_2(data.tobytes(), labels))
            else:
                (folder / name).write_bytes(pickle.dumps({b"data": data, b"labels": labels}, protocol=2))
        return folder

    return write


def as_python_2(raw: bytes, labels: list[int]) -> bytes:
    """A batch as cPickle of Python 2 wrote it: bytes as (BIN)STRING, numpy's old names."""

    def short(text: bytes) -> bytes:
        return b"U" + bytes([len(text)]) + text

    dtype = b"cnumpy\ndtype\n(" + short(b"u1") + b"K\x00K\x01tRq\x05(K\x03" + short(b"|") + b"NNN"
    dtype += b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\nq\x03(cnumpy\nndarray\nq\x04K\x00\x85" + short(b"b") + b"tR(K\x01"
    array += b"M" + struct.pack("<H", len(labels)) + b"M\x00\x0c\x86" + dtype + b"\x89"
    array += b"T" + struct.pack("<i", len(raw)) + raw + b"tb"
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}q\x01(" + short(b"data") + array + short(b"labels") + numbers + b"u."


@pytest.fixture
def write_pictures(tmp_path: Path) -> Write:
    """A function that writes pictures: `names` below a folder, each with a size and a brightness of its own."""
    from PIL import Image

    def write(names: list[str], folder: Path = tmp_path / "pictures", size: tuple[int, int] = (9, 7)) -> Path:
        for number, name in enumerate(names):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", size, (number, 100, 200)).save(path)
        return folder

    return write
