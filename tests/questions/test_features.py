"""What the lab `features` takes for right where weights are handed over: the limits, and what tells tricks apart."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from dl780.check.cases import PUBLIC, Draw
from dl780.check.question import Question, given
from dl780.check.registry import load_lab
from dl780.check.verdict import Verdict, judge
from dl780.grade.judge import verdicts
from dl780.grade.work import Worker
from dl780.questions import features
from dl780.release import solutions
from dl780.student.call import attempt
from dl780.student.drawn import lipschitz

LAB = load_lab("features")
Weights = tuple[Tensor, Tensor, Tensor, Tensor]


def verdict_on(question: Question, function: Callable[..., Any], master: bytes = PUBLIC) -> Verdict:
    cases = list(question.cases(master))
    outcomes = [attempt(function, question.adapter, question.sent_inputs(c), question.outputs, ()) for c in cases]
    return judge(question, cases, outcomes)


def message(verdict: Verdict) -> str:
    return verdict.outputs[0].message


# --- functions that are drawn ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_drawn_functions_have_slopes_of_one_at_most_and_no_constant_comes_near(seed: int) -> None:
    inputs = features.universal.draw(Draw(seed), eps=0.05)
    f = lipschitz(inputs["c"], inputs["offset"])(torch.linspace(0, 1, 100_001).double())
    assert f.diff().abs().max() <= 1.000_001e-5
    assert (f.max() - f.min()) / 2 > 1.2 * 0.05


def test_a_drawn_function_takes_numbers_arrays_and_any_shape() -> None:
    f = lipschitz(torch.tensor([[1.0, 0.7, 0.2, 0.9]]), 1.5)
    x = torch.rand(2, 3, dtype=torch.float64)
    assert f(x).shape == (2, 3)
    assert f(0.25).shape == ()  # type: ignore[arg-type]
    assert torch.equal(f(x.numpy()), f(x))  # type: ignore[arg-type]


# --- one hidden layer ------------------------------------------------------------------------------------------------


def joined(f: Callable[[Tensor], Tensor], N: int) -> Weights:
    """The curve that joins f at 0, 1/N, …, 1."""
    x = torch.arange(N + 1) / N
    slopes = f(x).diff() * N
    return torch.ones(N, 1), -x[:N], slopes.diff(prepend=torch.zeros(1))[None], f(x[:1])


@pytest.mark.parametrize(("per_unit", "passes"), [(1, True), (2, True), (4, False), (8, False)])
def test_kinks_that_stand_too_far_apart_are_found(per_unit: int, passes: bool) -> None:
    """Twice as far as stated is as far as any f allows; four times is too far for some f."""
    verdicts = [
        verdict_on(features.universal, lambda f, eps: joined(f, math.ceil(1 / eps / per_unit)), b"%d" % i)
        for i in range(5)
    ]
    assert all(verdict.passed == passes for verdict in verdicts)
    assert passes or all(verdict.points < verdict.out_of for verdict in verdicts)


def test_a_spike_between_the_grid_points_is_found() -> None:
    def spiked(f: Callable[[Tensor], Tensor], eps: float) -> Weights:
        W_1, b_1, W_2, b_2 = joined(f, max(1, math.ceil(0.5 / eps)))
        x = torch.tensor([0.500_001, 0.500_002, 0.500_003])
        return (
            torch.cat([W_1, torch.ones(3, 1)]),
            torch.cat([b_1, -x]),
            torch.cat([W_2, torch.tensor([[1e6, -2e6, 1e6]])], 1),
            b_2,
        )

    verdict = verdict_on(features.universal, spiked)
    assert verdict.points == 0
    assert "away from f at x = 0.5" in message(verdict)


def test_one_unit_too_many_is_told_with_both_numbers() -> None:
    verdict = verdict_on(features.universal, lambda f, eps: joined(f, math.ceil(1 / eps) + 1))
    assert verdict.points == 0
    assert "you used more than ⌈1/ε⌉ hidden units; has" in message(verdict)
    assert "are allowed (ε = 0.0" in message(verdict)


def test_the_function_is_not_sent_as_such_and_the_bits_are_not_sent_at_all() -> None:
    assert features.universal.sent == ["c", "offset", "eps"]
    assert features.parity_deep.sent == features.parity_shallow.sent == ["n"]


# --- parity ----------------------------------------------------------------------------------------------------------


def tree(n: int) -> tuple[list[Tensor], list[Tensor]]:
    """Parity by a tree of exclusive ors."""
    Ws, bs, read = list[Tensor](), list[Tensor](), torch.eye(n)
    while len(read) > 1:
        p = len(read) // 2
        sums = read[0 : 2 * p : 2] + read[1 : 2 * p : 2]
        Ws.append(torch.cat([sums, sums, read[2 * p :]]))
        bs.append(torch.cat([torch.zeros(p), -torch.ones(p), torch.zeros(len(read) % 2)]))
        read = torch.block_diag(torch.cat([torch.eye(p), -2 * torch.eye(p)], 1), torch.eye(len(read) % 2))
    return [*Ws, read], [*bs, torch.zeros(1)]


@pytest.mark.parametrize("n", [11, 17, 31, 32, 33, 63, 64])
def test_one_changed_weight_of_a_tree_is_found(n: int) -> None:
    """Any weight of any layer, one more or one less: among the drawn inputs there is one that tells."""
    X = features.bits(Draw(n), n)
    Ws, bs = tree(n)
    assert features._not_parity(X, features.network(X, Ws, bs)) == ""
    generator = torch.Generator().manual_seed(n)
    for W in Ws:
        for _ in range(20):
            place = tuple(int(torch.randint(size, (), generator=generator)) for size in W.shape)
            step = 2 * int(torch.randint(2, (), generator=generator)) - 1
            W[place] += step
            assert features._not_parity(X, features.network(X, Ws, bs)) or equal_everywhere(n, Ws, bs), (n, place)
            W[place] -= step


def equal_everywhere(n: int, Ws: list[Tensor], bs: list[Tensor]) -> bool:
    """Whether a network agrees with parity on 20,000 further inputs."""
    X = (torch.rand(20_000, n, generator=torch.Generator().manual_seed(0)) > 0.5).double()
    return features._not_parity(X, features.network(X, Ws, bs)) == ""


def test_all_inputs_are_tried_for_few_bits_and_every_count_for_many() -> None:
    assert len(features.bits(Draw(0), 10).unique(dim=0)) == 2**10
    many = features.bits(Draw(0), 64)
    assert set(many.unique().tolist()) == {0.0, 1.0}
    assert sorted(set(many.sum(1).int().tolist())) == list(range(65))


def test_layers_and_units_are_counted_from_the_shapes() -> None:
    def deeper(n: int) -> tuple[list[Tensor], list[Tensor]]:
        Ws, bs = tree(n)
        return [*Ws, torch.eye(1)], [*bs, torch.zeros(1)]

    def wider(n: int) -> tuple[list[Tensor], list[Tensor]]:
        Ws, bs = tree(n)
        if n > 1:
            Ws[0], bs[0] = torch.cat([Ws[0], torch.zeros(4 * n, n)]), torch.cat([bs[0], torch.zeros(4 * n)])
            Ws[1] = torch.cat([Ws[1], torch.zeros(len(Ws[1]), 4 * n)], 1)
        return Ws, bs

    assert "hidden layers for n =" in message(verdict_on(features.parity_deep, deeper))
    assert "hidden units for n =" in message(verdict_on(features.parity_deep, wider))


@pytest.mark.parametrize("question", [features.universal, features.parity_shallow])
def test_weights_that_overflow_are_not_right(question: Question) -> None:
    """inf - inf is NaN, which is not larger than ε."""
    huge = lambda *_: (torch.full((1, 1), 1e308), torch.tensor([1e308]), torch.full((1, 1), -1e308), torch.zeros(1))
    cases = [case for case in question.cases(PUBLIC) if case.inputs.get("n", 1) == 1]
    outcomes = [attempt(huge, question.adapter, question.sent_inputs(c), question.outputs, ()) for c in cases]
    weights = [dict(case.inputs) | dict(o.outputs) for case, o in zip(cases, outcomes, strict=True)]
    assert not torch.isfinite(features.hidden(torch.ones(1, 1), *outcomes[0].outputs.values())).any()  # type: ignore[arg-type]
    assert all(given(question.fault, each) for each in weights)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (lambda n: torch.tensor(1.0), "returned one Tensor"),
        (lambda n: (torch.tensor(1.0), torch.tensor(1.0)), "one tensor a number, where a list"),
        (lambda n: ([torch.ones(1, n)], []), "waits for the other outputs"),
        (lambda n: ([torch.ones(n)], [torch.zeros(1)]), "has shape"),
        (lambda n: ([torch.ones(1, n)], [torch.zeros(())]), "waits for the other"),
        (lambda n: ([torch.ones(1, n) * math.nan], [torch.zeros(1)]), "is not finite"),
        (lambda n: ([torch.ones(1, n)] * 3, [torch.zeros(10**6), torch.zeros(10**6), torch.zeros(1)]), "has shape"),
        (lambda n: (None, None), "nothing (None)"),
        (lambda n: 1 / 0, "raised ZeroDivisionError"),
    ],
)
def test_what_is_no_network_earns_a_sentence(returned: Callable[[int], Any], words: str) -> None:
    verdict = verdict_on(features.parity_deep, returned)
    assert verdict.points == 0
    assert words in message(verdict), message(verdict)


def test_the_shallow_network_is_within_the_limits_of_the_deep_question() -> None:
    """The lab says so: the slide's 2ⁿ is about circuits."""

    def shallow(n: int) -> tuple[list[Tensor], list[Tensor]]:
        if n == 1:
            return [torch.ones(1, 1)], [torch.zeros(1)]
        change = torch.tensor([[1.0] + [2.0 * (-1) ** j for j in range(1, n)]])
        return [torch.ones(n, n), change], [-torch.arange(float(n)), torch.zeros(1)]

    assert verdict_on(features.parity_deep, shallow).passed


# --- the lab ---------------------------------------------------------------------------------------------------------


def test_ten_core_questions_at_most_hundred_points_three_hours() -> None:
    core = [question for question in LAB.questions.values() if not question.extra]
    assert LAB.out_of == 100
    assert len(core) == 10
    assert 150 <= sum(question.minutes for question in core) <= 200


@pytest.mark.slow
def test_the_grader_gives_the_solutions_all_points_and_finds_the_adapters_of_the_lab() -> None:
    names = ("sgd", "mlp_forward", "universal", "parity_deep")
    lab = replace(LAB, questions={name: LAB.questions[name] for name in names})
    worker = Worker(LAB.opening)
    try:
        found = list(verdicts(lab, list(solutions("features").values()), worker, b"master", "content"))
    finally:
        worker.close()
    assert [(verdict.question, verdict.passed, verdict.flags) for verdict in found] == [(n, True, []) for n in names]
