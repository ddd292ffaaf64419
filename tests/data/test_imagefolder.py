"""Pictures in folders and archives: tensors where they fit, streams where not, one line where they are broken."""

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dl780 import UserError
from dl780.data import batches, generator_for, imagefolder, load
from dl780.data.stream import Stream

Write = Callable[..., Path]
NAMES = [f"{part}/{kind}/{i}.png" for part in ("train", "test") for kind in ("cat", "dog") for i in range(10)]


def test_a_folder_becomes_tensors(write_pictures: Write) -> None:
    data = load("imagefolder", write_pictures(NAMES), say=None)
    assert (data.name, data.classes, data.shape) == ("pictures", ("cat", "dog"), (3, 7, 9))
    assert data.counts == {"train": 18, "validation": 2, "test": 20}
    assert data.test.X[:, 0, 0, 0].tolist() == list(range(20, 40))
    assert data.test.y.tolist() == [0] * 10 + [1] * 10
    assert "a folder of pictures" in data.describe()


@pytest.mark.parametrize(
    ("names", "counts"),
    [
        ([f"{kind}/{i}.jpg" for kind in "ab" for i in range(20)], (28, 4, 8)),
        ([f"{part}/a/{i}.jpg" for part in ("train", "val") for i in range(20)], (18, 2, 20)),
        ([f"{part}/a/{i}.jpg" for part in ("train", "val", "test") for i in range(20)], (20, 20, 20)),
    ],
)
def test_splits_that_are_missing_are_made(write_pictures: Write, names: list[str], counts: tuple[int, ...]) -> None:
    assert tuple(load("imagefolder", write_pictures(names), say=None).counts.values()) == counts


def test_an_archive_is_read_in_place(write_pictures: Write, tmp_path: Path) -> None:
    folder = write_pictures(NAMES)
    with tarfile.open(tmp_path / "packed.tar.xz", "w:xz") as archive:
        archive.add(folder, "top")
    packed, plain = (load("cifar10", path, say=None) for path in (tmp_path / "packed.tar.xz", folder))
    assert packed.name == "packed"
    assert packed.counts == plain.counts
    assert packed.test.X.double().mean((1, 2, 3)).sort().values.equal(plain.test.X.double().mean((1, 2, 3)))
    raw = (tmp_path / "packed.tar.xz").read_bytes()
    for broken in (raw[:-60], b"no archive", b""):
        (tmp_path / "packed.tar.xz").write_bytes(broken)
        with pytest.raises(UserError, match=r"packed\.tar\.xz"):
            load("cifar10", tmp_path / "packed.tar.xz", say=None)


@pytest.mark.parametrize("why", ["sizes", "bytes"])
def test_pictures_that_do_not_fit_are_streamed(
    write_pictures: Write, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    folder = write_pictures(NAMES)
    if why == "sizes":
        write_pictures(["train/cat/wide.png"], size=(20, 5))
    else:
        monkeypatch.setattr(imagefolder, "MOST_BYTES", 1000)
    data = load("imagefolder", folder, say=None)
    assert isinstance(data.train, Stream)
    assert data.shape == (3, 224, 224)
    before = torch.get_rng_state()
    fed = list(batches(data.test, 8, generator_for(0, 0)))
    assert before.equal(torch.get_rng_state())
    assert [len(y) for _, y in fed] == [8, 8, 4]
    seen = {(int(x[0, 0, 0]), int(label)) for X, y in fed for x, label in zip(X, y, strict=True)}
    assert seen == {(i, int(i >= 30)) for i in range(20, 40)}


def test_a_broken_picture_is_named(write_pictures: Write) -> None:
    folder = write_pictures(NAMES)
    broken = folder / "train" / "dog" / "3.png"
    raw = broken.read_bytes()
    for content in (b"", b"text", raw[:44]):
        broken.write_bytes(content)
        with pytest.raises(UserError, match=r"^[^\n]*3\.png[^\n]*$"):
            load("imagefolder", folder, say=None)
    write_pictures(["train/cat/wide.png"], size=(20, 5))
    data = load("imagefolder", folder, validation=0, say=None)
    with pytest.raises(UserError, match=r"^[^\n]*3\.png[^\n]*$"):
        list(batches(data.train, 8))


def test_classes_of_test_alone_and_no_pictures(write_pictures: Write, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'bird' only outside train"):
        load("imagefolder", write_pictures([*NAMES, "test/bird/1.png"]), say=None)
    with pytest.raises(UserError, match="no pictures"):
        load("imagefolder", write_pictures(["test/cat/1.png"], tmp_path / "other"), say=None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no IDX files"):
        load("imagefolder", tmp_path / "empty", say=None)


def test_slow_decoding_is_kept_until_a_picture_changes(write_pictures: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagefolder, "SLOW", -1.0)
    folder = write_pictures(NAMES)
    first = load("imagefolder", folder, say=None)
    (kept,) = imagefolder.cache_folder().iterdir()
    monkeypatch.setattr(imagefolder, "_tensor", None)  # not called again
    again = load("imagefolder", folder, say=None)
    assert again.train.X.equal(first.train.X)
    assert (again.classes, again.counts) == (first.classes, first.counts)
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(kept.parent.parent))
    kept.write_bytes(b"broken")
    assert load("imagefolder", folder, say=None).train.X.equal(first.train.X)
    (folder / "train" / "cat" / "9.png").unlink()
    assert sum(load("imagefolder", folder, say=None).counts.values()) == 39
