"""Mutants of a lab's solutions: each must fail its question's check, or be equivalent for a stated reason.

`python tests/mutants.py [LAB …] [--question NAME] [--jobs 2]` (all labs where none is named) exits with 0 when 99 % of
those that are not equivalent are killed, in each.
Equivalent ones stand in `equivalent_mutants/<lab>.txt`: the question and the changed lines, "before → after", then the
reason on a line of its own ("NOT EQUIVALENT: …" where a check lets one pass on purpose: it counts as a survivor).
A mutant is killed when it loses points or earns a flag, raises, crashes or never ends.
"""

import argparse
import ast
import gc
import os
import resource
import select
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mutation import change, mutants

from dl780 import release
from dl780.check.cases import Case
from dl780.check.compare import compare
from dl780.check.question import Answers, Formed, Question, Trained
from dl780.check.registry import LabQuestions, lab_names, load_lab
from dl780.check.verdict import answer_key, judge
from dl780.student.call import Outcome, attempt

HERE = Path(__file__).parent
GOAL = 0.99
ROW = "{:<24}{:>8}{:>8}{:>12}{:>12}{:>10}"
SECONDS = 5  # of processor time a mutant


# --- solutions -------------------------------------------------------------------------------------------------------


def solutions(lab: LabQuestions) -> dict[str, str]:
    """Question → its solution, less docstrings, with the classes that stand between it and the solution before it."""
    sources, waiting = dict[str, str](), list[ast.stmt]()
    for statement in ast.parse("\n\n".join(release.solutions(lab.name).values())).body:
        for node in ast.walk(statement):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
                node.body = node.body[1:] or [ast.Pass()]
        waiting.append(statement)
        if isinstance(statement, ast.FunctionDef | ast.ClassDef) and statement.name in lab.questions:
            sources[statement.name] = "\n\n".join(map(ast.unparse, waiting))
            waiting = []
    return sources


# --- judging ---------------------------------------------------------------------------------------------------------


@dataclass
class Judge:
    """A question with its cases and answer key, and a namespace that holds every solution."""

    question: Question
    cases: list[Case]
    key: list[Answers]
    namespace: dict[str, Any]

    @classmethod
    def of(cls, question: Question, namespace: dict[str, Any], seed: str) -> "Judge":
        """Draw the cases and compute the answers."""
        cases = list(question.cases(seed.encode()))
        return cls(question, cases, answer_key(question, cases), namespace)

    def full_marks(self, source: str) -> bool:
        """Whether a solution earns every point and no flag."""
        q, namespace = self.question, dict(self.namespace)
        exec(compile(source, "mutant", "exec"), namespace)
        outcomes = list[Outcome]()
        for case, right in zip(self.cases, self.key, strict=True):
            inputs = q.sent_inputs(case)
            outcomes.append(attempt(namespace[q.name], q.adapter, inputs, q.outputs, q.not_allowed, q.name, q.products))
            if outcomes[-1].error or not _right(q, case, outcomes[-1], right):
                return False
        verdict = judge(q, self.cases, outcomes, self.key)
        return verdict.passed and verdict.points == q.out_of and not verdict.flags


def _right(q: Question, case: Case, outcome: Outcome, right: Answers) -> bool:
    """Whether a case's outputs are right, as far as one case can tell: what is not need not be explained."""
    return isinstance(q, Formed) or all(
        compare(got, q.nearest(name, right[name], got, case.inputs), q.rtol, q.atol, q.key).ok
        for name, got in outcome.outputs.items()
    )


def in_children(tasks: Sequence[Callable[[], bool]], jobs: int, seconds: int = SECONDS) -> list[int]:
    """How each task ends in a process of its own: 0 returns True, 1 does not, -n dies of signal n (crash, time)."""
    running, ends = dict[int, tuple[int, int]](), [1] * len(tasks)
    gc.freeze()  # a collection in a child would copy every page that the parent has

    def reap() -> None:
        for handle in select.select(list(running), [], [])[0]:
            pid, number = running.pop(handle)
            ends[number] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            os.close(handle)

    for number, task in enumerate(tasks):
        if len(running) == jobs:
            reap()
        if pid := os.fork():
            running[os.pidfd_open(pid)] = pid, number
        else:
            _run(task, seconds)
    while running:
        reap()
    gc.unfreeze()
    return ends


def _run(task: Callable[[], bool], seconds: int) -> None:
    """Exit with status 0 if the task returns True; in silence, and within its time and 2 GB of further memory."""
    status = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(1, 2)
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2**31,) * 2)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.alarm(20 * seconds)
        status = 0 if task() else 1
    finally:
        os._exit(status)


# --- report ----------------------------------------------------------------------------------------------------------


def listed(lab: str) -> dict[str, str]:
    """Why each listed survivor survives, by "question: before → after"."""
    path = HERE / "equivalent_mutants" / f"{lab}.txt"
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip() and line[0] != "#"]
    return {key: reason.strip() for key, reason in zip(lines[::2], lines[1::2], strict=True)}


def report(name: str, ends: Sequence[int], survivors: Sequence[str], reasons: dict[str, str]) -> int:
    """Print one question's row and its survivors; return how many of them are equivalent."""
    why = [reasons.get(f"{name}: {survivor}", "NOT EQUIVALENT, NO REASON") for survivor in survivors]
    excused = sum(not reason.startswith("NOT EQUIVALENT") for reason in why)
    columns = (len(ends), sum(end != 0 for end in ends), sum(end < 0 for end in ends), excused, len(why) - excused)
    print(ROW.format(name, *columns), flush=True)
    for survivor, reason in zip(survivors, why, strict=True):
        print(f"    {survivor}\n        {reason}")
    return excused


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("labs", nargs="*", default=lab_names(), metavar="LAB")
    parser.add_argument("--question", help="only this one")
    parser.add_argument("--seed", default="mutants", help="what the cases are drawn from (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


def main() -> int:
    """Judge every lab's mutants."""
    options = arguments()
    torch.set_num_threads(1)  # before the first operation: torch hangs after a fork if it ever ran on two
    return max([of_lab(name, options) for name in options.labs])


def of_lab(lab_name: str, options: argparse.Namespace) -> int:
    """Judge every mutant of a lab and print the table."""
    print(f"== {lab_name}")
    lab = load_lab(lab_name)
    sources, reasons = solutions(lab), listed(lab_name)
    namespace: dict[str, Any] = {}
    exec("\n\n".join([lab.opening, *sources.values()]), namespace)
    print(ROW.format("question", "mutants", "killed", "(by limits)", "equivalent", "survived"))
    made = killed = excused = 0
    used = set[str]()
    for name, question in lab.questions.items():
        if isinstance(question, Trained) or options.question not in (None, name):
            continue
        judged, original = Judge.of(question, namespace, options.seed), ast.unparse(ast.parse(sources[name]))
        others = mutants(original)
        right, *ends = in_children([partial(judged.full_marks, s) for s in (original, *others)], options.jobs)
        if right != 0:
            sys.exit(f"{name}: the solution itself does not earn every point")
        survivors = [change(original, other) for other, end in zip(others, ends, strict=True) if end == 0]
        excused += report(name, ends, survivors, reasons)
        made, killed = made + len(others), killed + len(others) - len(survivors)
        used |= {f"{name}: {survivor}" for survivor in survivors}
    for stale in sorted(key for key in set(reasons) - used if options.question in (None, key.split(":")[0])):
        print(f"listed, but does not survive: {stale}")
    rate = killed / (made - excused)
    print(f"{made} mutants, {excused} equivalent, {killed} killed: {rate:.2%} of those that can be (goal {GOAL:.0%})")
    return 0 if rate >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
