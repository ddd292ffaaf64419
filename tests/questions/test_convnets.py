"""What the lab `convnets` takes for right where autograd alone does not say: ties, and the limits of an answer."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dl780.check.cases import PUBLIC
from dl780.check.question import Gradients
from dl780.check.registry import load_lab
from dl780.check.verdict import Verdict, judge
from dl780.questions import convnets
from dl780.student import adapters
from dl780.student.call import WrongOutputs, attempt

LAB = load_lab("convnets")
TIES = replace(convnets.max_pool_backward, core=0, edges=(dict(size=2, ties=True),), large=None)


def verdict_on(question: Gradients, function: Callable[..., Any]) -> Verdict:
    cases = list(question.cases(PUBLIC))
    asked = question.adapter, question.outputs, question.not_allowed
    outcomes = [attempt(function, asked[0], question.sent_inputs(case), *asked[1:]) for case in cases]
    return judge(question, cases, outcomes)


def split(share: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """max_pool_backward for windows of 2×2, with this split of a window's gradient: from masks (…, 4) to shares."""

    def backward(G: Tensor, Z: Tensor, size: int, stride: int, padding: int) -> Tensor:
        P, Q = G.shape[2:]
        windows = Z.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
        parts = share((windows == windows.amax(-1, keepdim=True)).double()) * G[..., None]
        G_Z = torch.zeros_like(Z)
        G_Z[:, :, : 2 * P, : 2 * Q] = parts.unflatten(4, (2, 2)).transpose(3, 4).flatten(2, 3).flatten(3)
        return G_Z

    return backward


def weighted(mask: Tensor) -> Tensor:
    shares = mask * torch.arange(1.0, 5)
    return shares / shares.sum(-1, keepdim=True)


@pytest.mark.parametrize(
    "share",
    [
        lambda mask: F.one_hot(mask.argmax(-1), 4),
        lambda mask: F.one_hot(3 - mask.flip(-1).argmax(-1), 4),
        lambda mask: mask / mask.sum(-1, keepdim=True),
        weighted,
        lambda mask: weighted(mask).float(),
    ],
    ids=["first", "last", "equal parts", "unequal parts", "float32"],
)
def test_at_ties_any_split_is_right(share: Any) -> None:
    verdict = verdict_on(TIES, split(share))
    assert verdict.passed, verdict.outputs[0].message


@pytest.mark.parametrize(
    "share",
    [
        lambda mask: mask,
        lambda mask: mask / mask.sum(-1, keepdim=True).clamp(min=2),
        lambda mask: torch.full_like(mask, 0.25),
        lambda mask: 2 * F.one_hot(mask.argmax(-1), 4) - mask / mask.sum(-1, keepdim=True),
        lambda mask: 1 - F.one_hot(mask.argmax(-1), 4),
    ],
    ids=["all to each", "too little", "to all entries", "a negative part", "to the others"],
)
def test_at_ties_other_splits_are_wrong(share: Any) -> None:
    assert verdict_on(TIES, split(share)).points < TIES.out_of


def test_ties_doubled_is_told() -> None:
    verdict = verdict_on(TIES, split(lambda mask: mask))
    assert verdict.mistake == "gave each of several equal maxima the whole gradient"


def test_the_matrix_of_a_long_convolution_does_not_fit_in_memory() -> None:
    large = list(convnets.conv1d_backward.cases(PUBLIC))[-1]
    z, G = large.inputs["z"], large.inputs["G"]
    assert isinstance(z, Tensor)
    assert isinstance(G, Tensor)
    assert 8 * len(z) * len(G) > 64 * 2**30


def test_the_modern_lenet_has_61706_parameters() -> None:
    case = list(convnets.lenet_backward.cases(PUBLIC))[-1]
    assert sum(case.inputs[name].numel() for name in convnets.LENET) == 61_706  # type: ignore[union-attr]
    assert convnets.lenet_backward.sent == ["X", "y", *convnets.LENET]


def test_gradients_that_are_no_dict_earn_a_sentence() -> None:
    with pytest.raises(WrongOutputs, match="returned a list for grads, where a dict is expected"):
        adapters.with_state(lambda X, y, P: (0.0, [X]), torch.ones(1), torch.ones(1))


def test_images_are_flipped_and_labels_permuted_by_the_seed() -> None:
    (one,), (two,) = (list(convnets.train_lenet.cases(master)) for master in (b"1", b"2"))
    assert one.inputs["X"].shape == (3000, 1, 28, 28)  # type: ignore[union-attr]
    assert one.inputs["X_test"].shape == (2000, 1, 28, 28)  # type: ignore[union-attr]
    assert not torch.equal(one.inputs["y"], two.inputs["y"])  # type: ignore[arg-type]
    assert convnets.train_lenet.sent == ["X", "y", "seed"]


def test_ten_core_questions_at_most_hundred_points_three_hours() -> None:
    core = [question for question in LAB.questions.values() if not question.extra]
    assert LAB.out_of == 100
    assert len(core) - 1 == 10  # circulant and select_valid are the two halves of one
    assert 150 <= sum(question.minutes for question in core) <= 200
