"""Files that are there whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dl780 import UserError


def write_whole(path: Path, text: str) -> None:
    """Write a text; half characters are written as escapes. Raises `UserError`."""
    try:
        with whole(path, alone=True) as part:
            part.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; mend that and run it again") from error


@contextmanager
def whole(path: Path, alone: bool = False) -> Iterator[Path]:
    """A path beside `path` to write to, moved there at the end; after an error neither is there.

    Its name carries the process, so that two may write the same file and the later one wins; not where this one is
    alone: then what a killed process left is overwritten by the next.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part" if alone else f"{path.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
