"""The notebooks from top to bottom in a kernel: with solutions all points, as handed out 0, and never an error."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from dl780.check.registry import lab_names, load_lab
from dl780.release import CHECK, solution_notebook, source_of, student_notebook

PICTURES = {  # at least
    "features": 9,
    "backprop": 8,
    "convnets": 4,
    "deep": 3,
    "recurrent": 7,
    "captioning": 5,
    "reinforcement": 4,
    "alphago": 3,
}


def executed(notebook: Any, folder: Path) -> list[Any]:
    """The code cells of a notebook after a run in a fresh kernel of this interpreter."""
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    client.execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def points(cells: list[Any]) -> dict[str, float]:
    """Question -> the value of its check cell, which is what nbgrader reads."""
    found = {}
    for cell in cells:
        if asked := CHECK.search(cell.source):
            (value,) = [o.data["text/plain"] for o in cell.outputs if o.output_type == "execute_result"]
            found[asked[1]] = float(value)
    return found


class Pictures(HTMLParser):
    """The text alternative of each picture in a fragment."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str | None] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("img", "svg", "canvas", "video"):
            self.found.append(dict(attrs).get("alt" if tag == "img" else "aria-label"))


def assert_clean(cells: list[Any]) -> int:
    """No error, nothing on standard error, no picture without words; the number of pictures."""
    pictures: list[str | None] = []
    for cell in cells:
        for output in cell.outputs:
            assert output.output_type != "error", cell.source
            assert output.get("name") != "stderr", output.text
            data = output.get("data", {})
            assert not [kind for kind in data if kind.startswith("image/")], "a bare image has no alternative text"
            assert "<script" not in data.get("text/html", "")
            pictures += Pictures(data.get("text/html", "")).found
    assert all(text and len(text) > 20 for text in pictures), pictures
    return len(pictures)


def test_every_lab_is_run_here() -> None:
    assert sorted(PICTURES) == lab_names()


@pytest.mark.slow
@pytest.mark.parametrize("name", PICTURES)
def test_with_solutions_it_runs_and_has_all_points(name: str, tmp_path: Path) -> None:
    lab = load_lab(name)
    cells = executed(solution_notebook(source_of(name)), tmp_path)
    found = points(cells)
    assert found == {name: question.out_of for name, question in lab.questions.items()}
    assert assert_clean(cells) >= PICTURES[name]
    printed = "".join(o.text for o in cells[-1].outputs if o.output_type == "stream")
    assert f"{lab.out_of:g} of {lab.out_of:g} points so far" in printed
    assert not re.search("waits for your|not written yet", str([cell.outputs for cell in cells]))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", PICTURES)
def test_as_handed_out_it_runs_to_its_end_and_has_none(name: str, tmp_path: Path) -> None:
    lab = load_lab(name)
    cells = executed(nbformat.reads(student_notebook(lab, source_of(name)), 4), tmp_path)
    assert all(cell.execution_count for cell in cells if cell.source.strip())
    assert points(cells) == dict.fromkeys(lab.questions, 0.0)
    assert_clean(cells)
    told = str([cell.outputs for cell in cells])
    assert all(f"{name} is not written yet" in told or f"waits for your `{name}`" in told for name in lab.questions)
    assert list(tmp_path.iterdir()) == []
