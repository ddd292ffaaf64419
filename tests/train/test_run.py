"""A run's folder: never two runs in one, never two data sets in one table."""

import inspect
import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from dl780 import UserError
from dl780.train.recipes import MLP, RECIPES, as_json, from_json
from dl780.train.run import compare, open_run, read_recipe, results, write_manifest


@pytest.mark.parametrize("name", RECIPES)
def test_settings_survive_their_file(name: str) -> None:
    settings = dict(out=Path("x"), augment=("shift", "flip"), minutes=1.5)
    recipe = RECIPES[name](**{k: v for k, v in settings.items() if k in {f.name for f in fields(RECIPES[name])}})
    assert from_json(name, json.loads(json.dumps(as_json(recipe)))) == recipe
    assert recipe.name == name


@pytest.mark.parametrize("kind", RECIPES.values())
def test_every_setting_has_a_help(kind: type) -> None:
    source = Path(inspect.getfile(kind)).read_text()
    for setting in fields(kind):
        assert f"    {setting.name}: " in source
        line = next(line for line in source.splitlines() if line.startswith(f"    {setting.name}: "))
        assert "  # " in line, f"{setting.name} has no comment"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (dict(epochs=0), "--epochs takes a number from 1, not 0"),
        (dict(batch=0), "--batch takes a number from 1, not 0"),
        (dict(warm=1.0), "--warm takes a share from 0 to below 1, not 1.0"),
        (dict(steps=0), "--steps takes a number above 0, not 0"),
        (dict(minutes=-1.0), "--minutes takes a number above 0, not -1.0"),
        (dict(steps=5, minutes=1.0), "--steps and --minutes are two budgets: give one"),
        (dict(resume=True), "--resume needs --out"),
        (dict(weight_decay=-0.1), "--weight-decay takes a number from 0.0, not -0.1"),
    ],
)
def test_bad_settings_are_one_line(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as caught:
        MLP(**settings).check()
    assert str(caught.value).startswith(words)


def test_a_folder_holds_one_run(small: Callable[..., MLP]) -> None:
    recipe = small()
    assert read_recipe(open_run(recipe)) == recipe
    with pytest.raises(UserError, match="holds a run already: --resume goes on with it"):
        open_run(recipe)
    assert open_run(replace(recipe, resume=True, threads=2)) == recipe.out
    with pytest.raises(UserError, match=r"was begun with --epochs 2, --seed 0: --resume takes the same command"):
        open_run(replace(recipe, resume=True, epochs=3, seed=1))


def test_a_run_without_a_name_gets_a_fresh_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    names = [open_run(MLP(dataset="digits")).name for _ in range(3)]
    assert [name.split("-mlp-digits")[1] for name in names] == ["", "-2", "-3"]


def test_a_resumed_run_refuses_other_data(tmp_path: Path, trained: Callable[..., Any]) -> None:
    from dl780.data import load

    trained()
    with pytest.raises(UserError, match=r"was trained on .*digits.*, and now --data finds MNIST"):
        write_manifest(tmp_path / "run", load("mnist", "embedded", say=None), {}, 0, None)


def test_runs_are_compared_on_the_same_data_only(trained: Callable[..., Any], tmp_path: Path) -> None:
    trained("a")
    trained("b", seed=1)
    other = json.loads((tmp_path / "a" / "result.json").read_text()) | dict(data="elsewhere")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "result.json").write_text(json.dumps(other))
    tables = compare(results([tmp_path])).split("\n\n")
    assert [table.splitlines()[0] for table in tables] == ["data: digits", "data: elsewhere"]
    assert [line.split()[0] for line in tables[0].splitlines()[1:]] == ["run", "a", "b"]
    assert [line.split()[0] for line in tables[1].splitlines()[1:]] == ["run", "c"]
    assert "test_accuracy" in tables[0]
