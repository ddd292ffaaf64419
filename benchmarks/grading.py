"""Twelve submissions of the lab `backprop` through nbgrader and through dl780, in one run; then checks and imports.

    python benchmarks/grading.py [--out docs/grading.md] [--rounds 3] [--nbgrader-venv FOLDER]

This process imports no torch: a child's peak memory, as Linux counts it, begins with its parent's.
"""

import json
import os
import platform
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import tyro

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = "02_backprop.ipynb"
REPEATS = 9
MiB = 2**20
# Who hands in what: the n-th listed mistake of a question, each in place of its solution.
STUDENTS: dict[str, dict[str, int]] = {
    "ada": {},
    "bernhard": {"linear_backward": 0},
    "chien": {"softmax_cross_entropy": 1, "tanh": 0},
    "dorothy": {"numerical_gradient": 0, "momentum_step": 0, "adam_step": 2},
    "emmy": {"backpropagation": 0, "linear_backward": 3},
    "fatima": {"dropout": 0, "autoencoder_backward": 0},
    "george": {},
    "hypatia": {"sigmoid": 0, "dropout_backward": 0},
    "ibn": {"relu": 0, "layer_jacobians": 2},
    "joan": {"mlp_backward": 0, "tape": 0},
    "katherine": {"sgd_step": 0, "products": 1},
    "leonhard": {"numerical_gradient": 2, "softmax_cross_entropy": 0, "adam_step": 0},
}
Points = dict[str, dict[str, float]]  # student -> question -> points


@dataclass
class Cost:
    """What a command took: seconds, and bytes at their peak."""

    wall: float
    cpu: float  # user and system, of the command and its descendants
    largest: int  # resident, of the largest process
    tree: int  # of all its processes together, a shared page counted once

    def __add__(self, other: "Cost") -> "Cost":
        both = max(self.largest, other.largest), max(self.tree, other.tree)
        return Cost(self.wall + other.wall, self.cpu + other.cpu, *both)


def main(out: Path | None = None, nbgrader_venv: Path = ROOT / ".bench" / "nbgrader", rounds: int = 1) -> None:
    """Run all three parts, print the tables, and write them as a section in Markdown.

    Args:
        out: file for the section
        nbgrader_venv: a virtual environment with nbgrader; made where there is none
        rounds: how often the class is graded by each; the medians are reported
    """
    os.environ["MPLBACKEND"] = "Agg"
    make_venv(nbgrader_venv)
    pieces = [about()]
    for part in (lambda: throughput(nbgrader_venv, rounds), lambda: checks(), lambda: imports()):
        pieces.append(part())
        print("\n\n".join(pieces[-2:] if len(pieces) == 2 else pieces[-1:]), end="\n\n", flush=True)
    if out:
        out.write_text("\n\n".join(pieces) + "\n", encoding="utf-8")


# --- the same class through both -------------------------------------------------------------------------------------


def throughput(venv: Path, rounds: int) -> str:
    """Rates, memory and scores of both graders on the same submissions."""
    costs: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory(prefix="dl780-bench-") as temporary:
        for i in range(rounds):
            folder = Path(temporary) / str(i)
            in_fresh_process(write_class, folder)
            environment = nbgrader_environment(folder)
            steps(f"round {i + 1} of {rounds}: nbgrader")
            for name, cost in by_nbgrader(venv, folder / "course", environment).items():
                costs.setdefault(name, []).append(cost)
            for name, arguments in (("dl780", []), ("dl780, nothing trained", ["untrained"])):
                steps(f"round {i + 1} of {rounds}: {name}")
                command = [sys.executable, "-c", GRADE, str(folder / "class"), str(folder / name), *arguments]
                costs.setdefault(name, []).append(measured(command, folder, dict(os.environ)))
        points = nbgrader_points(venv, folder / "course", environment), dl780_points(folder / "dl780")
        steps("where dl780 spends its time")
        spent = in_fresh_process(split, folder / "class", folder / "split")
    return "\n\n".join([*rates(costs, rounds), scores(*points), parts(spent)])


GRADE = """\
import sys
from dataclasses import replace
from pathlib import Path
from dl780.check.question import Trained
from dl780.check.registry import load_lab
from dl780.grade.book import grade
lab = load_lab("backprop")
if "untrained" in sys.argv:
    lab = replace(lab, questions={n: q for n, q in lab.questions.items() if not isinstance(q, Trained)})
grade(lab, [Path(sys.argv[1])], Path(sys.argv[2]), jobs=2, seed=780)
"""  # what `dl780 grade backprop FOLDER --out OUT --jobs 2 --seed 780` does, with or without the trained questions


def write_class(folder: Path) -> None:
    """The submissions, a file each for dl780 and a folder each for nbgrader, with the course's source beside them."""
    from dl780.bank import read_bank
    from dl780.check.registry import load_lab
    from dl780.release import read_source, source_of, student_notebook

    lab, source = load_lab("backprop"), source_of("backprop")
    released = student_notebook(lab, source)
    solved = json.dumps(filled(released, [cell.source for cell in read_source(source)]))
    write(folder / "course" / "source" / "backprop" / NOTEBOOK, solved)
    write(folder / "course" / "nbgrader_config.py", 'get_config().CourseDirectory.course_id = "bench"\n')
    bank = read_bank(source.with_suffix(".mistakes.py"))
    for student, mistakes in STUDENTS.items():
        wrong = {name: bank[name, list(lab.questions[name].mistakes)[n]] for name, n in mistakes.items()}
        notebook = json.loads(solved)
        for cell in notebook["cells"]:
            name = cell["metadata"].get("nbgrader", {}).get("grade_id")
            cell["source"] = wrong.get(name, cell["source"])
        for path in (f"class/{student}.ipynb", f"course/submitted/{student}/backprop/{NOTEBOOK}"):
            write(folder / path, json.dumps(notebook, indent=1))


def filled(released: str, sources: Sequence[str]) -> dict[str, Any]:
    """A released notebook with the lab's own source in the cells that a student fills in."""
    notebook: dict[str, Any] = json.loads(released)
    for cell, source in zip(notebook["cells"], sources, strict=True):
        about = cell["metadata"].get("nbgrader", {})
        if cell["cell_type"] == "code" and about.get("solution"):
            cell["source"] = source
    return notebook


def by_nbgrader(venv: Path, course: Path, environment: dict[str, str]) -> dict[str, Cost]:
    """Release the assignment, which is not counted; then autograde and write the feedback, which are."""
    nbgrader = str(venv / "bin" / "nbgrader")
    measured([nbgrader, "generate_assignment", "backprop"], course, environment)
    graded = measured([nbgrader, "autograde", "backprop"], course, environment)
    return {"nbgrader": graded + measured([nbgrader, "generate_feedback", "backprop"], course, environment)}


def nbgrader_environment(folder: Path) -> dict[str, str]:
    """Nobody's settings, and this environment's packages after its own: torch and an editable dl780 included."""
    packages = sysconfig.get_paths()["purelib"]
    write(folder / "path" / "sitecustomize.py", f"import site\n\nsite.addsitedir({packages!r})\n")
    settings = {f"JUPYTER_{name}_DIR": str(folder / "jupyter" / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    return os.environ | settings | dict(PYTHONPATH=str(folder / "path"), IPYTHONDIR=str(folder / "ipython"))


def nbgrader_points(venv: Path, course: Path, environment: dict[str, str]) -> Points:
    """The points of each check cell, from nbgrader's gradebook."""
    code = """\
import json
from nbgrader.api import Gradebook
with Gradebook("sqlite:///gradebook.db") as book:
    print(json.dumps({s.student.id: {g.name: g.auto_score for n in s.notebooks for g in n.grades}
        for s in book.assignment_submissions("backprop")}))
"""
    command = [str(venv / "bin" / "python"), "-c", code]
    printed = subprocess.run(command, cwd=course, env=environment, check=True, capture_output=True, text=True).stdout
    cells = json.loads(printed)
    prefix = "check-"
    return {s: {n.removeprefix(prefix): p or 0 for n, p in c.items() if n.startswith(prefix)} for s, c in cells.items()}


def dl780_points(out: Path) -> Points:
    """The points of each question, from dl780's results."""
    results = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((out / "results").glob("*.json"))]
    return {r["submission"]: {name: q["points"] for name, q in r["questions"].items()} for r in results}


def split(submissions: Path, out: Path) -> dict[str, float]:
    """Seconds of the parts of a run with one job."""
    begin = time.perf_counter()
    from dl780.check.registry import load_lab
    from dl780.grade import book, feedback, judge, work

    lab, spent = load_lab("backprop"), Counter[str]()
    spent["importing torch and dl780"] = time.perf_counter() - begin  # type: ignore[assignment]

    def timed(owner: Any, name: str, part: str) -> None:
        function: Callable[..., Any] = getattr(owner, name)

        def run(*args: Any, **options: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **options)
            finally:
                spent[part] += time.perf_counter() - start  # type: ignore[assignment]

        setattr(owner, name, run)

    start, ask = "start of the preloaded process", "work in the children, and waiting for them"
    timed(work.Worker, "_start", start)
    timed(work.Worker, "ask", ask)
    timed(judge, "judge", "judging: autograd, comparison, diagnosis")
    timed(feedback, "student_page", "students' pages")
    timed(feedback, "class_page", "the class page")
    book.grade(lab, [submissions], out, jobs=1, seed=780)
    total = time.perf_counter() - begin
    spent[ask] -= spent[start]  # the first question of a worker starts it
    return {**spent, "reading, extracting, drawing, writing": total - sum(spent.values())}


def rates(costs: dict[str, list[Cost]], rounds: int) -> Iterator[str]:
    """The headline, as a table and a sentence."""
    middle = {
        name: Cost(*(median(getattr(c, f) for c in runs) for f in ("wall", "cpu", "largest", "tree")))
        for name, runs in costs.items()
    }
    yield f"### {len(STUDENTS)} submissions, graded from the notebook to the feedback page (medians of {rounds})"
    head = ("", "submissions/min", "wall s", "CPU s", "CPU s each", "largest process MiB", "all processes MiB")
    yield table(
        head,
        [
            (name, rate(c), f"{c.wall:.1f}", f"{c.cpu:.1f}", f"{c.cpu / len(STUDENTS):.1f}", mib(c.largest), mib(c.tree))
            for name, c in middle.items()
        ],
    )
    theirs, ours = middle["nbgrader"], middle["dl780"]
    bare = middle["dl780, nothing trained"]
    yield (
        f"dl780 grades {theirs.wall / ours.wall:.1f} times as many a minute, for 1/{theirs.cpu / ours.cpu:.1f} of the "
        f"CPU time (without the trained question: {theirs.wall / bare.wall:.1f} times, 1/{theirs.cpu / bare.cpu:.1f}). "
        "dl780 ran with --jobs 2, nbgrader one notebook at a time, which is all it does. nbgrader executes the whole "
        "notebook, figures and training included; dl780 only what the questions need, but on fresh cases."
    )


def scores(theirs: Points, ours: Points) -> str:
    """Both graders' points side by side; nbgrader's are those of the notebook's own, public, cases."""
    rows = []
    for student, mistakes in STUDENTS.items():
        left, right = theirs.get(student, {}), ours[student]
        differ = [f"{n}: {left.get(n, 0):g}, {p:g}" for n, p in right.items() if abs(left.get(n, 0) - p) > 0.005]
        lost = sum(left.values()) if left else float("nan")
        rows.append((student, ", ".join(mistakes) or "none", f"{lost:g}", f"{sum(right.values()):g}", "; ".join(differ)))
    same = sum(not row[-1] for row in rows)
    head = ("submission", "mistakes in", "nbgrader", "dl780", "where they differ")
    return f"Points, extra ones included; the same in {same} of {len(rows)}:\n\n{table(head, rows)}"


def parts(spent: dict[str, float]) -> str:
    """Where a run of dl780 with one job spends its time."""
    total = sum(spent.values())
    rows = [(name, f"{seconds:.2f}", f"{seconds / total:.0%}") for name, seconds in spent.items()]
    return f"Where the time goes, with --jobs 1:\n\n{table(('part', 'wall s', 'share'), [*rows, ('all', f'{total:.2f}', '')])}"


# --- the check in the notebook, and imports --------------------------------------------------------------------------


def checks() -> str:
    """`lab.check` on the solution, question by question."""
    steps("lab.check")
    rows, slow, trained = [], [], []
    for name, (milliseconds, is_trained) in in_fresh_process(time_checks).items():
        rows.append((name, f"{milliseconds:.0f}", "trained" if is_trained else ""))
        (trained if is_trained else slow if milliseconds > 150 else []).append(f"`{name}` ({milliseconds:.0f} ms)")
    return (
        f"### `lab.check` on the solution (median of {REPEATS}, after one to warm up, one thread)\n\n"
        f"{table(('question', 'ms', ''), rows)}\n\n"
        f"Over 150 ms: {', '.join(slow) or 'none'}. Apart from these, trained: {', '.join(trained) or 'none'}."
    )


def time_checks() -> dict[str, tuple[float, bool]]:
    """Median milliseconds of a check of each question's solution, and whether it trains."""
    import contextlib

    import torch

    from dl780.check.question import Trained
    from dl780.check.registry import load_lab
    from dl780.release import solutions

    asked, space = load_lab("backprop"), dict[str, Any]()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)  # both as the notebook does
    exec("\n\n".join([asked.opening, *solutions("backprop").values()]), space)
    found = {}
    for name, question in asked.questions.items():
        took = []
        for _ in range(1 + REPEATS):
            begin = time.perf_counter()
            with contextlib.redirect_stdout(None):
                assert space["lab"].check(space[name]).passed, name
            took.append(1e3 * (time.perf_counter() - begin))
        found[name] = (median(took[1:]), isinstance(question, Trained))
    return found


def imports() -> str:
    """Imports in fresh processes, in turn."""
    steps("imports")
    took: dict[str, list[float]] = {"import torch": [], "import dl780": [], "from dl780 import Lab": []}
    for _ in range(1 + REPEATS):
        for statement, seconds in took.items():
            code = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
            printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
            seconds.append(float(printed))
    middle = {statement: median(seconds[1:]) for statement, seconds in took.items()}
    rows = [(f"`{s}`", f"{1e3 * t:.1f}", f"{t / middle['import torch']:.3f}") for s, t in middle.items()]
    head = f"### Imports (medians of {REPEATS} fresh processes in turn, after one to warm up)"
    return f"{head}\n\n{table(('', 'ms', 'of import torch'), rows)}"


# --- measuring and telling -------------------------------------------------------------------------------------------


def measured(command: Sequence[str], folder: Path, environment: dict[str, str]) -> Cost:
    """Run a command to its end, with an eye on its whole tree of processes; its last words, where it fails."""
    import psutil

    begin, peak = time.perf_counter(), 0
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
        root = psutil.Process(process.pid)
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            peak = max(peak, sum(proportional(p) for p in [root, *root.children(recursive=True)]))
            time.sleep(0.25)
        process.returncode = os.waitstatus_to_exitcode(ended[1])
        if process.returncode:
            log.seek(0)
            raise SystemExit(f"{' '.join(command)}\n{log.read().decode(errors='replace')[-4000:]}")
    used = ended[2]
    return Cost(time.perf_counter() - begin, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, peak)


def proportional(process: Any) -> int:
    """A process's resident bytes, each shared page divided among those that share it; 0 when it is gone."""
    import psutil

    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0


def in_fresh_process(function: Callable[..., Any], *args: Any) -> Any:
    """What a function of this file returns, run in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *args).result()


def make_venv(venv: Path) -> None:
    """A virtual environment with nbgrader, once."""
    if (venv / "bin" / "nbgrader").exists():
        return
    steps(f"installing nbgrader into {venv}")
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    install = [str(venv / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "nbgrader==0.9.6", "ipykernel"], check=True)


def about() -> str:
    """When, where and with what."""
    model = next((line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "?")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"## Grading, beside nbgrader 0.9.6\n\n"
        f"{datetime.now():%Y-%m-%d %H:%M} · {len(os.sched_getaffinity(0))} cores, {model}, {memory:.0f} GiB, "
        f"load {os.getloadavg()[0]:.1f} at the start · Python {platform.python_version()}, torch {version('torch')}, "
        f"dl780 {version('dl780')}\n\n`{' '.join(['python', *sys.argv])}`"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that reads well as it is and as Markdown."""
    widths = [max(len(cell) for cell in column) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(f"| {' | '.join(c.ljust(w) for c, w in zip(r, widths, strict=True))} |" for r in lines)


def rate(cost: Cost) -> str:
    return f"{60 * len(STUDENTS) / cost.wall:.1f}"


def mib(size: float) -> str:
    return f"{size / MiB:.0f}"


def steps(text: str) -> None:
    print(f"   … {text}", file=sys.stderr, flush=True)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines()


if __name__ == "__main__":
    tyro.cli(main)
