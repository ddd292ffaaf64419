"""Student notebooks from the lab's source: the same bytes, no outputs, no solutions, nobody's work overwritten."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dl780 import UserError
from dl780.check.registry import LabQuestions
from dl780.release import CHECK, release, solution_notebook, solutions, source_of, student_notebook

SOURCE = source_of("backprop")


@pytest.fixture(scope="module")
def text(lab: LabQuestions) -> str:
    return student_notebook(lab, SOURCE)


@pytest.fixture(scope="module")
def cells(text: str) -> list[Any]:
    return list(nbformat.reads(text, 4).cells)


def test_the_same_bytes_here_and_in_another_process(lab: LabQuestions, text: str) -> None:
    assert student_notebook(lab, SOURCE) == text
    code = (
        "import hashlib; from dl780.release import *; from dl780.check.registry import load_lab\n"
        "print(hashlib.sha256(student_notebook(load_lab('backprop'), source_of('backprop')).encode()).hexdigest())"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == hashlib.sha256(text.encode()).hexdigest()


def test_it_is_a_valid_notebook_without_outputs(text: str, cells: list[Any]) -> None:
    nbformat.validate(json.loads(text))
    assert text.endswith("}\n")
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert len({cell.id for cell in cells}) == len(cells)


def test_every_question_has_a_stub_and_a_check_cell_with_its_points(lab: LabQuestions, cells: list[Any]) -> None:
    graded = [cell for cell in cells if "nbgrader" in cell.metadata]
    ids = [cell.metadata.nbgrader.grade_id for cell in graded]
    assert len(set(ids)) == len(ids)
    for name, question in lab.questions.items():
        (check,) = [c for c in cells if c.cell_type == "code" and CHECK.search(c.source) and f"({name})" in c.source]
        about = check.metadata.nbgrader
        assert (about.grade_id, about.points) == (f"check-{name}", question.out_of)
        assert (about.grade, about.locked, about.solution, about.task) == (True, True, False, False)
        assert check.source.strip().splitlines()[-1] == f"lab.check({name}).points"
        (stub,) = [c for c in graded if c.metadata.nbgrader.grade_id == name]
        assert (stub.metadata.nbgrader.solution, stub.metadata.nbgrader.grade) == (True, False)
        assert f'raise NotImplementedError("{name}")' in stub.source
        with pytest.raises(NotImplementedError, match=name):
            call_stub(stub.source, name)
        assert cells.index(stub) < cells.index(check)


def call_stub(source: str, name: str) -> None:
    space: dict[str, Any] = {}
    exec(source, space)
    space[name](*[None] * space[name].__code__.co_argcount)


def test_written_questions_carry_their_points(lab: LabQuestions, cells: list[Any]) -> None:
    by_id = {c.metadata.nbgrader.grade_id: c for c in cells if "nbgrader" in c.metadata and c.cell_type == "markdown"}
    assert {name: cell.metadata.nbgrader.points for name, cell in by_id.items()} == lab.written
    assert all(c.metadata.nbgrader.grade and c.metadata.nbgrader.solution for c in by_id.values())


def test_hints_and_points_stand_in_the_text(lab: LabQuestions, cells: list[Any]) -> None:
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    for question in lab.questions.values():
        assert f"`{question.signature}`" in prose
        assert all(hint in prose for hint in question.hints)


def test_the_repositorys_notebook_is_fresh(lab: LabQuestions, text: str) -> None:
    root = SOURCE.parents[1]
    assert (root / "notebooks" / f"{SOURCE.stem}.ipynb").read_text(encoding="utf-8") == text
    assert release(lab, root / "notebooks", check=True, force=False).endswith("is fresh")


def test_check_says_stale_or_missing_and_writes_nothing(lab: LabQuestions, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(UserError, match=r"is missing: run `dl780 release backprop`"):
        release(lab, out, check=True, force=False)
    assert not out.exists()
    assert release(lab, out, check=False, force=False).endswith("written")
    assert release(lab, out, check=True, force=False).endswith("is fresh")
    path = out / f"{SOURCE.stem}.ipynb"
    path.write_text(path.read_text().replace("three hours", "four hours"))
    stale = path.read_bytes()
    with pytest.raises(UserError, match="is stale"):
        release(lab, out, check=True, force=False)
    assert path.read_bytes() == stale
    assert [p.name for p in out.iterdir()] == [path.name]


def edited(text: str, how: str) -> str:
    notebook = json.loads(text)
    if how == "answered":
        cell = next(c for c in notebook["cells"] if "NotImplementedError" in "".join(c["source"]))
        cell["source"] = [line.replace("raise NotImplementedError", "return") for line in cell["source"]]
    elif how == "executed":
        notebook["cells"][1]["execution_count"] = 3
    elif how == "cell added":
        notebook["cells"].append({"cell_type": "markdown", "id": "mine", "metadata": {}, "source": ["mine"]})
    elif how == "cell deleted":
        del notebook["cells"][-1]
    elif how == "no metadata":
        del notebook["metadata"]["dl780"]
    else:
        return how
    return json.dumps(notebook)


@pytest.mark.parametrize(
    "how", ["answered", "executed", "cell added", "cell deleted", "no metadata", "not json", "[]", ""]
)
def test_somebodys_work_is_not_overwritten(lab: LabQuestions, text: str, tmp_path: Path, how: str) -> None:
    path = tmp_path / f"{SOURCE.stem}.ipynb"
    path.write_text(edited(text, how))
    with pytest.raises(UserError, match="--force"):
        release(lab, tmp_path, check=False, force=False)
    assert path.read_text() == edited(text, how)
    release(lab, tmp_path, check=False, force=True)
    assert path.read_text() == text


def test_an_untouched_earlier_release_is_replaced(lab: LabQuestions, text: str, tmp_path: Path) -> None:
    older = tmp_path / SOURCE.name
    older.write_text(SOURCE.read_text().replace("three hours", "four hours").replace("class Variable:", "class Node:"))
    earlier = student_notebook(lab, older)
    assert earlier != text
    (tmp_path / f"{SOURCE.stem}.ipynb").write_text(earlier)
    assert release(lab, tmp_path, check=False, force=False).endswith("written")
    assert (tmp_path / f"{SOURCE.stem}.ipynb").read_text() == text


def test_solutions_are_named_by_what_they_define(lab: LabQuestions) -> None:
    found = solutions("backprop")
    assert set(lab.questions) <= set(found)
    assert "SOLUTION" not in "".join(found.values())
    for name, source in found.items():
        space: dict[str, Any] = {}
        exec(source, space)
        assert callable(space[name])


def test_the_solution_notebook_keeps_all(lab: LabQuestions) -> None:
    code = "\n".join(c.source for c in solution_notebook(SOURCE).cells if c.cell_type == "code")
    assert all(f"def {name}(" in code for name in lab.questions)
    assert "NotImplementedError(" not in code


def test_without_a_checkout_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("dl780.release.ROOT", tmp_path)
    with pytest.raises(UserError, match="needs a checkout") as caught:
        source_of("backprop")
    assert "\n" not in str(caught.value)


LINE = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z"), include_characters=" "), max_size=30)
TEXT = st.lists(LINE.filter(lambda line: "%%" not in line), max_size=4)
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(st.tuples(TEXT, TEXT, st.sampled_from(["", "    ", "        "])), min_size=1, max_size=3))
def test_what_stands_between_markers_is_gone_and_all_else_stays(
    pieces: list[tuple[list[str], list[str], str]], lab: LabQuestions, tmp_path_factory: pytest.TempPathFactory
) -> None:
    source, wanted = ["def tanh(a):"], ["def tanh(a):"]
    for outside, inside, indent in pieces:
        kept = [f"{indent}out = {line!r}" for line in outside]
        stub = 'raise NotImplementedError("tanh")' if indent else "# your code here"
        source += [*kept, indent + BEGIN, *(f"{indent}secret = {line!r}" for line in inside), indent + END]
        wanted += [*kept, indent + BEGIN, indent + stub, indent + END]
    path = tmp_path_factory.getbasetemp() / "09_made_up.py"
    path.write_text("# %% [markdown]\n# text\n\n# %%\n" + "\n".join(source) + "\n", encoding="utf-8")
    built = student_notebook(lab, path)
    assert nbformat.reads(built, 4).cells[1].source == "\n".join(wanted)
    assert "secret" not in built


@pytest.mark.parametrize(
    "body",
    [
        f"    {BEGIN} \n    secret = 1\n    {END}\n",
        f"    ###BEGIN SOLUTION\n    secret = 1\n    {END}\n",
        f"    {BEGIN}\n    secret = 1\n",
        f"    {BEGIN}\n    secret = 1\n    {END}  # done\n",
        f"    {BEGIN}\n    secret = 1\n# %%\n    secret = 2\n    {END}\n",
    ],
)
def test_a_marker_that_is_not_understood_is_refused(lab: LabQuestions, tmp_path: Path, body: str) -> None:
    path = tmp_path / "09_made_up.py"
    path.write_text(f"# %%\ndef tanh(a):\n{body}")
    with pytest.raises(UserError):
        student_notebook(lab, path)
