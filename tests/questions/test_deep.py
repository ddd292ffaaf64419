"""What the lab `deep` asks: the paper's own numbers, columns nobody can know, and where a mistake comes from."""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import pytest
import torch
from torch import Tensor

from dl780.check.cases import PUBLIC, Case
from dl780.check.question import Question
from dl780.check.registry import load_lab
from dl780.check.verdict import Verdict, judge
from dl780.questions import deep
from dl780.release import solutions, source_of
from dl780.student.call import attempt

LAB = load_lab("deep")


def verdict_on(question: Question, function: Callable[..., Any]) -> Verdict:
    cases = list(question.cases(PUBLIC))
    asked = question.adapter, question.outputs, question.not_allowed
    outcomes = [attempt(function, asked[0], question.sent_inputs(case), *asked[1:]) for case in cases]
    return judge(question, cases, outcomes)


def rows(case: Case) -> list[str]:
    column = case.inputs["column"]
    assert isinstance(column, Tensor)
    return bytes(column.tolist()).decode().split()


# --- VGG -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "parameters"), [(5, 132_863_336), (6, 133_638_952)], ids=["A-LRN", "C"])
def test_the_papers_columns_have_the_papers_parameters(number: int, parameters: int) -> None:
    right = deep.vgg_column.answers(deep.vgg_column.case(number, 0).inputs)
    assert right["counts"].sum() == parameters  # type: ignore[union-attr]
    assert right["shapes"][-5].tolist() == [512, 7, 7]  # type: ignore[union-attr]


def test_columns_are_drawn_with_all_that_a_count_depends_on() -> None:
    drawn = [case for seed in range(5) for case in list(deep.vgg_column.cases(bytes([seed])))[:4]]
    assert len({" ".join(rows(case)) for case in drawn}) == len(drawn)
    for case in drawn:
        kinds = {row.split("-")[0] for row in rows(case)}
        assert kinds == {"conv3", "conv1", "conv5", "LRN", "maxpool", "FC", "soft"}
        assert case.inputs["H"] != case.inputs["W"]


def test_one_bias_too_few_is_wrong_beside_a_hundred_million_weights() -> None:
    right = deep.vgg_column.answers(deep.vgg_column.case(5, 0).inputs)

    def nearly(column: list[str], C: int, H: int, W: int) -> Any:
        text = torch.tensor(list(" ".join(column).encode()))
        shapes, counts = deep.vgg_column.of(text, C, H, W)
        counts[0] -= int(counts.sum() == right["counts"].sum())  # type: ignore[union-attr]
        return shapes, counts

    counts = verdict_on(deep.vgg_column, nearly).outputs[1]
    assert not counts.ok
    assert "yours 1791, torch's layers 1792" in counts.message


# --- paths -----------------------------------------------------------------------------------------------------------


def test_the_parts_are_sums_over_paths() -> None:
    inputs = deep.gradient_by_paths.case(1, 1).inputs
    g, Ws = inputs["g"], inputs["Ws"]
    assert isinstance(g, Tensor)
    assert isinstance(Ws, list)

    def along(path: tuple[int, ...]) -> Tensor:
        found = g
        for i in reversed(path):
            found = Ws[i].T @ found
        return found

    for length, part in enumerate(deep.gradient_by_paths.answers(inputs)["parts"]):
        assert torch.allclose(part, sum(map(along, combinations(range(len(Ws)), length)), torch.zeros(())))


def test_the_norms_are_those_of_the_first_and_all_parts() -> None:
    inputs = deep.gradient_by_paths.case(1, 1).inputs
    parts, norms = deep.gradient_by_paths.answers(inputs)["parts"], deep.gradient_norms.answers(inputs)
    assert isinstance(parts, Tensor)
    assert torch.allclose(norms["plain"][0], parts[-1].norm())
    assert torch.allclose(norms["residual"][0], parts.sum(0).norm())
    assert torch.allclose(norms["plain"][-1], parts[0].norm())


def test_a_stack_has_too_many_paths_to_follow_each() -> None:
    *_, large = deep.gradient_by_paths.cases(PUBLIC)
    assert 2 ** len(large.inputs["Ws"]) > 8_000_000  # type: ignore[arg-type]


# --- what follows from lab 3 -----------------------------------------------------------------------------------------

UNFLIPPED = """
def conv2d_backward(G, Z, W, b, stride, padding):
    G_W = F.conv2d(Z.transpose(0, 1), G.transpose(0, 1), padding=padding).transpose(0, 1)
    return F.conv2d(G, W.transpose(0, 1), padding=padding), G_W, G.sum((0, 2, 3))
"""


@pytest.mark.parametrize("question", [deep.inception_backward, deep.dream_step], ids=lambda question: question.name)
def test_a_mistake_of_lab_3_is_told_as_such(question: Question) -> None:
    student: dict[str, Any] = {}
    exec("\n\n".join([LAB.opening, *solutions("deep").values(), UNFLIPPED]), student)
    verdict = verdict_on(question, student[question.name])
    told = [output.message for output in verdict.outputs if not output.ok]
    assert told[0].startswith("follows from your `conv2d_backward`, which did not flip the filter"), told


# --- the lab ---------------------------------------------------------------------------------------------------------


def test_every_image_of_a_dream_has_a_gradient_of_its_own() -> None:
    for case in deep.dream_step.cases(b"any"):
        moved = deep.dream_step.answers(case.inputs)["X_next"] - case.inputs["X"]  # type: ignore[operator]
        assert (moved.abs().amax((1, 2, 3)) > 0.1).all()


def test_differencing_the_total_variation_is_seen() -> None:
    question = deep.total_variation_gradient

    def differencing(X: Tensor, eps: float) -> Any:
        def TV(X: Tensor) -> Tensor:
            D, R = torch.zeros_like(X), torch.zeros_like(X)
            D[:, :, :-1], R[..., :-1] = X.diff(dim=2), X.diff(dim=3)
            return (D**2 + R**2 + eps).sqrt().sum()

        G = torch.zeros_like(X)
        for i in range(X.numel()):
            step = torch.zeros_like(X)
            step.view(-1)[i] = 1e-6
            G.view(-1)[i] = (TV(X + step) - TV(X - step)) / 2e-6
        return TV(X), G

    case = question.case(4, 1)
    outcome = attempt(differencing, question.adapter, question.sent_inputs(case), question.outputs, ())
    assert outcome.error == ""
    watched = attempt(
        differencing, question.adapter, question.sent_inputs(case), question.outputs, question.not_allowed
    )
    assert watched.doubts == ["takes a function at two points close together, as differencing does"]
    *_, large = question.cases(PUBLIC)
    assert large.inputs["X"].numel() > 100_000  # type: ignore[union-attr]


def test_fifty_points_in_an_hour_and_a_half() -> None:
    assert LAB.out_of == 50
    assert sum(question.minutes for question in LAB.questions.values()) == 90


def test_the_lab_stands_after_lab_3() -> None:
    names = [source_of(lab).name for lab in ("backprop", "convnets", "deep")]
    assert names == sorted(names) == ["02_backprop.py", "03_convnets.py", "03b_deep.py"]
