"""What a student handed in, as the sources of its code cells, or the status that says why there are none."""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from dl780 import UserError

MOST_BYTES = 256 * 2**20
MOST_NAME = 200  # bytes; 255 with suffixes is what file systems take
SUFFIXES = (".ipynb", ".py")


@dataclass(frozen=True)
class Submission:
    """A file and the name that it has in the gradebook."""

    name: str
    path: Path


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


def find(paths: list[Path], leave_out: Path) -> list[Submission]:
    """Every notebook and Python file at or below the paths, sorted, each under a name of its own."""
    found: dict[str, Path] = {}
    seen: set[Path] = set()
    for path in paths:
        if not path.exists():
            raise UserError(f"there is no {path}")
        for file in [path] if path.is_file() else sorted(_below(path, leave_out)):
            if file.resolve() in seen:
                continue
            seen.add(file.resolve())
            below = Path(file.name) if path.is_file() else file.relative_to(path)
            name = _name("__".join(below.with_suffix("").parts))
            if name in found:
                name = _name("__".join(below.parts).replace(".", "_"))
            number, plain = 2, name
            while name in found:
                name, number = f"{plain}_{number}", number + 1
            found[name] = file
    if not found:
        raise UserError(f"no notebook (.ipynb) and no .py file in {', '.join(map(str, paths))}")
    return [Submission(name, path) for name, path in sorted(found.items())]


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


def _name(plain: str) -> str:
    """A name that any file system and any UTF-8 file takes: no half characters, and cut, with a digest, if too long."""
    raw = plain.encode("utf-8", "backslashreplace")
    if len(raw) > MOST_NAME:
        digest = hashlib.sha256(raw).hexdigest()[:12]
        raw = raw[: MOST_NAME - 13] + b"~" + digest.encode()
    return raw.decode("utf-8", "ignore")


def _below(folder: Path, leave_out: Path) -> Iterator[Path]:
    """Files with a known suffix, without hidden ones and without following links to folders."""
    for where, folders, files in os.walk(folder):
        folders[:] = [f for f in folders if not f.startswith(".") and Path(where, f).resolve() != leave_out.resolve()]
        yield from (Path(where, f) for f in files if f.endswith(SUFFIXES) and not f.startswith("."))


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
