"""The panel of answers."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from dl780 import UserError
from dl780.use.classify import classify, draw
from dl780.use.network import Network, open_network


def test_answers_are_the_softmax_likeliest_first(resnet: Network, photograph: Path) -> None:
    (answer,) = classify(resnet, [photograph], 3)
    with torch.no_grad():
        p = resnet.model(resnet.prepare(resnet.picture(photograph)[None])).softmax(1)[0]
    order = p.argsort(descending=True)[:3].tolist()
    assert [name for name, _ in answer.top] == [f"class {i}" for i in order]
    assert [share for _, share in answer.top] == pytest.approx(p[order].tolist())
    assert answer.truth == "class 3"
    assert str(answer).startswith(f"{photograph}: class {order[0]} ")


def test_a_trained_network_knows_its_digits(lenet_run: Path, tmp_path: Path) -> None:
    network = open_network(lenet_run, None)
    assert network.data is not None
    paths = []
    for i in range(0, 1000, 100):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(network.data.test.X[i, 0].numpy()).save(paths[-1])
    found = [answer.top[0][0] for answer in classify(network, paths, 1)]
    assert sum(name == str(label) for name, label in zip(found, network.data.test.y[::100].tolist(), strict=True)) >= 6


@pytest.mark.parametrize("pictures", [1, 5])
def test_the_panel(resnet: Network, photograph: Path, tmp_path: Path, pictures: int) -> None:
    answers = classify(resnet, [photograph] * pictures, 4)
    draw(resnet, answers, tmp_path / "new" / "panel.png")
    with Image.open(tmp_path / "new" / "panel.png") as panel:
        assert panel.text["Description"] == "; ".join(map(str, answers))  # type: ignore[attr-defined]
        assert panel.width > 350 * min(pictures, 4)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["panel.png"]


@pytest.mark.parametrize("top", [0, 11])
def test_as_many_classes_as_there_are(resnet: Network, photograph: Path, top: int) -> None:
    with pytest.raises(UserError, match="--top takes 1 to 10"):
        classify(resnet, [photograph], top)
