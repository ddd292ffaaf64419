"""IDX and CIFAR-10 files: read right when whole, refused in one line when not."""

import gzip
import io
import os
import pickle
import random
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dl780 import UserError
from dl780.data import cifar, idx, load

Write = Callable[..., Path]
IMAGES, LABELS = idx.FILES[:2]


def refused(path: Path) -> str:
    """The one line with which a folder is refused, without much memory."""
    tracemalloc.start()
    try:
        with pytest.raises(UserError) as caught:
            load("mnist", path, say=None)
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    finally:
        tracemalloc.stop()
    line = str(caught.value)
    assert line
    assert "\n" not in line
    assert len(line) < 300
    return line


@pytest.mark.parametrize("zipped", [True, False])
def test_idx_is_read_zipped_or_not(write_idx: Write, zipped: bool) -> None:
    train, test, contents = idx.read(write_idx(zipped=zipped))
    assert (train.X.shape, train.X.dtype) == ((60, 1, 5, 4), torch.uint8)
    assert test.y.equal(torch.arange(20) % 10)
    assert len(set(contents)) == 4
    assert idx.read(write_idx(zipped=not zipped))[2] == contents


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        (IMAGES, lambda raw: raw[:-1], "cut off"),
        (IMAGES, lambda raw: raw + b"x", "more"),
        (IMAGES, lambda raw: raw[:10], "within its header"),
        (IMAGES, lambda raw: b"", "within its header"),
        (IMAGES, lambda raw: b"\0\0\x09\x03" + raw[4:], "0x00000903"),
        (IMAGES, lambda raw: raw[:4] + b"\xff" * 12 + raw[16:], "cannot hold"),
        (IMAGES, lambda raw: raw[:4] + bytes(12) + raw[16:], "cannot hold"),
        (LABELS, lambda raw: struct.pack(">2I", 0x801, 59) + raw[9:], "60 images and 59 labels"),
        (LABELS, lambda raw: struct.pack(">4I", 0x803, 60, 1, 1) + raw[8:], "should hold labels and holds images"),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_broken_idx(write_idx: Write, name: str, change: Callable[[bytes], bytes], words: str, zipped: bool) -> None:
    folder = write_idx(zipped=zipped)
    path = folder / (name + ".gz" * zipped)
    raw = change(gzip.decompress(path.read_bytes()) if zipped else path.read_bytes())
    path.write_bytes(gzip.compress(raw) if zipped else raw)
    assert words in refused(folder)


def test_swapped_missing_and_not_gzip(write_idx: Write) -> None:
    folder = write_idx()
    (folder / f"{IMAGES}.gz").rename(folder / "x")
    (folder / f"{LABELS}.gz").rename(folder / f"{IMAGES}.gz")
    (folder / "x").rename(folder / f"{LABELS}.gz")
    assert "holds labels" in refused(folder)
    (folder / f"{LABELS}.gz").unlink()
    (folder / f"{IMAGES}.gz").write_bytes(b"not gzip at all, but long enough for a header")
    assert "no whole gzip file" in refused(folder)
    write_idx()
    (folder / f"{LABELS}.gz").unlink()
    assert f"no {LABELS} and no {LABELS}.gz" in refused(folder)


def test_a_zip_bomb_is_not_unpacked(write_idx: Write) -> None:
    folder = write_idx()
    head = struct.pack(">4I", 0x803, 60, 5, 4)
    (folder / f"{IMAGES}.gz").write_bytes(gzip.compress(head + bytes(200 * 2**20), 1))
    assert "more" in refused(folder)


@pytest.mark.parametrize("zipped", [True, False])
def test_idx_with_any_bytes_changed_is_read_or_refused(write_idx: Write, zipped: bool) -> None:
    chance = random.Random(0)
    folder = write_idx(zipped=zipped)
    whole = {path: path.read_bytes() for path in folder.iterdir()}
    for _ in range(300):
        path = chance.choice(list(whole))
        raw = bytearray(whole[path][: chance.choice([None, None, chance.randrange(60)])])
        for _ in range(min(len(raw), chance.randrange(1, 4))):
            raw[chance.randrange(min(40, len(raw)))] = chance.randrange(256)
        path.write_bytes(raw)
        try:
            idx.read(folder)
        except UserError as error:
            assert "\n" not in str(error)  # noqa: PT017
        path.write_bytes(whole[path])


@pytest.mark.parametrize("kind", ["three", "two", "binary"])
def test_cifar_is_read_however_it_was_written(write_cifar: Write, kind: str) -> None:
    train, test = cifar.read(write_cifar(kind=kind))
    assert (train.X.shape, train.X.dtype, len(test)) == ((150, 3, 32, 32), torch.uint8, 30)
    assert train.y[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert train.X.float().mean() == pytest.approx(127.5, abs=2)
    row = cifar.batch(write_cifar(kind="three"), cifar.FILES[0]).X[0]
    assert row.equal(train.X[0])


class Hostile:
    def __reduce__(self) -> object:
        return os.system, ("touch planted",)


def huge_array() -> bytes:
    """An array of 10^12 bytes by numpy's own constructor, which the real unpickler would ask memory for."""
    return b"\x80\x02}U\x04data" + b"cnumpy\nndarray\n\x8a\x06\x00\x10\xa5\xd4\xe8\x00\x85\x85Rs."


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "no whole pickled batch"),
        (b"\x80\x02}", "no whole pickled batch"),
        (pickle.dumps([1, 2]), "no whole pickled batch"),
        (pickle.dumps({"data": 1, "labels": [1]}), "no whole pickled batch"),
        (pickle.dumps(Hostile()), "hostile"),
        (pickle.dumps({"data": Hostile(), "labels": [1]}, protocol=2), "hostile"),
        (b"cbuiltins\neval\n(S'1'\ntR.", "hostile"),
        (b"cnumpy\nload\n(S'x'\ntR.", "hostile"),
        (huge_array(), "no whole pickled batch"),
        (b"\x80\x02r\xff\xff\xff\xff.", "no whole pickled batch"),
        (b"\x80\x04\x8e\x00\x00\x00\x00\x00\x01\x00\x00.", "no whole pickled batch"),
    ],
)
def test_hostile_and_broken_pickles(write_cifar: Write, raw: bytes, words: str) -> None:
    folder = write_cifar()
    (folder / "data_batch_1").write_bytes(raw)
    assert words in refused(folder)
    assert not Path("planted").exists()


@pytest.mark.parametrize("kind", ["three", "two", "binary"])
def test_cifar_with_any_bytes_changed_is_read_or_refused(write_cifar: Write, kind: str) -> None:
    chance = random.Random(1)
    folder = write_cifar(kind=kind)
    path = next(folder.glob("test_batch*"))
    whole = path.read_bytes()
    for _ in range(100):
        raw = bytearray(whole[: chance.choice([None, None, chance.randrange(len(whole))])])
        for _ in range(3):
            at = chance.choice([chance.randrange(200), -1 - chance.randrange(200), chance.randrange(len(raw) or 1)])
            raw[at % len(raw) : at % len(raw) + 1] = bytes([chance.randrange(256)])
        path.write_bytes(raw)
        try:
            cifar.read(folder)
        except UserError as error:
            assert "\n" not in str(error)  # noqa: PT017


def test_wrong_labels_and_lengths(write_cifar: Write) -> None:
    folder = write_cifar(kind="binary")
    (folder / "data_batch_1.bin").write_bytes(b"\x0a" + bytes(3072))
    assert "no number from 0 to 9" in refused(folder)
    (folder / "data_batch_1.bin").write_bytes(bytes(3000))
    assert "get it again" in refused(folder)
    (folder / "test_batch.bin").unlink()
    (folder / "data_batch_1.bin").write_bytes(bytes(3073))
    assert "holds no test_batch" in refused(folder)


def test_the_unpickler_makes_nothing_that_is_named() -> None:
    found = cifar._Unpickler(io.BytesIO(b"cnumpy\nndarray\n(K\x05tR."), encoding="bytes").load()
    assert isinstance(found, cifar._Inert)
    assert found.args == (5,)
