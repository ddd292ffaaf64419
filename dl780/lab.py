"""`Lab`: what a student's notebook talks to."""

import re
import sys
from collections.abc import Callable
from typing import Any

from dl780 import UserError
from dl780.check import show as shown
from dl780.check.cases import PUBLIC, Case
from dl780.check.question import Question
from dl780.check.registry import load_lab
from dl780.check.verdict import Verdict, answer_key, judge
from dl780.student.call import Outcome, attempt, sentence
from dl780.student.traps import TooSlow, one_thread, time_limit


class Lab:
    """The questions of one lab, checked in this process with the public seed.

    >>> lab = Lab("backprop")
    >>> lab.hint("linear_backward")
    G has the shape of Z @ W.T + b. Which product of G and W has the shape of Z?
    """

    def __init__(self, name: str) -> None:
        self._lab = load_lab(name)
        self._verdicts: dict[str, Verdict] = {}
        self._hinted: dict[str, int] = {}

    def check(self, function: Callable[..., Any], name: str | None = None) -> Verdict:
        """Check a function against its question, show the verdict and return it.

        The grader asks the same question, with other numbers in other shapes.
        """
        question = self._question(name or self._name_of(function))
        verdict = self._judge(question, function, list(question.cases(PUBLIC)))
        verdict.replay = verdict.replay and f'lab.replay("{question.name}", {_number(verdict)})'
        self._verdicts[question.name] = verdict
        shown.display(verdict)
        return verdict

    def replay(self, name: str, case: int | str, function: Callable[..., Any] | None = None) -> dict[str, Any]:
        """Draw one case again, run the function on it, show the verdict, and return the inputs to play with.

        `case` is a number for the notebook's own cases, or the token on a graded page ("2:9f3c…").
        """
        question = self._question(name)
        token = re.fullmatch(r"([0-9]{1,4})(?::([0-9a-f]{1,16}))?", str(case))
        if not token or not 1 <= int(token[1]) <= len(question.variants):
            raise UserError(f"{name} has the cases 1 to {len(question.variants)}, not {case!r}")
        number = int(token[1])
        drawn = question.case(number, int(token[2], 16)) if token[2] else list(question.cases(PUBLIC))[number - 1]
        if function is None:
            function = _caller_globals().get(name)
        if function is not None:
            verdict = self._judge(question, function, [drawn])
            verdict.replay = ""
            shown.display(verdict)
        return dict(question.sent_inputs(drawn))

    def show(self, function: Callable[..., Any], *inputs: Any) -> None:
        """Call a function on a small input and print what it returns, named; say so where it is not written yet."""
        name = self._name_of(function, strict=False)
        try:
            returned = function(*inputs)
        except Exception as error:
            print(f"{name} {sentence(error, name)}")
            return
        names = self._lab.questions[name].outputs if name in self._lab.questions else []
        if isinstance(returned, tuple) and len(returned) == len(names):
            for label, value in zip(names, returned, strict=True):
                print(f"{label} = {_short(value)}")
        else:
            print(f"{names[0] if len(names) == 1 else name} = {_short(returned)}")

    def hint(self, name: str) -> None:
        """Print the question's next hint."""
        hints = self._question(name).hints
        given = self._hinted.get(name, 0)
        print(hints[given] if given < len(hints) else "There is no further hint.")
        self._hinted[name] = given + 1

    def progress(self) -> None:
        """Print what is done, what is open, and the points so far."""
        earned = 0.0
        for name, question in self._lab.questions.items():
            verdict = self._verdicts.get(name)
            earned += verdict.points if verdict and not question.extra else 0
            state = "·" if verdict is None or verdict.unwritten else "✓" if verdict.passed else "✗"
            extra = "  (extra)" if question.extra else ""
            print(f"{state} {name:<24}{verdict.points if verdict else 0:>6g} of {question.out_of:g}{extra}")
        print(f"{earned:g} of {self._lab.out_of:g} points so far")

    def _judge(self, question: Question, function: Callable[..., Any], cases: list[Case]) -> Verdict:
        """Run a function on cases in this process, within the question's time."""
        key, outcomes = answer_key(question, cases), list[Outcome]()
        try:
            with time_limit(question.seconds), one_thread():
                for case in cases:
                    inputs = question.sent_inputs(case)
                    outcomes.append(
                        attempt(
                            function,
                            question.adapter,
                            inputs,
                            question.outputs,
                            question.not_allowed,
                            question.name,
                            question.products,
                        )
                    )
        except TooSlow as error:
            outcomes.append(Outcome(error=str(error)))
        return judge(question, cases, outcomes, key)

    def _question(self, name: str) -> Question:
        if name not in self._lab.questions:
            raise UserError(f"{self._lab.name} asks no {name!r}; it asks: {', '.join(self._lab.questions)}")
        return self._lab.questions[name]

    def _name_of(self, function: Callable[..., Any], strict: bool = True) -> str:
        """The question that a function answers: by its own name, else by the name it stands under."""
        own: str = getattr(function, "__name__", "")
        if own in self._lab.questions:
            return own
        bound = [name for name, value in _caller_globals().items() if value is function and name in self._lab.questions]
        if bound or not strict:
            return bound[0] if bound else own or "it"
        raise UserError(f"no question is called {own!r}; name it: lab.check(f, {next(iter(self._lab.questions))!r})")


def _caller_globals() -> dict[str, Any]:
    """The globals of the notebook: of the first frame outside this file."""
    frame = sys._getframe()
    while frame.f_back and frame.f_globals is globals():
        frame = frame.f_back
    return frame.f_globals


def _short(value: Any) -> str:
    """A value as one reads it: a number, also a 0-d tensor, in six digits."""
    if isinstance(value, float) or getattr(value, "shape", None) == ():
        return f"{float(value):.6g}"
    return str(value)


def _number(verdict: Verdict) -> int:
    return next(output.case for output in verdict.outputs if output.case) or 0
