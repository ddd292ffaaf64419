"""A network that need not be trained, a run of LeNet that was, and a photograph."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from dl780.data import Dataset, Split
from dl780.models import get_model
from dl780.recipes import LeNet
from dl780.train.loop import train
from dl780.use.network import Network


def network(model: nn.Module, shape: tuple[int, int, int], classes: int = 10) -> Network:
    """A network of pictures in [0, 1], with twenty random ones."""
    X = torch.randint(256, (20, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    split = Split(X, torch.arange(20) % classes)
    names = tuple(f"class {i}" for i in range(classes))
    data = Dataset(
        "noise", "noise, 20 pictures", "here", split, split, split, names, (0.5,) * shape[0], (0.3,) * shape[0]
    )
    return Network("a net", model.eval().requires_grad_(False), lambda X: X / 255, shape, names, data)


@pytest.fixture(scope="session")
def network_of() -> Callable[..., Network]:
    """The function above."""
    return network


@pytest.fixture(scope="session")
def resnet() -> Network:
    """ResNet-20 with random weights."""
    return network(get_model("resnet20", 0), (3, 32, 32))


@pytest.fixture(scope="session")
def one_layer() -> Network:
    """A convolution and its ReLU on grey pictures."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(4 * 64, 3))
    return network(model, (1, 8, 8), 3)


@pytest.fixture(scope="session")
def lenet_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, below runs/ in a folder of its own."""
    run = tmp_path_factory.mktemp("here") / "runs" / "lenet"
    train(LeNet(data="embedded", epochs=1, threads=1, out=run))
    return run


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    """40×60 pixels of colours, in a folder of a class's name."""
    from PIL import Image

    path = tmp_path / "class 3" / "cat.png"
    path.parent.mkdir()
    Image.frombytes("RGB", (60, 40), bytes(i * i % 251 for i in range(60 * 40 * 3))).save(path)
    return path
