"""Why an answer is wrong: generic patterns, mistakes that follow from earlier questions, and which is told."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from dl780.check.cases import PUBLIC, Case
from dl780.check.question import Answers, Gradients, Question, Values
from dl780.check.verdict import Verdict, judge
from dl780.questions import backprop
from dl780.student.call import Outcome, attempt
from dl780.student.traps import one_thread

ABOUT: dict[str, Any] = dict(slide="", difficulty=1, minutes=1)
affine = Gradients(
    signature="affine(G, Z, W, b) -> G_Z, G_W, G_b",
    of=lambda Z, W, b: Z @ W.T + b,
    draw=lambda d, m, n, k: dict(Z=d.normal(m, n), W=d.normal(k, n), b=d.normal(k)),
    points=(1, 1, 1),
    **ABOUT,
)
cube = Gradients(
    signature="cube(X) -> loss, g_X",
    of=lambda X: (X**3).mean(),
    draw=lambda d, a, b, c: dict(X=d.normal(a, b, c)),
    points=(1, 1),
    **ABOUT,
)
four = Gradients(
    signature="four(G, X) -> G_X",
    of=lambda X: X.tanh(),
    draw=lambda d, a, b, c, e: dict(X=d.normal(a, b, c, e)),
    points=(1,),
    **ABOUT,
)
steps = Gradients(
    signature="steps(G, xs) -> g_xs",
    of=lambda xs: torch.stack([x.sum(0).sin() for x in xs]),
    draw=lambda d, n: dict(xs=[d.normal(6, 5) for _ in range(n)]),
    points=(1,),
    **ABOUT,
)
image = Gradients(
    signature="image(G, X) -> G_X",
    of=lambda X: X.exp(),
    draw=lambda d: dict(X=d.normal(6, 5)),
    points=(1,),
    **ABOUT,
)
pair = Gradients(
    signature="pair(G, X) -> G_X", of=lambda X: X.exp(), draw=lambda d: dict(X=d.normal(2, 5)), points=(1,), **ABOUT
)

Change = Callable[[Answers, Case], Answers]


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


def verdict_on(question: Question, change: Change) -> Verdict:
    """The verdict on a student whose numbers are the right ones, but for a change."""
    cases = list(question.cases(PUBLIC))
    rights = [question.answers(case.inputs) for case in cases]
    outcomes = [Outcome({**right, **change(right, case)}) for case, right in zip(cases, rights, strict=True)]
    return judge(question, cases, outcomes)


def told(question: Question, output: str, change: Change) -> str:
    """What is told of one output when it is changed, and all others are right."""
    verdict = verdict_on(question, change)
    others = [o.name for o in verdict.outputs if not o.ok]
    assert others == [output]
    return next(o.message for o in verdict.outputs if o.name == output)


def test_the_right_numbers_are_right() -> None:
    for question in (affine, cube, four, steps, image):
        assert verdict_on(question, lambda right, case: {}).passed


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda w, s: 0 * w, "is zero everywhere"),
        (lambda w, s: -w, "has the opposite sign"),
        (lambda w, s: s["m"] * w, "is m times too large: a division by m is missing, or a sum stands for a mean"),
        (lambda w, s: w / s["k"], "is k times too small: divided by k once too often"),
        (lambda w, s: 0.37 * w, "is 0.37 times the right one"),
        (lambda w, s: w.T, "is transposed"),
        (lambda w, s: w.sum(0), "is summed over axis 0, which should stay"),
        (lambda w, s: w.sum(1), "is summed over axis 1, which should stay"),
    ],
)
def test_generic_patterns_of_a_matrix(change: Callable[[Tensor, dict[str, int]], Tensor], sentence: str) -> None:
    message = told(affine, "G_W", lambda right, case: {"G_W": change(right["G_W"], case.sizes)})  # type: ignore[arg-type]
    assert message.partition(";")[0] == sentence


def test_a_missing_sum_over_the_batch() -> None:
    message = told(affine, "G_b", lambda right, case: {"G_b": case.inputs["G"]})  # type: ignore[dict-item]
    assert message == "is not summed over its axis 0"


@pytest.mark.parametrize("output", ["G_Z", "G_W"])
def test_a_missing_upstream_gradient(output: str) -> None:
    def without(right: Answers, case: Case) -> Answers:
        ones = torch.ones_like(case.inputs["G"])  # type: ignore[arg-type]
        return {output: affine.answers({**case.inputs, "G": ones})[output]}

    assert told(affine, output, without).startswith("leaves out the upstream gradient G;")


@pytest.mark.parametrize("order", [(0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_permuted_axes_of_three(order: tuple[int, ...]) -> None:
    message = told(cube, "g_X", lambda right, case: {"g_X": right["g_X"].permute(order)})  # type: ignore[union-attr]
    assert message == f"has its axes in the order {order}"


@pytest.mark.parametrize("order", [(0, 1, 3, 2), (3, 2, 1, 0), (1, 0, 2, 3)])
def test_permuted_axes_of_four(order: tuple[int, ...]) -> None:
    message = told(four, "G_X", lambda right, case: {"G_X": right["G_X"].permute(order)})  # type: ignore[union-attr]
    assert message == f"has its axes in the order {order}"


def off_at(*index: Any) -> Change:
    """A change that makes a gradient of `image` or `pair` wrong at some places, differently in each."""

    def change(right: Answers, case: Case) -> Answers:
        got = right["G_X"].clone()  # type: ignore[union-attr]
        for at in index:
            got[at] += 1 + torch.arange(got[at].numel(), dtype=got.dtype).reshape(got[at].shape)
        return {"G_X": got}

    return change


@pytest.mark.parametrize(
    ("places", "sentence"),
    [
        ([-1], "is right except at the last index of axis 0"),
        ([0], "is right except at the first index of axis 0"),
        ([(slice(None), -1)], "is right except at the last index of axis 1"),
        ([0, -1], "is right except at the first and last index of axis 0"),
    ],
)
def test_right_except_at_the_ends_of_an_axis(places: list[Any], sentence: str) -> None:
    assert told(image, "G_X", off_at(*places)).startswith(f"{sentence}; differs in")


def test_right_except_at_the_border_of_an_image() -> None:
    ring = off_at(0, -1, (slice(1, -1), 0), (slice(1, -1), -1))
    assert told(image, "G_X", ring).startswith("is right except at the border")


def test_right_except_at_the_last_of_two() -> None:
    assert told(pair, "G_X", off_at(-1)).startswith("is right except at the last index of axis 0")


def test_numbers_without_a_pattern_are_told_as_they_are() -> None:
    message = told(image, "G_X", off_at((2, 2), (3, 1)))
    assert message.startswith("differs in 2 of 30 entries; worst at [")


def test_a_pattern_must_hold_in_every_case() -> None:
    signs = iter([1, -1, -1])
    message = told(affine, "G_W", lambda right, case: {"G_W": next(signs) * 2 * right["G_W"]})
    assert message.startswith("differs")


def test_patterns_are_found_in_the_wrong_tensors_of_a_list() -> None:
    def last_negated(right: Answers, case: Case) -> Answers:
        *rest, last = right["g_xs"]
        return {"g_xs": [*rest, -last]}

    assert told(steps, "g_xs", last_negated).startswith("has the opposite sign; [")


def declared(mistakes: dict[str, Callable[..., Any]]) -> Values:
    return Values(
        signature="two(x) -> f, h",
        of=lambda x: (x.sin(), x.cos()),
        draw=lambda d, n: dict(x=d.normal(n)),
        points=(1, 1),
        mistakes=mistakes,
        **ABOUT,
    )


def test_a_mistake_that_explains_all_outputs_is_preferred_to_one_that_explains_one() -> None:
    question = declared(
        {
            "shifted f": lambda right: {"f": right["f"] + 1},
            "shifted both": lambda right: {"f": right["f"] + 1, "h": right["h"] + 1},
        }
    )
    both = verdict_on(question, lambda right, case: {name: value + 1 for name, value in right.items()})  # type: ignore[operator]
    assert [o.mistake for o in both.outputs] == ["shifted both"] * 2
    one = verdict_on(question, lambda right, case: {"f": right["f"] + 1})  # type: ignore[operator]
    assert one.mistake == "shifted f"


def test_each_output_may_have_a_mistake_of_its_own() -> None:
    question = declared(
        {"doubled f": lambda right: {"f": 2 * right["f"]}, "negated h": lambda right: {"h": -right["h"]}}
    )
    verdict = verdict_on(question, lambda right, case: {"f": 2 * right["f"], "h": -right["h"]})  # type: ignore[operator]
    assert [o.mistake for o in verdict.outputs] == ["doubled f", "negated h"]
    assert verdict.outputs[0].message.startswith("you doubled f; differs in")


def test_a_mistake_must_explain_every_case() -> None:
    question = declared({"doubled f": lambda right: {"f": 2 * right["f"]}})
    factors = iter([2, 2, 3])
    verdict = verdict_on(question, lambda right, case: {"f": next(factors) * right["f"]})
    assert verdict.outputs[0].mistake is None
    assert verdict.outputs[0].message.startswith("differs in")


def raising(x: Tensor) -> Tensor:
    raise RuntimeError("these shapes do not go together")


@pytest.mark.parametrize(
    "faulty", [raising, lambda: 1, lambda x: x, lambda right: {"f": 1.0, "h": None}, lambda nowhere: (nowhere, nowhere)]
)
def test_a_faulty_declaration_does_not_cost_the_verdict(faulty: Callable[..., Any]) -> None:
    question = declared({"broke": faulty, "doubled f": lambda right: {"f": 2 * right["f"]}})
    verdict = verdict_on(question, lambda right, case: {"f": 2 * right["f"]})
    assert verdict.mistake == "doubled f"
    assert [o.points for o in verdict.outputs] == [0, 1]


def test_a_listed_mistake_is_told_before_a_generic_one_and_before_the_shape() -> None:
    verdict = verdict_on(
        backprop.linear_backward,
        lambda right, case: {"G_W": right["G_W"].T},  # type: ignore[union-attr]
    )
    assert verdict.mistake == "returned the weight gradient transposed"
    assert "has shape" not in verdict.outputs[1].message


# --- mistakes that follow from earlier ones --------------------------------------------------------------------------


def linear(G: Tensor, Z: Tensor, W: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return torch.einsum("mk,kn->mn", G, W), torch.einsum("mk,mn->kn", G, Z), torch.einsum("mk->k", G)


def bias_averaged(G: Tensor, Z: Tensor, W: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    G_Z, G_W, G_b = linear(G, Z, W, b)
    return G_Z, G_W, G_b / len(G)


def all_averaged(G: Tensor, Z: Tensor, W: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    G_Z, G_W, G_b = linear(G, Z, W, b)
    return G_Z, G_W / len(G), G_b / len(G)


def rectify(a: Tensor) -> tuple[Tensor, Tensor]:
    return a.clamp(min=0), torch.where(a > 0, 1.0, 0.0)


def own_slope(a: Tensor) -> tuple[Tensor, Tensor]:
    return rectify(a)[0], rectify(a)[0]


def absolute(a: Tensor) -> tuple[Tensor, Tensor]:
    return abs(a), torch.sign(a)


def cross_entropy(Z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    log_p = Z - torch.logsumexp(Z, 1)[:, None]
    picked = torch.eye(Z.shape[1])[y]
    return -(log_p * picked).sum() / len(y), (torch.exp(log_p) - picked) / len(y)


def no_one_hot(Z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    return cross_entropy(Z, y)[0], torch.softmax(Z, 1) / len(y)


def negative_loss(Z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    loss, G = cross_entropy(Z, y)
    return -loss, G


def network(linear: Any = linear, rectify: Any = rectify, cross_entropy: Any = cross_entropy) -> Callable[..., Any]:
    """A student's `mlp_backward`, made of three functions of theirs."""

    def mlp_backward(X: Tensor, y: Tensor, Ws: list[Tensor], bs: list[Tensor]) -> Any:
        kept, Z = [], X
        for i, (W, b) in enumerate(zip(Ws, bs, strict=True)):
            Z, slope = rectify(Z) if i else (Z, None)
            kept.append((Z, slope))
            Z = Z @ W.T + b
        loss, G = cross_entropy(Z, y)
        g_Ws, g_bs = list[Tensor](), list[Tensor]()
        for W, b, (Z, slope) in reversed(list(zip(Ws, bs, kept, strict=True))):
            G, g_W, g_b = linear(G, Z, W, b)
            G = G if slope is None else G * slope
            g_Ws.insert(0, g_W)
            g_bs.insert(0, g_b)
        return loss, g_Ws, g_bs

    return mlp_backward


def judged(function: Callable[..., Any]) -> Verdict:
    question = backprop.mlp_backward
    cases = list(question.cases(PUBLIC))
    return judge(
        question,
        cases,
        [attempt(function, question.adapter, question.sent_inputs(case), question.outputs, ()) for case in cases],
    )


def test_a_right_network_follows_from_nothing() -> None:
    assert judged(network()).passed


@pytest.mark.parametrize(
    ("student", "wrong", "sentence"),
    [
        (network(linear=bias_averaged), ["g_bs"], "`linear_backward`, which averaged the bias gradient over the batch"),
        (network(rectify=own_slope), ["g_Ws", "g_bs"], "`relu`, which returned f itself as the derivative"),
        (network(rectify=absolute), ["loss", "g_Ws", "g_bs"], "`relu`, which returned |a|"),
        (
            network(cross_entropy=no_one_hot),
            ["g_Ws", "g_bs"],
            "`softmax_cross_entropy`, which did not subtract the one-hot y from the probabilities",
        ),
        (network(cross_entropy=negative_loss), ["loss"], "`softmax_cross_entropy`, which left out the minus sign"),
    ],
)
def test_an_earlier_mistake_is_found_in_the_network(student: Any, wrong: list[str], sentence: str) -> None:
    verdict = judged(student)
    failing = [o for o in verdict.outputs if not o.ok]
    assert [o.name for o in failing] == wrong
    for output in failing:
        assert f"follows from your {sentence}" in output.message
        assert output.mistake is None  # it is counted where it was made


def test_a_listed_mistake_is_told_before_one_that_follows() -> None:
    assert judged(network(linear=all_averaged)).mistake == "divided by m twice"
