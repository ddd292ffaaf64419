"""A class's notebooks of the lab `backprop` through nbgrader, otter-grader and dl780, in one run.

This process imports no torch: a child's peak memory, as Linux counts it, begins with its parent's.
"""

import contextlib
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import many as thousands
import tyro
from course import COPIES, STUDENTS, write_class
from measure import Cost, apart, measured
from peers import NBGRADER, OTTER, Points
from report import about, put, table

GRADE = "-m dl780 grade backprop {} --out {} --jobs 2 --seed 780"
SOME = """-c '
from dataclasses import replace; from pathlib import Path
from dl780.check.registry import load_lab; from dl780.grade.book import grade
lab = load_lab("backprop")
lab = replace(lab, questions={{name: lab.questions[name] for name in {}}})
grade(lab, [Path("{}")], Path("{}"), jobs=2, seed=780)'"""
LONGER = f"dl780, the class {COPIES} times"
WORDS = """\
All are given the same answers and the same answer key, dl780's questions. nbgrader executes the notebook from top to
bottom in a fresh kernel, `lab.check` with the public seed in each check cell, and makes a page (`autograde` and
`generate_feedback`). otter executes the notebook without its check cells in a fresh kernel and then a test for each
question, which asserts that `lab.check` gives full points: it gives no part of them, and its output is a
`results.json`, no page (`otter run`; `otter grade`, which grades a folder, needs Docker). Both take one submission at a
time; two at a time would at most double their rate on two cores. dl780 (`--jobs 2`) takes what each question needs out
of the notebook, runs it in a confined process of its own on cases drawn for that submission, judges it, and writes
page, gradebook and the class's pages. Every answer ends in a comment with its author's name, so that no two submissions
share the cells that are graded."""

GOAL = 20  # times nbgrader's rate, on the questions that do not train
CAVEAT = """\
All processes: memory of their own (shared pages once), and the mapped files of the one that maps most.
The graders run one after another: where others use the machine meanwhile, the ratio moves with them."""
ALL_OF_IT = "The notebook as it is handed out, all cells of it."
SOME_OF_IT = """\
{} questions. The notebook holds the opening imports, the answers, their small examples (`lab.show`) and their checks;
the trained question, and every cell that draws a figure, loads data or trains, is left out for all three."""


def main(nbgrader_venv: Path = Path(".bench/nbgrader"), otter_venv: Path = Path(".bench/otter"), many: int = 0) -> None:
    """Grade the same class with nbgrader, otter-grader and dl780, and write the section of docs/results.md.

    Args:
        nbgrader_venv: a virtual environment with nbgrader 0.9.6; made where there is none
        otter_venv: the same with otter-grader 7.0.0
        many: instead of all that, grade so many small submissions with dl780 alone
    """
    if many:
        section = thousands.section(many)
    else:
        venvs = {NBGRADER.name: nbgrader_venv.absolute(), OTTER.name: otter_venv.absolute()}
        for peer in (NBGRADER, OTTER):
            peer.ready(venvs[peer.name])
        section = beside_peers(venvs)
    put(section)
    print(section)


def beside_peers(venvs: dict[str, Path]) -> str:
    """The section: the class without what trains, where its time goes, and the whole lab."""
    parts = ["## Grading, beside nbgrader 0.9.6 and otter-grader 7.0.0", about("make bench-grading"), WORDS]
    for trained in (False, True):
        with tempfile.TemporaryDirectory(prefix="dl780-bench-") as temporary:
            parts += one_class(Path(temporary), trained, venvs)
    return "\n\n".join(parts)


def one_class(folder: Path, trained: bool, venvs: dict[str, Path]) -> list[str]:
    """One class through every grader: costs, points, and, of what does not train, the split."""
    asked = apart(write_class, folder, trained)
    costs, points = {}, {}
    for peer in (NBGRADER, OTTER):
        costs[peer.name], points[peer.name] = peer.grade(venvs[peer.name], folder)
    for name, source in (("dl780", "class"), (LONGER, "longer")):
        what = (
            GRADE.format(source, f"graded/{source}")
            if trained
            else SOME.format(_quoted(asked), source, f"graded/{source}")
        )
        costs[name] = measured(f"{sys.executable} {what}", folder)
    points["dl780"] = of_dl780(folder / "graded/class")
    title = "The whole lab: figures, and a network that trains" if trained else "The questions that do not train"
    about_it = ALL_OF_IT if trained else SOME_OF_IT.format(len(asked))
    parts = [f"### {title}", about_it, rates(costs), *([] if trained else [goal(costs)]), scores(points, asked)]
    return [*parts, *([] if trained else [apart(split, folder, asked)])]


def rates(costs: dict[str, Cost]) -> str:
    """The headline, as a table and in words."""
    number = {name: len(STUDENTS) * (COPIES if name == LONGER else 1) for name in costs}
    rate = {name: 60 * number[name] / cost.wall for name, cost in costs.items()}
    head = ("", "submissions", "a minute", "wall s", "CPU s", "CPU s each", "largest process MiB", "all processes MiB")
    rows = []
    for name, c in costs.items():
        each = (number[name], f"{rate[name]:.1f}", f"{c.wall:.1f}", f"{c.cpu:.1f}", f"{c.cpu / number[name]:.2f}")
        rows.append((name, *map(str, each), f"{c.largest:.0f}", f"{c.together:.0f}"))
    times = {
        peer: [f"{rate[name] / rate[peer]:.1f}" for name in ("dl780", LONGER)] for peer in (NBGRADER.name, OTTER.name)
    }
    sentences = [
        f"**{ours} times {peer}'s rate, start-up included; {steady} times over the longer class**"
        for peer, (ours, steady) in times.items()
    ]
    return f"{table(head, rows)}\n\ndl780 grades at {'; '.join(sentences)}. {CAVEAT}"


def goal(costs: dict[str, Cost]) -> str:
    """Whether dl780 was as fast as it should be."""
    ratio = COPIES * costs[NBGRADER.name].wall / costs[LONGER].wall
    met = "met" if ratio >= GOAL else "not met"
    return f"The goal is {GOAL} times nbgrader's rate: {met} in this run, at {ratio:.1f}."


def scores(points: dict[str, Points], asked: list[str]) -> str:
    """The points that all give, side by side; those of the peers come from the notebook's own cases."""
    rows = []
    for student, mistakes in STUDENTS.items():
        given = {grader: {q: found.get(student, {}).get(q) for q in asked} for grader, found in points.items()}
        theirs, ours = given[NBGRADER.name], given["dl780"]
        differ = [f"{q}: {theirs[q]}, {ours[q]}" for q in asked if theirs[q] != ours[q]]  # None: not graded
        sums = [f"{sum(p or 0 for p in found.values()):g}" for found in given.values()]
        rows.append((student, ", ".join(mistakes) or "none", *sums, "; ".join(differ)))
    head = ("submission", "mistakes in", *points, "where nbgrader and dl780 differ")
    same = sum(not row[-1] for row in rows)
    return f"Points, extra ones included; nbgrader and dl780 agree on {same} of {len(rows)}:\n\n{table(head, rows)}"


def of_dl780(folder: Path) -> Points:
    """Points by submission and question, from the result files."""
    results = [json.loads(path.read_text(encoding="utf-8")) for path in (folder / "results").iterdir()]
    return {r["submission"]: {name: q["points"] for name, q in r["questions"].items()} for r in results}


def _quoted(names: list[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"


def split(folder: Path, asked: list[str]) -> str:
    """Seconds of each part of a run with one job: the functions that do them are timed."""
    begin, spent = time.perf_counter(), Counter[str]()

    @contextlib.contextmanager
    def clock(part: str) -> Iterator[None]:
        before = time.perf_counter()
        try:
            yield
        finally:
            spent[part] += time.perf_counter() - before  # type: ignore[assignment]

    with clock("importing torch and dl780"):
        from dl780.check.registry import load_lab
        from dl780.grade import book, feedback, judge, work

        lab = load_lab("backprop")
        lab = replace(lab, questions={name: lab.questions[name] for name in asked})
    start, children = "starting the preloaded process", "work in the children"
    for owner, name, part in (
        (work.Worker, "_start", start),
        (work.Worker, "ask", children),
        (judge, "judge", "judging: autograd, comparison, diagnosis"),
        (feedback, "student_page", "students' pages"),
        (feedback, "class_page", "the class's page"),
    ):
        setattr(owner, name, clock(part)(getattr(owner, name)))
    book.grade(lab, [folder / "class"], folder / "split", jobs=1, seed=780)
    total = time.perf_counter() - begin
    spent[children] -= spent[start]  # a worker's first question starts it
    every = [*spent.items(), ("reading, extracting, drawing, writing", total - spent.total()), ("all", total)]
    rows = [(name, f"{seconds:.2f}", f"{seconds / total:.0%}") for name, seconds in every]
    return (
        f"Where dl780's time goes, on the {len(STUDENTS)} with one job:\n\n{table(('part', 'wall s', 'share'), rows)}"
    )


if __name__ == "__main__":
    tyro.cli(main)
