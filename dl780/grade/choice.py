"""What counts: the questions that an instructor picks, and their points."""

import csv
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from dl780 import UserError
from dl780.check.registry import LabQuestions
from dl780.check.verdict import Verdict

Points = Mapping[str, tuple[float, ...]]


def choose(lab: LabQuestions, names: str | None, points: Path | None) -> LabQuestions:
    """The lab with the questions of a list "tanh,relu" alone, and with the points of a file of `question,points`.

    A question's points are shared out to its outputs as its declaration shares them. Raises `UserError`.
    """
    named = [name.strip() for name in names.split(",")] if names else list(lab.questions)
    totals = _totals(points) if points else {}
    if unknown := [name for name in (*named, *totals) if name not in lab.questions]:
        raise UserError(f"{lab.name} asks no {unknown[0]!r}; it asks: {', '.join(lab.questions)}")
    chosen = {name: lab.questions[name].points for name in lab.questions if name in named}
    shared = {name: _share(declared, totals.get(name)) for name, declared in chosen.items()}
    return with_points(lab, shared)


def with_points(lab: LabQuestions, points: Points) -> LabQuestions:
    """The lab with these questions alone, each with these points for its outputs."""
    return replace(lab, questions={name: replace(lab.questions[name], points=p) for name, p in points.items()})


def points_of(lab: LabQuestions) -> Points:
    """The points of every output, as `with_points` takes them."""
    return {name: question.points for name, question in lab.questions.items()}


def follow_through(verdicts: list[Verdict]) -> None:
    """Give an output its points where its numbers follow from a mistake that the same student made earlier.

    The mistake must be that of the earlier question's own verdict; the points are flagged, and the message says why.
    """
    made = {verdict.question: verdict.mistake for verdict in verdicts}
    for verdict in verdicts:
        for output in verdict.outputs:
            if output.follows and made.get(output.follows[0]) == output.follows[1] and output.points < output.out_of:
                output.points = output.out_of
                output.message += "; its points are given, since it is right but for that"
                verdict.flags.append(f"{output.name} follows from an earlier mistake, and has its points")


def _share(declared: tuple[float, ...], total: float | None) -> tuple[float, ...]:
    if total is None:
        return declared
    parts = [round(total * p / sum(declared), 2) for p in declared]
    return (*parts[:-1], round(total - sum(parts[:-1]), 2))


def _totals(path: Path) -> dict[str, float]:
    """Question -> points, of a CSV file with or without a heading."""
    rows = [[cell.strip() for cell in row] for row in csv.reader(path.read_text("utf-8-sig").splitlines()) if row]
    try:
        found = {row[0]: float(row[1]) for row in rows if row != ["question", "points"]}
    except (IndexError, ValueError):
        found = {}
    if not found or min(found.values()) < 0:
        raise UserError(f"{path}: each line reads `question,points`, such as `linear_backward,20`")
    return found
