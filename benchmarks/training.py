"""Training, beside its peers in the same run: rates, error rates of the recipes, steps written by hand.

Every row of the recipes names the command that makes it. MNIST and Fashion-MNIST are looked for as `--data auto` does;
a part whose data is not here is left out, and so is what was not measured.
"""

import contextlib
import io
import shlex
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import torch
import torch.nn.functional as F
import tyro
from report import about, put, table
from torch import Tensor, nn

from dl780.data import Dataset, load
from dl780.data.resolve import find
from dl780.models import get_model
from dl780.recipes import RECIPES, LeNet
from dl780.release import solutions
from dl780.train.loop import Training, train
from dl780.train.machine import Machine
from dl780.train.tasks import task_of

# What is measured, and what its issue asks for: name -> (data set, seeds, options of `dl780 train`, goal).
RUNS = {
    "LeNet-5": ("mnist", 5, "lenet --validation 0", "error ≤ 0.70 % in ≤ 30 s"),
    "LeNet-5, augmented": ("mnist", 5, "lenet --validation 0 --epochs 16 --augment affine", "error ≤ 0.45 %"),
    "LeNet-5 of 1998": ("mnist", 1, "lenet --validation 0 --form 1998", "the lecture: 1 %"),
    "LeNet-5 on Fashion": ("fashion-mnist", 3, "lenet --validation 0", "error ≤ 8.3 % in ≤ 30 s"),
    "LeNet-5 on Fashion, augmented": (
        "fashion-mnist", 3, "lenet --validation 0 --epochs 20 --augment shift flip", "error ≤ 7.5 %",
    ),
    "MLP on Fashion": ("fashion-mnist", 3, "mlp --validation 0", "error ≤ 10.5 %"),
    "MLP on Fashion, dropout": ("fashion-mnist", 3, "mlp --validation 0 --dropout 0.2", "what it adds"),
    "MLP on Fashion, pre-trained": ("fashion-mnist", 3, "mlp --validation 0 --start STACK", "what it adds"),
}  # fmt: skip
STACK = "autoencoder --validation 0 --epochs 10"
REPEATS = 15


def main(rates: bool = True, errors: bool = True, only: str = "", out: bool = True) -> None:
    """Measure, print, and put the sections into docs/results.md.

    Args:
        rates: the parts that take two minutes
        errors: the recipes, each with several seeds
        only: of the recipes, those whose name contains this
        out: write the sections
    """
    command = "make bench-train"
    if rates:
        parts = [feeding(), steps()]
        _show("\n\n".join(["## Training rates", about(command), *filter(None, parts)]), out)
    if errors:
        _show("\n\n".join(["## Recipes", about(command), recipes(only)]), out)


def recipes(only: str) -> str:
    """Test error and time of every recipe, mean and spread over its seeds."""
    rows = []
    for name, (dataset, seeds, options, goal) in RUNS.items():
        if only not in name or not find(dataset):
            continue
        found = [_run(f"{options} --dataset {dataset} --seed {seed}") for seed in range(seeds)]
        errors = [100 * (1 - result["metrics"]["test_accuracy"]) for result in found]
        spread = f" ± {stdev(errors):.2f}" if seeds > 1 else ""
        seconds = mean(result["seconds"] for result in found)
        rows.append((name, found[0]["data"], f"{mean(errors):.2f}{spread}", str(seeds), f"{seconds:.0f}", goal,
                     f"`dl780 train {options} --dataset {dataset}`"))  # fmt: skip
        print(rows[-1], [f"{error:.2f}" for error in errors], file=sys.stderr, flush=True)
    head = ("recipe", "data", "test error %, mean ± sd", "seeds", "s", "goal", "command")
    words = (
        "Trained on all 60,000 examples, tested once, at the end, on the 10,000; settings were chosen on 5,000 "
        "examples held out of training. Seconds are of training alone. STACK is the run of "
        f"`dl780 train {STACK}`, whose time is not counted."
    )
    return f"{words}\n\n{table(head, rows)}"


def feeding() -> str:
    """LeNet's training rate: this trainer against a script in the manner of pytorch/examples' mnist."""
    if not (path := find("mnist") or find("fashion-mnist")):
        return ""
    with contextlib.redirect_stdout(io.StringIO()):
        data = load("mnist", path, validation=0)
    took: dict[str, list[float]] = {"plain script": [], "dl780": []}
    for _ in range(3):
        took["plain script"].append(_plain_epoch(data))
        took["dl780"].append(_own_epoch(data))
    rates = {name: len(data.train) / median(seconds) for name, seconds in took.items()}
    rows = [(name, f"{rate:,.0f}", f"{rate / rates['plain script']:.2f}") for name, rate in rates.items()]
    words = (
        f"LeNet-5, one epoch of {data.title} at batch 128, AdamW, {torch.get_num_threads()} threads (medians of 3, in "
        "turn). The plain script has a torchvision-like data set of PIL pictures, ToTensor, Normalize and a DataLoader "
        "without workers (they slowed it down on 2 cores), the same model and the same optimizer. Goal 1.5."
    )
    return f"{words}\n\n{table(('', 'images/s', 'ratio'), rows)}"


def _plain_epoch(data: Dataset) -> float:
    from PIL import Image
    from torch.utils.data import DataLoader
    from torchvision import transforms

    change = transforms.Compose([transforms.ToTensor(), transforms.Normalize(data.mean, data.std)])

    class Pictures(torch.utils.data.Dataset[tuple[Tensor, int]]):
        def __len__(self) -> int:
            return len(data.train)

        def __getitem__(self, i: int) -> tuple[Tensor, int]:
            return change(Image.fromarray(data.train.X[i, 0].numpy(), mode=None)), int(data.train.y[i])

    model = get_model("lenet5", 0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    begin = time.perf_counter()
    for X, y in DataLoader(Pictures(), batch_size=128, shuffle=True):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(X), y)
        loss.backward()
        optimizer.step()
    return time.perf_counter() - begin


def _own_epoch(data: Dataset) -> float:
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        recipe = LeNet(epochs=1, out=Path(folder) / "run")
        machine = Machine(torch.device("cpu"), "fp32")
        training = Training(recipe, machine, data, Path(folder) / "run", task_of(recipe, data))
        begin = time.perf_counter()
        training._epoch(0, None)
        return time.perf_counter() - begin


def steps() -> str:
    """One step written by hand, as the labs' solutions have it, against autograd."""
    torch.set_default_dtype(torch.float32)
    rows, pairs = (
        [],
        {
            "MLP 784-256-128-10, batch 64, SGD": _mlp_steps(),
            "conv2d backward, 64×6×14×14, 16 filters 5×5, against ATen's": _conv_steps(),
        },
    )
    for name, (by_hand, by_autograd) in pairs.items():
        took: list[list[float]] = [[], []]
        for _ in range(REPEATS):
            for seconds, step in zip(took, (by_hand, by_autograd), strict=True):
                begin = time.perf_counter()
                for _ in range(50):
                    step()
                seconds.append((time.perf_counter() - begin) / 50)
        hand, auto = (1e3 * median(seconds) for seconds in took)
        rows.append((name, f"{hand:.2f}", f"{auto:.2f}", f"{hand / auto:.2f}"))
    head = ("a step", "by hand ms", "autograd ms", "ratio")
    return f"Steps by hand (medians of {REPEATS} × 50, in turn). Goal for the MLP 0.8.\n\n{table(head, rows)}"


def _mlp_steps() -> tuple[Callable[[], object], Callable[[], object]]:
    """The lab backprop's `mlp_backward` and `sgd_step`, and the same network by nn and torch.optim."""
    space: dict[str, Any] = {}
    exec("import math\nimport torch\n" + "\n\n".join(solutions("backprop").values()), space)
    model = get_model("mlp", 0)
    linear = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    Ws = [layer.weight.detach().clone() for layer in linear]
    bs = [layer.bias.detach().clone() for layer in linear]
    generator = torch.Generator().manual_seed(0)
    X, y = torch.randn(64, 784, generator=generator), torch.randint(10, (64,), generator=generator)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def by_hand() -> None:
        _, g_Ws, g_bs = space["mlp_backward"](X, y, Ws, bs)
        Ws[:] = [space["sgd_step"](W, g, 0.01) for W, g in zip(Ws, g_Ws, strict=True)]
        bs[:] = [space["sgd_step"](b, g, 0.01) for b, g in zip(bs, g_bs, strict=True)]

    def by_autograd() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(X), y).backward()
        optimizer.step()

    return by_hand, by_autograd


def _conv_steps() -> tuple[Callable[[], object], Callable[[], object]]:
    """The lab convnets' `conv2d_backward`, and the kernel that autograd calls."""
    space: dict[str, Any] = {}
    exec("import torch\nimport torch.nn.functional as F\n" + solutions("convnets")["conv2d_backward"], space)
    generator = torch.Generator().manual_seed(0)
    Z, W, G = (torch.randn(*shape, generator=generator) for shape in ((64, 6, 14, 14), (16, 6, 5, 5), (64, 16, 10, 10)))
    b = torch.zeros(16)
    settings: list[Any] = [[16], [1, 1], [0, 0], [1, 1], False, [0, 0], 1, [True, True, True]]

    def by_aten() -> tuple[Tensor, ...]:
        found: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(G, Z, W, *settings)
        return found

    def by_hand() -> tuple[Tensor, ...]:
        found: tuple[Tensor, ...] = space["conv2d_backward"](G, Z, W, b, 1, 0)
        return found

    for mine, theirs in zip(by_hand(), by_aten(), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-3, atol=1e-2)
    return by_hand, by_aten


def _run(options: str) -> dict[str, Any]:
    """What `dl780 train` with these options gives, in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        if "STACK" in options:
            seed = options.split("--seed ")[1]
            train(_recipe(f"{STACK} --dataset fashion-mnist --seed {seed}", Path(folder) / "stack"))
        return train(_recipe(options.replace("STACK", str(Path(folder) / "stack")), Path(folder) / "run"))


def _recipe(options: str, out: Path) -> Any:
    name, *rest = shlex.split(options)
    return tyro.cli(RECIPES[name], args=[*rest, "--out", str(out)])


def _show(section: str, out: bool) -> None:
    print(section, flush=True)
    if out:
        put(section)


if __name__ == "__main__":
    tyro.cli(main)
