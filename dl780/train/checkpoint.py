"""Checkpoints of a run: weights as safetensors, the rest as what torch loads with `weights_only=True`.

A checkpoint is a folder `RUN/checkpoints/STEP`, which appears whole; `RUN/checkpoints.json` says which of them is the
last and which the best, and is replaced last: a run that is killed at any moment has one that is whole.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dl780 import UserError
from dl780.files import write_whole

Which = Literal["last", "best"]


def save(run: Path, step: int, model: nn.Module, state: dict[str, Any], which: tuple[Which, ...]) -> None:
    """Write a checkpoint, let `last` or `best` name it, and remove those that nothing names any more."""
    folder = run / "checkpoints" / f"{step:07d}"
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, part / "weights.safetensors", {"step": str(step)})
    torch.save({"step": step, **state}, part / "state.pt")
    shutil.rmtree(folder, ignore_errors=True)  # the same step, from before a resume
    os.replace(part, folder)
    named = _named(run) | dict.fromkeys(which, folder.name)
    write_whole(run / "checkpoints.json", json.dumps(named))
    for other in folder.parent.iterdir():
        if other.name not in named.values():
            shutil.rmtree(other, ignore_errors=True)


def load_state(run: Path, model: nn.Module) -> dict[str, Any]:
    """The state of the last checkpoint, its weights put into the model; {} where the run has none yet."""
    if not _named(run):
        return {}
    model.load_state_dict(load_weights(run))
    state: dict[str, Any] = torch.load(_folder(run, "last") / "state.pt", weights_only=True, map_location="cpu")
    return state


def load_weights(run: Path, which: Which = "last") -> dict[str, Tensor]:
    """A run's weights. Raises `UserError` where it has none."""
    weights: dict[str, Tensor] = load_file(_folder(run, which) / "weights.safetensors")
    return weights


def last_step(run: Path) -> int:
    """The step of a run's last checkpoint; 0 where it has none."""
    return int(_named(run).get("last", "0"))


def _folder(run: Path, which: Which) -> Path:
    if which not in (named := _named(run)):
        raise UserError(f"{run} holds no checkpoint: name the folder of a run, such as one under runs/")
    return run / "checkpoints" / named[which]


def _named(run: Path) -> dict[str, str]:
    try:
        named: dict[str, str] = json.loads((run / "checkpoints.json").read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"{run / 'checkpoints.json'} cannot be read: {error}") from error
    return named
