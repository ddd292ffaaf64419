"""One submission, from its bytes to its result and its page: all that another machine needs to know of it."""

from typing import Any

from dl780 import UserError
from dl780.check.registry import LabQuestions
from dl780.grade import feedback
from dl780.grade.anonymous import anonymous
from dl780.grade.choice import follow_through
from dl780.grade.extract import broken
from dl780.grade.judge import record, verdicts
from dl780.grade.read import Handed, Unreadable, cells
from dl780.grade.work import Worker

Result = dict[str, Any]


def graded(
    lab: LabQuestions, handed: Handed, worker: Worker, master: bytes, stamp: str, follow: bool = False
) -> tuple[Result, str]:
    """A submission's result and its student's page; whatever goes wrong stays in its own row."""
    result: Result = dict(submission=handed.name, lab=lab.name, status="graded", score=None, out_of=lab.out_of)
    result |= dict(questions={}, note="", content=handed.digest, stamp=stamp)
    found = []
    try:
        sources = cells(handed)
        if syntax_errors := len(broken(sources)):
            result["note"] = f"cells with a syntax error: {syntax_errors}"
        found = list(verdicts(lab, sources, worker, master, handed.digest))
        if follow:
            follow_through(found)
        result["layers"] = worker.held
        result["questions"] = {verdict.question: record(verdict) for verdict in found}
        result["review"] = {verdict.question: verdict.code for verdict in found if verdict.flags}
        shown = {v.question: anonymous(v.code, handed.name, v.question) for v in found if v.mistake}
        result["examples"] = {question: code for question, code in shown.items() if code}
        core = [v.points for v in found if not lab.questions[v.question].extra]
        result["score"] = round(sum(core), 2)
    except Unreadable as error:
        result |= dict(status=error.status, note=str(error))
    except UserError:
        raise
    except Exception as error:  # a fault of the grader: this row says so, the others go on
        result |= dict(status="error", note=f"the grader failed: {type(error).__name__}: {error}", questions={})
    return result, feedback.student_page(lab, result, found)
