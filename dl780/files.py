"""Files that are there whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dl780 import UserError


def write_whole(path: Path, text: str) -> None:
    """Write a file beside its place, then move it there; half characters are written as escapes."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(text, encoding="utf-8", errors="backslashreplace")
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UserError(f"cannot write {path}: {error.strerror}; mend that and run it again") from error


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to, moved there at the end; after an error neither is there.

    Its name carries the process: two processes may write the same file, and the later one wins.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
