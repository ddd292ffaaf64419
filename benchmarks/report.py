"""Sections of docs/results.md: each benchmark writes its own, told by its title, and leaves the others alone."""

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import psutil

RESULTS = Path(__file__).parents[1] / "docs/results.md"


def put(section: str, path: Path = RESULTS) -> None:
    """Write a section, which begins with its `## ` title, in the place of the one of that title, or at the end."""
    title = section.partition("\n")[0]
    if not title.startswith("## "):
        raise ValueError(f"a section begins with its title, `## …`, not with {title!r}")
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    parts = [part.strip() for part in re.split(r"^(?=## )", old, flags=re.MULTILINE) if part.strip()]
    at = next((i for i, part in enumerate(parts) if part.partition("\n")[0] == title), len(parts))
    parts[at : at + 1] = [section.strip()]
    write(path, "\n\n".join(parts) + "\n")


def about(command: str) -> str:
    """When, where and with what a section was measured, and what measures it again."""
    cpu = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("model name")[2].partition("\n")[0].lstrip("\t: ")
    return (
        f"{datetime.now():%Y-%m-%d %H:%M} · {os.cpu_count()} cores, {cpu}, "
        f"{psutil.virtual_memory().total / 2**30:.0f} GiB, load {os.getloadavg()[0]:.1f} at the start · Python "
        f"{platform.python_version()}, torch {version('torch')} · at {_revision()} · `{command}`"
    )


def _revision() -> str:
    command = ["git", "-C", str(RESULTS.parent), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "no revision"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that reads well as it is and as Markdown."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(f"| {' | '.join(map(str.ljust, line, widths))} |" for line in lines)


def write(path: Path, text: str) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
