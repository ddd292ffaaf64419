"""A network from a run or from torchvision; its layers; what it takes for a picture."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision

from dl780 import UserError
from dl780.models import get_model
from dl780.use.network import Network, activation, as_channels, layers, maps, open_network

NetworkOf = Callable[..., Network]


def test_a_runs_network_answers_as_its_test_accuracy_says(lenet_run: Path) -> None:
    found = open_network(lenet_run, None)
    assert found.data is not None
    with torch.inference_mode():
        right = found.model(found.prepare(found.data.test.X)).argmax(1) == found.data.test.y
    stated = json.loads((lenet_run / "result.json").read_text())["metrics"]["test_accuracy"]
    assert right.float().mean().item() == pytest.approx(stated)
    assert found.shape == (1, 28, 28)
    assert found.classes == tuple("0123456789")
    assert not found.model.training
    assert "lenet trained on MNIST, 5,000" in found.title


def test_without_a_name_the_newest_finished_run_is_taken(
    lenet_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"no finished run below runs/: `dl780 train \w+` makes one \(about \d+ min"):
        open_network(None, None)
    for name, age in (("new", 10), ("old", 500), ("another recipe's", 0)):
        shutil.copytree(lenet_run, tmp_path / "runs" / name)
        result = tmp_path / "runs" / name / "result.json"
        if age == 0:
            result.write_text(json.dumps(json.loads(result.read_text()) | {"recipe": "autoencoder"}))
        os.utime(result, (1e9 - age, 1e9 - age))
    shutil.copytree(lenet_run, tmp_path / "runs" / "unfinished")
    (tmp_path / "runs" / "unfinished" / "result.json").unlink()
    assert open_network(None, None).title.startswith("new, lenet")


def test_another_set_than_the_one_it_was_trained_on_is_told(lenet_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(lenet_run, run)
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["data"] |= dict(name="mnist", title="MNIST, the originals")
    (run / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="was trained on MNIST, the originals, and now there is MNIST, 5,000"):
        open_network(run, None)
    assert open_network(run, None, "embedded").classes == tuple("0123456789")


def test_two_names_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="name one"):
        open_network(tmp_path, "resnet18")


def test_torchvisions_network_answers_as_torchvision_does(
    tmp_path: Path, photograph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    net = torchvision.models.resnet18().eval()
    torch.save(net.state_dict(), folder / "resnet18-f37072fd.pth")
    found = open_network(None, "resnet18")
    assert found.classes[0] == "tench"
    assert len(found.classes) == 1000
    assert found.shape == (3, 224, 224)
    assert found.data is None
    X = found.picture(photograph)[None]
    weights = torchvision.models.ResNet18_Weights.DEFAULT.transforms()
    prepared = torchvision.transforms.functional.normalize(X / 255, weights.mean, weights.std)
    with torch.inference_mode():
        assert torch.allclose(found.model(found.prepare(X)), net(prepared), atol=1e-4)


def test_a_picture_is_its_middle(resnet: Network, photograph: Path) -> None:
    from PIL import Image

    X = resnet.picture(photograph)
    assert (X.shape, X.dtype) == ((3, 32, 32), torch.uint8)
    middle = Image.open(photograph).resize((32, 32), Image.Resampling.BICUBIC, box=(10, 0, 50, 40))
    assert torch.equal(X, torch.tensor(list(middle.tobytes()), dtype=torch.uint8).view(32, 32, 3).permute(2, 0, 1))


def test_grey_weighs_green_most() -> None:
    X = torch.tensor([100, 0, 0, 0, 100, 0, 0, 0, 100], dtype=torch.uint8).view(3, 1, 3).transpose(0, 2)
    assert as_channels(X.contiguous(), 1).flatten().tolist() == [30, 59, 11]
    assert as_channels(X, 3) is X


@pytest.mark.parametrize("path", ["gone.png", "text.png"])
def test_what_is_no_picture_is_one_line(resnet: Network, tmp_path: Path, path: str) -> None:
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(UserError, match=path):
        resnet.picture(tmp_path / path)


def test_layers_stand_in_the_order_of_the_pass(resnet: Network) -> None:
    found = layers(resnet)
    names = list(found)
    assert names[0] == "conv1"
    assert names[-1] == "fc"
    assert found["layer3"] == ("Sequential", torch.Size([64, 8, 8]))
    assert names.index("layer1.0.conv1") < names.index("layer1.0") < names.index("layer1") < names.index("layer2")
    assert "avgpool" not in maps(resnet)
    assert not any(module._forward_hooks for module in resnet.model.modules())


@pytest.mark.parametrize("layer", ["conv1", "layer2.0.bn2", "layer3", "fc"])
def test_an_activation_is_what_the_layer_gave_before_anything_changed_it(resnet: Network, layer: str) -> None:
    """The ReLU after bn1 works in place; the pass must have ended by then."""
    X = torch.rand(2, 3, 40, 24, generator=torch.Generator().manual_seed(0)) * 255
    kept = []
    handle = resnet.model.get_submodule(layer).register_forward_hook(lambda m, i, Z: kept.append(Z.clone()))
    with torch.no_grad():
        resnet.model(resnet.prepare(X))
        handle.remove()
        assert torch.equal(activation(resnet, X, layer), kept[0])
    assert not any(module._forward_hooks for module in resnet.model.modules())


def test_a_layer_that_is_not_there_or_not_used(network_of: NetworkOf) -> None:
    googlenet = network_of(get_model("googlenet", 0, classes=3), (3, 224, 224), 3)
    X = torch.zeros(1, 3, 64, 64)
    with pytest.raises(UserError, match=r"there is no layer 'inception4z', but inception4\w, .*--list-layers"):
        activation(googlenet, X, "inception4z")
    with pytest.raises(UserError, match="aux1 is not used"):
        activation(googlenet, X, "aux1")
