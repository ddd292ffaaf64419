"""What a student handed in, as the sources of its code cells, or the status that says why there are none."""

import hashlib
import json
import os
import re
import stat
from collections.abc import Container, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from dl780 import UserError
from dl780.grade.layouts import BESIDE, Owner, owners
from dl780.grade.unzip import BadZip, unzip

MOST_BYTES = 256 * 2**20
MOST_NAME = 200  # bytes; 255 with suffixes is what file systems take
SUFFIXES = (".ipynb", ".py")
NESTED = 2  # zips in zips


@dataclass(frozen=True)
class Submission:
    """A file, the name that it has in the gradebook, and whose it is where its path tells."""

    name: str
    path: Path
    owner: Owner | None = None


@dataclass(frozen=True)
class Handed:
    """What was handed in: a submission's bytes, or the status and the sentence that say why there are none."""

    name: str
    suffix: str
    raw: bytes = b""
    digest: str = ""
    problem: tuple[str, str] | None = None


class Unreadable(Exception):
    """A file holds no cells; `status` is the gradebook's word for it, the message the sentence beside it."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


def find(paths: list[Path], leave_out: Path, layout: str = "auto") -> list[Submission]:
    """Every notebook and Python file at or below the paths, also in zips, sorted, each under a name of its own.

    Zips are unpacked below `leave_out`, the output folder. One that cannot be, or that holds no submission, is a
    submission itself, whose row says so.
    """
    found: dict[str, Submission] = {}
    seen: set[Path] = set()
    for path in paths:
        if not path.exists():
            raise UserError(f"there is no {path}")
        root = _unpacked(path, leave_out) if path.suffix == ".zip" else path
        files = dict(_files(root, leave_out)) if root.is_dir() else {Path(path.name): path}
        whose = owners(root, files, layout) if root.is_dir() else {}
        for below, file in files.items():
            if below.name in BESIDE or file.resolve() in seen:
                continue
            seen.add(file.resolve())
            name = _free(below, whose.get(below), found)
            found[name] = Submission(name, file, whose.get(below))
    if not found:
        raise UserError(f"no notebook (.ipynb) and no .py file in {', '.join(map(str, paths))}")
    return [submission for _, submission in sorted(found.items())]


def take(submission: Submission) -> Handed:
    """A submission's bytes, and their SHA-256."""
    none = partial(Handed, submission.name, (path := submission.path).suffix, b"", "")
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            return none(("unreadable", "this is no file, but a device, a pipe or a folder"))
        if about.st_size > MOST_BYTES:
            return none(("too_large", f"the file is larger than {MOST_BYTES >> 20} MiB"))
        raw = path.read_bytes()
    except OSError as error:
        return none(("unreadable", f"the file cannot be read: {error.strerror}"))
    return Handed(submission.name, path.suffix, raw, hashlib.sha256(raw).hexdigest())


def cells(handed: Handed) -> list[str]:
    """The sources of a submission's code cells. Raises `Unreadable`."""
    if handed.problem:
        raise Unreadable(*handed.problem)
    if handed.suffix == ".zip":
        raise Unreadable("unreadable", "the zip is cut off or broken, or holds no notebook and no .py file")
    text = _decode(handed.raw)
    if not text.strip():
        raise Unreadable("empty", "the file is empty")
    if handed.suffix == ".py":
        return re.split(r"(?m)^# ?%%.*$", text)
    if re.search(r"(?m)^(<{7} |>{7} )", text):
        raise Unreadable("unreadable", "the file holds the marks of a merge conflict")
    try:
        notebook = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable("unreadable", "the file is no whole notebook: its JSON is cut off or broken") from error
    sources = [source for cell in _cells(notebook) if (source := _source(cell)) is not None]
    if not any(source.strip() for source in sources):
        raise Unreadable("empty", "the notebook has no code")
    return sources


def _free(below: Path, owner: Owner | None, taken: Container[str]) -> str:
    """A name that no other submission has: its owner's, or its path."""
    parts = [part for part in (owner.name, owner.ids[0]) if part] if owner else below.with_suffix("").parts
    name = _name(("_" if owner else "__").join(parts).replace("/", "_"))
    if name in taken and not owner:
        name = _name("__".join(below.parts).replace(".", "_"))
    number, plain = 2, name
    while name in taken:
        name, number = f"{plain}_{number}", number + 1
    return name


def _files(root: Path, leave_out: Path, depth: int = NESTED) -> Iterator[tuple[Path, Path]]:
    """The submissions below a folder, each under its path there; a zip is a folder, unless none are inside."""
    for file in sorted(_below(root, leave_out)):
        below = file.relative_to(root)
        inside = []
        with suppress(BadZip):
            if file.suffix == ".zip" and file.is_file() and depth:
                folder = unzip(file, leave_out / "unzipped", MOST_BYTES, str(below))
                inside = [(below / deeper, real) for deeper, real in _files(folder, leave_out, depth - 1)]
        yield from inside or [(below, file)]


def _unpacked(path: Path, leave_out: Path) -> Path:
    try:
        return unzip(path, leave_out / "unzipped", MOST_BYTES)
    except BadZip as error:
        raise UserError(f"{path}: {error}") from error


def _name(plain: str) -> str:
    """A name that any file system and any UTF-8 file takes: no half characters, and cut, with a digest, if too long."""
    raw = plain.encode("utf-8", "backslashreplace")
    if len(raw) > MOST_NAME:
        digest = hashlib.sha256(raw).hexdigest()[:12]
        raw = raw[: MOST_NAME - 13] + b"~" + digest.encode()
    return raw.decode("utf-8", "ignore")


def _below(folder: Path, leave_out: Path) -> Iterator[Path]:
    """Files with a known suffix, and what tells of them, without hidden ones and without following links to folders."""
    for where, folders, files in os.walk(folder):
        folders[:] = [
            f
            for f in folders
            if not f.startswith((".", "__MACOSX")) and Path(where, f).resolve() != leave_out.resolve()
        ]
        yield from (Path(where, f) for f in files if f.endswith((*SUFFIXES, ".zip", *BESIDE)) and not f.startswith("."))


def _decode(raw: bytes) -> str:
    for encoding in ("utf-8-sig", "utf-16") if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig",):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")


def _cells(notebook: Any) -> list[Any]:
    """Cells of a notebook of format 4, or of format 3 with its worksheets."""
    if isinstance(notebook, dict):
        if isinstance(notebook.get("cells"), list):
            return list(notebook["cells"])
        sheets = notebook.get("worksheets")
        if isinstance(sheets, list):
            found = [s["cells"] for s in sheets if isinstance(s, dict) and isinstance(s.get("cells"), list)]
            return [cell for sheet in found for cell in sheet]
    raise Unreadable("not_a_notebook", "the file is JSON, but no notebook")


def _source(cell: Any) -> str | None:
    if not isinstance(cell, dict) or cell.get("cell_type") != "code":
        return None
    source = cell.get("source", cell.get("input", ""))
    return "".join(map(str, source)) if isinstance(source, list) else str(source or "")
