"""The loop: what it leaves, that it repeats itself bit for bit, also killed, resumed, or on two processes."""

import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dl780 import UserError
from dl780.data import load
from dl780.recipes import MLP, VGG, AlexNet, Autoencoder, GoogLeNet, LeNet, ResNet
from dl780.train import checkpoint, loop
from dl780.train.loop import evaluate, schedule, train

Small = Callable[..., MLP]
Trained = Callable[..., dict[str, Any]]
TIMES = ("seconds", "examples_per_second")


def weights(run: Path) -> bytes:
    return next((run / "checkpoints").glob("*")).joinpath("weights.safetensors").read_bytes()


def untimed(run: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in TIMES} for line in lines]


def last(run: Path) -> dict[str, torch.Tensor]:
    return checkpoint.load_weights(run)


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_a_run_leaves_its_folder(trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = trained(epochs=12)
    run = tmp_path / "run"
    assert json.loads((run / "result.json").read_text()) == result
    assert result.keys() == {"recipe", "data", "seed", "epochs", "steps", "seconds", "cpu_seconds", "metrics"}
    assert (result["recipe"], result["data"], result["seed"], result["epochs"]) == ("mlp", "digits", 0, 12)
    assert result["metrics"].keys() == {"test_loss", "test_accuracy"}
    assert result["metrics"]["test_accuracy"] > 0.85
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["data"]["counts"] == load("digits", say=None).counts
    assert abs(manifest["initial_loss"] - math.log(10)) < 0.7
    assert {"torch", "python", "device", "cores", "threads", "git"} <= manifest["machine"].keys()
    assert [line["epoch"] for line in untimed(run)] == list(range(1, 13))
    assert (run / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert list((run / "events").iterdir())
    assert not list(run.rglob("*.part"))
    said = capsys.readouterr().out
    assert "data: " in said
    assert "loss before training" in said
    assert said.count("epoch ") == 12


def test_the_same_command_gives_the_same_bytes(trained: Trained, tmp_path: Path) -> None:
    for out in ("one", "two"):
        trained(out, dropout=0.3, augment=("shift",))
    trained("other", dropout=0.3, augment=("shift",), seed=1)
    assert weights(tmp_path / "one") == weights(tmp_path / "two")
    assert untimed(tmp_path / "one") == untimed(tmp_path / "two")
    assert weights(tmp_path / "one") != weights(tmp_path / "other")


def test_torchs_own_random_numbers_are_left_alone(trained: Trained) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    trained(dropout=0.5)
    assert torch.equal(torch.rand(2), expected)


RUN = """
import sys, time
from pathlib import Path
from dl780.train import loop
from dl780.recipes import MLP
loop.SAVE_EVERY = 0.0
step = loop.Training._step
def slow(self, *args):
    time.sleep(float(sys.argv[3]))
    return step(self, *args)
loop.Training._step = slow
loop.train(MLP(dataset="digits", data="embedded", hidden=(16,), epochs=3, batch=100, threads=1, dropout=0.2,
               augment=("shift",), precision=sys.argv[4], out=Path(sys.argv[1]), resume=sys.argv[2] == "resume"))
"""


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_killed_in_an_epoch_and_resumed_is_never_killed(tmp_path: Path, precision: str) -> None:
    def run(out: str, how: str, delay: float) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", RUN, str(tmp_path / out), how, str(delay), precision]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL)

    assert run("calm", "new", 0).wait(200) == 0
    killed, how = [], "new"
    for more in (5, 9):
        process = run("cut", how, 0.1)
        begun = checkpoint.last_step(tmp_path / "cut")
        while checkpoint.last_step(tmp_path / "cut") < begun + more:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed.append(checkpoint.last_step(tmp_path / "cut"))
        how = "resume"
    a_epoch = math.ceil(len(load("digits", say=None).train) / 100)
    assert any(step % a_epoch for step in killed), "it was never killed inside an epoch"
    assert run("cut", "resume", 0).wait(200) == 0
    assert weights(tmp_path / "cut") == weights(tmp_path / "calm")
    assert untimed(tmp_path / "cut") == untimed(tmp_path / "calm")
    results = [json.loads((tmp_path / name / "result.json").read_text()) for name in ("cut", "calm")]
    assert results[0]["metrics"] == results[1]["metrics"]


@pytest.mark.slow
def test_two_processes_give_the_numbers_of_one(tmp_path: Path) -> None:
    """In float64, without dropout, augmentation or batch norm; each process takes its share of every batch."""
    of_run = ["--dataset", "digits", "--data", "embedded", "--hidden", "16", "--steps", "20", "--batch", "129"]
    settings = [*of_run, "--precision", "fp64", "--threads", "1"]
    one = [sys.executable, "-m", "dl780", "train", "mlp", *settings, "--out", str(tmp_path / "one")]
    spread = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29780"]
    two = [*spread, "-m", "dl780", "train", "mlp", *settings, "--out", str(tmp_path / "two"), "--device", "cpu"]
    for command in (one, two):
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
    alone, together = last(tmp_path / "one"), last(tmp_path / "two")
    before = MLP(dataset="digits", data="embedded", hidden=(16,), epochs=1, out=tmp_path / "fresh", steps=1, lr=0.0)
    train(before)
    moved = last(tmp_path / "fresh")
    for name in alone:
        assert alone[name].dtype == torch.float64
        assert torch.allclose(alone[name], together[name], rtol=0, atol=1e-11), name
        assert (alone[name] - moved[name]).abs().max() > 1e-3, f"{name} did not move"
    results = [json.loads((tmp_path / name / "result.json").read_text()) for name in ("one", "two")]
    assert results[0]["metrics"] == pytest.approx(results[1]["metrics"], abs=1e-6)


# --- budgets ---------------------------------------------------------------------------------------------------------


def test_steps_end_the_run_in_an_epoch(trained: Trained, tmp_path: Path) -> None:
    assert trained(steps=7)["steps"] == 7
    assert untimed(tmp_path / "run")[-1]["step"] == 7


def test_minutes_end_the_run(trained: Trained) -> None:
    assert 1.5 < trained(minutes=2 / 60, epochs=1)["seconds"] < 20


@pytest.mark.parametrize("warm", [0.0, 0.2])
def test_the_schedule_rises_and_falls_to_nothing(warm: float) -> None:
    rates = [schedule(i / 1000, warm) for i in range(1001)]
    top = rates.index(max(rates))
    assert max(rates) == pytest.approx(1, abs=1e-2)
    assert abs(top / 1000 - warm) <= 0.002
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] == pytest.approx(0, abs=1e-9)


# --- the ladder that students are taught -----------------------------------------------------------------------------


def test_one_batch_is_learned_by_heart(trained: Trained) -> None:
    result = trained(overfit_batch=True, epochs=300, batch=32, lr=0.01)
    assert result["metrics"]["train_accuracy"] == 1
    assert result["metrics"]["train_loss"] < 0.05


def test_a_loss_that_is_not_finite_stops_with_step_batch_and_checkpoint(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = loop.task_of

    def breaks_at_20(recipe: Any, data: Any) -> Any:
        task, calls = real(recipe, data), []

        def loss(model: Any, X: Any, y: Any, progress: float) -> Any:
            calls.append(1)
            return task.loss(model, X, y, progress) * (math.nan if len(calls) == 21 else 1)  # one before training

        return replace(task, loss=loss)

    monkeypatch.setattr(loop, "task_of", breaks_at_20)
    with pytest.raises(UserError) as caught:
        train(small())
    text = str(caught.value)
    assert "not finite at step 20 (epoch 2, batch 7); the last good checkpoint is of step 13" in text
    assert "--lr than 0.003" in text
    assert "\n" not in text


def test_out_of_memory_says_which_knob_to_turn(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(loop.Training, "_step", full)
    with pytest.raises(UserError, match=r"out of memory: halve --batch \(100\), or take --precision bf16"):
        train(small())


def test_memory_of_a_cpu_that_is_full_is_told_alike(small: Small) -> None:
    with pytest.raises(UserError, match="out of memory: halve --batch"):
        train(small(hidden=(2**40,)))


# --- evaluation, checkpoints -----------------------------------------------------------------------------------------


def test_eval_gives_the_runs_own_metrics(trained: Trained, tmp_path: Path) -> None:
    result = trained()
    assert evaluate(tmp_path / "run", device="cpu") == ("digits", result["metrics"])
    _, best = evaluate(tmp_path / "run", which="best", device="cpu")
    assert best.keys() == result["metrics"].keys()


def test_only_what_is_named_is_kept(trained: Trained, tmp_path: Path) -> None:
    trained(epochs=4)
    named = json.loads((tmp_path / "run" / "checkpoints.json").read_text())
    assert named.keys() == {"last", "best"}
    assert {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()} == set(named.values())


def test_a_checkpoint_that_was_cut_off_is_none(small: Small, trained: Trained, tmp_path: Path) -> None:
    trained("calm", epochs=2)
    trained("cut", epochs=2)
    broken = tmp_path / "cut" / "checkpoints" / "0000099.part"
    broken.mkdir()
    (broken / "weights.safetensors").write_bytes(b"half")
    (tmp_path / "cut" / "result.json").unlink()
    train(MLP(**{**vars(small("cut")), "resume": True}))
    assert same(last(tmp_path / "cut"), last(tmp_path / "calm"))


@pytest.mark.parametrize("damage", ["no folder", "no checkpoint", "half a file"])
def test_what_is_no_run_is_one_clear_line(small: Small, trained: Trained, tmp_path: Path, damage: str) -> None:
    run = tmp_path / "run"
    if damage != "no folder":
        trained(epochs=1)
        (run / "checkpoints.json").unlink()
        if damage == "half a file":
            (run / "checkpoints.json").write_text("{")
    with pytest.raises(UserError) as caught:
        evaluate(run)
    assert "\n" not in str(caught.value)
    assert str(run) in str(caught.value)


# --- recipes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["modern", "1998"])
def test_lenet_learns(tmp_path: Path, form: Any) -> None:
    recipe = LeNet(data="embedded", form=form, epochs=2, batch=64, out=tmp_path / "run")
    result = train(recipe)
    assert result["data"] == "mnist-5k"
    assert result["metrics"]["test_accuracy"] > 0.85


def test_lenet_takes_pictures_of_its_size(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="takes pictures of 28×28, not 8×8 of digits"):
        train(LeNet(dataset="digits", out=tmp_path / "run"))


@pytest.mark.parametrize(
    "settings", [dict(dataset="nothing"), dict(augment=("spin",)), dict(start=Path("nowhere")), dict(device="nix")]
)
def test_what_cannot_be_leaves_no_folder(small: Small, settings: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        train(small(**settings))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_pre_training_lowers_each_layers_error_and_starts_an_mlp(small: Small, tmp_path: Path) -> None:
    stack = Autoencoder(
        dataset="digits", data="embedded", hidden=(24, 16), epochs=10, batch=50, out=tmp_path / "stack", threads=1
    )
    train(stack)
    before, after = (evaluate_stack(tmp_path, epochs) for epochs in (0, 1))
    assert after < 0.8 * before
    mlp = small("mlp", hidden=(24, 16), start=tmp_path / "stack", steps=1, lr=0.0)
    train(mlp)
    started, encoders = last(tmp_path / "mlp"), last(tmp_path / "stack")
    assert torch.equal(started["1.weight"], encoders["0.weight"])
    assert torch.equal(started["3.weight"], encoders["1.weight"])
    with pytest.raises(UserError, match="give both the same --hidden"):
        train(small("other", hidden=(24, 17), start=tmp_path / "stack"))


def evaluate_stack(tmp_path: Path, trained: int) -> float:
    if trained:
        return evaluate(tmp_path / "stack", device="cpu")[1]["test_loss"]
    fresh = Autoencoder(
        dataset="digits", data="embedded", hidden=(24, 16), steps=1, lr=0.0, out=tmp_path / "fresh", threads=1
    )
    return float(train(fresh)["metrics"]["test_loss"])


@pytest.mark.parametrize(
    ("recipe", "kind"),
    [(ResNet, {}), (VGG, dict(depth=11)), (GoogLeNet, {})],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_networks_of_the_imagenet_years_train_on_small_pictures(
    recipe: Any, kind: dict[str, Any], tmp_path: Path
) -> None:
    settings: dict[str, Any] = dict(dataset="shapes", steps=2, batch=8, overfit_batch=True, out=tmp_path / "run")
    result = train(recipe(**settings, **kind))
    assert result["data"] == "shapes"
    assert result["steps"] == 2
    assert abs(json.loads((tmp_path / "run" / "manifest.json").read_text())["initial_loss"] - math.log(6)) < 0.5


def test_googlenet_learns_through_its_heads(folder_of_pictures: Path, tmp_path: Path) -> None:
    recipe = GoogLeNet(
        dataset="imagefolder", data=str(folder_of_pictures), augment=("zoom", "flip"), steps=1, batch=2,
        out=tmp_path / "run",
    )  # fmt: skip
    train(recipe)
    started = json.loads((tmp_path / "run" / "manifest.json").read_text())["initial_loss"]
    assert started == pytest.approx(1.6 * math.log(2), abs=0.3)


@pytest.mark.parametrize(("recipe", "words"), [
    (ResNet(dataset="digits"), "32×32, not 8×8 of digits"),
    (ResNet(dataset="shapes", depth=50), "224×224, not 32×32"),
    (ResNet(dataset="shapes", depth=21), "there is no model 'resnet21'"),
    (AlexNet(dataset="shapes"), "224×224"),
])  # fmt: skip
def test_pictures_of_another_size_are_one_line(recipe: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=words):
        train(replace(recipe, out=tmp_path / "run"))
    assert not (tmp_path / "run").exists()
