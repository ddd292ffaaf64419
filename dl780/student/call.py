"""One call of a student's function on one case: inputs in, plain tensors or one sentence out."""

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from dl780.student.arrays import Inputs, Unfit, Value, changed, collect, copy
from dl780.student.traps import MOST_PRODUCTS, NotAllowed, TooSlow, default_float64, out_of_reach

Adapter = Callable[..., object]
UNWRITTEN = "is not written yet"
_PACKAGES = (str(Path(__file__).parents[1]), str(Path(torch.__file__).parent))


class WrongOutputs(Exception):
    """A function returned another number of values than it should; the message says so."""


@dataclass
class Outcome:
    """What one call gave: the outputs that are arrays, why others are not, or why there are none."""

    outputs: dict[str, Value] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    error: str = ""
    changed: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)  # for a human: they take no points


def attempt(
    function: Callable[..., object],
    adapter: Adapter,
    inputs: Inputs,
    names: Sequence[str],
    traps: Sequence[str],
    asked: str = "",
    products: int = MOST_PRODUCTS,
) -> Outcome:
    """Call `adapter(function, **inputs)` on copies of the inputs, with `traps` out of reach, in float64.

    `asked` is the question's name; more than so many `products` are a doubt. A trap that was sprung stays the answer,
    also where the code caught what it raised.
    """
    given = {name: copy(value) for name, value in inputs.items()}
    sprung: list[str] = []
    doubts: list[str] = []
    try:
        with default_float64(), out_of_reach(traps, sprung, doubts, products):
            returned = unpack(adapter(function, **given), names)
    except Exception as error:  # whatever a student's code raises is part of the answer
        return Outcome(error=sprung[0] if sprung else sentence(error, asked or getattr(function, "__name__", "")))
    if sprung:
        return Outcome(error=sprung[0])
    outcome = Outcome(changed=[name for name in inputs if changed(inputs[name], given[name])], doubts=doubts)
    for name, value in zip(names, returned, strict=True):
        try:
            outcome.outputs[name] = collect(value)
        except Unfit as error:
            outcome.problems[name] = f"is {error}, where an array is expected"
    return outcome


def unpack(returned: object, names: Sequence[str]) -> Sequence[Any]:
    """The returned values, one for each name, by order or as a dict; a single output is the returned value itself."""
    if len(names) == 1:
        return [returned]
    if isinstance(returned, dict):
        return _by_name(returned, names)
    if not isinstance(returned, list | tuple):
        kind = "nothing (None)" if returned is None else f"one {type(returned).__name__}"
        raise WrongOutputs(f"returned {kind}, where {len(names)} values are expected: {', '.join(names)}")
    if len(returned) != len(names):
        raise WrongOutputs(f"returned {len(returned)} values, where {len(names)} are expected: {', '.join(names)}")
    return returned


def _by_name(returned: dict[Any, Any], names: Sequence[str]) -> Sequence[Any]:
    if missing := [name for name in names if name not in returned]:
        raise WrongOutputs(f"returned a dict without {', '.join(missing)}")
    if others := [str(name) for name in returned if name not in names]:
        raise WrongOutputs(
            f"returned a dict with {', '.join(others)[:100]}, where only {', '.join(names)} are expected"
        )
    return [returned[name] for name in names]


def sentence(error: BaseException, question: str) -> str:
    """Say in one line why a call gave nothing: not written yet, not allowed, or what it raised and where."""
    other = str(error).strip("\"' ") if isinstance(error, NotImplementedError) else None
    if other is not None and (other == "" or other.isidentifier()):  # torch raises it, too, with a sentence
        return UNWRITTEN if other in ("", question) else f"needs `{other}`, which is not written yet"
    if isinstance(error, NotAllowed | TooSlow | WrongOutputs):
        return str(error)
    if isinstance(error, Unfit):
        return f"returned {error}, where an array is expected"
    try:
        text = " ".join(str(error).split())[:300]
    except Exception:
        text = "(its message cannot be read)"
    return f"raised {type(error).__name__}: {text}{_where(error)}"


def _where(error: BaseException) -> str:
    """Name the student's own line: the innermost frame outside this package and torch."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [(f.name, f.line.strip()) for f in frames if f.line and not f.filename.startswith(_PACKAGES)]
    return f", in `{own[-1][0]}` at `{own[-1][1][:120]}`" if own else ""
