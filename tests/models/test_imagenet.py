"""AlexNet, VGG, GoogLeNet and ResNet: the papers' counts, and what torchvision has no twin of."""

import math
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dl780 import UserError
from dl780.models import get_model
from dl780.models.alexnet import response_norm
from dl780.models.cost import multiply_adds, parameters, sketch
from dl780.models.googlenet import TABLE, Inception
from dl780.models.papers import PAPERS, table
from dl780.models.resnet import Basic, Pad, resnet_cifar
from dl780.models.vgg import COLUMNS, DEPTHS, vgg

TORCHVISION = dict(form="torchvision")


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("alexnet", {}, 60_965_224),
        ("alexnet", TORCHVISION, 61_100_840),
        ("vgg11", {}, 132_863_336),
        ("vgg11_lrn", {}, 132_863_336),
        ("vgg13", {}, 133_047_848),
        ("vgg16_c", {}, 133_638_952),
        ("vgg16", {}, 138_357_544),
        ("vgg19", {}, 143_667_240),
        ("googlenet", dict(heads=False), 6_998_552),
        ("googlenet", {}, 13_378_280),
        ("googlenet", dict(heads=False, **TORCHVISION), 6_624_904),
        ("googlenet", TORCHVISION, 13_004_888),
        ("resnet20", {}, 269_722),
        ("resnet32", {}, 464_154),
        ("resnet44", {}, 658_586),
        ("resnet56", {}, 853_018),
        ("resnet110", {}, 1_727_962),
    ],
)
def test_parameters(name: str, options: dict[str, Any], count: int) -> None:
    assert parameters(sketch(partial(get_model, name, **options))) == count


@pytest.mark.parametrize(
    ("name", "millions"),
    [("resnet20", 0.27), ("resnet32", 0.46), ("resnet44", 0.66), ("resnet56", 0.85), ("resnet110", 1.7)],
)
def test_table_six_of_the_resnet_paper(name: str, millions: float) -> None:
    assert abs(parameters(sketch(partial(get_model, name))) / 1e6 - millions) < 0.03


@pytest.mark.parametrize(
    ("name", "billions"),
    [("resnet18", 1.8), ("resnet34", 3.6), ("resnet50", 3.8), ("resnet101", 7.6), ("resnet152", 11.3), ("vgg19", 19.6)],
)
def test_flops_of_the_resnet_paper(name: str, billions: float) -> None:
    """Its table 1, and the 19.6 billion of VGG-19 that §3.3 compares with."""
    assert multiply_adds(sketch(partial(get_model, name)), 3, 224, 224) / 1e9 == pytest.approx(billions, rel=0.02)


@pytest.mark.parametrize("name", ["alexnet", "vgg11", "googlenet", "resnet50", "resnet152"])
def test_flops_are_those_that_torchvision_states(name: str) -> None:
    import torchvision

    form = {} if name.startswith("vgg") else TORCHVISION
    stated = torchvision.models.get_model_weights(name).DEFAULT.meta["_ops"]
    assert round(multiply_adds(sketch(partial(get_model, name, **form)), 3, 224, 224) / 1e9, 3) == stated


@pytest.mark.parametrize("name", [name for name, paper in PAPERS.items() if paper.shape[1:] and name != "alphago"])
def test_every_network_takes_pictures_of_the_size_of_its_row(name: str) -> None:
    model = sketch(partial(get_model, name)).eval()
    classes = 1000 if PAPERS[name].shape[1] == 224 else 10
    assert model(torch.empty(2, *PAPERS[name].shape, device="meta")).shape == (2, classes)


def test_the_table_of_the_command() -> None:
    lines = table()
    row = next(line for line in lines if line.startswith("vgg16 "))
    assert row.split()[:5] == ["vgg16", "3×224×224", "138,357,544", "15,470.3", "M"]
    assert "27.0 / 8.8 %" in row
    assert "VGG Network" in row
    assert any("multiply-adds" in line for line in lines)


def test_local_response_normalisation_is_the_papers_equation() -> None:
    Z = torch.randn(2, 7, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 100
    want = torch.empty_like(Z)
    for i in range(7):
        near = Z[:, max(0, i - 2) : min(7, i + 3)]
        want[:, i] = Z[:, i] / (2 + 1e-4 * (near**2).sum(1)) ** 0.75
    assert torch.allclose(response_norm()(Z), want, atol=1e-12)


def test_alexnets_layers_have_the_sizes_of_figure_two() -> None:
    X, shapes = torch.empty(1, 3, 224, 224, device="meta"), {}
    for name, layer in sketch(partial(get_model, "alexnet")).eval().named_children():
        X = layer(X)
        shapes[name] = tuple(X.shape[1:])
    sizes = [shapes[f"conv{i}"] for i in range(1, 6)]
    assert sizes == [(96, 55, 55), (256, 27, 27), (384, 13, 13), (384, 13, 13), (256, 13, 13)]
    assert shapes["flatten"] == (9216,)


@pytest.mark.parametrize("name", list(DEPTHS))
def test_a_vgg_has_the_weight_layers_of_its_name_and_the_papers_formula(name: str) -> None:
    layers = [m for m in sketch(partial(get_model, name)).modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    words = [word for word in COLUMNS[DEPTHS[name]].split() if word not in ("M", "LRN")]
    assert len(layers) == len(words) + 3 == int("".join(filter(str.isdigit, name)))
    n, total = 3, 0
    for word in words:
        size, k = (1, int(word[2:])) if "x" in word else (9, int(word))
        n, total = k, total + k * (n * size + 1)
    total += 4096 * (512 * 49 + 1) + 4096 * 4097 + 1000 * 4097
    assert parameters(sketch(partial(get_model, name))) == total


def test_columns_differ_as_the_tables_bold_type_says() -> None:
    assert COLUMNS["A-LRN"].replace(" LRN", "") == COLUMNS["A"]
    assert COLUMNS["C"].replace("1x", "") == COLUMNS["D"]
    assert [sum(word not in ("M", "LRN") for word in column.split()) + 3 for column in COLUMNS.values()] == [
        *(11, 11, 13, 16, 16, 19)
    ]


def test_a_lrn_is_a_with_a_normalisation_after_its_first_convolution() -> None:
    one, two = (get_model(name, 0, side=32, hidden=(), classes=4).eval() for name in ("vgg11", "vgg11_lrn"))
    two.load_state_dict(one.state_dict())
    layers = dict(two.named_children())
    X = Z = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for name, layer in one.named_children():
        Z = layer(Z)
        if name == "relu1_1":
            Z = response_norm()(Z)
    assert torch.allclose(two(X), Z, atol=1e-6)
    assert isinstance(layers["norm1"], nn.LocalResponseNorm)


def test_inception_puts_four_branches_side_by_side() -> None:
    """Those of the paper's figure 2b, written out for 3a."""
    model = get_model("googlenet", 0, classes=5)
    block = model.get_submodule("inception3a")
    assert isinstance(block, Inception)
    Z = torch.randn(2, 192, 9, 7, generator=torch.Generator().manual_seed(0))
    state = block.state_dict()

    def conv(name: str, Z: torch.Tensor) -> torch.Tensor:
        weight = state[f"{name}.conv.weight"]
        return F.conv2d(Z, weight, state[f"{name}.conv.bias"], padding=weight.shape[-1] // 2).relu()

    parts = [
        conv("branch1", Z),
        conv("branch2.1", conv("branch2.0", Z)),
        conv("branch3.1", conv("branch3.0", Z)),
        conv("branch4.1", F.max_pool2d(Z, 3, stride=1, padding=1)),
    ]
    assert [part.shape[1] for part in parts] == [64, 128, 32, 32]
    assert torch.allclose(block(Z), torch.cat(parts, 1), atol=1e-5)
    assert state["branch3.1.conv.weight"].shape[-1] == 5


def test_googlenets_stages_have_the_sizes_of_table_one() -> None:
    sizes = [(row[0] + row[2] + row[4] + row[5]) for row in TABLE.values()]
    assert sizes == [256, 480, 512, 512, 512, 528, 832, 832, 1024]


def test_heads_speak_in_training_alone() -> None:
    model = get_model("googlenet", 0, classes=5)
    X = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert [z.shape for z in model(X)] == [(2, 5)] * 3
        one = model.eval()(X)
        without = get_model("googlenet", 0, classes=5, heads=False).eval()
        without.load_state_dict(model.state_dict(), strict=False)
        assert torch.equal(one, without(X))


@pytest.mark.parametrize("depth", [7, 21, 2, 0])
def test_a_depth_that_is_not_six_n_and_two(depth: int) -> None:
    with pytest.raises(UserError, match="6n \\+ 2"):
        resnet_cifar(depth)


def test_option_a_halves_the_picture_and_adds_maps_of_zeros() -> None:
    Z = torch.arange(2 * 3 * 5 * 4.0).view(2, 3, 5, 4)
    H = Pad(2, 2)(Z)
    assert H.shape == (2, 5, 3, 2)
    assert torch.equal(H[:, :3], Z[:, :, ::2, ::2])
    assert not H[:, 3:].any()


def test_a_block_whose_residual_is_zero_is_the_identity_of_what_is_positive() -> None:
    block = Basic(3, 3, 1, "A", "paper").eval()
    nn.init.zeros_(block.bn2.weight)
    Z = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(block(Z), Z.relu())


@pytest.mark.parametrize("name", ["resnet20", "resnet110", "vgg11_cifar", "vgg19_cifar", "googlenet_cifar"])
def test_the_loss_starts_at_log_ten_and_every_weight_has_a_gradient(name: str) -> None:
    model = get_model(name, 0)
    X = torch.randn(20, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    loss = F.cross_entropy(model(X), torch.arange(len(X)) % 10)
    assert abs(loss.item() - math.log(10)) < 0.3
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in model.parameters())


@pytest.mark.parametrize("column", ["A", "E"])
def test_a_plain_vgg_keeps_the_size_of_a_signal(column: str) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = vgg(column, side=32, hidden=(64, 64))
    Z = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    spreads = []
    for name, layer in model.eval().named_children():
        Z = layer(Z)
        if name.startswith("conv"):
            spreads.append(Z.std().item())
    assert 0.1 < spreads[-1] / spreads[0] < 10


def test_the_small_googlenet_learns_a_batch() -> None:
    model = get_model("googlenet_cifar", 0, classes=4, share=8)
    X = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    y = torch.arange(8) % 4
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(25):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(X), y)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05
