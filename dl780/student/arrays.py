"""Whatever a student's function returns, as plain tensors."""

from typing import Any

import numpy as np
import torch

Value = torch.Tensor | list[torch.Tensor]
Inputs = dict[str, "Value | float"]


class Unfit(Exception):
    """A returned value is no array; the message says what it is."""


def collect(value: object) -> Value:
    """Turn a tensor, array, number, or a list of those into plain tensors on the CPU, free of history.

    A nested list of numbers is one array. Raises `Unfit` with a noun ("a dict") for anything else.
    """
    try:
        if isinstance(value, list | tuple) and not _all_numbers(value):
            return [_plain(item) for item in value]
        return _plain(value)
    except Unfit:
        raise
    except Exception as error:  # whatever a list without end, an odd dtype or an odd class may raise
        raise Unfit(f"a {type(value).__name__} that is no array") from error


def copy(value: "Value | float") -> "Value | float":
    """Fresh memory, so that nothing a student does to an input reaches the judge."""
    if isinstance(value, torch.Tensor):
        return value.clone()
    return [item.clone() for item in value] if isinstance(value, list) else value


def changed(before: "Value | float", after: "Value | float") -> bool:
    """Whether an input was changed in place by more than rounding (1e-12)."""
    if isinstance(before, list) and isinstance(after, list):
        return len(before) != len(after) or any(changed(b, a) for b, a in zip(before, after, strict=True))
    if not isinstance(before, torch.Tensor):
        return False
    if not isinstance(after, torch.Tensor) or before.shape != after.shape or before.dtype != after.dtype:
        return True
    return not torch.allclose(before, after, rtol=0, atol=1e-12, equal_nan=True)


def _all_numbers(value: object) -> bool:
    if isinstance(value, list | tuple):
        return len(value) > 0 and all(_all_numbers(item) for item in value)
    return isinstance(value, int | float | np.number | np.bool_) or _is_single(value)


def _is_single(value: object) -> bool:
    """Whether a value is an array of no dimensions: it counts as a number."""
    return isinstance(value, torch.Tensor | np.ndarray) and value.ndim == 0


def _numbers(value: Any) -> Any:
    """A nested list with plain numbers for the arrays of no dimensions in it."""
    if isinstance(value, list | tuple):
        return [_numbers(item) for item in value]
    return value.item() if _is_single(value) else value


def _plain(value: object) -> torch.Tensor:
    if isinstance(value, torch.Tensor):
        if value.layout != torch.strided or value.is_meta or value.is_complex() or value.is_quantized:
            raise Unfit(f"a {_noun(value)} tensor")
        return value.detach().cpu().clone().contiguous()
    if not isinstance(value, np.ndarray | np.number | np.bool_ | int | float | list | tuple):
        raise Unfit("nothing (None)" if value is None else f"a {type(value).__name__}")
    try:
        array = np.array(_numbers(value))
    except ValueError as error:
        raise Unfit("a ragged list") from error
    if array.dtype.kind not in "biuf":
        raise Unfit(f"an array of {array.dtype}")
    return torch.from_numpy(np.ascontiguousarray(array).reshape(array.shape))


def _noun(tensor: torch.Tensor) -> str:
    if tensor.is_meta:
        return "meta"
    return "complex" if tensor.is_complex() else "quantized" if tensor.is_quantized else "sparse"
