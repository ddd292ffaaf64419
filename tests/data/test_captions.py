"""Captioned pictures, from files in every form that they come in."""

import json
from pathlib import Path

import pytest
import torch

from dl780 import UserError
from dl780.data.captions import load_captions
from dl780.data.words import END, said

NAMES = [f"{i}.jpg" for i in range(30)]


def say(name: str, k: int) -> str:
    return f"A picture, number {Path(name).stem}; caption {k}."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    from PIL import Image

    (tmp_path / "images").mkdir()
    for i, name in enumerate(NAMES):
        Image.new("RGB", (50 + i, 40), (8 * i, 0, 0)).save(tmp_path / "images" / name)
    return tmp_path


def write(folder: Path, form: str) -> Path:
    both = [(name, k) for name in [*NAMES, "lost.jpg"] for k in (0, 1)]
    if form == "token":
        path = folder / "Flickr8k.token.txt"
        path.write_text("\n".join(f"{name}#{k}\t{say(name, k)}" for name, k in both))
    elif form == "csv":
        path = folder / "captions.txt"
        path.write_text("\n".join(["image,caption", *(f'{name},"{say(name, k)}"' for name, k in both)]))
    elif form == "karpathy":
        path, splits = folder / "dataset.json", ("train", "val", "test")
        images = [
            dict(filename=name, split=splits[i % 3], sentences=[dict(raw=say(name, k)) for k in (0, 1)])
            for i, name in enumerate(NAMES)
        ]
        path.write_text(json.dumps(dict(images=images, dataset="flickr8k")))
    else:
        path = folder / "captions_val2014.json"
        images = [dict(id=i, file_name=name) for i, name in enumerate(NAMES)]
        notes = [dict(image_id=i, caption=say(name, k), id=k) for i, name in enumerate(NAMES) for k in (0, 1)]
        path.write_text(json.dumps(dict(images=images, annotations=notes)))
    return path


@pytest.mark.parametrize("form", ["token", "csv", "karpathy", "coco"])
@pytest.mark.parametrize("named", ["folder", "file"])
def test_every_form_gives_the_same_captions(folder: Path, form: str, named: str) -> None:
    path = write(folder, form)
    data = load_captions(str(folder if named == "folder" else path), side=16, least=1, say=None)
    assert sum(data.counts.values()) == 60
    assert data.test.given.shape[1:] == (3, 16, 16)
    assert data.counts["test"] == (20 if form == "karpathy" else 6)
    for pairs in (data.train, data.validation, data.test):
        for which, y in zip(pairs.which.tolist(), pairs.y.tolist(), strict=True):
            words = said(y, data.vocabulary)
            assert words[:4] == ["a", "picture", ",", "number"]
            if pairs is data.train:
                red = float(pairs.given[which, 0].float().mean())
                assert abs(red - 8 * int(words[4])) < 6  # the caption is this picture's
    assert all("caption 0 ." in r[0] and "caption 1 ." in r[1] for r in data.references)


def test_a_folder_splits_by_picture(folder: Path) -> None:
    write(folder, "csv")
    data = load_captions(str(folder), side=8, least=1, say=None)
    assert data.counts == dict(train=48, validation=6, test=6)
    again = load_captions(str(folder), side=8, vocabulary=data.vocabulary, say=None)
    assert again.test.y.equal(data.test.y)


def test_shapes_tell_their_scenes(capsys: pytest.CaptureFixture[str]) -> None:
    data = load_captions()
    assert data.name == "shapes"
    assert len(data.references) == 2000
    assert (data.train.y == END).sum(1).eq(1).all()
    assert "<unk>" not in {data.vocabulary[i] for i in data.train.y.unique().tolist()}
    assert torch.bincount(data.train.which).unique().tolist() == [3]
    assert "24,000 train" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "content", "words"), [
    ("captions.txt", "", "holds no captions"),
    ("captions.txt", "image,caption\n", "holds no captions"),
    ("captions.txt", "image,caption\nnone.jpg,x\n", "none of them lies in"),
    ("dataset.json", "{", "neither Karpathy's dataset.json nor COCO's"),
    ("dataset.json", '{"images": [{"filename": "a"}]}', "neither Karpathy's"),
    ("", "", "holds no captions: captions.txt"),
])  # fmt: skip
def test_what_cannot_be_read_is_one_line(tmp_path: Path, name: str, content: str, words: str) -> None:
    if name:
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=words) as caught:
        load_captions(str(tmp_path), say=None)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="there is no"):
        load_captions(str(tmp_path / "nowhere"), say=None)
