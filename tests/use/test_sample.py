"""Text from a char-RNN: the trainer's language task end to end, and what is sampled from it."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from dl780 import UserError
from dl780.recipes import CharRNN
from dl780.train import loop
from dl780.train.loop import evaluate, train
from dl780.use.sample import draw, load, sample

LINE = "how quickly daft jumping zebras vex. "


@pytest.fixture(scope="module")
def poem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "poem.txt"
    path.write_text(LINE * 900)
    return path


def recipe(poem: Path, out: Path, **settings: Any) -> CharRNN:
    chosen: dict[str, Any] = dict(hidden=32, length=16, batch=8, epochs=2, lr=1e-2, threads=1) | settings
    return CharRNN(data=str(poem), out=out, **chosen)


@pytest.fixture(scope="module")
def run(poem: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    train(recipe(poem, out))
    return out


def test_a_text_is_learned_and_told_in_nats_and_bits(run: Path) -> None:
    result = json.loads((run / "result.json").read_text())
    assert result["recipe"] == "char-rnn"
    assert result["data"] == "poem"
    metrics = result["metrics"]
    assert metrics["test_nats_per_character"] < 0.1
    assert metrics["test_bits_per_character"] == pytest.approx(metrics["test_nats_per_character"] / math.log(2))
    assert abs(json.loads((run / "manifest.json").read_text())["initial_loss"] - math.log(len(set(LINE)) + 1)) < 0.1
    assert evaluate(run, device="cpu")[1] == metrics


def test_another_text_is_measured_in_the_vocabulary_of_the_run(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("THE DOG SAT. " * 400)
    name, metrics = evaluate(run, str(other), device="cpu")
    assert name == "other"
    assert metrics["test_loss"] > 2


def test_samples_go_on_with_the_prompt_and_repeat_by_seed(run: Path) -> None:
    assert "".join(sample(run, LINE[:16], 21, temperature=0)) == LINE[16:]
    one, two, other = ("".join(sample(run, "how", 60, 2.0, seed=seed)) for seed in (1, 1, 2))
    assert one == two != other
    assert "".join(sample(run, "§", 5))  # a symbol that it never saw


def test_top_k_and_temperature() -> None:
    logits = torch.tensor([9.0, 1.0, 2.0, 0.0])
    generator = torch.Generator().manual_seed(0)
    assert {draw(logits, 5.0, 0, generator) for _ in range(300)} == {0, 1, 2, 3}
    assert {draw(logits, 5.0, 2, generator, unknown=True) for _ in range(300)} == {1, 2}
    assert draw(logits, 0.0, 0, generator, unknown=True) == 2
    drawn = [draw(logits, 2.0, 0, generator) for _ in range(4000)]
    share = (logits / 2).softmax(0)
    assert drawn.count(0) / 4000 == pytest.approx(float(share[0]), abs=0.02)


def test_bytes_need_no_vocabulary(poem: Path, tmp_path: Path) -> None:
    train(recipe(poem, tmp_path / "run", unit="byte", epochs=1, kind="gru", layers=2, dropout=0.1, embedding=8))
    _, vocabulary = load(tmp_path / "run")
    assert vocabulary == ()
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["metrics"].keys() == {"test_loss", "test_nats_per_byte", "test_bits_per_byte"}
    assert len("".join(sample(tmp_path / "run", "the cat", 60))) == 60


def test_cut_off_within_an_epoch_the_state_is_kept(poem: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(recipe(poem, tmp_path / "calm"))
    monkeypatch.setattr(loop, "SAVE_EVERY", 0.0)
    step, calls = loop.Training._step, []

    def cut(self: Any, *args: Any) -> float:
        calls.append(1)
        if len(calls) == 30:
            raise KeyboardInterrupt
        return step(self, *args)

    monkeypatch.setattr(loop.Training, "_step", cut)
    with pytest.raises(KeyboardInterrupt):
        train(recipe(poem, tmp_path / "cut"))
    monkeypatch.setattr(loop.Training, "_step", step)
    train(recipe(poem, tmp_path / "cut", resume=True))
    weights = [next((tmp_path / name / "checkpoints").glob("*/weights.safetensors")) for name in ("calm", "cut")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (dict(batch=5000), "too short for 5000 streams"),
        (dict(validation=0.5, held_out=0.5), "nothing to learn from"),
        (dict(length=20_000), "too short to learn from"),
    ],
)
def test_what_does_not_fit_is_one_line(poem: Path, tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        train(recipe(poem, tmp_path / "run", **settings))
    assert not (tmp_path / "run").exists()


def test_the_command_streams_text(run: Path) -> None:
    command = [sys.executable, "-m", "dl780", "sample", str(run), "--prompt", "how", "--length", "34", "--temperature"]
    done = subprocess.run([*command, "0"], capture_output=True, text=True, timeout=120)
    assert done.stdout == LINE + "\n"
    refused = subprocess.run([*command, "-1"], capture_output=True, text=True, timeout=120)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
