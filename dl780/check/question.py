"""What a question is: a signature, a forward function, how to draw its inputs, and the mistakes that people make."""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import torch
from torch import Tensor

from dl780.check.cases import Case, Draw, seed_for, tensors
from dl780.student.adapters import call
from dl780.student.arrays import Inputs, Value
from dl780.student.traps import AUTOGRAD, MOST_PRODUCTS

Function = Callable[..., Any]
Answers = dict[str, Value]


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question of a lab, and the whole of its answer key.

    `signature` is the line of the lab's table: "linear_backward(G, Z, W, b) -> G_Z, G_W, G_b".
    `draw(d, m, n, …)` returns the inputs; its parameters without a default are sizes, drawn as distinct
    primes; those with one are set by an edge case. An argument that `draw` leaves out is an upstream gradient.
    An output with a dot in its name, "conv1.weight" as in a `state_dict()`, belongs to the input of that name.
    `mistakes` maps what people do wrong ("averaged the bias gradient") to a wrong forward, or, where the first
    parameter is called `right`, to a change of the right answers: whatever gives a mistaken student's numbers.
    """

    signature: str
    of: Function
    draw: Function
    points: tuple[float, ...]  # one for each output
    slide: str
    difficulty: int  # 1 to 5
    minutes: int
    hints: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()  # questions whose functions this one calls
    mistakes: Mapping[str, Function] = field(default_factory=dict)
    parts: Mapping[str, "Gradients"] = field(default_factory=dict)  # keyword of `of` -> the question it stands for
    ties: Mapping[str, Function] = field(default_factory=dict)  # output -> the right answer nearest to (want, got)
    core: int = 3  # how many cases with drawn sizes
    edges: tuple[dict[str, Any], ...] = ()
    edge_share: float = 0.2  # of an output's points
    large: dict[str, Any] | None = None  # a case too large for numerical differencing
    adapter: Function = call
    not_allowed: tuple[str, ...] = AUTOGRAD
    products: int = MOST_PRODUCTS  # what a slow but honest answer may take in one case; more are flagged
    rtol: float = 2e-5
    atol: float = 2e-5  # times the largest entry of the output
    seconds: float = 10
    extra: bool = False
    key: str = "the reference"  # what a message calls the right number

    @cached_property
    def _parsed(self) -> tuple[str, list[str], list[str]]:
        match = re.fullmatch(r"(\w+)\((.*)\) -> (.*)", self.signature)
        if not match:
            raise ValueError(f"a signature reads 'name(a, b) -> c, d', not {self.signature!r}")
        name, arguments, outputs = match.groups()
        return name, re.findall(r"\w+", arguments), re.findall(r"[\w.]+", outputs)

    @property
    def name(self) -> str:
        """The function that a student writes."""
        return self._parsed[0]

    @property
    def arguments(self) -> list[str]:
        """Its parameters."""
        return self._parsed[1]

    @property
    def outputs(self) -> list[str]:
        """The names of what it returns."""
        return self._parsed[2]

    @property
    def out_of(self) -> float:
        """Points of the whole question."""
        return sum(self.points)

    @cached_property
    def sent(self) -> list[str]:
        """The inputs that go to the student's side: the signature's, or those of the adapter.

        An adapter's `**state` takes the inputs that outputs with a dot belong to.
        """
        if self.adapter is call:
            return self.arguments
        _, *accepted = _parameters(self.adapter).values()
        state = [output for output in self.outputs if "." in output]
        return [name for p in accepted for name in (state if p.kind is p.VAR_KEYWORD else [p.name])]

    @property
    def variants(self) -> list[tuple[dict[str, Any], bool]]:
        """What each case sets, and whether it is an edge case."""
        large = [] if self.large is None else [(self.large, False)]
        return [({}, False)] * self.core + [(edge, True) for edge in self.edges] + large

    def cases(self, master: bytes, *about: str) -> Iterator[Case]:
        """Every case of the question under a master seed; `about` binds the seeds to a submission."""
        for number in range(1, len(self.variants) + 1):
            yield self.case(number, seed_for(master, *about, self.name, str(number)))

    def case(self, number: int, seed: int) -> Case:
        """Case `number` (from 1) drawn from its own seed."""
        settings, edge = self.variants[number - 1]
        d = Draw(seed)
        parameters = list(_parameters(self.draw).values())[1:]
        letters = [p.name for p in parameters if p.default is p.empty]
        sizes = dict(zip(letters, d.sizes(len(letters)), strict=True)) | settings
        inputs: Inputs = self.draw(d, **sizes)
        inputs |= self.upstream(d, inputs)
        shown = {letter: sizes[letter] for letter in letters}
        return Case(number, seed, shown, edge, inputs)

    def sent_inputs(self, case: Case) -> Inputs:
        """What the student's side is given."""
        return {name: case.inputs[name] for name in self.sent}

    def nearest(self, output: str, want: Value, got: Value, inputs: Inputs) -> Value:
        """The right answer nearest to what was returned, where a kink or a tie leaves a choice; else `want`."""
        alike = isinstance(got, Tensor) and isinstance(want, Tensor) and got.shape == want.shape
        if output not in self.ties or not alike:
            return want
        chosen: Tensor = given(self.ties[output], inputs, want=want, got=got)
        return chosen

    def upstream(self, d: Draw, inputs: Inputs) -> Inputs:
        """Upstream gradients, for the arguments that `draw` leaves out."""
        return {}

    def answers(self, inputs: Inputs, of: Function | None = None) -> Answers:
        """The right answers, or those of another forward."""
        raise NotImplementedError

    def mistaken(self, mistake: Function, inputs: Inputs, right: Answers) -> Answers:
        """The answers of a student who makes this mistake."""
        if next(iter(_parameters(mistake))) == "right":
            return {**right, **given(mistake, inputs, right=right)}
        return self.answers(inputs, mistake)


@dataclass(frozen=True, kw_only=True)
class Values(Question):
    """The outputs are those of the reference itself."""

    def answers(self, inputs: Inputs, of: Function | None = None) -> Answers:
        """`of(**inputs)`, named."""
        values = given(of or self.of, inputs)
        return dict(zip(self.outputs, values if isinstance(values, tuple) else (values,), strict=True))


@dataclass(frozen=True, kw_only=True)
class Gradients(Question):
    """The outputs are gradients of the forward, and its values where an output is no gradient.

    G_X and g_X are gradients with respect to the input X (a tensor or a list of tensors), conv1.weight that with
    respect to the input of this name; `wrt` names the input for an output that is called otherwise. With upstream
    gradients G: g_X = ∂(Σ G ∘ of(X)) / ∂X.
    """

    wrt: Mapping[str, str] = field(default_factory=dict)
    key: str = "autograd"

    @cached_property
    def differentiated(self) -> dict[str, str]:
        """Output -> the input that it is the gradient of."""
        named = {
            out: out.removeprefix("g_").removeprefix("G_") for out in self.outputs if re.match(r"[gG]_|\w+\.", out)
        }
        return {out: (named | dict(self.wrt))[out] for out in self.outputs if out in named or out in self.wrt}

    @cached_property
    def upstreams(self) -> list[str]:
        """The arguments that are upstream gradients: those that the forward does not take."""
        forward = _parameters(self.of)
        return [a for a in self.arguments if a not in forward] if self.adapter is call else []

    def upstream(self, d: Draw, inputs: Inputs) -> Inputs:
        """One random gradient for each value of the forward."""
        names = self.upstreams
        return {name: d.like(value) for name, value in zip(names, _tuple(given(self.of, inputs)), strict=False)}

    def answers(self, inputs: Inputs, of: Function | None = None) -> Answers:
        """Values of the forward and its gradients, by autograd."""
        wanted = self.differentiated
        leaves = {name: _leaf(inputs[name]) for name in wanted.values()}
        values = _tuple(given(of or self.of, inputs | leaves))
        total = pull_back(values, [inputs[name] for name in self.upstreams])
        flat = [leaf for value in leaves.values() for leaf in tensors(value)]
        found = iter(torch.autograd.grad(total, flat, allow_unused=True, materialize_grads=True))
        gradients = {
            name: next(found) if isinstance(value, Tensor) else [next(found) for _ in tensors(value)]
            for name, value in leaves.items()
        }
        forward = iter(values)
        return {out: gradients[wanted[out]] if out in wanted else next(forward).detach() for out in self.outputs}


@dataclass(frozen=True, kw_only=True)
class Jacobians(Question):
    """The outputs J_X are Jacobians ∂of/∂X of shape (k, *X.shape), by `torch.func.jacrev`."""

    key: str = "autograd"

    def answers(self, inputs: Inputs, of: Function | None = None) -> Answers:
        """One Jacobian for each output."""
        forward = of or self.of

        def jacobian(name: str) -> Tensor:
            found: Tensor = torch.func.jacrev(lambda value: given(forward, inputs | {name: value}))(inputs[name])
            return found

        return {out: jacobian(out[2:]) for out in self.outputs}


@dataclass(frozen=True, kw_only=True)
class Formed(Question):
    """The reference gives only the form of the outputs, their kinds, shapes and dtypes; something else is judged."""

    def answers(self, inputs: Inputs, of: Function | None = None) -> Answers:
        """Outputs of the right form, for sizes that the inputs name."""
        return dict(zip(self.outputs, _tuple(given(self.of, inputs)), strict=True))


@dataclass(frozen=True, kw_only=True)
class Property(Formed):
    """The outputs are right together if they do what is asked, whatever their numbers are.

    `of` gives their form, for sizes that the outputs themselves may name; `fault(**inputs, **outputs)` is the sentence
    that says what they fail to do in a case, with figures, and "" where they do it: what computes a NaN does not. A
    mistake is a predicate of the same: whether a faulty answer looks as if it had been made.
    """

    fault: Function
    success: str = "does what is asked"


@dataclass(frozen=True, kw_only=True)
class Statistics(Formed):
    """The outputs are random: `of` gives their shapes and dtypes, `laws` what must hold of their numbers.

    A law maps (inputs, outputs) to a z-score, standard normal where the answer is right (0 or inf for an exact one);
    it fails beyond LIMIT in every core case, each a draw of its own. A mistake is a law that holds of a mistaken
    answer.
    """

    laws: Mapping[str, Mapping[str, Function]]  # output -> sentence when it fails -> law
    LIMIT = 5.5  # two-sided 4e-8 a draw


@dataclass(frozen=True, kw_only=True)
class Trained(Formed):
    """The outputs are the weights of a stated architecture, trained on drawn data.

    `of` gives the shapes for the student's own hidden sizes; `score(**inputs, **outputs)` is judged on held-out
    data: all points from `full`, none up to `none`, proportionally between.
    """

    score: Function
    full: float
    none: float
    unit: str = "of the held-out examples are right"


def given(function: Function, inputs: Mapping[str, Any], **more: Any) -> Any:
    """Call a function with those of the inputs that it has parameters for; with all, if it takes **inputs."""
    known = _parameters(function)
    takes_all = any(p.kind is p.VAR_KEYWORD for p in known.values())
    return function(**{name: value for name, value in {**inputs, **more}.items() if takes_all or name in known})


def pull_back(values: tuple[Tensor, ...], upstreams: list[Any]) -> Tensor:
    """Σ G ∘ value, with ones where a value has no upstream gradient."""
    weights = [*upstreams, *(torch.ones_like(value) for value in values[len(upstreams) :])]
    return torch.stack([(value * G).sum() for value, G in zip(values, weights, strict=True)]).sum()


def looks_like(value: Tensor, slope_of: Tensor) -> Tensor:
    """The value of one tensor with the gradient of another: how a wrong forward declares a wrong derivative."""
    return slope_of + (value - slope_of).detach()


def slope_elsewhere(f: Callable[[Tensor], Tensor], a: Tensor, at: Tensor) -> Tensor:
    """f(a) with the derivative f'(at): f' taken at the wrong place."""
    return looks_like(f(a), f(at.detach() + a - a.detach()))


@lru_cache(maxsize=1024)
def _parameters(function: Function) -> Mapping[str, inspect.Parameter]:
    """A function's parameters; to find them takes as long as many a forward."""
    return inspect.signature(function).parameters


def _tuple(values: Any) -> tuple[Any, ...]:
    return values if isinstance(values, tuple) else (values,)


def _leaf(value: "Value | float") -> Value:
    if isinstance(value, list):
        return [item.detach().requires_grad_() for item in value]
    if not isinstance(value, Tensor):
        raise TypeError(f"a gradient is taken of tensors, not of {value!r}")
    return value.detach().requires_grad_()
