"""What an LMS takes back: tables in its columns, pages where it looks for them, and nothing secret in either."""

import csv
import html
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dl780 import UserError
from dl780.grade.export import export
from dl780.grade.roster import Course

Notebook = Callable[..., str]
SEED = 780_780_780_780
WRONG = "def linear_backward(G, Z, W, b):\n    return G @ W, G.T @ Z, G.mean(0)"
NAMES = {
    "canvas": ("lovelaceada_1_10_hw.ipynb", "=bea_LATE_2_11_hw.ipynb", "cai_3_12_hw.ipynb"),
    "moodle": tuple(f"{n}_{i}_assignsubmission_file_/hw.ipynb" for n, i in (("Ada L", 1), ("=bea", 2), ("Cai", 3))),
    "gradescope": tuple(f"submission_{i}/hw.ipynb" for i in (1, 2, 3)),
}
METADATA = "\n".join(
    f"submission_{i}: {{':submitters': [{{':name': '{n}', ':sid': '{i}', ':email': '{n}@x'}}]}}"
    for i, n in ((1, "Ada"), (2, "=bea"), (3, "Cai"))
)
BACK = {
    "canvas": ["=bea_2_11_feedback.html", "cai_3_12_feedback.html", "lovelaceada_1_10_feedback.html"],
    "moodle": [f"{n}_assignsubmission_file_/feedback.html" for n in ("=bea_2", "Ada L_1", "Cai_3")],
}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module", params=["canvas", "moodle", "gradescope"])
def exported(
    request: Any, grade_below: Any, right: list[str], ipynb: Notebook, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    folder, lms = tmp_path_factory.mktemp("lms"), request.param
    written = folder / "written.csv"
    written.write_text("id,why_cache,why_relu\n1,4,2.5\n2,1,\n", encoding="utf-8")
    texts = (ipynb(*right), ipynb(*right, WRONG), "{")
    files = dict(zip(NAMES[lms], texts, strict=True))
    if lms == "gradescope":
        files["submission_metadata.yml"] = METADATA
    grade_below(folder, files, SEED, course=Course(layout=lms, written=written))
    export(folder / "out", lms)
    return lms, folder / "out"


SCORE = {"canvas": "Backpropagation", "moodle": "Grade", "gradescope": "Total Score"}
NUMBER = {"canvas": "ID", "moodle": "Identifier", "gradescope": "SID"}
TABLE = {"canvas": "gradebook.csv", "moodle": "grades.csv", "gradescope": "scores.csv"}


def test_points_stand_in_the_lms_s_columns_and_nothing_is_0_that_was_not_graded(exported: tuple[str, Path]) -> None:
    lms, out = exported
    rows = {r[NUMBER[lms]].removeprefix("Participant "): r for r in table(out / lms / TABLE[lms]) if r[NUMBER[lms]]}
    assert {number: row[SCORE[lms]] for number, row in rows.items()} == {"1": "20", "2": "17", "3": ""}
    prefix = "Backpropagation: " if lms == "canvas" else ""
    written = {n: (r[f"{prefix}why_cache"], r[f"{prefix}why_relu"], r[f"{prefix}why_dropout"]) for n, r in rows.items()}
    assert written == {"1": ("4", "2.5", ""), "2": ("1", "", ""), "3": ("", "", "")}


def test_no_cell_is_a_formula(exported: tuple[str, Path]) -> None:
    lms, out = exported
    cells = [cell for row in table(out / lms / TABLE[lms]) for cell in row.values()]
    assert any("bea" in cell for cell in cells)
    assert not [cell for cell in cells if cell.startswith(("=", "@"))]


def test_pages_lie_where_the_lms_looks_and_tell_no_seed(exported: tuple[str, Path]) -> None:
    lms, out = exported
    if lms == "gradescope":
        pages = {p.parent.name: p.read_text() for p in (out / lms).glob("*/results.json")}
        assert sorted(pages) == ["submission_1", "submission_2", "submission_3"]
    else:
        with zipfile.ZipFile(out / lms / "feedback.zip") as archive:
            assert archive.namelist() == BACK[lms]
            pages = {name: archive.read(name).decode() for name in archive.namelist()}
    plain = [html.unescape(page).replace('\\"', '"') for page in pages.values()]
    assert sum('lab.replay("linear_backward", "1:' in page for page in plain) == 1
    assert (out / "seed").read_text() == str(SEED)
    assert not any(str(SEED) in page for page in pages.values())


def test_gradescope_s_results(exported: tuple[str, Path]) -> None:
    lms, out = exported
    if lms != "gradescope":
        pytest.skip("of the others")
    found = json.loads((out / lms / "submission_2" / "results.json").read_text())
    assert found["score"] == 17
    by_name = {t["name"]: t for t in found["tests"]}
    assert (by_name["linear_backward"]["score"], by_name["linear_backward"]["status"]) == (7, "failed")
    assert "you averaged the bias gradient over the batch" in by_name["linear_backward"]["output"]
    assert by_name["products"]["extra_credit"] is True
    cut = json.loads((out / lms / "submission_3" / "results.json").read_text())
    assert "score" not in cut
    assert cut["output"].startswith("Not graded: ")


def test_canvas_s_own_roster_gives_its_columns_back(
    grade_all: Any, right: list[str], ipynb: Notebook, tmp_path: Path
) -> None:
    roster = tmp_path / "roster.csv"
    heading = "Student,ID,SIS User ID,SIS Login ID,Section,HW 1 (99)"
    roster.write_text(f'{heading}\n    Points Possible,,,,,10\n"Lovelace, Ada",1,s1,ada,Mon,\n')
    grade_all({"lovelaceada_1_10_hw.ipynb": ipynb(*right)}, course=Course(roster=roster))
    export(tmp_path / "out", "canvas")
    _, row = table(tmp_path / "out" / "canvas" / "gradebook.csv")
    assert list(row.values())[:6] == ["Lovelace, Ada", "1", "s1", "ada", "Mon", "20"]


def test_a_class_of_unknown_students_is_one_clear_line(
    grade_all: Any, right: list[str], ipynb: Notebook, tmp_path: Path
) -> None:
    grade_all({"ada.ipynb": ipynb(*right)})
    with pytest.raises(UserError, match="--roster"):
        export(tmp_path / "out", "canvas")
    with pytest.raises(UserError, match="no graded class"):
        export(tmp_path, "canvas")
