"""From what a student's function returned, case by case, to points and one sentence for each output."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from dl780.check import diagnose
from dl780.check.cases import Case
from dl780.check.compare import Comparison, compare, shape
from dl780.check.diagnose import Failure
from dl780.check.question import Answers, Formed, Property, Question, Statistics, Trained, given
from dl780.student.arrays import Value
from dl780.student.call import UNWRITTEN, Outcome

MISSING = "is not there: no call came to its end"


@dataclass
class OutputVerdict:
    """One output: its points, whether it is right in all cases, and the sentence that says why not."""

    name: str
    out_of: float
    points: float = 0.0
    ok: bool = False
    message: str = ""
    mistake: str | None = None
    follows: tuple[str, str] | None = None  # the earlier question, and the mistake there, that it follows from
    shape: str = ""
    case: int | None = None  # the case that the message is about
    pair: tuple[Tensor, Tensor] | None = None  # (got, want) of that case, for a picture


@dataclass
class Verdict:
    """A question's verdict: the same in the notebook and in the gradebook."""

    question: str
    outputs: list[OutputVerdict]
    flags: list[str] = field(default_factory=list)
    replay: str = ""  # the line that draws the failing case again
    cases: int = 0
    code: str = ""  # what a human should look at, where there are flags

    @property
    def points(self) -> float:
        """Points earned, over all outputs."""
        return round(float(sum(output.points for output in self.outputs)), 2)

    @property
    def out_of(self) -> float:
        """Points to be had."""
        return sum(output.out_of for output in self.outputs)

    @property
    def passed(self) -> bool:
        """Whether every output is right in every case."""
        return all(output.ok for output in self.outputs)

    @property
    def unwritten(self) -> bool:
        """Whether the function is still as it was handed out."""
        return all(output.message == UNWRITTEN for output in self.outputs)

    @property
    def mistake(self) -> str | None:
        """The known mistake behind the first failing output."""
        return next((output.mistake for output in self.outputs if not output.ok), None)

    def __repr__(self) -> str:
        return f"<{self.question}: {self.points:g} of {self.out_of:g} points>"


def answer_key(question: Question, cases: Sequence[Case]) -> list[Answers]:
    """The right answers of every case; none for what is judged by a property, its distribution or its score."""
    return [{} if isinstance(question, Formed) else question.answers(case.inputs) for case in cases]


def judge(
    question: Question, cases: Sequence[Case], outcomes: Sequence[Outcome], key: Sequence[Answers] | None = None
) -> Verdict:
    """Compare all cases; a case without an outcome counts as one that did not come to its end.

    `key` is the answer key where it was computed before the student's code ran.
    """
    outcomes = [*outcomes, *(Outcome(error=MISSING) for _ in cases[len(outcomes) :])]
    verdict = Verdict(question.name, [], cases=len(cases))
    key = key or answer_key(question, cases)
    runs = [
        Run(case, outcome, right or question.answers({**case.inputs, **outcome.outputs}))
        for case, outcome, right in zip(cases, outcomes, key, strict=True)
    ]
    found = {name: [_look(question, name, run) for run in runs] for name in question.outputs}
    formed = all(c.ok for comparisons in found.values() for c in comparisons)
    if formed and isinstance(question, Property):
        faults = [_fault(question, run) for run in runs]
        found = dict.fromkeys(question.outputs, faults)
    for name, out_of in _named_points(question):
        output = _output(question, name, out_of, runs, found[name])
        if formed and isinstance(question, Statistics | Trained):
            _by_numbers(question, output, runs)
        elif not formed and isinstance(question, Formed) and output.ok:
            output.ok, output.points, output.message = False, 0.0, "waits for the other outputs to have the right form"
        verdict.outputs.append(output)
    touched = sorted({name for outcome in outcomes for name in outcome.changed})
    verdict.flags += [f"changes its input {name} in place" for name in touched]
    verdict.flags += sorted({doubt for outcome in outcomes for doubt in outcome.doubts})
    first = next((output.case for output in verdict.outputs if output.case), None)
    if first and not verdict.unwritten:
        verdict.replay = f'lab.replay("{question.name}", "{token(cases[first - 1])}")'
    return verdict


def not_run(question: Question, reason: str) -> Verdict:
    """The verdict on a question that could not run at all."""
    return Verdict(question.name, [OutputVerdict(n, p, message=reason) for n, p in _named_points(question)])


def token(case: Case) -> str:
    """What draws a case again, and tells nothing of any other: its number and its own seed."""
    return f"{case.number}:{case.seed:016x}"


def _named_points(question: Question) -> list[tuple[str, float]]:
    return list(zip(question.outputs, question.points, strict=True))


@dataclass(frozen=True)
class Run:
    """One case with what the student's function gave for it, and the right answers."""

    case: Case
    outcome: Outcome
    right: Answers


def _look(question: Question, name: str, run: Run) -> Comparison:
    """Compare one output in one case; where something else is judged, only its form."""
    outcome = run.outcome
    if outcome.error or name in outcome.problems:
        return Comparison("call", outcome.error or outcome.problems[name])
    if name not in outcome.outputs:
        return Comparison("call", MISSING)
    if outcome.problems and isinstance(question, Formed):
        return Comparison()  # the form may depend on what is missing
    got = outcome.outputs[name]
    want = question.nearest(name, run.right[name], got, run.case.inputs)
    result = compare(got, want, question.rtol, question.atol, question.key)
    form_only = isinstance(question, Formed) and result.step == "values"
    return Comparison() if form_only else result


def _fault(question: Property, run: Run) -> Comparison:
    """What outputs of the right form fail to do in one case."""
    fault = given(question.fault, {**run.case.inputs, **run.outcome.outputs})
    return Comparison("property", fault) if fault else Comparison()


def _output(
    question: Question, name: str, out_of: float, runs: Sequence[Run], found: Sequence[Comparison]
) -> OutputVerdict:
    """Points and sentence of one output, from its comparison in every case."""
    output = OutputVerdict(name, out_of, ok=all(c.ok for c in found), shape=_shape(runs[0].right[name]))
    if output.ok:
        output.points = out_of
        largest = f"{max(c.largest for c in found):.0e}".replace("0e+00", "0")
        output.message = f"agrees with {question.key}, largest difference {largest}"
        if isinstance(question, Property):
            output.message = question.success
        return output
    edges = [not c.ok for c, run in zip(found, runs, strict=True) if run.case.edge]
    if len([c for c in found if not c.ok]) == sum(edges):
        output.points = out_of * (1 - question.edge_share)
    at = next(i for i, c in enumerate(found) if not c.ok)
    output.case, output.message = at + 1, found[at].message
    failures = [
        Failure(run.case, run.outcome.outputs, run.right, name)
        for run, c in zip(runs, found, strict=True)
        if not c.ok and name in run.outcome.outputs
    ]
    if failures and found[at].step != "call" and not isinstance(question, Statistics | Trained):
        _explain(question, output, failures, found[at])
    return output


def _explain(question: Question, output: OutputVerdict, failures: list[Failure], first: Comparison) -> None:
    """Put the best explanation before the plain difference, and keep the pair of arrays for a picture.

    Where core cases fail, these are to be explained: at an edge the same mistake may do other harm, too.
    """
    failures = [failure for failure in failures if not failure.case.edge] or failures
    found = diagnose.known(question, failures)
    known, output.mistake, output.follows = found or (diagnose.generic(question, failures), None, None)
    if known:
        output.message = f"{known}; {first.message}" if first.step in ("values", "property") else known
    if output.points:
        output.message = f"is right but for an edge case: {output.message}"
    if isinstance(question, Formed):
        return
    got, want = failures[0].got, failures[0].want
    if first.item is not None and isinstance(got, list) and isinstance(want, list):
        got, want = got[first.item], want[first.item]
    if isinstance(got, Tensor) and isinstance(want, Tensor) and got.shape == want.shape and want.ndim:
        output.pair = (got.double(), want.double())


def _by_numbers(question: Question, output: OutputVerdict, runs: Sequence[Run]) -> None:
    """Judge an output of the right form by its laws, or trained weights by their score."""
    everything: list[dict[str, object]] = [{**run.case.inputs, **run.outcome.outputs} for run in runs]
    share = 1.0
    if isinstance(question, Trained):
        score = sum(float(given(question.score, values)) for values in everything) / len(everything)
        share = min(1.0, max(0.0, (score - question.none) / (question.full - question.none)))
        output.message = f"{score:.1%} {question.unit}" + ("" if share == 1 else f", {question.full:.1%} are expected")
    elif isinstance(question, Statistics):
        broken = [s for s, law in question.laws[output.name].items() if not _holds(law, everything)]
        share = 0.0 if broken else 1.0
        if broken:
            output.mistake = next((m for m, law in question.mistakes.items() if _holds(law, everything)), None)
        output.message = "; ".join(
            [f"you {output.mistake}"] * bool(output.mistake) + broken[:1] or ["agrees with its distribution"]
        )
    output.ok, output.points, output.case = share == 1, output.out_of * share, None if share == 1 else 1


def _holds(law: Callable[..., float], everything: Sequence[dict[str, object]]) -> bool:
    """Whether a law holds in at least one of the draws: a failure by chance is drawn again."""
    return any(abs(float(given(law, values))) <= Statistics.LIMIT for values in everything)


def _shape(value: Value) -> str:
    return f"list of {len(value)}" if isinstance(value, list) else shape(value)
