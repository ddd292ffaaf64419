"""What is remembered of a run: how it was asked for, and an append-only log of who was graded when, and of requests."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dl780
from dl780 import UserError
from dl780.check.registry import LabQuestions, load_lab
from dl780.files import write_whole
from dl780.grade.choice import points_of, with_points
from dl780.grade.roster import Course

Entry = dict[str, Any]


def append(out: Path, event: str, **what: Any) -> None:
    """Add one line to OUT/log.jsonl; nothing that stands there is ever changed."""
    entry = dict(time=datetime.now(UTC).isoformat(timespec="seconds"), event=event, version=dl780.__version__, **what)
    line = f"{json.dumps(entry, ensure_ascii=True)}\n".encode()
    descriptor = os.open(out / "log.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def entries(out: Path) -> list[Entry]:
    """The log, oldest first; a line that was cut off by a crash is left out."""
    path = out / "log.jsonl"
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        found += [entry] if isinstance(entry, dict) and {"event", "submission"} <= entry.keys() else []
    return found


def requests(log: Iterable[Entry]) -> list[Entry]:
    """The requests for a regrade, each with what came of it: `answered` is empty while it waits."""
    asked: list[Entry] = []
    for entry in log:
        if entry["event"] == "request":
            asked.append({**entry, "answered": ""})
        elif entry["event"] == "regraded":
            for request in asked:
                if request["submission"] == entry["submission"] and not request["answered"]:
                    request["answered"] = entry.get("changed") or "nothing changed"
    return asked


def remember(out: Path, lab: LabQuestions, paths: list[Path], course: Course) -> None:
    """Keep in OUT/run.json how the run was asked for, so that it can be asked for again."""
    options = {k: str(v.resolve()) if isinstance(v, Path) else v for k, v in asdict(course).items()}
    asked = dict(lab=lab.name, points=points_of(lab), paths=[str(p.resolve()) for p in paths], course=options)
    write_whole(out / "run.json", json.dumps(asked, indent=1))


def recall(out: Path) -> tuple[LabQuestions, list[Path], Course]:
    """The lab, the paths and the options of the run that graded into a folder."""
    try:
        asked = json.loads((out / "run.json").read_text(encoding="utf-8"))
        options = asked["course"]
        options |= {k: Path(options[k]) for k in ("roster", "written") if options[k]}
        lab = load_lab(asked["lab"])
        points = {name: tuple(p) for name, p in asked["points"].items() if name in lab.questions}
        return with_points(lab, points), [Path(p) for p in asked["paths"]], Course(**options)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{out} holds no graded class: name the --out of a `dl780 grade`") from error
