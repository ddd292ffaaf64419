"""What a question draws and how it is judged: seeds, sizes, upstream gradients, ties, edges, distributions."""

import hashlib
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from dl780 import UserError
from dl780.check.cases import PRIMES, PUBLIC, Draw, seed_for, tensors
from dl780.check.question import Gradients, Jacobians, Property, Question, Trained, Values, given
from dl780.check.registry import load_lab, read_lab
from dl780.check.verdict import Verdict, answer_key, judge, token
from dl780.questions import backprop
from dl780.student.call import Outcome, attempt
from dl780.student.traps import one_thread

LAB = load_lab("backprop")
DRAWN = {name: question for name, question in LAB.questions.items() if not isinstance(question, Trained)}
MASTERS = [b"master %d" % i for i in range(12)]
ABOUT: dict[str, Any] = dict(slide="", difficulty=1, minutes=1)


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


def named(question: Question) -> str:
    return question.name


every_question = pytest.mark.parametrize("question", DRAWN.values(), ids=named)


def values_of(question: Question, master: bytes, *about: str) -> Iterator[bytes]:
    """Each input of every case, as bytes."""
    for case in question.cases(master, *about):
        for name, value in case.inputs.items():
            kept = [(tuple(t.shape), t.numpy().tobytes()) for t in tensors(value)] or value
            yield repr((case.number, case.seed, name, kept)).encode()


def digest(question: Question, master: bytes, *about: str) -> str:
    return hashlib.sha256(b"\n".join(values_of(question, master, *about))).hexdigest()


def verdict_on(question: Question, function: Callable[..., Any], master: bytes = PUBLIC) -> Verdict:
    cases = list(question.cases(master))
    outcomes = [attempt(function, question.adapter, question.sent_inputs(c), question.outputs, ()) for c in cases]
    return judge(question, cases, outcomes)


# --- seeds, sizes, inputs --------------------------------------------------------------------------------------------


def test_a_master_seed_gives_the_same_bytes_in_a_fresh_process() -> None:
    here = [digest(question, PUBLIC) for question in DRAWN.values()]
    assert here == [digest(question, PUBLIC) for question in DRAWN.values()]
    code = "import test_question as t; print(*[t.digest(q, t.PUBLIC) for q in t.DRAWN.values()])"
    path = {"PYTHONPATH": str(Path(__file__).parent), "PYTHONHASHSEED": "7"}
    there = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | path, capture_output=True, text=True, check=True
    )
    assert there.stdout.split() == here


@every_question
def test_another_master_seed_gives_other_numbers(question: Question) -> None:
    assert len({digest(question, master) for master in MASTERS[:5]}) == 5


@every_question
def test_the_same_master_gives_each_submission_other_numbers(question: Question) -> None:
    contents = ["one", "two", "three"]
    assert len({digest(question, b"master", content) for content in contents}) == 3


@every_question
def test_sizes_are_distinct_primes_and_change_with_the_seed(question: Question) -> None:
    seen = []
    for master in MASTERS:
        for case, (settings, _) in zip(question.cases(master), question.variants, strict=True):
            drawn = [n for letter, n in case.sizes.items() if letter not in settings]
            assert set(drawn) <= set(PRIMES)
            assert len(set(drawn)) == len(drawn)
            assert {
                letter: settings[letter] for letter in case.sizes if letter in settings
            }.items() <= case.sizes.items()
            seen.append(tuple(drawn))
    assert len(set(seen)) > 3 or not any(seen)


@pytest.mark.parametrize("question", [backprop.backpropagation, backprop.mlp_backward], ids=named)
def test_no_drawn_layer_is_square(question: Question) -> None:
    for master in MASTERS:
        for case in question.cases(master):
            assert all(W.shape[0] != W.shape[1] for W in tensors(case.inputs["Ws"]))


def test_seeds_are_spread_and_say_nothing_of_each_other() -> None:
    abouts = [("a", "b"), ("ab",), ("a", "b", "1"), ("a", "b1"), ("b", "a"), ("",), ("", "")]
    seeds = [seed_for(master, *about) for master in (b"one", b"two") for about in abouts]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**64 for seed in seeds)


@every_question
def test_a_token_draws_its_case_again(question: Question) -> None:
    for case in question.cases(b"secret", "content"):
        number, _, seed = token(case).partition(":")
        again = question.case(int(number), int(seed, 16))
        assert repr(again) == repr(case)


@pytest.mark.parametrize("question", [q for q in DRAWN.values() if getattr(q, "upstreams", [])], ids=named)
def test_upstream_gradients_are_random_and_never_ones(question: Gradients) -> None:
    for case in question.cases(PUBLIC):
        for name in question.upstreams:
            G = case.inputs[name]
            assert isinstance(G, Tensor)
            assert G.dtype == torch.float64
            assert G.numel() == len(set(G.flatten().tolist()))
            assert not (G == 1).any()


@every_question
def test_inputs_are_float64_and_finite(question: Question) -> None:
    for case in question.cases(PUBLIC):
        for t in [t for value in case.inputs.values() for t in tensors(value)]:
            assert t.dtype in (torch.float64, torch.int64, torch.bool)
            assert t.isfinite().all()


@pytest.mark.parametrize("question", [q for q in DRAWN.values() if q.large is not None], ids=named)
def test_the_large_case_is_too_large_for_differences(question: Gradients) -> None:
    *_, case = question.cases(PUBLIC)
    entries = sum(t.numel() for name in question.differentiated.values() for t in tensors(case.inputs[name]))
    assert entries >= 100_000


def test_draws_away_from_zero_are_away_from_zero_and_of_both_signs() -> None:
    z = Draw(1).away_from_zero(101, 3, scale=10.0)
    assert z.abs().min() >= 1
    assert (z > 0).any()
    assert (z < 0).any()


def test_a_condition_that_never_holds_is_said_not_awaited() -> None:
    with pytest.raises(RuntimeError, match="1000 draws"):
        Draw(1).until(lambda inputs: False, lambda: {})


# --- declarations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signature", ["f(x)", "f -> y", "f(x) - > y", "", "(x) -> y", "f(x) ->"])
def test_a_malformed_signature_is_named(signature: str) -> None:
    question = Values(signature=signature, of=lambda x: x, draw=lambda d: dict(x=d.normal(2)), points=(1,), **ABOUT)
    with pytest.raises(ValueError, match="a signature reads"):
        _ = question.name


def test_points_must_be_one_for_each_output() -> None:
    question = Values(
        signature="f(x) -> y, z", of=lambda x: (x, x), draw=lambda d: dict(x=d.normal(2)), points=(1,), **ABOUT
    )
    with pytest.raises(ValueError, match="shorter"):
        verdict_on(question, lambda x: (x, x))


def test_a_reference_must_give_every_output() -> None:
    question = Values(
        signature="f(x) -> y, z", of=lambda x: x, draw=lambda d: dict(x=d.normal(2)), points=(1, 1), **ABOUT
    )
    with pytest.raises(ValueError, match="shorter"):
        answer_key(question, list(question.cases(PUBLIC)))


def test_no_gradient_is_taken_of_a_number() -> None:
    question = Gradients(
        signature="f(x, p) -> g_p",
        of=lambda x, p: x * p,
        draw=lambda d: dict(x=d.normal(2), p=0.5),
        points=(1,),
        **ABOUT,
    )
    with pytest.raises(TypeError, match=r"of tensors, not of 0\.5"):
        answer_key(question, list(question.cases(PUBLIC)))


def test_gradients_of_tensors_lists_and_unused_inputs() -> None:
    question = Gradients(
        signature="f(x, ws, unused) -> value, g_x, g_ws, g_unused",
        of=lambda x, ws, unused: (x * ws[0]).sum() + 3 * ws[1].sum(),
        draw=lambda d: dict(x=d.normal(2), ws=[d.normal(2), d.normal(3)], unused=d.normal(4)),
        points=(1,) * 4,
        **ABOUT,
    )
    inputs = question.case(1, 5).inputs
    x, ws = inputs["x"], inputs["ws"]
    assert isinstance(ws, list)
    right = question.answers(inputs)
    assert torch.equal(right["g_x"], ws[0])  # type: ignore[arg-type]
    assert torch.equal(right["g_ws"][0], x)  # type: ignore[arg-type]
    assert torch.equal(right["g_ws"][1], 3 * torch.ones(3, dtype=torch.float64))
    assert torch.equal(right["g_unused"], torch.zeros(4, dtype=torch.float64))  # type: ignore[arg-type]
    assert not any(t.requires_grad for value in right.values() for t in tensors(value))
    assert not ws[0].requires_grad


def test_jacobians_have_the_output_first() -> None:
    question = Jacobians(
        signature="f(x, A) -> J_x",
        of=lambda x, A: A @ x,
        draw=lambda d, k, n: dict(x=d.normal(n), A=d.normal(k, n)),
        points=(1,),
        **ABOUT,
    )
    inputs = question.case(1, 5).inputs
    assert torch.allclose(question.answers(inputs)["J_x"], inputs["A"])  # type: ignore[arg-type]


# --- points ----------------------------------------------------------------------------------------------------------


def test_core_points_of_the_lab_sum_to_100() -> None:
    assert LAB.out_of == 100
    assert all(question.points and len(question.points) == len(question.outputs) for question in LAB.questions.values())
    assert {name for name, question in LAB.questions.items() if question.extra} == {"tape", "products"}


def test_what_a_question_needs_is_asked_before_it() -> None:
    names = list(LAB.questions)
    for question in LAB.questions.values():
        assert all(names.index(needed) < names.index(question.name) for needed in question.needs)


double = Values(
    signature="double(x) -> y",
    of=lambda x: 2 * x,
    draw=lambda d, n, batch=3: dict(x=d.normal(batch, n)),
    edges=(dict(batch=1), dict(n=1)),
    edge_share=0.25,
    points=(8,),
    **ABOUT,
)


def test_an_edge_case_costs_its_share_and_says_so() -> None:
    verdict = verdict_on(double, lambda x: 2 * x if len(x) > 1 else x.clone())
    assert (verdict.points, verdict.passed) == (6, False)
    assert verdict.outputs[0].message.startswith("is right but for an edge case: ")
    assert verdict.outputs[0].case == 4


def test_a_core_case_costs_all_points() -> None:
    verdict = verdict_on(double, lambda x: 2 * x if len(x) == 1 or x.shape[1] == 1 else x.clone())
    assert verdict.points == 0
    assert "edge" not in verdict.outputs[0].message


def test_a_case_that_did_not_run_counts_as_wrong() -> None:
    cases = list(double.cases(PUBLIC))
    right = [Outcome(double.answers(case.inputs)) for case in cases]
    assert judge(double, cases, right).points == 8
    assert judge(double, cases, right[:3]).points == 6
    assert judge(double, cases, right[:2]).points == 0
    assert judge(double, cases, []).points == 0


# --- ties ------------------------------------------------------------------------------------------------------------


def rectify(at_zero: float, elsewhere: float = 0.0) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """A student's relu with a slope of its own at 0, and another wherever a is positive."""

    def relu(a: Tensor) -> tuple[Tensor, Tensor]:
        slope = torch.heaviside(a, torch.tensor(at_zero)) + elsewhere * (a > 0)
        return torch.clamp(a, min=0), slope

    return relu


@pytest.mark.parametrize("at_zero", [0.0, 0.5, 1.0, 1 / 3])
def test_any_subgradient_passes_at_the_kink(at_zero: float) -> None:
    assert verdict_on(backprop.relu, rectify(at_zero)).passed


@pytest.mark.parametrize("at_zero", [-0.1, 1.1, 2.0, -1.0, torch.nan])
def test_what_is_no_subgradient_fails_at_the_kink_alone(at_zero: float) -> None:
    f, df = verdict_on(backprop.relu, rectify(at_zero)).outputs
    assert f.ok
    assert not df.ok
    assert df.points == pytest.approx(df.out_of * 0.8)


def test_nothing_is_free_away_from_the_kink() -> None:
    f, df = verdict_on(backprop.relu, rectify(0.5, elsewhere=-0.5)).outputs
    assert f.ok
    assert df.points == 0


# --- distributions ---------------------------------------------------------------------------------------------------


def dropout(Z: Tensor, p: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    mask = torch.empty_like(Z).bernoulli_(1 - p, generator=generator).bool()
    return torch.where(mask, Z / (1 - p), 0.0), mask


def test_an_honest_dropout_fails_no_law_in_any_single_draw() -> None:
    question, z_scores = backprop.dropout, list[float]()
    for i in range(300):
        for case in question.cases(b"honest %d" % i):
            outcome = attempt(dropout, question.adapter, question.sent_inputs(case), question.outputs, ())
            everything = {**case.inputs, **outcome.outputs}
            for laws in question.laws.values():
                found = [float(given(law, everything)) for law in laws.values()]
                assert all(abs(z) < question.LIMIT for z in found)
                z_scores += [z for z in found if z]
    assert len(z_scores) > 2000
    assert 0.9 < statistics.pstdev(z_scores) < 1.1  # a law of another spread is blind, or alarms falsely
    assert abs(statistics.fmean(z_scores)) < 0.15


def test_an_honest_dropout_earns_all_points() -> None:
    for master in MASTERS:
        verdict = verdict_on(backprop.dropout, dropout, master)
        assert (verdict.passed, verdict.points) == (True, 4)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda Z, p, g: dropout(Z, 1 - p, g), "took p as the probability of keeping"),
        (lambda Z, p, g: dropout(Z, p, torch.Generator().manual_seed(0)), None),
        (lambda Z, p, g: dropout(Z, p + 0.05, g), None),
        (lambda Z, p, g: dropout(Z, p, torch.Generator()), None),
    ],
)
def test_a_wrong_dropout_is_found_under_every_seed(wrong: Callable[..., Any], sentence: str | None) -> None:
    for master in MASTERS:
        verdict = verdict_on(backprop.dropout, wrong, master)
        assert not verdict.passed
        assert sentence is None or verdict.mistake == sentence


@pytest.mark.parametrize(
    "bad",
    [
        lambda Z, p, g: (dropout(Z, p, g)[0], dropout(Z, p, g)[1].double()),
        lambda Z, p, g: (dropout(Z, p, g)[0][0], dropout(Z, p, g)[1]),
        lambda Z, p, g: (Z * torch.nan, dropout(Z, p, g)[1]),
        lambda Z, p, g: None,
    ],
)
def test_an_answer_of_the_wrong_form_earns_nothing_whatever_the_other_output(bad: Callable[..., Any]) -> None:
    verdict = verdict_on(backprop.dropout, bad)
    assert (verdict.points, verdict.passed) == (0, False)
    assert all(output.message for output in verdict.outputs)


# --- properties ------------------------------------------------------------------------------------------------------


def product(A: Tensor, L: Tensor, R: Tensor) -> str:
    off = float((L @ R - A).abs().max())
    return "" if off <= 1e-6 else f"L R is {off:.2g} away from A"


FACTORS = Property(
    signature="factors(A) -> L, R",
    of=lambda A, R=(): (A.new_zeros(len(A), len(R)), A.new_zeros(len(R), A.shape[1])),
    fault=product,
    success="is a factor of A",
    draw=lambda d, m, n: dict(A=d.normal(m, n)),
    edges=(dict(m=13),),
    points=(2, 3),
    mistakes={
        "returned the factors in the opposite order": lambda A, L, R: not product(A, R, L),
        "left out the sign": lambda A, L, R: not product(A, -L, R),
    },
    **ABOUT,
)


@pytest.mark.parametrize(
    "factors",
    [
        lambda A: (A, torch.eye(A.shape[1])),
        lambda A: (2 * torch.eye(len(A)), A / 2),
        lambda A: tuple(torch.linalg.qr(A)),
        lambda A: {"R": torch.linalg.qr(A)[1].float(), "L": torch.linalg.qr(A)[0].float()},
    ],
)
def test_whatever_has_the_property_is_right(factors: Callable[..., Any]) -> None:
    verdict = verdict_on(FACTORS, factors)
    assert (verdict.points, verdict.passed, verdict.flags) == (5, True, [])
    assert {output.message for output in verdict.outputs} == {"is a factor of A"}


def test_what_has_it_not_is_told_with_figures_in_its_case() -> None:
    verdict = verdict_on(FACTORS, lambda A: (A, 2 * torch.eye(A.shape[1])))
    assert verdict.points == 0
    assert all(output.message.startswith("L R is ") and output.case == 1 for output in verdict.outputs)
    assert verdict.replay.startswith('lab.replay("factors", "1:')


def test_a_mistake_is_recognised_by_what_would_mend_it() -> None:
    verdict = verdict_on(FACTORS, lambda A: (-A, torch.eye(A.shape[1])))
    assert verdict.mistake == "left out the sign"
    assert verdict.outputs[1].message.startswith("you left out the sign; L R is ")
    swapped = verdict_on(FACTORS, lambda A: (torch.eye(A.shape[1]), A))
    assert swapped.mistake == "returned the factors in the opposite order"
    assert swapped.outputs[0].message == "you returned the factors in the opposite order"


def test_a_property_that_fails_at_an_edge_alone_costs_the_edge() -> None:
    verdict = verdict_on(FACTORS, lambda A: (A * (1 + (len(A) > 11)), torch.eye(A.shape[1])))
    tall = [len(case.inputs["A"]) > 11 for case in FACTORS.cases(PUBLIC)]  # type: ignore[arg-type]
    assert tall == [False, False, False, True]
    assert [output.points for output in verdict.outputs] == pytest.approx([1.6, 2.4])
    assert verdict.outputs[0].message.startswith("is right but for an edge case: L R is ")


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (lambda A: None, ("returned nothing", "returned nothing")),
        (lambda A: (A, None), ("waits for the other outputs", "is nothing (None)")),
        (lambda A: (A, torch.eye(A.shape[1])[1:]), ("has shape", "waits for the other outputs")),
        (lambda A: (A * torch.inf, torch.eye(A.shape[1])), ("is not finite", "waits for the other outputs")),
        (lambda A: 1 / 0, ("raised ZeroDivisionError", "raised ZeroDivisionError")),
    ],
)
def test_without_the_right_form_no_property_is_asked_for(bad: Callable[..., Any], words: tuple[str, str]) -> None:
    verdict = verdict_on(FACTORS, bad)
    assert verdict.points == 0
    for output, word in zip(verdict.outputs, words, strict=True):
        assert word in output.message


# --- labs of one's own -----------------------------------------------------------------------------------------------


def test_a_lab_of_ones_own_needs_a_module_alone() -> None:
    module = ModuleType("own")
    module.__doc__ = "My lab.\n\nMore."
    vars(module).update(OPENING="import torch", first=double, second=replace(double, signature="twice(x) -> y"), x=3)
    lab = read_lab("own", module)
    assert (lab.title, list(lab.questions), lab.out_of, lab.written) == ("My lab", ["double", "twice"], 16, {})
    assert verdict_on(lab.questions["twice"], lambda x: x + x).points == 8


def test_an_unknown_lab_is_one_line_that_names_those_there_are() -> None:
    with pytest.raises(UserError, match=r"there is no lab 'backdrop'; there are: .*backprop"):
        load_lab("backdrop")


# --- outputs named as in a state_dict --------------------------------------------------------------------------------


def with_state(f: Callable[..., Any], x: Tensor, **state: Tensor) -> object:
    return f(x, state)


def linear(x: Tensor, **P: Tensor) -> Tensor:
    return (x @ P["fc.weight"].T + P["fc.bias"]).tanh().sum()


STATE = Gradients(
    signature="f(x, P) -> loss, fc.weight, fc.bias",
    of=linear,
    draw=lambda d, m, n, k: {"x": d.normal(m, n), "fc.weight": d.normal(k, n), "fc.bias": d.normal(k)},
    adapter=with_state,
    points=(1, 2, 3),
    **ABOUT,
)


def backward(x: Tensor, P: dict[str, Tensor]) -> dict[str, Tensor]:
    f = (x @ P["fc.weight"].T + P["fc.bias"]).tanh()
    return {"fc.bias": (1 - f**2).sum(0), "fc.weight": (1 - f**2).T @ x, "loss": f.sum()}


def test_a_dotted_output_is_the_gradient_of_the_input_of_its_name() -> None:
    assert STATE.outputs == ["loss", "fc.weight", "fc.bias"]
    assert STATE.differentiated == {"fc.weight": "fc.weight", "fc.bias": "fc.bias"}
    assert STATE.sent == ["x", "fc.weight", "fc.bias"]
    assert verdict_on(STATE, backward).points == 6


def test_each_dotted_output_has_a_sentence_and_points_of_its_own() -> None:
    verdict = verdict_on(STATE, lambda x, P: backward(x, P) | {"fc.weight": torch.zeros_like(P["fc.weight"])})
    assert [output.points for output in verdict.outputs] == [1, 0, 3]
    assert verdict.outputs[1].message.startswith("is zero everywhere")
