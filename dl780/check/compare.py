"""One output against the right one: kind, shape, finite, values, in this order, each with its own sentence."""

from dataclasses import dataclass

import torch
from torch import Tensor

from dl780.student.arrays import Value

ROUNDING = 1e-14  # what an exact zero may be off by


@dataclass(frozen=True)
class Comparison:
    """What separates an output from the right one; `message` is empty where nothing does."""

    step: str = ""  # kind, shape, finite or values: where it first fails
    message: str = ""
    largest: float = 0.0  # largest absolute difference
    item: int | None = None  # which tensor of a list

    @property
    def ok(self) -> bool:
        """Whether the output is right."""
        return not self.step


def compare(got: Value, want: Value, rtol: float, atol: float, key: str) -> Comparison:
    """Compare an output, a tensor or a list of them, with the right one; nothing is broadcast."""
    if isinstance(want, Tensor):
        return _tensor(got, want, rtol, atol, key)
    if isinstance(got, Tensor):
        return Comparison("kind", f"is one tensor {shape(got)}, where a list of {len(want)} is expected")
    if len(got) != len(want):
        return Comparison("kind", f"is a list of {len(got)}, where one of {len(want)} is expected")
    each = [_tensor(g, w, rtol, atol, key) for g, w in zip(got, want, strict=True)]
    failed = [(i, c) for i, c in enumerate(each) if not c.ok]
    if not failed:
        return Comparison(largest=max((c.largest for c in each), default=0.0))
    i, first = failed[0]
    return Comparison(first.step, f"[{i}] {first.message}", first.largest, i)


def same(got: Value, want: Value, rtol: float, atol: float) -> bool:
    """Whether two outputs are the same numbers, NaN and inf included: how a mistake is recognised."""
    if isinstance(got, Tensor) and isinstance(want, Tensor):
        if got.shape != want.shape:
            return False
        got, want = got.double(), want.double()
        rest = torch.isfinite(want)
        if not rest.all():
            if (~rest & (got != want) & ~(got.isnan() & want.isnan())).any():
                return False
            got, want = got[rest], want[rest]
        return bool((_error(got, want) <= tolerance(want, rtol, atol)).all())
    if isinstance(got, list) and isinstance(want, list) and len(got) == len(want):
        return all(same(g, w, rtol, atol) for g, w in zip(got, want, strict=True))
    return False


def tolerance(want: Tensor, rtol: float, atol: float) -> Tensor:
    """rtol·|want| + atol·max|want|, entry by entry: scale-free, so that small gradients must be right too."""
    size = want.abs()
    return rtol * size + atol * (size.max() if size.numel() else 0) + ROUNDING


def wrong(got: Tensor, want: Tensor, rtol: float, atol: float) -> Tensor:
    """Which entries are off, for two tensors of one shape."""
    got, want = got.double(), want.double()
    return ~(_error(got, want) <= tolerance(want, rtol, atol))  # a NaN is off


def shape(value: Tensor) -> str:
    """(5, 3), and "a number" for an array of no dimensions."""
    return str(tuple(value.shape)) if value.ndim else "a number"


def worst(got: Tensor, want: Tensor, key: str) -> str:
    """The largest difference, told with both values."""
    if not want.ndim:
        return f"yours {got.item():.6g}, {key} {want.item():.6g}"
    error = _error(got.double(), want.double()).nan_to_num(torch.inf)
    index = tuple(int(i) for i in torch.unravel_index(error.argmax(), error.shape))
    at = ", ".join(map(str, index))
    return f"worst at [{at}]: yours {got[index].item():.6g}, {key} {want[index].item():.6g}"


def _tensor(got: Value, want: Tensor, rtol: float, atol: float, key: str) -> Comparison:
    if isinstance(got, list):
        return Comparison("kind", f"is a list of {len(got)}, where one tensor {shape(want)} is expected")
    if want.dtype == torch.bool and got.dtype != torch.bool:
        return Comparison("kind", f"has dtype {str(got.dtype).removeprefix('torch.')}, where bool is expected")
    if got.shape != want.shape:
        has = f"has shape {shape(got)}" if got.ndim else "is a number"
        return Comparison("shape", f"{has}, where {shape(want)} is expected")
    got, want = got.double(), want.double()
    if not torch.isfinite(got).all():
        bad = int((~torch.isfinite(got)).sum())
        return Comparison("finite", f"is not finite (nan or inf) in {bad} of {got.numel()} entries", torch.inf)
    error = _error(got, want)
    largest = error.max().item() if error.numel() else 0.0
    off = int((error > tolerance(want, rtol, atol)).sum())
    if not off:
        return Comparison(largest=largest)
    count = f" in {off} of {got.numel()} entries" if got.ndim else ""
    return Comparison("values", f"differs{count}; {worst(got, want, key)}", largest)


def _error(got: Tensor, want: Tensor) -> Tensor:
    return (got - want).abs()
