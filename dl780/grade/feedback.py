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
BINS = 10
FEW = 5  # below so many graded, nothing is said of a question
HARD = 0.4  # mean share of the points


def student_page(lab: LabQuestions, result: Result, verdicts: list[Verdict]) -> str:
    """A student's page: the score, then every question as the notebook shows it."""
    fragments = [Markup(show.fragment(verdict)) for verdict in verdicts]
    return _template("student").render(lab=lab, result=result, fragments=fragments, style=Markup(show.STYLE))


def class_page(lab: LabQuestions, results: list[Result], requests: Sequence[Mapping[str, Any]] = ()) -> str:
    """The class: students × questions, scores, points by question, who made which mistake, requests for a regrade."""
    graded = [r for r in results if r["status"] == "graded"]
    scores = sorted(r["score"] for r in graded)
    return _template("class").render(
        lab=lab,
        results=results,
        graded=len(graded),
        statuses=Counter(r["status"] for r in results).most_common(),
        median=scores[len(scores) // 2] if scores else None,
        questions=[_question_row(name, graded) for name in lab.questions],
        best_first=sorted(graded, key=lambda r: (-r["score"], r["submission"])),
        level=_level,
        histogram=_histogram(scores, lab.out_of),
        mistakes=_mistakes(graded),
        requests=requests,
    )


def _mistakes(graded: list[Result]) -> list[dict[str, Any]]:
    """Every known mistake that was made, the commonest first, with the shortest code that makes it."""
    made: dict[tuple[str, str], list[str]] = {}
    for r in graded:
        for name, q in r["questions"].items():
            if q["mistake"]:
                made.setdefault((name, q["mistake"]), []).append(r.get("examples", {}).get(name, ""))
    found = [
        dict(name=n, sentence=s, count=len(codes), example=min(filter(None, codes), key=_size, default=""))
        for (n, s), codes in made.items()
    ]
    return sorted(found, key=lambda m: -m["count"])


def _size(code: str) -> tuple[int, str]:
    return len(code), code


def _level(points: float, out_of: float) -> int:
    """0 for nothing, 5 for all, and between them by quarters."""
    share = points / out_of if out_of else 1.0
    return 5 if share >= 1 else 0 if share <= 0 else 1 + min(3, int(share * 4))


def _histogram(scores: Sequence[float], out_of: float) -> list[dict[str, Any]]:
    """How many scores fall into each tenth of the points; full marks belong to the last."""
    counts = Counter(min(BINS - 1, int(BINS * score / out_of)) if out_of else 0 for score in scores)
    most = max(counts.values(), default=1)
    return [
        dict(low=out_of * i / BINS, high=out_of * (i + 1) / BINS, count=counts[i], height=counts[i] / most)
        for i in range(BINS)
    ]


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
    shares = [q["points"] / q["out_of"] for q in found if q["out_of"]]
    mean = sum(shares) / len(shares) if shares else 0.0
    full = sum(share == 1 for share in shares)
    return dict(
        name=name,
        mean=mean,
        full=full,
        part=sum(0 < share < 1 for share in shares),
        none=sum(share == 0 for share in shares),
        looks="" if len(shares) < FEW else "too hard?" if mean < HARD else "too easy?" if full == len(shares) else "",
    )


@cache
def _template(name: str) -> Template:
    pages = Environment(
        loader=PackageLoader("dl780.grade", "pages"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return pages.get_template(f"{name}.html")
