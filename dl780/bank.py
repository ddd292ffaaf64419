"""A bank of code beside a lab: py:percent cells titled `question: what it shows`."""

import re
from pathlib import Path

from dl780 import UserError

TITLE = re.compile(r"(\w+): (\S.*)")


def read_bank(path: str | Path) -> dict[tuple[str, str], str]:
    """The code of each cell, by its question and what it shows, in the order of the file.

    What stands before the first cell is left out. Raises `UserError` for a title of another form, and for one
    that two cells share.
    """
    _, *pieces = re.split(r"^# %%", Path(path).read_text(encoding="utf-8"), flags=re.MULTILINE)
    bank: dict[tuple[str, str], str] = {}
    for piece in pieces:
        line, _, code = piece.partition("\n")
        title = TITLE.fullmatch(line.strip())
        if not title:
            raise UserError(f"{path}: a cell's title reads `# %% question: sentence`, not `# %%{line}`")
        if title.groups() in bank:
            raise UserError(f"{path}: two cells are called `{title.group()}`")
        bank[title[1], title[2]] = code.strip() + "\n"
    return bank
