"""What an LMS hands out: whose each file is, in each layout, in folders and in zips, also in hostile ones."""

import json
import os
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dl780 import UserError
from dl780.grade import read, unzip
from dl780.grade.layouts import LAYOUTS
from dl780.grade.read import Unreadable, cells, find, take

CODE = json.dumps({"cells": [{"cell_type": "code", "source": "a = 1"}], "nbformat": 4, "nbformat_minor": 5})
METADATA = """\
---
submission_101:
  :submitters:
  - :name: Ada Lovelace
    :sid: '4711'
    :email: ada@example.org
  :created_at: 2026-03-01 22:15:00.123456789 -05:00
  :score: 0.0
submission_102:
  :submitters:
  - :name: Bea
    :sid:
    :email: bea@example.org
  - :name: Cai
    :sid: '5'
    :email: cai@example.org
  :created_at: 2026-03-03 10:00:00 Z
"""
DOWNLOADS: dict[str, dict[str, str]] = {
    "canvas": {
        "lovelaceada_12_345_hw.ipynb": CODE,
        "bea_LATE_13_346_hw_2_final-1.ipynb": CODE,
    },
    "moodle": {
        "Ada Lovelace_12_assignsubmission_file_/hw.ipynb": CODE,
        "Bea van_Dam_13_assignsubmission_file/part/hw.py": "a = 1",
        "Cai_14_assignsubmission_file_hw.ipynb": CODE,
    },
    "gradescope": {
        "assignment_9_export/submission_metadata.yml": METADATA,
        "assignment_9_export/submission_101/hw.ipynb": CODE,
        "assignment_9_export/submission_102/hw.ipynb": CODE,
    },
    "nbgrader": {
        "submitted/ada/ps1/hw.ipynb": CODE,
        "submitted/ada/ps1/timestamp.txt": "2026-03-01 22:15:00.123456 UTC\n",
        "submitted/bea/ps1/hw.ipynb": CODE,
    },
}
OWNERS = {
    "canvas": {"lovelaceada_12": ("lovelaceada", ("12",), False), "bea_13": ("bea", ("13",), True)},
    "moodle": {
        "Ada Lovelace_12": ("Ada Lovelace", ("12",), None),
        "Bea van_Dam_13": ("Bea van_Dam", ("13",), None),
        "Cai_14": ("Cai", ("14",), None),
    },
    "gradescope": {
        "Ada Lovelace_4711": ("Ada Lovelace", ("4711", "ada@example.org", "submission_101"), None),
        "Bea & Cai_bea@example.org": ("Bea & Cai", ("bea@example.org", "5", "cai@example.org", "submission_102"), None),
    },
    "nbgrader": {"ada": ("", ("ada",), None), "bea": ("", ("bea",), None)},
}
BACK = {
    "canvas": {"lovelaceada_12_345_feedback.html", "bea_13_346_feedback.html"},
    "moodle": {
        "Ada Lovelace_12_assignsubmission_file_/feedback.html",
        "Bea van_Dam_13_assignsubmission_file/feedback.html",
        "Cai_14_assignsubmission_file_feedback.html",
    },
    "gradescope": {"submission_101/feedback.html", "submission_102/feedback.html"},
    "nbgrader": {""},
}


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def zipped(path: Path, files: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def taken(paths: list[Path], out: Path, layout: str = "auto") -> dict[str, tuple[str, tuple[str, ...], bool | None]]:
    found = find(paths, out, layout)
    return {s.name: (s.owner.name, s.owner.ids, s.owner.late) for s in found if s.owner}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("form", ["folder", "zip", "zip in a folder"])
def test_a_download_tells_whose_each_file_is(tmp_path: Path, layout: str, form: str) -> None:
    files: dict[str, str | bytes] = {**DOWNLOADS[layout]}
    root = write(tmp_path / "got", DOWNLOADS[layout]) if form == "folder" else tmp_path / "got"
    if form == "zip":
        root = zipped(tmp_path / "got.zip", files)
    elif form == "zip in a folder":
        root.mkdir()
        zipped(root / "download.zip", files)
    assert taken([root], tmp_path / "out") == OWNERS[layout]
    assert {s.owner.back for s in find([root], tmp_path / "out") if s.owner} == BACK[layout]
    assert taken([root], tmp_path / "out", "plain") == {}


@pytest.mark.parametrize(("layout", "student"), [("gradescope", "Ada Lovelace_4711"), ("nbgrader", "ada")])
def test_times_of_the_layout(tmp_path: Path, layout: str, student: str) -> None:
    found = find([write(tmp_path / "got", DOWNLOADS[layout])], tmp_path / "out")
    owner = next(s.owner for s in found if s.name == student)
    assert owner
    assert owner.when
    wanted = (
        datetime(2026, 3, 2, 3, 15, tzinfo=UTC) if layout == "gradescope" else datetime(2026, 3, 1, 22, 15, tzinfo=UTC)
    )
    assert owner.when.replace(microsecond=0) == wanted


def test_one_stray_file_makes_a_folder_plain_unless_the_layout_is_named(tmp_path: Path) -> None:
    root = write(tmp_path / "got", {**DOWNLOADS["canvas"], "notes.py": "a = 1"})
    assert taken([root], tmp_path / "out") == {}
    assert taken([root], tmp_path / "out", "canvas") == OWNERS["canvas"]
    with pytest.raises(UserError, match="moodle"):
        find([root], tmp_path / "out", "moodle")


@pytest.mark.parametrize(
    ("layout", "path", "who"),
    [
        ("canvas", "eve_1_10_bea_2_11_hw.py", "1"),
        ("canvas", "eve_1_10_hw.zip/bea_2_11_hw.py", "1"),
        ("moodle", "Eve_1_assignsubmission_file_Bea_2_assignsubmission_file_hw.py", "1"),
        ("moodle", "Eve_1_assignsubmission_file_/Bea_2_assignsubmission_file_/hw.py", "1"),
        ("gradescope", "x/submission_1/submission_2/hw.py", "submission_1"),
        ("nbgrader", "submitted/eve/ps1/submitted/bea/ps1/hw.py", "eve"),
    ],
)
def test_nobody_hands_in_as_somebody_else(tmp_path: Path, layout: str, path: str, who: str) -> None:
    root = write(tmp_path / "got", {path: "a = 1", **DOWNLOADS[layout]})
    fake = {
        "submission_1/submission_metadata.yml": "submission_1: {':submitters': [{':sid': 'bea'}]}",
        "submitted/eve/ps1/submitted/bea/ps1/timestamp.txt": "2020-01-01 00:00:00 UTC",
    }
    write(root / "x", fake if layout in ("gradescope", "nbgrader") else {})
    (found,) = [s for s in find([root], tmp_path / "out") if s.path.is_relative_to(root / path)]
    assert found.owner
    assert (found.owner.ids, found.owner.when) == ((who,), None)


def test_students_zips_within_a_download(tmp_path: Path) -> None:
    """Two hand in the same zip, one a broken one, one a zip without a notebook: four rows, each with its owner."""
    zipped(tmp_path / "hw.zip", {"hw.ipynb": CODE, "__MACOSX/._hw.ipynb": "x", "data.csv": "1"})
    zipped(tmp_path / "none.zip", {"data.csv": "1"})
    whole = (tmp_path / "hw.zip").read_bytes()
    root = zipped(
        tmp_path / "all.zip",
        {
            "ada_1_10_hw.zip": whole,
            "bea_2_11_hw.zip": whole,
            "cai_3_12_hw.zip": whole[:40],
            "dee_4_13_hw.zip": (tmp_path / "none.zip").read_bytes(),
        },
    )
    found = find([root], tmp_path / "out")
    assert [s.name for s in found] == ["ada_1", "bea_2", "cai_3", "dee_4"]
    assert [cells(take(s)) for s in found[:2]] == [["a = 1"], ["a = 1"]]
    for submission in found[2:]:
        with pytest.raises(Unreadable, match="the zip is cut off or broken, or holds no notebook"):
            cells(take(submission))


def test_hostile_names_stay_below_the_output_folder(tmp_path: Path) -> None:
    evil = ["../../evil.py", "/etc/evil.py", "a/../../b.py", "..\\..\\c.py", "C:\\d.py", "x/./y.py", "n" * 300 + ".py"]
    link = zipfile.ZipInfo("link.py")
    link.external_attr = (0o120777 << 16) & 0xFFFFFFFF
    with zipfile.ZipFile(tmp_path / "got.zip", "w") as archive:
        for name in evil:
            archive.writestr(name, "a = 1")
        archive.writestr(link, "/etc/passwd")
    (tmp_path / "out").mkdir()
    before = set(tmp_path.rglob("*"))
    found = find([tmp_path / "got.zip"], tmp_path / "out")
    assert len(found) == len(evil)
    for path in set(tmp_path.rglob("*")) - before:
        assert path.is_relative_to(tmp_path / "out")
        assert not path.is_symlink()


def test_a_zip_bomb_is_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "MOST_BYTES", 1000)
    root = zipped(tmp_path / "got.zip", {"a.py": b" " * 10**7, "b.py": "a = 1"})
    found = find([root], tmp_path / "out")
    with pytest.raises(Unreadable) as caught:
        cells(take(found[0]))
    assert caught.value.status == "too_large"
    assert cells(take(found[1])) == ["a = 1"]
    disk = sum(p.stat().st_blocks * 512 for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert disk < 2**21
    monkeypatch.setattr(unzip, "MOST_UNPACKED", 1500)
    with pytest.raises(UserError, match="more than"):
        find([zipped(tmp_path / "more.zip", {f"{i}.py": b" " * 900 for i in range(3)})], tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no zip"])
def test_a_broken_download_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "got.zip").write_bytes(content)
    with pytest.raises(UserError, match="cut off or broken") as caught:
        find([tmp_path / "got.zip"], tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_an_encrypted_or_damaged_member_is_one_row(tmp_path: Path) -> None:
    root = zipped(tmp_path / "got.zip", {"a.ipynb": CODE + " " * 5000, "b.py": "a = 1"})
    raw = bytearray(root.read_bytes())
    raw[60:64] = os.urandom(4)
    root.write_bytes(raw)
    found = find([root], tmp_path / "out")
    assert [s.name for s in found] == ["a", "b"]
    with pytest.raises(Unreadable):
        cells(take(found[0]))
    assert cells(take(found[1])) == ["a = 1"]
