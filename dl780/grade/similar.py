"""Submissions whose code is alike beyond what the questions ask for: a flag for a human, never points.

The code of a question is read as a tree, so that comments, layout, docstrings and the student's own names make no
difference. Runs of its nodes (k-grams) are compared; one that many share counts little, since right answers to a
short question are alike: a run's weight is log(n / how many of n have it). The likeness of two programs is the
weight of the runs that both have over that of the one with less (Schleimer et al. 2003, "Winnowing", with weights).
"""

import ast
import csv
import io
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from dl780 import UserError
from dl780.check.registry import LabQuestions
from dl780.files import write_whole
from dl780.grade.extract import extract, parse, statements
from dl780.grade.log import recall
from dl780.grade.read import Unreadable, cells, find, take
from dl780.release import solutions

RUN = 6  # nodes in a row
LEAST = 0.8  # likeness that is worth a look
SOLUTION = "the solution in labs/"

Runs = frozenset[tuple[str, ...]]


@dataclass(frozen=True)
class Pair:
    """Two submissions, how alike they are, and in which questions most."""

    one: str
    other: str
    likeness: float
    questions: tuple[str, ...]


def similar(out: Path, least: float = LEAST) -> list[Pair]:
    """The pairs of a graded class that are alike by `least` or more, the likest first, also in OUT/similar.csv.

    Where labs/ is here, its solution is compared with, too. Files of one student are not compared with each other.
    """
    lab, paths, course = recall(out)
    programs: dict[str, dict[str, Runs]] = {}
    owner: dict[str, object] = {}
    for submission in find(paths, out, course.layout):
        try:
            programs[submission.name] = runs(lab, cells(take(submission)))
        except Unreadable:
            continue
        owner[submission.name] = submission.owner.ids if submission.owner else submission.name
    with suppress(UserError):  # an installed wheel holds no solutions
        programs[SOLUTION] = runs(lab, list(solutions(lab.name).values()))
    found = [p for p in pairs(programs, least) if owner.get(p.one, p.one) != owner.get(p.other, p.other)]
    text = io.StringIO()
    rows = [[p.one, p.other, f"{p.likeness:.2f}", " ".join(p.questions)] for p in found]
    csv.writer(text).writerows([["submission", "other", "likeness", "questions"], *rows])
    write_whole(out / "similar.csv", text.getvalue())
    return found


def runs(lab: LabQuestions, sources: list[str]) -> dict[str, Runs]:
    """The k-grams of each question's extracted code, that of the questions it calls left out."""
    taken = statements(sources)
    found = {}
    for name in lab.questions:
        program = extract(name, taken) or []
        own = [s for s in program if not s.imports and (name in s.binds or not s.binds & lab.questions.keys())]
        nodes = [kind for s in own for kind in _kinds(parse(s.source), {*lab.questions})]
        found[name] = frozenset(tuple(nodes[i : i + RUN]) for i in range(len(nodes) - RUN + 1))
    return found


def pairs(programs: Mapping[str, Mapping[str, Runs]], least: float) -> Iterator[Pair]:
    """The pairs that are alike by `least` or more, the likest first."""
    marked = {who: frozenset((q, run) for q, runs in by.items() for run in runs) for who, by in programs.items()}
    common = Counter(run for runs in marked.values() for run in runs)
    weight = {run: math.log(len(marked) / count) for run, count in common.items()}
    total = {who: sum(weight[run] for run in runs) for who, runs in marked.items()}
    found = []
    for one, other in combinations(sorted(marked), 2):
        smaller = min(total[one], total[other])
        if smaller <= 0:  # nothing of its own: all of it is what everybody writes
            continue
        shared: dict[str, float] = {}
        for question, run in marked[one] & marked[other]:
            shared[question] = shared.get(question, 0.0) + weight[question, run]
        likeness = sum(shared.values()) / smaller
        if likeness >= least:
            most = sorted((q for q in shared if shared[q] > 0), key=lambda q: -shared[q])
            found.append(Pair(one, other, likeness, tuple(most[:3])))
    yield from sorted(found, key=lambda pair: -pair.likeness)


def _kinds(tree: ast.AST, known: set[str]) -> Iterator[str]:
    """The nodes of a tree in the order of the source; a student's own names are numbered as they first appear."""
    numbers: dict[str, str] = {}
    for node in _in_order(tree):
        match node:
            case ast.Name(id=name) | ast.arg(arg=name) | ast.FunctionDef(name=name):
                yield name if name in known or name == "torch" else numbers.setdefault(name, f"${len(numbers)}")
            case ast.Attribute(attr=name):
                yield f".{name}"
            case ast.Constant(value=value):
                yield repr(value)[:40]
            case ast.expr_context() | ast.Module() | ast.Load():
                continue
            case _:
                yield type(node).__name__


def _in_order(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        text = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
        if not text and child not in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            yield from _in_order(child)
