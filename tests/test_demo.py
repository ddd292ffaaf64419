"""The demo's class, each of whom gets what is deserved, and the network that is trained by hand."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dl780 import demo
from dl780.check.registry import LabQuestions
from dl780.grade.book import grade

UNWRITTEN = {"is not written yet"}
AUTOGRAD = {"calls autograd (torch.Tensor.backward), but this question is to be written by hand"}
NEEDS = {"mlp_backward", "train_mlp"}
# submission -> the questions that lose points, each with its known mistake
LOST: dict[str, dict[str, str | None]] = {
    "ada": {},
    "leonhard": {},
    "maryam": {},
    "olga": {},
    "bernhard": {"linear_backward": "averaged the bias gradient over the batch"},
    "chien": {
        "softmax_cross_entropy": "never divided G by m",
        "tanh": "took the derivative at f instead of at a",
    },
    "dorothy": {
        "numerical_gradient": "took a forward difference, (f(x + eps) - f(x)) / eps",
        "momentum_step": "did not return the new v",
        "adam_step": "counted t from 0",
    },
    "emmy": {
        "backpropagation": "took f' at the activation z_{i+1} instead of at W_i z_i + b_i",
        "linear_backward": "averaged the bias gradient over the batch",
    },
    "fatima": {},
    "george": dict.fromkeys(["linear_backward", *NEEDS]),
    "hypatia": dict.fromkeys(["linear_backward", *NEEDS]),
    "ibn": {"adam_step": None},
    "katherine": dict.fromkeys(["sigmoid", "autoencoder_backward"]),
}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="grading needs Linux")
def test_each_of_the_class_gets_what_is_deserved(lab: LabQuestions, tmp_path: Path) -> None:
    demo.write_class(lab, tmp_path / "class")
    assert len(list((tmp_path / "class").iterdir())) >= 14
    quick = {name: replace(lab.questions[name], seconds=3) for name in ("sigmoid", "autoencoder_backward")}
    before = torch.get_default_dtype()
    results = grade(replace(lab, questions=lab.questions | quick), [tmp_path / "class"], tmp_path / "out", 2, 780)
    torch.set_default_dtype(before)
    files = [tmp_path / "out" / "results" / f"{result['submission']}.json" for result in results]
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files}

    assert {name: r["status"] for name, r in found.items() if r["status"] != "graded"} == {"noether": "unreadable"}
    assert found["noether"]["score"] is None
    assert {name for name, r in found.items() if r["score"] == 100} == {"ada", "leonhard", "maryam", "olga"}
    assert found["joan"]["score"] == 0
    assert set().union(*(messages(q) for q in found["joan"]["questions"].values())) == UNWRITTEN

    for name, lost in LOST.items():
        questions = {n: q for n, q in found[name]["questions"].items() if q["points"] < q["out_of"]}
        assert {n for n in lost if n not in questions} == set(), f"{name} keeps points"
        assert {n: questions[n]["mistake"] for n in lost} == lost, name
        follows = {n for n in questions if n not in lost}
        if name == "fatima":
            assert follows == {"dropout", "autoencoder_backward"}
            assert all(q["mistake"] for q in questions.values())
        else:
            assert follows <= NEEDS | {"layer_jacobians"}, name
    assert found["bernhard"]["questions"]["mlp_backward"]["points"] == 7
    told = found["bernhard"]["questions"]["mlp_backward"]["outputs"]["g_bs"]["message"]
    assert told.startswith("follows from your `linear_backward`, which averaged the bias gradient over the batch")
    assert messages(found["george"]["questions"]["linear_backward"]) == AUTOGRAD
    assert found["george"]["questions"]["linear_backward"]["points"] == 0
    assert messages(found["hypatia"]["questions"]["linear_backward"]) == {"stands in a cell with a syntax error"}
    assert messages(found["ibn"]["questions"]["adam_step"]) == {"is not defined"}
    for question in ("sigmoid", "autoencoder_backward"):
        assert messages(found["katherine"]["questions"][question]) == {"took longer than 3 s"}

    printed = demo.table(results)
    assert re.search(r"ada +100 of 100  all right", printed)
    assert re.search(r"noether +–  unreadable", printed)
    assert re.search(r"joan +0 of 100  is not written yet: all 18 questions", printed)
    assert json.loads((tmp_path / "out" / "results" / "ada.json").read_text())["score"] == 100


def messages(question: dict[str, Any]) -> set[str]:
    return {output["message"] for output in question["outputs"].values() if not output["ok"]}


def test_the_class_is_written_alike_twice(lab: LabQuestions, tmp_path: Path) -> None:
    for folder in ("one", "two", "two"):
        demo.write_class(lab, tmp_path / folder)
    one, two = ({p.name: p.read_bytes() for p in (tmp_path / folder).iterdir()} for folder in ("one", "two"))
    assert one == two
    assert all(name.endswith(".ipynb") for name in one)


def test_by_hand_and_by_autograd_train_the_same_network(tmp_path: Path) -> None:
    said = demo.train_side_by_side(tmp_path / "curves.png", epochs=3)
    largest = re.search(r"largest difference of a weight at the end (\S+);", said)
    right = re.search(r"; ([\d.]+)% of 597 held-out digits right", said)
    assert largest
    assert right
    assert float(largest[1]) < 1e-10
    assert float(right[1]) > 85
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
