"""Reading what was handed in: every form of notebook, and a clear word for what is none."""

import codecs
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from dl780 import UserError
from dl780.grade import read
from dl780.grade.read import Submission, Unreadable, find, take


def cells(path: Path) -> list[str]:
    return read.cells(take(Submission("ada", path)))


def code(source: Any, **more: Any) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, **more}


def notebook(*sources: Any) -> str:
    return json.dumps({"cells": [code(s) for s in sources], "nbformat": 4, "nbformat_minor": 5}, ensure_ascii=False)


V3 = {
    "nbformat": 3,
    "worksheets": [
        {"cells": [{"cell_type": "code", "input": ["a = 1\n", "b = 2"]}, {"cell_type": "markdown", "source": "no"}]},
        {"cells": [{"cell_type": "code", "input": "c = 3"}]},
    ],
}
MARKS = "s = '''\n<<<<<<< HEAD\n'''"
MIXED: list[Any] = [
    7,
    None,
    "text",
    [],
    {},
    {"cell_type": "markdown", "source": "x"},
    {"cell_type": "raw"},
    code("a = 1"),
    code(["b\n", "c"]),
]


@pytest.mark.parametrize(
    ("name", "content", "wanted"),
    [
        ("a.ipynb", notebook("a = 1", ["b = 2\n", "c = 3"]), ["a = 1", "b = 2\nc = 3"]),
        ("v3.ipynb", json.dumps(V3), ["a = 1\nb = 2", "c = 3"]),
        ("odd.ipynb", json.dumps({"cells": MIXED}), ["a = 1", "b\nc"]),
        ("bom.ipynb", codecs.BOM_UTF8 + notebook("é = 1").encode(), ["é = 1"]),
        ("wide.ipynb", notebook("é = 1").encode("utf-16"), ["é = 1"]),
        ("latin.ipynb", notebook("é = 1").encode("latin-1"), ["é = 1"]),
        ("plain.py", "a = 1\nb = 2\n", ["a = 1\nb = 2\n"]),
        ("bom.py", codecs.BOM_UTF8 + b"a = 1", ["a = 1"]),
        ("latin.py", "s = 'é'".encode("latin-1"), ["s = 'é'"]),
        ("wide.py", codecs.BOM_UTF16_LE + "s = 'é'".encode("utf-16-le"), ["s = 'é'"]),
        ("cells.py", "# %%\na = 1\n#%% titled\nb = 2\n", ["", "\na = 1\n", "\nb = 2\n"]),
        # a notebook that only talks of conflicts is none
        ("marks.ipynb", json.dumps(json.loads(notebook(MARKS)), indent=1), [MARKS]),
    ],
)  # fmt: skip
def test_sources_of_code_cells(tmp_path: Path, name: str, content: str | bytes, wanted: list[str]) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    assert cells(path) == wanted


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [
        ("a.ipynb", "", "empty"),
        ("a.py", "", "empty"),
        ("a.ipynb", " \n\t\n", "empty"),
        ("a.ipynb", notebook("", "  \n"), "empty"),
        ("a.ipynb", json.dumps({"cells": [{"cell_type": "markdown", "source": "an answer"}]}), "empty"),
        ("a.ipynb", json.dumps({"cells": []}), "empty"),
        ("a.ipynb", notebook("a = 1")[:-20], "unreadable"),
        ("a.ipynb", "print('I renamed a .py')", "unreadable"),
        ("a.ipynb", f"<<<<<<< HEAD\n{notebook('a = 1')}\n=======\n{{}}\n>>>>>>> other\n", "unreadable"),
        ("a.ipynb", "[" * 100_000, "unreadable"),
        ("a.ipynb", "\x80\x81", "unreadable"),
        ("a.ipynb", "[1, 2]", "not_a_notebook"),
        ("a.ipynb", "7", "not_a_notebook"),
        ("a.ipynb", "null", "not_a_notebook"),
        ("a.ipynb", '{"title": "homework"}', "not_a_notebook"),
        ("a.ipynb", '{"cells": 7}', "not_a_notebook"),
        ("a.ipynb", '{"worksheets": [7, {}]}', "empty"),
    ],
)
def test_a_word_for_what_cannot_be_graded(tmp_path: Path, name: str, content: str, status: str) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(Unreadable) as caught:
        cells(path)
    assert caught.value.status == status
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("worksheet", [{"cells": None}, {"cells": 3}])
def test_worksheets_of_odd_types_are_no_fault_of_the_grader(tmp_path: Path, worksheet: Any) -> None:
    (tmp_path / "a.ipynb").write_text(json.dumps({"worksheets": [worksheet]}))
    with pytest.raises(Unreadable):
        cells(tmp_path / "a.ipynb")


def test_a_source_of_null_is_no_code(tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text(notebook(None))
    with pytest.raises(Unreadable, match="no code"):
        cells(tmp_path / "a.ipynb")


def test_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.py"
    path.write_text("a = 1\n")
    monkeypatch.setattr(read, "MOST_BYTES", 6)
    assert cells(path) == ["a = 1\n"]
    monkeypatch.setattr(read, "MOST_BYTES", 5)
    with pytest.raises(Unreadable) as caught:
        cells(path)
    assert caught.value.status == "too_large"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    path.symlink_to(tmp_path / "gone.ipynb")
    with pytest.raises(Unreadable, match="cannot be read") as caught:
        cells(path)
    assert caught.value.status == "unreadable"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_or_device_is_not_waited_for(tmp_path: Path) -> None:
    """A link to /dev/zero in a submission would be read without end."""
    path = tmp_path / "a.ipynb"
    os.mkfifo(path)
    found: list[object] = []

    def reader() -> None:
        try:
            found.append(cells(path))
        except Unreadable as error:
            found.append(error.status)

    thread = threading.Thread(target=reader, daemon=True)
    thread.start()
    thread.join(1)
    answered = list(found)
    if thread.is_alive():
        path.write_text("end of the wait")
    assert answered == ["unreadable"]


def test_names_are_paths_below_the_folder_and_never_collide(tmp_path: Path) -> None:
    root, out = tmp_path / "class", tmp_path / "class" / "out"
    files = ["a/b.ipynb", "a/b.py", "a__b.ipynb", "c.d.ipynb", "e é='x'.py", "deep/er/f.ipynb"]
    left_out = [".hidden.ipynb", "a/.ipynb_checkpoints/b.ipynb", "out/graded.py", "notes.txt", "b.ipynb.bak", ".x/y.py"]
    for file in files + left_out:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text("a = 1")
    (root / "folder.ipynb").mkdir()
    assert {s.name: s.path.relative_to(root).as_posix() for s in find([root], leave_out=out)} == {
        "a__b": "a/b.ipynb",
        "a__b_py": "a/b.py",
        "a__b_ipynb": "a__b.ipynb",
        "c.d": "c.d.ipynb",
        "e é='x'": "e é='x'.py",
        "deep__er__f": "deep/er/f.ipynb",
    }


def test_files_are_named_like_folders_and_three_of_a_name_differ(tmp_path: Path) -> None:
    paths = [tmp_path / f"s{i}" / "hw.ipynb" for i in range(4)]
    for path in paths:
        path.parent.mkdir()
        path.write_text("a = 1")
    asked = [paths[0], paths[1].parent, paths[2], paths[3]]
    found = find(asked, leave_out=tmp_path / "out")
    assert [s.name for s in found] == ["hw", "hw_ipynb", "hw_ipynb_2", "hw_ipynb_3"]
    assert [s.path for s in found] == paths


def test_a_file_named_twice_is_graded_once(tmp_path: Path) -> None:
    path = tmp_path / "hw.ipynb"
    path.write_text("a = 1")
    assert len(find([path, tmp_path, tmp_path / ".." / tmp_path.name], leave_out=tmp_path / "out")) == 1


@pytest.mark.parametrize("make", ["nothing", "folder"])
def test_nothing_to_grade_is_one_clear_line(tmp_path: Path, make: str) -> None:
    path = tmp_path / make
    if make == "folder":
        path.mkdir()
        (path / "notes.txt").write_text("a = 1")
    with pytest.raises(UserError) as caught:
        find([path], leave_out=tmp_path / "out")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
