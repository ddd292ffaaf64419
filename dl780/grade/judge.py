"""One submission: every question of a lab, extracted, run in the untrusted half and judged here."""

import ast
import re
from collections.abc import Iterator
from typing import Any

from dl780.check.question import Question, Trained
from dl780.check.registry import LabQuestions
from dl780.check.verdict import Verdict, judge, not_run
from dl780.grade.extract import Statement, broken, extract, parse, statements
from dl780.grade.scan import scan
from dl780.grade.work import Worker


def verdicts(
    lab: LabQuestions, cells: list[str], worker: Worker, master: bytes, content: str, only: str | None = None
) -> Iterator[Verdict]:
    """A verdict for each question, or for one; seeds are bound to the master seed and to the submission's content."""
    taken, unparsed = statements(cells), "\n".join(broken(cells))
    missing = {
        name: "stands in a cell with a syntax error" if _defines(unparsed, name) else "is not defined"
        for name in lab.questions
        if not any(name in statement.binds for statement in taken)
    }
    opening = parse(lab.opening)
    for question in [lab.questions[only]] if only else lab.questions.values():
        yield _verdict(question, opening, taken, missing, worker, master, content)


def record(verdict: Verdict) -> dict[str, Any]:
    """A verdict as it stands in a result file."""
    return {
        "points": verdict.points,
        "out_of": verdict.out_of,
        "outputs": {o.name: {"ok": o.ok, "message": o.message} for o in verdict.outputs},
        "mistake": verdict.mistake,
        "flags": verdict.flags,
        "replay": verdict.replay or None,
    }


def _defines(source: str, name: str) -> bool:
    """Whether code that cannot be parsed looks as if it bound a name."""
    return bool(re.search(rf"(?m)^\s*((def|class)\s+{name}\b|{name}\s*=(?!=)|from\b.*\bimport\b.*\b{name}\b)", source))


def _verdict(
    question: Question,
    opening: ast.Module,
    taken: list[Statement],
    missing: dict[str, str],
    worker: Worker,
    master: bytes,
    content: str,
) -> Verdict:
    found = extract(question.name, taken)
    if found is None:
        return not_run(question, missing[question.name])
    star = any(statement.star for statement in found)  # it may supply what no cell defines
    for name in missing:
        if not star and any(name in statement.uses for statement in found):
            return not_run(question, f"needs `{name}`, which {missing[name]}")
    refused, flags = scan(question, opening, [statement.node for statement in found])
    if refused:
        return not_run(question, refused)
    used = {name for statement in found for name in statement.uses}
    if isinstance(question, Trained) and question.needs and question.needs[0] not in used:
        flags.append(f"does not use {question.needs[0]}")
    cases = list(question.cases(master, content))
    work = worker.ask(question, [statement.source for statement in found], cases)
    if not work.outcomes:
        return not_run(question, work.error)
    verdict = judge(question, cases, work.outcomes)
    verdict.flags += [*flags, *work.doubts] if verdict.points else []  # a doubt is about points
    verdict.code = "\n\n".join(statement.source for statement in found)
    return verdict
