"""How an LMS hands a class out: whose a file is, told by its path, and by a file that lies beside it."""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from dl780 import UserError

BESIDE = ("timestamp.txt", "submission_metadata.yml")  # what tells of submissions, and is none
MOST_BESIDE = 64 * 2**20


@dataclass(frozen=True)
class Owner:
    """Whose a file is, as the LMS says it."""

    name: str
    ids: tuple[str, ...]  # all that a roster may know the submitters by
    when: datetime | None = None
    late: bool | None = None  # as the LMS marked it; None where it says nothing
    order: int = 0  # of several files by one student the largest is the latest
    back: str = ""  # where a page must lie in a zip that the LMS takes back


Files = Mapping[Path, Path]  # a path below the download -> where it lies, which may be in an unpacked zip


@dataclass(frozen=True)
class Layout:
    """A pattern of paths below the download, and a function from (its parts, the path, all files) to the owner."""

    pattern: str
    owner: Callable[[dict[str, str], Path, Files], Owner]


def owners(root: Path, files: Files, layout: str = "auto") -> dict[Path, Owner]:
    """The owner of each submission, a path below the root; `auto` takes the layout that fits them all, else none.

    Raises `UserError` for a layout that is named and fits no file.
    """
    within = {f: PurePosixPath(root.resolve().name, f).as_posix() for f in files if f.name not in BESIDE}
    for name, known in LAYOUTS.items():
        parts = {f: found for f, path in within.items() if (found := re.fullmatch(known.pattern, path))}
        if layout == name and not parts:
            raise UserError(f"no path below {root} is one of {name}'s: leave out --layout")
        if parts and (layout == name or (layout == "auto" and len(parts) == len(within))):
            return {f: known.owner(found.groupdict(default=""), f, files) for f, found in parts.items()}
    return {}


def _canvas(parts: dict[str, str], path: Path, files: Files) -> Owner:
    back = f"{parts['name']}_{parts['id']}_{parts['order']}_feedback.html"
    return Owner(parts["name"], (parts["id"],), late=bool(parts["late"]), order=int(parts["order"]), back=back)


def _moodle(parts: dict[str, str], path: Path, files: Files) -> Owner:
    return Owner(parts["name"], (parts["id"],), back=f"{parts['folder']}{parts['sep']}feedback.html")


def _nbgrader(parts: dict[str, str], path: Path, files: Files) -> Owner:
    return Owner("", (parts["id"],), _time(_text(files.get(_above(path, parts) / "timestamp.txt"))))


def _gradescope(parts: dict[str, str], path: Path, files: Files) -> Owner:
    above = _above(path, parts)
    about = _metadata(files.get(above.parent / "submission_metadata.yml") if above.name else None).get(parts["id"])
    about = about if isinstance(about, dict) else {}
    people = [p for p in about.get(":submitters") or [] if isinstance(p, dict)]
    ids = [str(p[key]) for p in people for key in (":sid", ":email") if p.get(key)]
    names = " & ".join(str(p[":name"]) for p in people if p.get(":name"))
    when, order = _time(about.get(":created_at")), int(parts["order"])
    return Owner(names, (*ids, parts["id"]), when, order=order, back=f"{parts['id']}/feedback.html")


def _above(path: Path, parts: dict[str, str]) -> Path:
    """The folder that the LMS made, above whatever folders a student handed in."""
    return path.parents[parts["file"].count("/")]


# The outermost folder that fits is the LMS's: what lies below it, a student may name as they like.
MOODLE = r"(?P<folder>(?P<name>[^/]+?)_(?P<id>\d+)_assignsubmission_file_?)(?P<sep>[/_]).+"
LAYOUTS = {
    "nbgrader": Layout(r"(?:.*?/)??submitted/(?P<id>[^/]+)/[^/]+/(?P<file>.+)", _nbgrader),
    "gradescope": Layout(r"(?:.*?/)??(?P<id>submission_(?P<order>\d{1,18}))/(?P<file>.+)", _gradescope),
    "moodle": Layout(rf"(?:.*?/)??{MOODLE}", _moodle),
    "canvas": Layout(r"(?:.*?/)??(?P<name>[^/_]+)_(?P<late>LATE_)?(?P<id>\d+)_(?P<order>\d{1,18})_.+", _canvas),
}


def _metadata(path: Path | None) -> dict[str, Any]:
    """Gradescope's submission_metadata.yml; nothing where it is not there or is none."""
    return _parsed(path, path.stat().st_mtime_ns) if path and path.is_file() else {}


@lru_cache(maxsize=8)
def _parsed(path: Path, changed: int) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.load(_text(path), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is no YAML: download the export again") from error
    return found if isinstance(found, dict) else {}


def _text(path: Path | None) -> str:
    """A small text beside the submissions; empty where it is not there, or no file, or too large."""
    with suppress(OSError):
        if path and path.is_file() and path.stat().st_size <= MOST_BESIDE:
            return path.read_text(encoding="utf-8-sig", errors="replace").strip()
    return ""


def _time(said: object) -> datetime | None:
    """A time as Gradescope or nbgrader writes it; without a zone it is UTC."""
    if isinstance(said, datetime):
        return said if said.tzinfo else said.replace(tzinfo=UTC)
    plain = re.sub(r"(\.\d{6})\d+", r"\1", str(said or "").strip()).replace(" UTC", "+00:00")
    with suppress(ValueError):
        return _time(datetime.fromisoformat(re.sub(r" ([+-]\d\d:?\d\d)$", r"\1", plain)))
    return None
