"""Whatever a student's function returns, as plain tensors, or as a noun that says what it is."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, tensor

from dl780.student.arrays import Unfit, changed, collect, copy

X = tensor([[1.0, 2.0], [3.0, 4.0]])


class Wrapped(torch.Tensor):
    """A subclass, such as a Parameter is one."""


@pytest.mark.parametrize(
    ("value", "shape", "dtype"),
    [
        (X.float(), (2, 2), torch.float32),
        (X.double().numpy(), (2, 2), torch.float64),
        (X.half().numpy(), (2, 2), torch.float16),
        (np.arange(6).reshape(2, 3).T, (3, 2), torch.int64),
        (np.arange(6.0)[::-2], (3,), torch.float64),
        (np.array(2.5), (), torch.float64),
        (np.float32(2.5), (), torch.float32),
        (np.bool_(True), (), torch.bool),
        (np.array([True, False]), (2,), torch.bool),
        (2.5, (), torch.float64),
        (3, (), torch.int64),
        (True, (), torch.bool),
        (math.nan, (), torch.float64),
        ([1.0, 2.0, 3.0], (3,), torch.float64),
        ([[1.0, 2.0], (3.0, 4.0)], (2, 2), torch.float64),
        ([[1, 2.5]], (1, 2), torch.float64),
        ([np.float64(1.0), 2], (2,), torch.float64),
        ([tensor(1.0), np.array(2.0), torch.nn.Parameter(tensor(3.0))], (3,), torch.float64),
        ([[tensor(1)], [2]], (2, 1), torch.int64),
        (np.zeros((0, 3)), (0, 3), torch.float64),
        (torch.nn.Parameter(X), (2, 2), torch.float32),
        (X.expand(5, 2, 2), (5, 2, 2), torch.float32),
        (X.as_subclass(Wrapped), (2, 2), torch.float32),
    ],
)
def test_arrays_and_numbers_become_plain_tensors(value: object, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    got = collect(value)
    assert isinstance(got, Tensor)
    assert (tuple(got.shape), got.dtype, got.device.type) == (shape, dtype, "cpu")
    assert got.is_contiguous()
    assert not got.requires_grad


def test_the_numbers_stay_what_they_are() -> None:
    assert torch.equal(collect(np.arange(6.0).reshape(2, 3).T), torch.arange(6.0).double().reshape(2, 3).T)  # type: ignore[arg-type]
    assert collect([[1, 2.5]]).tolist() == [[1.0, 2.5]]  # type: ignore[union-attr]
    assert collect(X.T).tolist() == X.T.tolist()  # type: ignore[union-attr]
    assert collect(2**53 + 1).item() == 2**53 + 1  # type: ignore[union-attr]


@pytest.mark.parametrize("values", [[X, X], (X, X.numpy()), [X, 1.0], [[1.0, 2.0], X[0]], [np.float32(1), X]])
def test_a_list_with_an_array_in_it_is_a_list(values: object) -> None:
    got = collect(values)
    assert isinstance(got, list)
    assert len(got) == 2
    assert all(type(item) is Tensor for item in got)


def test_an_empty_list_is_a_list() -> None:
    assert collect([]) == []
    assert collect(()) == []


@pytest.mark.parametrize(
    ("value", "noun"),
    [
        (None, "nothing (None)"),
        ({"G": X}, "a dict"),
        ("text", "a str"),
        (b"bytes", "a bytes"),
        ({1.0}, "a set"),
        (range(3), "a range"),
        ((i for i in [1.0]), "a generator"),
        (1j, "a complex"),
        (print, "a builtin_function_or_method"),
        (X.to_sparse(), "a sparse tensor"),
        (X + 1j, "a complex tensor"),
        (X.to("meta"), "a meta tensor"),
        (np.array([1j]), "an array of complex128"),
        (np.array([None]), "an array of object"),
        (np.array(["a"]), "an array of <U1"),
        (np.array(["2016-04-01"], dtype="datetime64[D]"), "an array of datetime64[D]"),
        (2**70, "an array of object"),
        ([[1.0, 2.0], [3.0]], "a ragged list"),
        ([X, None], "nothing (None)"),
        ([X, {}], "a dict"),
        ([X, "x"], "a str"),
    ],
)
def test_anything_else_is_named(value: object, noun: str) -> None:
    with pytest.raises(Unfit) as found:
        collect(value)
    assert str(found.value) == noun


def endless() -> list[Any]:
    """A list that holds itself."""
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "value",
    [
        np.ones(2, dtype=np.longdouble),
        np.ones(2, dtype=">f8"),
        endless(),
        torch.zeros(1).expand(10**14),
    ],
    ids=["long double", "big-endian", "holds itself", "too large"],
)
def test_an_array_that_cannot_be_converted_is_named_too(value: object) -> None:
    with pytest.raises(Unfit):
        collect(value)


def test_what_is_collected_shares_no_memory() -> None:
    for source in (X.clone(), X.numpy().copy(), [X.clone()], [X.numpy().copy()]):
        got = collect(source)
        first = got[0] if isinstance(source, list) else got
        before = first.clone()  # type: ignore[union-attr]
        inner = source[0] if isinstance(source, list) else source
        inner[:] = 7
        assert torch.equal(first, before)  # type: ignore[arg-type]


def test_a_copy_shares_no_memory_and_changes_nothing() -> None:
    inputs: list[Any] = [X.clone(), [X.clone(), X.T.clone()], 0.5]
    copies = [copy(value) for value in inputs]
    assert not any(changed(value, twin) for value, twin in zip(inputs, copies, strict=True))
    copies[0].zero_()  # type: ignore[union-attr]
    copies[1][0].zero_()  # type: ignore[index]
    copies[1].append(X)  # type: ignore[union-attr]
    assert torch.equal(inputs[0], X)
    assert len(inputs[1]) == 2
    assert torch.equal(inputs[1][0], X)


@pytest.mark.parametrize(
    ("before", "after", "answer"),
    [
        (X, X + 1e-13, False),
        (X, X.clone(), False),
        (X.double(), X.double() + 1e-11, True),
        (tensor([math.nan, 1.0]), tensor([math.nan, 1.0]), False),
        (tensor([math.nan, 1.0]), tensor([math.nan, 2.0]), True),
        (tensor([1.0]), tensor([math.nan]), True),
        (X, X.T, True),
        (torch.ones(2, 3), torch.ones(3, 2), True),
        (torch.ones(1, 3), torch.ones(3), True),
        (torch.zeros(2), torch.zeros(0), True),
        (tensor([1, 2]), tensor([1, 3]), True),
        (tensor([True, False]), tensor([True, True]), True),
        (tensor([True, False]), tensor([True, False]), False),
        ([X, X], [X, X], False),
        ([X, X], [X, X + 1], True),
        ([X, X], [X], True),
        (0.5, 0.5, False),
    ],
)
def test_a_change_is_more_than_rounding(before: Any, after: Any, answer: bool) -> None:
    assert changed(before, after) is answer


@pytest.mark.parametrize("after", [[X.double()], [X.int()], [None], [X.numpy()]])
def test_an_item_replaced_by_something_else_is_a_change(after: Any) -> None:
    assert changed([X + 0.5], after)
