"""labs/NN_topic.py -> notebooks/NN_topic.ipynb: without solutions and outputs, the same bytes from the same source."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import jupytext
import nbformat

import dl780
from dl780 import UserError
from dl780.check.question import Question
from dl780.check.registry import LabQuestions
from dl780.files import write_whole

ROOT = Path(dl780.__file__).resolve().parents[1]
REGION = re.compile(r"(?m)^(?P<indent>[ \t]*)### BEGIN SOLUTION\n(?P<body>.*?)^[ \t]*### END SOLUTION$", re.DOTALL)
CHECK = re.compile(r"lab\.check\((\w+)\)\.points")
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def source_of(lab: str) -> Path:
    """The lab's source in this checkout."""
    found = sorted((ROOT / "labs").glob(f"[0-9]*_{lab}.py"))
    if not found:
        raise UserError(f"labs/NN_{lab}.py is not here: this needs a checkout of dl780, not an installed wheel")
    return found[0]


def read_source(path: Path) -> list[Any]:
    """The cells of a lab's source, in py:percent."""
    return list(jupytext.read(path, fmt="py:percent").cells)


def solutions(lab: str) -> dict[str, str]:
    """What a cell defines, mostly a question's function -> its source, markers left out."""
    cells = [c.source for c in read_source(source_of(lab)) if c.cell_type == "code" and REGION.search(c.source)]
    return {_asked(source): REGION.sub(lambda m: m["body"].rstrip("\n"), source) for source in cells}


def student_notebook(lab: LabQuestions, source: Path) -> str:
    """The notebook that a student opens, as the bytes of its file."""
    found = read_source(source)
    for cell in found:
        if re.search(r"(?i)#\s*(begin|end)\s+solution", REGION.sub("", cell.source)):
            raise UserError(
                f"{source}: a solution's markers are two lines of one cell, `### BEGIN SOLUTION` and its END"
            )
    cells = [_student_cell(i, cell, lab) for i, cell in enumerate(found)]
    body = json.dumps(cells, sort_keys=True)
    about = {"lab": lab.name, "version": dl780.__version__, "digest": _digest(body)}
    metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}, "dl780": about}
    notebook = nbformat.from_dict({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})
    nbformat.validate(notebook)
    return f"{nbformat.writes(notebook).rstrip()}\n"


def solution_notebook(source: Path) -> Any:
    """The lab with its solutions, to be executed."""
    notebook = jupytext.read(source, fmt="py:percent")
    notebook.metadata["kernelspec"] = KERNEL
    return notebook


def release(lab: LabQuestions, out: Path, check: bool, force: bool) -> str:
    """Write a lab's notebook, or with `check` only compare; say what was done.

    A notebook that is no longer as it was released (somebody works in it) is not overwritten without `force`.
    """
    source = source_of(lab.name)
    path = out / f"{source.stem}.ipynb"
    text = student_notebook(lab, source)
    old = path.read_text(encoding="utf-8") if path.exists() else None
    if old == text:
        return f"{path} is fresh"
    if check:
        raise UserError(f"{path} is {'stale' if old else 'missing'}: run `dl780 release {lab.name}`")
    if old is not None and not force and not _untouched(old):
        raise UserError(f"{path} was changed since it was released: name another --out, or overwrite it with --force")
    out.mkdir(parents=True, exist_ok=True)
    write_whole(path, text)
    return f"{path} written"


def _student_cell(i: int, cell: Any, lab: LabQuestions) -> dict[str, Any]:
    tags = cell.metadata.get("tags", [])
    named = next((tag for tag in tags if tag in lab.questions or tag in lab.written), None)
    source, nbgrader, name = cell.source, None, f"cell-{i:03d}"
    if cell.cell_type == "markdown":
        if named in lab.questions:
            source = f"{source}\n\n{_footer(lab.questions[named])}"
        elif named:
            name, nbgrader = named, _nbgrader(grade=True, solution=True, points=lab.written[named])
        base: dict[str, Any] = {"cell_type": "markdown"}
    else:
        base = {"cell_type": "code", "execution_count": None, "outputs": []}
        if checked := CHECK.search(source):
            name = f"check-{checked[1]}"
            nbgrader = _nbgrader(grade=True, solution=False, points=lab.questions[checked[1]].out_of)
        elif REGION.search(source):
            name, nbgrader = _asked(source), _nbgrader(grade=False, solution=True)
            source = _strip(source)
    metadata = {"nbgrader": {**nbgrader, "grade_id": name}} if nbgrader else {}
    return {**base, "id": name.replace("_", "-"), "metadata": metadata, "source": source}


def _strip(source: str) -> str:
    """Put a stub where each solution stood; the markers stay, for nbgrader."""

    def stub(region: re.Match[str]) -> str:
        indent = region["indent"]
        line = f'raise NotImplementedError("{_asked(source)}")' if indent else "# your code here"
        return f"{indent}### BEGIN SOLUTION\n{indent}{line}\n{indent}### END SOLUTION"

    return REGION.sub(stub, source)


def _asked(source: str) -> str:
    """What a solution cell defines: its last top-level function, or class."""
    return str(re.findall(r"(?m)^(?:def|class) (\w+)", source)[-1])


def _footer(question: Question) -> str:
    """What a question's declaration says of it, so that the text need not repeat it."""
    points = " + ".join(f"{p:g}" for p in question.points) + (" extra" if question.extra else "")
    stars = "●" * question.difficulty + "○" * (5 - question.difficulty)
    line = f"`{question.signature}`  \n{points} points · difficulty {stars} · about {question.minutes} minutes"
    line += f" · slide “{question.slide}”"
    if question.needs:
        line += f" · builds on {', '.join(f'`{name}`' for name in question.needs)}"
    hints = [
        f"<details><summary>Hint {i}</summary>\n\n{hint}\n\n</details>"
        for i, hint in enumerate(question.hints, start=1)
    ]
    return "\n\n".join([line, *hints])


def _nbgrader(grade: bool, solution: bool, points: float | None = None) -> dict[str, Any]:
    graded = {} if points is None else {"points": points}
    return dict(schema_version=3, grade=grade, solution=solution, locked=grade and not solution, task=False) | graded


def _untouched(text: str) -> bool:
    """Whether a notebook's cells are those that some release wrote."""
    try:
        notebook = json.loads(text)
        cells = nbformat.from_dict(notebook).cells
        joined = [{**c, "source": "".join(c["source"])} for c in cells]
        return bool(notebook["metadata"]["dl780"]["digest"] == _digest(json.dumps(joined, sort_keys=True)))
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
