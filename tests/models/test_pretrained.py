"""Every network that torchvision has: its weights in ours give its logits and gradients, and come back unchanged."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

from dl780 import UserError
from dl780.models import get_model, list_models
from dl780.models.cost import sketch
from dl780.models.pretrained import FORMS, from_torchvision, key_map, to_torchvision

SHARED = sorted(set(list_models()) & set(torchvision.models.list_models()))
SHAPES = {"vgg": (2, 3, 32, 64), "alexnet": (2, 3, 67, 95), "googlenet": (3, 3, 96, 64), "resnet": (3, 3, 64, 64)}
HIDDEN = 64  # units of VGG's hidden layers, which are 4096 otherwise: nine tenths of the numbers, and all alike
THEIRS: dict[str, Any] = {
    "alexnet": dict(dropout=0.0),
    "googlenet": dict(dropout=0.0, dropout_aux=0.0, transform_input=True, init_weights=False),
    "resnet": {},
    "vgg": dict(dropout=0.0, init_weights=False),
}
OURS: dict[str, Any] = {
    "alexnet": dict(dropout=0.0),
    "googlenet": dict(dropout=0.0, head_dropout=0.0, heads=True, rescale=True),
    "resnet": {},
    "vgg": dict(dropout=0.0, hidden=(HIDDEN, HIDDEN)),
}


def family(name: str) -> str:
    return next(kind for kind in SHAPES if name.startswith(kind))


def theirs(name: str) -> nn.Module:
    """torchvision's network with random weights, float64; built without its own initialisation, which takes longer."""
    with torch.device("meta"):
        model = torchvision.models.get_model(name, num_classes=10, **THEIRS[family(name)])
        if name.startswith("vgg"):
            sizes = {0: (512 * 7 * 7, HIDDEN), 3: (HIDDEN, HIDDEN), 6: (HIDDEN, 10)}
            for i, (n, k) in sizes.items():
                model.classifier[i] = nn.Linear(n, k)
    model = model.double().to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    for key, value in model.state_dict().items():
        if key.endswith("num_batches_tracked"):
            value.zero_()
        elif value.ndim == 1:
            value.uniform_(0.5, 1.5, generator=generator)
        else:
            value.uniform_(-1, 1, generator=generator).mul_((6 / value[0].numel()) ** 0.5)
    return model


def ours(name: str) -> nn.Module:
    return sketch(lambda: get_model(name, classes=10, **FORMS.get(name, {}) | OURS[family(name)]))


def outputs(model: nn.Module, X: Tensor) -> list[Tensor]:
    """Logits, then those of heads by their names."""
    Z = model(X)
    if isinstance(Z, Tensor):
        return [Z]
    return [Z.logits, Z.aux_logits1, Z.aux_logits2] if hasattr(Z, "logits") else list(Z)


def same(ours: Tensor | None, theirs: Tensor | None) -> bool:
    assert ours is not None
    assert theirs is not None
    return bool((ours - theirs).abs().max() <= 1e-10 * theirs.abs().max().clamp(min=1e-3))


def test_torchvision_has_fifteen_of_them() -> None:
    assert len(SHARED) == 15
    assert set(FORMS) <= set(SHARED)


@pytest.mark.parametrize("name", SHARED)
def test_logits_and_gradients_are_torchvisions(name: str) -> None:
    one, two = theirs(name), ours(name)
    from_torchvision(name, two, one.state_dict(), assign=True)
    X = torch.randn(SHAPES[family(name)], dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert same(two.eval()(X), one.eval()(X))
    got, want = outputs(two.train(), X), outputs(one.train(), X)
    assert all(same(z, w) for z, w in zip(got, want, strict=True))
    assert len(got) == len(want) == (3 if name == "googlenet" else 1)
    for logits in (got, want):
        sum((i + 1) * (z**2).mean() for i, z in enumerate(logits)).backward()  # type: ignore[union-attr]
    keys, gradients = key_map(name, two), dict(one.named_parameters())
    for key, p in two.named_parameters():
        assert same(p.grad, gradients[keys[key]].grad), key
    assert len(gradients) == len(list(two.parameters()))


@pytest.mark.parametrize("name", ["alexnet", "vgg11_bn", "googlenet", "resnet50"])
def test_the_map_goes_both_ways(name: str) -> None:
    model = ours(name).to_empty(device="cpu")
    for value in model.state_dict().values():
        value.copy_(torch.arange(value.numel()).view_as(value) % 97)
    back = to_torchvision(name, model)
    other = theirs(name).float()
    other.load_state_dict(back)
    again = ours(name).to_empty(device="cpu")
    from_torchvision(name, again, other.state_dict())
    state = model.state_dict()
    assert again.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[key]) for key, value in again.state_dict().items())


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where torchvision's files lie."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    ("name", "file"), [("resnet18", "resnet18-f37072fd.pth"), ("googlenet", "googlenet-1378be20.pth")]
)
def test_weights_are_read_where_torchvision_keeps_them(name: str, file: str, checkpoints: Path) -> None:
    options = dict(init_weights=False, transform_input=True) if name == "googlenet" else {}
    torch.manual_seed(0)
    net = torchvision.models.get_model(name, **options)
    torch.save(net.state_dict(), checkpoints / file)
    X = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        got, want = get_model(name, weights="torchvision").eval()(X), net.eval()(X)
    assert torch.allclose(got, want, atol=1e-5 * want.abs().max().item())


def test_an_older_file_that_counts_no_batches_is_read_too(checkpoints: Path) -> None:
    state = torchvision.models.resnet18().state_dict()
    kept = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    torch.save(kept, checkpoints / "resnet18-f37072fd.pth")
    model = get_model("resnet18", weights="torchvision")
    assert model(torch.zeros(2, 3, 32, 32)).isfinite().all()


def test_weights_that_are_not_there_are_one_line_that_says_where_they_would_be(checkpoints: Path) -> None:
    with pytest.raises(UserError) as error:
        get_model("vgg16", weights="torchvision")
    line = str(error.value)
    assert str(checkpoints / "vgg16-397923af.pth") in line
    assert "https://download.pytorch.org/models/vgg16-397923af.pth" in line
    assert "\n" not in line
    assert not list(checkpoints.iterdir())


@pytest.mark.parametrize(("name", "words"), [("lenet5", "no weights for lenet5"), ("resnet20", "no weights for")])
def test_networks_that_torchvision_lacks(name: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        get_model(name, weights="torchvision")


def test_a_file_that_is_cut_off_or_anothers(checkpoints: Path) -> None:
    file = checkpoints / "resnet18-f37072fd.pth"
    file.write_bytes(b"PK\3\4 cut off")
    with pytest.raises(UserError, match="cannot be read"):
        get_model("resnet18", weights="torchvision")
    torch.save(sketch_of_other(), file)
    with pytest.raises(UserError, match="no weights for resnet18"):
        get_model("resnet18", weights="torchvision")


def sketch_of_other() -> dict[str, Tensor]:
    state = torchvision.models.resnet18(num_classes=7).state_dict()
    return {key: value for key, value in state.items() if not key.startswith("layer4")}
