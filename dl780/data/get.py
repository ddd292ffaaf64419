"""Bring a real set, when asked: `get` from its mirrors, `bring` from a folder on this machine.

Both write torchvision's layout, unzipped, so that `torchvision.datasets` finds the set as well.
"""

import gzip
import hashlib
import os
import shutil
import tarfile
import urllib.request
import zlib
from collections.abc import Callable
from functools import partial
from http.client import HTTPException
from pathlib import Path
from ssl import SSLError
from typing import Any
from urllib.error import URLError

from dl780 import UserError
from dl780.data import cifar, idx
from dl780.data.layouts import layout_of
from dl780.data.resolve import roots
from dl780.data.sets import DataSet, Remote, named, whose
from dl780.files import whole

PIECE = 2**18
NETWORK = (URLError, HTTPException, ConnectionError, TimeoutError, SSLError, ValueError)
PATIENCE = 30  # seconds without a byte
Progress = Callable[[int], object]  # is given how many bytes are there


def target(name: str) -> Path:
    """Where `get` and `bring` write a set: below $DL780_DATA if it is set, else below ./data."""
    row = named(name)
    if not row.places:
        raise UserError(f"{name} needs no file: it is always there" if row.embedded else f"{name} is named by its path")
    return roots()[0] / row.places[0]


def get(name: str, say: Callable[[str], object] = print) -> Path:
    """Fetch a set; what is there already is not fetched again, what was cut off goes on. Raises `UserError`."""
    row, folder = named(name), target(name)
    say(f"{row.title}: {row.bytes / 1e6:,.1f} MB in {len(row.files)} file(s) from {row.mirrors[0]} to {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    for remote in row.files:
        if _is_done(remote, row, folder):
            say(f"{remote.name}: there already")
            continue
        archive = fetch(remote, row.mirrors, folder, say)
        _unpack(archive, folder)
        archive.unlink()
    return folder


def fetch(remote: Remote, mirrors: tuple[str, ...], folder: Path, say: Callable[[str], object] = print) -> Path:
    """A file from the first mirror that gives it whole, its md5 checked. Raises `UserError`.

    What has come is kept beside it as NAME.part, and the next mirror, or the next call, goes on from there.
    """
    from tqdm import tqdm

    part, reasons = folder / f"{remote.name}.part", []
    for mirror in mirrors:
        with tqdm(total=remote.bytes, unit="B", unit_scale=True, desc=remote.name, disable=None) as bar:
            reason = _from_mirror(mirror + remote.name, remote, part, partial(_show, bar))
        if not reason:
            os.replace(part, folder / remote.name)
            return folder / remote.name
        reasons.append(f"{mirror} {reason}")
        say(f"{remote.name}: {reasons[-1]}")
    kept = f"; {_size(part):,} bytes are kept, the same command goes on there" if _size(part) else ""
    raise UserError(f"{remote.name} could not be fetched: {'; '.join(reasons)}{kept}")


def _from_mirror(url: str, remote: Remote, part: Path, progress: Progress) -> str:
    """Why a mirror did not give the file, or "" where `part` is whole. One that brought something is asked again."""
    has, reason = -1, ""
    while _size(part) < remote.bytes:
        if _size(part) <= has:
            return reason or f"cut the connection after {has:,} of {remote.bytes:,} bytes"
        has = _size(part)
        try:
            _receive(url, remote, part, progress)
        except NETWORK as error:
            reason = f"says: {error or type(error).__name__}"
    with part.open("rb") as file:
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if md5 == remote.md5:
        return ""
    part.unlink()
    return "gave a file with another md5 than its publisher states"


def _receive(url: str, remote: Remote, part: Path, progress: Progress) -> None:
    """Append to `part` what one request brings, never more than the file's size."""
    has = _size(part)
    request = urllib.request.Request(url, headers={"Range": f"bytes={has}-", "User-Agent": "dl780"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        of = answer.headers.get("Content-Range", f"bytes 0-/{answer.headers.get('Content-Length')}")
        goes_on = of == f"bytes {has}-{remote.bytes - 1}/{remote.bytes}"
        if of.rpartition("/")[2] != str(remote.bytes):
            raise HTTPException(f"the file has {of.rpartition('/')[2]} bytes, not {remote.bytes:,}")
        has *= goes_on
        with part.open("ab" if goes_on else "wb") as file:
            while piece := answer.read(min(PIECE, remote.bytes - has)):
                has += file.write(piece)
                progress(has)


def _show(bar: Any, has: int) -> None:
    bar.update(has - bar.n)


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _is_done(remote: Remote, row: DataSet, folder: Path) -> bool:
    """Whether what an archive holds lies in the folder, whole."""
    try:
        if not row.contents:
            return len(cifar.read(folder)[0]) == 50_000
        return idx.tensor(folder, remote.name.removesuffix(".gz"))[1] in row.contents
    except UserError:
        return False


def _unpack(archive: Path, folder: Path) -> None:
    """The files of an archive, each written whole. Raises `UserError`."""
    try:
        if archive.name.endswith(".tar.gz"):
            with tarfile.open(archive) as tar:
                for member in tar:
                    if (file := tar.extractfile(member)) and Path(member.name).name in (*cifar.FILES, "batches.meta"):
                        with whole(folder / Path(member.name).name) as part, part.open("wb") as out:
                            shutil.copyfileobj(file, out)
        else:
            with gzip.open(archive) as zipped, whole(archive.with_suffix("")) as part, part.open("wb") as out:
                shutil.copyfileobj(zipped, out)
    except (EOFError, zlib.error, tarfile.TarError, gzip.BadGzipFile) as error:
        raise UserError(f"{archive} cannot be unpacked ({error}): delete it and get it again") from error


def bring(name: str, source: Path) -> Path:
    """Copy a set's files, unzipped, from a folder to where it is looked for. Raises `UserError`.

    They are read first: magic numbers, sizes, counts, and the content of IDX files against the originals'.
    """
    row, folder = named(name), target(name)
    if (source / row.places[0]).is_dir():
        source = source / row.places[0]
    if not layout_of(source):
        raise UserError(f"{source} does not hold {row.title}")
    for file, content in _checked(name, row, source).items():
        with whole(folder / file) as part:
            part.write_bytes(content)
    return folder


def _checked(name: str, row: DataSet, source: Path) -> dict[str, bytes]:
    """File name -> content, after all of it was read and recognised."""
    if not row.contents:
        cifar.read(source)
        return {path.name: path.read_bytes() for path in cifar.files_of(source)}
    _, _, contents = idx.read(source)
    if contents != row.contents:
        other = whose(contents)
        holds = named(other).title if other else "something else"
        raise UserError(f"{source} holds {holds}, not the originals of {row.title}")
    return {file: idx.content(source, file) for file in idx.FILES}
