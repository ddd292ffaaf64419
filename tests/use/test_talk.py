"""Captions and conversation end to end: trained on a few files, told as a page and in a terminal."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from dl780 import UserError
from dl780.recipes import MLP, Captioner, Seq2Seq
from dl780.train.loop import evaluate, train
from dl780.use.caption import caption, page
from dl780.use.chat import Partner

COLOURS = {"red": (230, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 230)}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from PIL import Image

    folder = tmp_path_factory.mktemp("pictures")
    lines = ["image,caption"]
    for i in range(60):
        colour = list(COLOURS)[i % 3]
        Image.new("RGB", (20, 20), COLOURS[colour]).save(folder / f"{i}.png")
        lines.append(f"{i}.png,a {colour} picture" + " of nothing" * (i % 2))
    (folder / "captions.txt").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def teller(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "captioner"
    train(Captioner(data=str(pictures), side=16, least=1, epochs=40, batch=16, hidden=32, threads=1, out=out))
    return out


@pytest.mark.parametrize("settings", [dict(form="multimodal"), dict(attention=True, look="resnet20")])
def test_every_form_trains(pictures: Path, tmp_path: Path, settings: dict[str, Any]) -> None:
    recipe = Captioner(
        data=str(pictures), side=16, least=1, steps=3, batch=8, hidden=16, out=tmp_path / "run", **settings
    )
    result = train(recipe)
    assert result["metrics"]["test_loss"] > 0


def test_captions_are_learned_and_measured(teller: Path) -> None:
    metrics = json.loads((teller / "result.json").read_text())["metrics"]
    assert metrics["test_perplexity"] < 2
    assert {"test_exact_match", *(f"test_bleu_{n}" for n in (1, 2, 3, 4))} <= metrics.keys()
    assert metrics["test_bleu_1"] > 50
    assert evaluate(teller, device="cpu")[1] == pytest.approx(metrics)


def test_a_page_tells_pictures_with_alternatives(teller: Path, pictures: Path, tmp_path: Path) -> None:
    told = caption(teller, [pictures / "0.png", pictures / "1.png"], width=3)
    assert [t.captions[0][0].split()[1] for t in told] == ["red", "green"]
    scores = [score for _, score in told[0].captions]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    page(told, "by a test <b>", tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "by a test &lt;b&gt;" in text
    assert text.count("<img alt=") == 2
    assert "a red picture" in text


@pytest.fixture(scope="module")
def partner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("talks")
    pairs = [f"what is {i} ?\t{i} is a number ." for i in range(80)]
    (folder / "pairs.tsv").write_text("\n".join(pairs))
    train(
        Seq2Seq(
            data=str(folder / "pairs.tsv"),
            epochs=40,
            batch=16,
            hidden=48,
            embedding=16,
            attention=True,
            threads=1,
            lr=1e-2,
            out=folder / "run",
        )
    )
    return folder / "run"


def test_it_answers_remembers_and_repeats_by_seed(partner: Path) -> None:
    said = Partner(partner).answer("What is 7?")
    assert said.endswith("is a number.")
    one, two = ([Partner(partner, temperature=2.0, seed=1).answer("What is 7?")] for _ in range(2))
    assert one == two
    remembering = Partner(partner, history=1)
    assert remembering.answer("What is 7?")
    assert remembering.answer("")
    assert len(remembering.speeches) == 4
    assert Partner(partner).answer("∮")
    assert Partner(partner).trained_on.endswith("pairs of a table")


def test_the_command_talks_until_an_empty_line(partner: Path) -> None:
    command = [sys.executable, "-m", "dl780", "chat", "--checkpoint", str(partner)]
    done = subprocess.run(command, input="What is 7?\n\n", capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "trained on" in done.stdout
    assert "Machine: " in done.stdout


def test_another_recipes_run_is_one_line(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(MLP(dataset="digits", data="embedded", hidden=(4,), steps=1, out=run))
    with pytest.raises(UserError, match="a run of mlp: captions come from"):
        caption(run, [tmp_path / "a.png"])
    with pytest.raises(UserError, match="a run of mlp: a conversation needs"):
        Partner(run)


def test_seeds_and_resume_are_bit_for_bit(partner: Path, tmp_path: Path) -> None:
    recipe = dict(data=str(partner.parent / "pairs.tsv"), steps=6, batch=16, hidden=8, embedding=8, threads=1)
    weights = []
    for name in ("one", "two"):
        train(Seq2Seq(**recipe, out=tmp_path / name))  # type: ignore[arg-type]
        weights.append(next((tmp_path / name / "checkpoints").glob("*/weights.safetensors")).read_bytes())
    assert weights[0] == weights[1]
    assert torch.get_num_threads() >= 1
