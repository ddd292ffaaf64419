"""Zips of submissions, unpacked as if their makers meant harm: names, links, sizes and nesting are all theirs."""

import hashlib
import lzma
import re
import shutil
import stat
import zipfile
import zlib
from pathlib import Path

from dl780 import UserError
from dl780.files import write_whole
from dl780.grade.layouts import BESIDE

KEPT = (".ipynb", ".py", ".zip", *BESIDE)
MOST_FILES = 100_000
MOST_UNPACKED = 8 * 2**30  # bytes, of one zip
PIECE = 2**20


class BadZip(Exception):
    """This is no zip, or none that is unpacked here; the message says why."""


def unzip(path: Path, below: Path, most: int, within: str = "") -> Path:
    """Unpack a zip into a folder of its own, named by its content; what was unpacked whole before is kept.

    `within` tells apart what two students handed in alike.

    A file larger than `most` bytes is left as an empty one of `most + 1`, which says so wherever it is read.
    Raises `BadZip`, and `UserError` where nothing can be written.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        digest.update(within.encode("utf-8", "backslashreplace"))
        folder = below / digest.hexdigest()[:16]
        if (folder / ".whole").exists():
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if _wanted(m)]
            if len(members) > MOST_FILES:
                raise BadZip(f"the zip holds more than {MOST_FILES} files")
            left = MOST_UNPACKED
            for member in members:
                target = _target(folder, member.filename)
                if target.exists():
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                left -= _copy(archive, member, target, min(most, left))
                if left <= 0:
                    raise BadZip(f"the zip holds more than {MOST_UNPACKED >> 30} GiB")
        write_whole(folder / ".whole", "")
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
        raise BadZip("the zip is cut off or broken") from error
    except OSError as error:
        raise UserError(f"cannot unpack {path}: {error.strerror or error}") from error
    return folder


def _wanted(member: zipfile.ZipInfo) -> bool:
    """Files that may matter: no folders, no links, no devices."""
    kind = stat.S_IFMT(member.external_attr >> 16)
    return member.filename.endswith(KEPT) and kind in (0, stat.S_IFREG)


def _target(folder: Path, name: str) -> Path:
    """Where a member lies: below the folder whatever its name is, each part of a length that a file system takes."""
    parts = re.split(r"[/\\]", name.replace("\0", "_"))
    return folder.joinpath(*(_short(part) for part in parts if part not in ("", ".", "..")))


def _short(part: str) -> str:
    raw = part.encode("utf-8", "backslashreplace")
    if len(raw) <= 200:
        return raw.decode()
    return f"{hashlib.sha256(raw).hexdigest()[:12]}~{raw[-120:].decode('utf-8', 'ignore')}"


def _copy(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, most: int) -> int:
    """Write a member, piece by piece, and return its bytes; what cannot be read on is left cut off."""
    written = 0
    with target.open("wb") as out:
        try:
            with archive.open(member) as source:
                while piece := source.read(PIECE):
                    written += len(piece)
                    if written > most:
                        out.truncate(most + 1)
                        break
                    out.write(piece)
        except (zipfile.BadZipFile, RuntimeError, EOFError, ValueError, zlib.error, lzma.LZMAError):
            pass  # encrypted, or with a wrong sum: the row of this submission will say that it is cut off or empty
    return written
