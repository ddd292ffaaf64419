"""Why an answer is wrong: a listed mistake, one that follows from an earlier question, or a generic one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from typing import Any

import torch
from torch import Tensor

from dl780.check.cases import Case, tensors
from dl780.check.compare import same, wrong
from dl780.check.question import Answers, Formed, Gradients, Property, Question, given
from dl780.student.arrays import Inputs, Value


@dataclass(frozen=True)
class Failure:
    """One case in which an output is not right."""

    case: Case
    outputs: Answers  # what the student returned
    right: Answers
    output: str  # the one that is not right

    @property
    def got(self) -> Value:
        """The student's value of the output."""
        return self.outputs[self.output]

    @property
    def want(self) -> Value:
        """The right value of the output."""
        return self.right[self.output]


Known = tuple[str, str | None, tuple[str, str] | None]


def known(question: Question, failures: list[Failure]) -> Known | None:
    """The known mistake that gives the student's numbers in every failing case: its sentence, and its name if listed.

    Third stand the question and the mistake that it follows from, where it does.

    One that explains every output is better than one that explains this output alone.
    """
    candidates: list[tuple[Known, Callable[..., Any]]] = [
        ((f"you {name}", name, None), mistake) for name, mistake in question.mistakes.items()
    ]
    candidates += list(_follows(question))
    for whole in (True, False):
        for told, mistake in candidates:
            if all(_gives(question, mistake, failure, whole) for failure in failures):
                return told
    return None


def _follows(question: Question) -> Iterator[tuple[Known, Callable[..., Any]]]:
    """The right composition with an earlier question's mistake in it, for each of them."""
    for keyword, part in question.parts.items():
        for name, mistake in part.mistakes.items():
            yield (
                (f"follows from your `{part.name}`, which {name}", None, (part.name, name)),
                partial(question.of, **{keyword: layer(part, mistake)}),
            )


def generic(question: Question, failures: list[Failure]) -> str | None:
    """The first pattern of GENERIC that holds in every failing case, with the same words."""
    if isinstance(question, Formed):
        return None
    pairs = [(failure, got, want) for failure in failures for got, want in _pairs(failure, question)]
    for pattern in GENERIC:
        words = [list(pattern(question, failure, got, want)) for failure, got, want in pairs]
        common = [sentence for sentence in words[0] if all(sentence in other for other in words)] if words else []
        if common:
            return common[0]
    return None


def layer(part: Gradients, mistake: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """A question's forward as a differentiable operation whose backward makes the mistake."""
    names = list(part.differentiated.values())

    def operation(**inputs: Any) -> Any:
        class Layer(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, *leaves: Tensor) -> Any:
                now = inputs | dict(zip(names, leaves, strict=True))
                value = given(part.of, now)
                valued = [out for out in part.outputs if out not in part.differentiated]
                if mistake and valued:  # a mistake may be in the value, too
                    with torch.enable_grad():
                        value = part.mistaken(mistake, now, part.answers(now))[valued[0]]
                return value

            @staticmethod
            def backward(ctx: Any, *upstreams: Tensor) -> Any:
                plain = {name: value.detach() if isinstance(value, Tensor) else value for name, value in inputs.items()}
                with torch.enable_grad():
                    return _scaled(part, plain, upstreams, mistake)

        return Layer.apply(*(inputs[name] for name in names))

    return operation


def _scaled(part: Gradients, inputs: Any, upstreams: Any, mistake: Callable[..., Any] | None) -> Any:
    """The part's gradients under these upstream gradients; of a part that takes none, its own times the upstream's."""
    inputs = inputs | dict(zip(part.upstreams, upstreams, strict=False))
    right = part.answers(inputs)
    answers = part.mistaken(mistake, inputs, right) if mistake else right
    scale = 1 if part.upstreams else upstreams[0]
    return tuple(scale * answers[out] for out in part.differentiated)


def _gives(question: Question, mistake: Callable[..., Any], failure: Failure, whole: bool) -> bool:
    inputs, got = failure.case.inputs, failure.outputs
    try:
        if isinstance(question, Property):
            return bool(given(mistake, {**inputs, **got}))
        mistaken = question.mistaken(mistake, inputs, failure.right)
    except Exception:  # a mistake that this case's shapes do not admit must not cost the verdict
        return False
    names = [name for name in (question.outputs if whole else [failure.output]) if name in got]
    wanted = {name: question.nearest(name, mistaken[name], got[name], inputs) for name in names}
    return all(same(got[name], want, question.rtol, question.atol) for name, want in wanted.items())


def _pairs(failure: Failure, question: Question) -> Iterator[tuple[Tensor, Tensor]]:
    """The tensors of an output that are not right, beside the right ones."""
    for got, want in zip(tensors(failure.got), tensors(failure.want), strict=False):
        if not same(got, want, question.rtol, question.atol):
            yield got.double(), want.double()


Pattern = Callable[[Question, Failure, Tensor, Tensor], Iterator[str]]


def _zero(question: Question, failure: Failure, got: Tensor, want: Tensor) -> Iterator[str]:
    if got.shape == want.shape and not got.any():
        yield "is zero everywhere"


def _no_upstream(question: Question, failure: Failure, got: Tensor, want: Tensor) -> Iterator[str]:
    upstreams = getattr(question, "upstreams", [])
    if not upstreams:
        return
    ones: Inputs = {name: torch.ones_like(failure.case.inputs[name]) for name in upstreams}  # type: ignore[arg-type]
    without = question.answers(failure.case.inputs | ones)[failure.output]
    if same(failure.got, without, question.rtol, question.atol):
        yield f"leaves out the upstream gradient {upstreams[0]}"


def _factor(question: Question, failure: Failure, got: Tensor, want: Tensor) -> Iterator[str]:
    if got.shape != want.shape or not want.any() or not torch.isfinite(got).all():
        return
    c = ((got * want).sum() / (want * want).sum()).item()
    if not c or not same(got, c * want, question.rtol, question.atol):
        return
    if abs(c + 1) < 1e-4:
        yield "has the opposite sign"
    for letter, n in failure.case.sizes.items():
        if abs(c - n) < 1e-4 * n:
            yield f"is {letter} times too large: a division by {letter} is missing, or a sum stands for a mean"
        if abs(c * n - 1) < 1e-4:
            yield f"is {letter} times too small: divided by {letter} once too often"
    if want.numel() > 1:
        yield f"is {c:.4g} times the right one"


def _permuted(question: Question, failure: Failure, got: Tensor, want: Tensor) -> Iterator[str]:
    if got.ndim == want.ndim and 2 <= got.ndim <= 4:
        for order in permutations(range(got.ndim)):
            if same(got, want.permute(order), question.rtol, question.atol):
                yield "is transposed" if got.ndim == 2 else f"has its axes in the order {order}"


def _sum(question: Question, failure: Failure, got: Tensor, want: Tensor) -> Iterator[str]:
    if got.ndim == want.ndim + 1:
        for axis in [axis for axis, n in enumerate(got.shape) if n > 1]:
            if same(got.sum(axis), want, question.rtol, question.atol):
                yield f"is not summed over its axis {axis}"
    if want.ndim == got.ndim + 1:
        for axis in [axis for axis, n in enumerate(want.shape) if n > 1]:
            if same(got, want.sum(axis), question.rtol, question.atol):
                yield f"is summed over axis {axis}, which should stay"


def _places(question: Question, failure: Failure, got: Tensor, want: Tensor) -> Iterator[str]:
    if got.shape != want.shape:
        return
    off = wrong(got, want, question.rtol, question.atol)
    inside = torch.zeros_like(off)
    inside[tuple(slice(1, -1) for _ in got.shape)] = True
    for axis, n in enumerate(got.shape):
        lines = off.movedim(axis, 0).reshape(n, -1).any(1).nonzero().flatten().tolist()
        if lines and len(lines) < n and set(lines) <= {0, n - 1}:
            place = {(0,): "the first", (n - 1,): "the last"}.get(tuple(lines), "the first and last")
            yield f"is right except at {place} index of axis {axis}"
    if got.ndim > 1 and inside.any() and not (off & inside).any():
        yield "is right except at the border"


GENERIC: tuple[Pattern, ...] = (_zero, _no_upstream, _factor, _permuted, _sum, _places)
