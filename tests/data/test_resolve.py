"""What is asked for is found, or stood in for, and the one line says which."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dl780 import UserError
from dl780.data import SETS, load, resolve
from dl780.data.sets import DataSet

Write = Callable[..., Path]
REAL = os.environ.get("DL780_DATA")  # read before conftest takes it away


@pytest.fixture(autouse=True)
def _nothing_of_debian(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, row in SETS.items():
        monkeypatch.setitem(SETS, name, replace(row, elsewhere=()))


@pytest.mark.parametrize(
    ("asked", "name", "shape", "counts"),
    [
        ("digits", "digits", (1, 8, 8), (1266, 176, 355)),
        ("mnist", "mnist-5k", (1, 28, 28), (3500, 500, 1000)),
        ("fashion-mnist", "mnist-5k", (1, 28, 28), (3500, 500, 1000)),
        ("cifar10", "shapes", (3, 32, 32), (8000, 1000, 2000)),
        ("shapes", "shapes", (3, 32, 32), (8000, 1000, 2000)),
    ],
)
def test_without_files_each_set_has_an_embedded_one(
    asked: str, name: str, shape: tuple[int, ...], counts: tuple[int, ...]
) -> None:
    told: list[str] = []
    data = load(asked, say=told.append)
    assert (data.name, data.shape, tuple(data.counts.values())) == (name, shape, counts)
    assert told == [data.describe()]
    assert ("stands in for" in told[0]) == (asked != name)
    assert (f"`dl780 data get {asked}`" in told[0]) == (asked in ("mnist", "fashion-mnist", "cifar10"))
    for split in (data.train, data.validation, data.test):
        assert (split.X.dtype, split.y.dtype) == (torch.uint8, torch.int64)
        assert split.y.bincount(minlength=len(data.classes)).min() > 0
        assert split.X.amax() > 250


def test_embedded_says_nothing_of_a_stand_in() -> None:
    assert load("mnist", "embedded", say=None).note == ""


def test_real_files_are_found_in_order(write_idx: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_idx(tmp_path / "data" / "mnist")
    assert resolve.find("mnist") == Path("data/mnist")
    write_idx(tmp_path / "data" / "MNIST" / "raw", zipped=False)
    assert resolve.find("mnist") == Path("data/MNIST/raw")
    write_idx(tmp_path / "mine" / "mnist")
    monkeypatch.setenv("DL780_DATA", str(tmp_path / "mine"))
    assert resolve.find("mnist") == tmp_path / "mine" / "mnist"
    assert resolve.find("fashion-mnist") is None
    monkeypatch.setenv("DL780_DATA", str(tmp_path / "gone"))
    with pytest.raises(UserError, match=r"DL780_DATA is .*gone, which is no folder"):
        load("mnist", say=None)


def test_files_are_named_by_what_they_hold(write_idx: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    from dl780.data import idx

    folder = write_idx()
    data = load("mnist", folder, say=None)
    assert (data.name, data.counts) == ("idx", {"train": 54, "validation": 6, "test": 20})
    assert "IDX files of no set known here" in data.describe()
    monkeypatch.setitem(SETS, "fashion-mnist", replace(SETS["fashion-mnist"], contents=idx.read(folder)[2]))
    data = load("mnist", folder, say=None)
    assert (data.name, data.title, data.classes[9]) == ("fashion-mnist", "Fashion-MNIST, the originals", "Ankle boot")


def test_a_path_may_be_the_folder_above(write_idx: Write, tmp_path: Path) -> None:
    write_idx(tmp_path / "all" / "FashionMNIST" / "raw")
    assert load("fashion-mnist", tmp_path / "all", say=None).source.endswith("raw")


def test_how_many_validate_can_be_said_and_test_stays(write_idx: Write) -> None:
    folder = write_idx()
    some, none = (load("mnist", folder, validation=count, say=None) for count in (10, 0))
    assert (len(some.train), len(some.validation), len(none.train), len(none.validation)) == (50, 10, 60, 0)
    assert some.test.X.equal(none.test.X)
    assert (some.mean, some.std) == (none.mean, none.std)
    with pytest.raises(UserError, match="cannot validate"):
        load("mnist", folder, validation=60, say=None)


@pytest.mark.parametrize(
    ("name", "source", "words"),
    [
        ("imagenet", "auto", "no data set 'imagenet'; there are: digits, mnist"),
        ("mnist", "gone", "there is no gone"),
        ("mnist", ".", "holds no IDX files"),
        ("imagefolder", "auto", "`--data PATH` names a folder"),
    ],
)
def test_what_cannot_be_loaded_is_one_line(name: str, source: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        load(name, source, say=None)
    assert "\n" not in str(caught.value)


def test_a_row_without_stand_in_says_where_it_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SETS, "mnist", replace(SETS["mnist"], embedded=""))
    with pytest.raises(
        UserError, match=r"looked in data/MNIST/raw, data/mnist, .*`dl780 data get mnist`.*\(11\.6 MB\)"
    ):
        load("mnist", say=None)


def test_the_table_is_whole() -> None:
    for name, row in SETS.items():
        assert isinstance(row, DataSet)
        assert bool(row.files) == bool(row.mirrors) == bool(row.places), name
        assert all(mirror.endswith("/") for mirror in row.mirrors)
        assert all(len(file.md5) == 32 and file.bytes for file in row.files)


@pytest.mark.real
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10"])
def test_the_real_sets(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not REAL:
        pytest.skip("$DL780_DATA names no folder of real sets")
    monkeypatch.setenv("DL780_DATA", REAL)
    if not resolve.find(name):
        pytest.skip(f"no {name} in $DL780_DATA")
    data = load(name, say=None)
    if name != "cifar10":
        assert data.title == f"{SETS[name].title}, the originals"
    assert data.counts == {"train": (40 if name == "cifar10" else 50) * 1000 + 5000, "validation": 5000, "test": 10_000}
    assert data.test.y.bincount().sum() == 10_000
