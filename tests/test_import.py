"""What imports what: a light front door, a worker that knows no answers, data that flows one way."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import dl780

PACKAGE = Path(dl780.__file__).parent


def loaded_after(statement: str) -> set[str]:
    """The modules of a fresh process after one statement."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def imported_by(path: Path) -> Iterator[str]:
    """Every module that a file names in an import, at any depth of the code."""
    package = "dl780." * (path.parent != PACKAGE) + path.parent.name
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join(filter(None, [package.rsplit(".", node.level - 1)[0], base]))
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def parts_imported_by(path: Path) -> set[str]:
    """The parts of the package that a file imports: modules and folders just below it."""
    parts = {path.stem for path in PACKAGE.glob("*.py")} | {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    names = [name.split(".") for name in imported_by(path)]
    return {name[1] for name in names if name[0] == "dl780" and len(name) > 1} & parts


def test_importing_the_package_loads_neither_torch_nor_a_question() -> None:
    loaded = loaded_after("import dl780")
    assert not loaded & {"torch", "numpy", "matplotlib", "sklearn", "mlxtend", "IPython", "jinja2"}
    assert {name for name in loaded if name.startswith("dl780.")} == set()


def test_the_worker_loads_nothing_that_holds_an_answer() -> None:
    loaded = loaded_after("import dl780.student.worker")
    assert "torch" in loaded
    assert not loaded & {"sklearn", "mlxtend", "matplotlib", "nbformat", "jinja2"}
    ours = {name for name in loaded if name.startswith("dl780.")} - {"dl780.rl", "dl780.rl.tictactoe"}
    assert all(name.startswith("dl780.student") for name in ours), ours


def test_a_lab_loads_what_is_needed_and_no_grader() -> None:
    loaded = loaded_after("import dl780\nlab = dl780.Lab('backprop')")
    assert "dl780.questions.backprop" in loaded
    assert not {name for name in loaded if name.startswith(("dl780.grade", "dl780.release", "dl780.cli", "dl780.demo"))}
    assert not loaded & {"sklearn", "mlxtend", "nbformat", "jupytext", "jinja2", "tensorboard"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "student").glob("*.py")), ids=lambda path: path.stem)
def test_the_students_side_imports_itself_and_the_rules_of_a_game_alone(path: Path) -> None:
    assert parts_imported_by(path) <= {"student", "rl"}
    of_rl = {name for name in imported_by(path) if name.startswith("dl780.rl")}
    assert all(name == "dl780.rl" or name.startswith("dl780.rl.tictactoe") for name in of_rl)


def test_the_rules_of_a_game_import_nothing_of_ours() -> None:
    assert parts_imported_by(PACKAGE / "rl" / "tictactoe.py") == set()
    assert not loaded_after("import dl780.rl.tictactoe") & {"torch", "numpy"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "check").glob("*.py")), ids=lambda path: path.stem)
def test_the_check_knows_neither_grader_nor_questions(path: Path) -> None:
    assert parts_imported_by(path) <= {"check", "student"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "data").glob("*.py")), ids=lambda path: path.stem)
def test_data_knows_nothing_of_who_uses_it(path: Path) -> None:
    assert parts_imported_by(path) <= {"data", "files"}


def test_importing_data_loads_no_library_of_pictures() -> None:
    loaded = loaded_after("import dl780.data")
    assert not loaded & {"torchvision", "sklearn", "mlxtend", "PIL", "safetensors"}
    assert not {name for name in loaded if name.startswith(("dl780.check", "dl780.grade", "dl780.questions"))}


@pytest.mark.parametrize("path", sorted((PACKAGE / "models").glob("*.py")), ids=lambda path: path.stem)
def test_models_know_nothing_of_who_trains_them(path: Path) -> None:
    assert parts_imported_by(path) <= {"models"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "use").glob("*.py")), ids=lambda path: path.stem)
def test_what_a_checkpoint_is_used_for_comes_last(path: Path) -> None:
    assert parts_imported_by(path) <= {"use", "train", "recipes", "models", "data", "files"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "recipes").glob("*.py")), ids=lambda path: path.stem)
def test_recipes_are_tables_that_know_nothing(path: Path) -> None:
    assert parts_imported_by(path) <= {"recipes"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "train").glob("*.py")), ids=lambda path: path.stem)
def test_training_knows_nothing_of_what_a_checkpoint_is_used_for(path: Path) -> None:
    assert parts_imported_by(path) <= {"train", "recipes", "models", "data", "files"}


def test_importing_models_loads_no_other_library() -> None:
    loaded = loaded_after("import dl780.models")
    assert not loaded & {"torchvision", "matplotlib", "PIL", "sklearn"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "questions").glob("*.py")), ids=lambda path: path.stem)
def test_questions_know_the_check_data_and_games_alone(path: Path) -> None:
    assert parts_imported_by(path) <= {"check", "student", "questions", "data", "rl"}


def test_the_scan_above_sees_imports_of_every_kind(tmp_path: Path) -> None:
    source = tmp_path / "student" / "example.py"
    source.parent.mkdir()
    source.write_text("import dl780.grade.work\nfrom dl780 import check\ndef f():\n    from dl780.questions import x\n")
    assert parts_imported_by(source) == {"grade", "check", "questions"}
    source.write_text("from ..grade import work\nfrom . import wire\n")
    assert "grade" in parts_imported_by(source)


def test_an_attribute_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Lob'"):
        _ = dl780.Lob


def test_a_lab_is_the_only_name_that_is_imported_late() -> None:
    from dl780.lab import Lab

    assert dl780.Lab is Lab
    assert dl780.__all__ == ["Lab"]
