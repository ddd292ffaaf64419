"""Pages: one for each student, one for the class; each is one file that needs no network and no script."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, Template
from markupsafe import Markup

from dl780.check import show
from dl780.check.registry import LabQuestions
from dl780.check.verdict import Verdict

Result = dict[str, Any]


def student_page(lab: LabQuestions, result: Result, verdicts: list[Verdict]) -> str:
    """A student's page: the score, then every question as the notebook shows it."""
    fragments = [Markup(show.fragment(verdict)) for verdict in verdicts]
    return _template("student").render(lab=lab, result=result, fragments=fragments, style=Markup(show.STYLE))


def class_page(lab: LabQuestions, results: list[Result], requests: Sequence[Mapping[str, Any]] = ()) -> str:
    """The class: points by question, and how many made which mistake."""
    graded = [r for r in results if r["status"] == "graded"]
    scores = sorted(r["score"] for r in graded)
    questions = [_question_row(name, graded) for name in lab.questions]
    made = Counter((n, q["mistake"]) for r in graded for n, q in r["questions"].items() if q["mistake"])
    return _template("class").render(
        lab=lab,
        results=results,
        graded=len(graded),
        statuses=Counter(r["status"] for r in results).most_common(),
        median=scores[len(scores) // 2] if scores else None,
        questions=questions,
        mistakes=[(name, sentence, count) for (name, sentence), count in made.most_common()],
        most=max(made.values(), default=1),
        requests=requests,
    )


def review_page(lab: LabQuestions, results: list[Result]) -> str:
    """What a human should look at: every answer that earned points and raised a doubt, with its code."""
    doubts = [
        (r["submission"], name, q, r["review"].get(name, ""))
        for r in results
        for name, q in r["questions"].items()
        if q["flags"]
    ]
    return _template("review").render(lab=lab, doubts=doubts)


def _question_row(name: str, graded: list[Result]) -> dict[str, Any]:
    found = [r["questions"][name] for r in graded if name in r["questions"]]
    shares = [q["points"] / q["out_of"] for q in found]
    return dict(
        name=name,
        mean=sum(shares) / len(shares) if shares else 0.0,
        full=sum(share == 1 for share in shares),
        part=sum(0 < share < 1 for share in shares),
        none=sum(share == 0 for share in shares),
    )


@cache
def _template(name: str) -> Template:
    pages = Environment(
        loader=PackageLoader("dl780.grade", "pages"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return pages.get_template(f"{name}.html")
