"""One output against the right one: what passes, what fails, and with which sentence."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, tensor

from dl780.check.compare import Comparison, compare, same
from dl780.student.arrays import Value

RTOL = ATOL = 2e-5
NAN, INF = math.nan, math.inf


def judged(got: Value, want: Value) -> Comparison:
    return compare(got, want, RTOL, ATOL, "autograd")


def alike(got: Value, want: Value) -> bool:
    return same(got, want, RTOL, ATOL)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(
    ("got", "want", "sentence"),
    [
        ((64,), (1, 64), "has shape (64,), where (1, 64) is expected"),
        ((1, 64), (64,), "has shape (1, 64), where (64,) is expected"),
        ((1,), (), "has shape (1,), where a number is expected"),
        ((), (1,), "a number, where (1,) is expected"),
        ((3, 1), (3, 3), "has shape (3, 1), where (3, 3) is expected"),
        ((2, 3), (3, 2), "has shape (2, 3), where (3, 2) is expected"),
        ((0,), (), "has shape (0,), where a number is expected"),
    ],
)
def test_nothing_is_broadcast(got: tuple[int, ...], want: tuple[int, ...], sentence: str) -> None:
    found = judged(torch.ones(got), torch.ones(want))
    assert found.step == "shape"
    assert found.message.endswith(sentence)
    assert not alike(torch.ones(got), torch.ones(want))


@pytest.mark.parametrize(
    ("got", "want", "step"),
    [
        ([tensor([NAN])], tensor([1.0, 2.0]), "kind"),
        (tensor([1.0, 0.0, NAN]), tensor([True, False]), "kind"),
        (tensor([NAN, 2.0, 3.0]), tensor([1.0, 2.0]), "shape"),
        (tensor([NAN, 9.0]), tensor([1.0, 2.0]), "finite"),
        (tensor([1.0, 9.0]), tensor([1.0, 2.0]), "values"),
    ],
)
def test_the_first_step_that_fails_is_the_one_told(got: Value, want: Value, step: str) -> None:
    assert judged(got, want).step == step


@pytest.mark.parametrize(
    ("got", "want", "sentence"),
    [
        ([tensor([1.0])], tensor([1.0]), "is a list of 1, where one tensor (1,) is expected"),
        (torch.ones(2, 3), [torch.ones(2)] * 4, "is one tensor (2, 3), where a list of 4 is expected"),
        ([torch.ones(2)] * 3, [torch.ones(2)] * 4, "is a list of 3, where one of 4 is expected"),
        ([], [torch.ones(2)], "is a list of 0, where one of 1 is expected"),
        (torch.ones(2), torch.ones(2).bool(), "has dtype float32, where bool is expected"),
        (torch.ones(2, dtype=torch.uint8), torch.ones(2).bool(), "has dtype uint8, where bool is expected"),
    ],
)
def test_a_wrong_kind_says_what_was_returned_and_what_was_wanted(got: Value, want: Value, sentence: str) -> None:
    found = judged(got, want)
    assert (found.step, found.message, found.ok) == ("kind", sentence, False)


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_what_is_not_finite_is_counted(bad: float) -> None:
    found = judged(tensor([bad, 0.0, bad]), tensor([1.0, 2.0, 3.0]))
    assert found.message == "is not finite (nan or inf) in 2 of 3 entries"
    assert not judged(tensor(bad), tensor(1.0)).ok


@pytest.mark.parametrize("size", [1e-9, 1e-6, 1.0, 1e9])
def test_the_tolerance_has_no_scale(size: float) -> None:
    want = size * random(5, 3)
    assert not judged(torch.zeros(5, 3), want).ok
    assert not judged(want * 1.0001, want).ok
    assert judged(want * 1.000001, want).ok
    assert judged(want.float(), want).ok


def test_half_precision_is_not_enough() -> None:
    assert not judged(random(7, 5).half(), random(7, 5)).ok


def test_a_small_entry_beside_a_large_one_must_be_right_too() -> None:
    assert not judged(tensor([1.0, 0.0]), tensor([1.0, 1e-3])).ok


def test_a_small_item_of_a_list_has_its_own_scale() -> None:
    want = [1e3 * random(3), 1e-6 * random(2)]
    assert judged([want[0], want[1].float()], want).ok
    assert judged([want[0], torch.zeros(2)], want).item == 1


def test_exact_zeros_must_be_zeros() -> None:
    zeros = torch.zeros(4, dtype=torch.float64)
    assert judged(zeros.float(), zeros).ok
    assert judged(zeros + 1e-16, zeros).ok
    assert not judged(zeros + 1e-9, zeros).ok


@pytest.mark.parametrize("dtype", [torch.int64, torch.float32, torch.bfloat16, torch.bool, torch.uint8])
def test_any_dtype_passes_that_holds_the_right_numbers(dtype: torch.dtype) -> None:
    want = tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    assert judged(want.to(dtype), want).ok


def test_masks_are_compared_entry_by_entry() -> None:
    mask = tensor([True, False, True])
    assert judged(mask, mask).ok
    assert judged(~mask, mask).message.startswith("differs in 3 of 3 entries")


@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0)])
def test_empty_arrays_agree(shape: tuple[int, ...]) -> None:
    assert judged(torch.zeros(shape), torch.zeros(shape)).ok
    assert judged([], []).ok


def test_the_worst_entry_is_named_with_both_values() -> None:
    want = tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    got = want.clone()
    got[0, 1], got[1, 2] = 2.5, -6.0
    found = judged(got, want)
    assert found.message == "differs in 2 of 6 entries; worst at [1, 2]: yours -6, autograd 6"
    assert found.largest == 12
    assert judged(tensor(1.0), tensor(2.0)).message == "differs; yours 1, autograd 2"


def test_the_first_failing_item_of_a_list_is_named() -> None:
    want = [random(2), random(3), random(4)]
    found = judged([want[0], want[1][:2], want[2] + 1], want)
    assert (found.item, found.step) == (1, "shape")
    assert found.message == "[1] has shape (2,), where (3,) is expected"


def test_the_largest_difference_of_a_list_is_that_of_all_its_items() -> None:
    want = [random(3), random(3)]
    assert judged([want[0], want[1] + 1e-6], want).largest == pytest.approx(1e-6)


@given(st.lists(st.floats(-1e100, 1e100), min_size=1, max_size=8))
def test_numbers_agree_with_themselves(numbers: list[float]) -> None:
    x = tensor(numbers, dtype=torch.float64)
    assert judged(x, x.clone()).ok
    assert judged([x, x], [x, x]).ok
    assert alike(x, x.clone())


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8), st.integers(0, 7), st.sampled_from([-1, 1]))
def test_one_entry_far_off_is_never_right(numbers: list[float], at: int, sign: int) -> None:
    want = tensor(numbers, dtype=torch.float64)
    got = want.clone()
    got[at % len(numbers)] += sign * (1e-3 * want.abs().max() + 1e-12)
    assert judged(got, want).step == "values"
    assert not alike(got, want)


@pytest.mark.parametrize(
    ("got", "want", "holds"),
    [
        (tensor([NAN, 1.0]), tensor([NAN, 1.0]), True),
        (tensor([INF, -INF]), tensor([INF, -INF]), True),
        (tensor([INF, 1.0]), tensor([-INF, 1.0]), False),
        (tensor([NAN, 1.0]), tensor([INF, 1.0]), False),
        (tensor([1.0, NAN]), tensor([NAN, 1.0]), False),
        (tensor([NAN, 1.0]), tensor([1.0, 1.0]), False),
        (tensor([INF, 1.0]), tensor([1.0, 1.0]), False),
        (tensor([NAN, 2.0]), tensor([NAN, 1.0]), False),
        ([tensor([NAN])], [tensor([NAN])], True),
        ([tensor([NAN])], tensor([NAN]), False),
        ([tensor([1.0])] * 2, [tensor([1.0])], False),
    ],
)
def test_a_mistake_is_recognised_by_its_nan_and_inf_too(got: Value, want: Value, holds: bool) -> None:
    assert alike(got, want) is holds


@pytest.mark.parametrize(("got", "want"), [(0.0, NAN), (torch.finfo(torch.float64).max, INF)])
def test_a_number_does_not_pass_for_nan_or_inf(got: float, want: float) -> None:
    assert not alike(tensor([got, 1.0], dtype=torch.float64), tensor([want, 1.0], dtype=torch.float64))
