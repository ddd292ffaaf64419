"""Where a run computes: device, precision, threads, and the processes of `torchrun`."""

import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from dl780 import UserError
from dl780.recipes import Recipe

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Machine:
    """A device, and this process's place among those that train together."""

    device: torch.device
    precision: str
    rank: int = 0
    world: int = 1

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return torch.float64 if self.precision == "fp64" else torch.float32

    def autocast(self) -> AbstractContextManager[Any]:
        """Forward passes within the block run in the recipe's precision."""
        if self.precision not in DTYPES:
            return nullcontext()
        return torch.autocast(self.device.type, DTYPES[self.precision])

    def place(self, X: Any, channels_last: bool = False) -> Any:
        """Inputs as this machine's model takes them: floats in its type, pictures in memory as N, H, W, C if asked."""
        if isinstance(X, tuple):
            return tuple(self.place(x, channels_last) for x in X)
        if X.is_floating_point():
            X = X.to(self.dtype)
        return X.contiguous(memory_format=torch.channels_last) if channels_last and X.ndim == 4 else X

    def sum(self, value: Tensor) -> Tensor:
        """The sum of a tensor over all processes."""
        if self.world > 1:
            dist.all_reduce(value)
        return value

    def about(self) -> dict[str, Any]:
        """What a manifest says of it."""
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else platform.processor()
        return dict(
            device=str(self.device), processor=name or platform.machine(), cores=os.cpu_count(),
            threads=torch.get_num_threads(), processes=self.world, precision=self.precision,
            python=platform.python_version(), **{p: version(p) for p in ("dl780", "torch", "numpy")}, git=_git(),
        )  # fmt: skip


@contextmanager
def machine_for(recipe: Recipe) -> Iterator[Machine]:
    """The machine of a recipe; under `torchrun`, joined to the other processes. Raises `UserError`."""
    device, world = _device(recipe.device), int(os.environ.get("WORLD_SIZE", 1))
    before = torch.get_num_threads()
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    if world > 1:
        if device.type == "cuda":
            device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
            torch.cuda.set_device(device)
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield Machine(device, recipe.precision, int(os.environ.get("RANK", 0)), world)
    finally:
        torch.set_num_threads(before)
        if world > 1:
            dist.destroy_process_group()


def _device(name: str) -> torch.device:
    if name == "auto":
        found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return found or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(f"--device {name} is not to be had here: {str(error).splitlines()[0]}") from None
    return device


def _git() -> str:
    command = ["git", "-C", os.path.dirname(__file__), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
