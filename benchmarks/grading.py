"""A class's notebooks of the lab `backprop` through nbgrader and dl780, in one run; then `lab.check`, and imports.

This process imports no torch: a child's peak memory, as Linux counts it, begins with its parent's.
"""

import contextlib
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
from datetime import datetime
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import tyro

REPEATS = 9
# Who hands in what: the n-th listed mistake of a question, in place of its solution.
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
UNTRAINED = """\
from dataclasses import replace; from pathlib import Path
from dl780.check.question import Trained; from dl780.check.registry import load_lab; from dl780.grade.book import grade
lab = load_lab("backprop")
lab = replace(lab, questions={n: q for n, q in lab.questions.items() if not isinstance(q, Trained)})
grade(lab, [Path("class")], Path("untrained"), jobs=2, seed=780)
"""
GRADEBOOK = """\
import json; from nbgrader.api import Gradebook
with Gradebook("sqlite:///gradebook.db") as book:
    print(json.dumps({s.student.id: {g.name.removeprefix("check-"): g.auto_score for n in s.notebooks for g in n.grades}
        for s in book.assignment_submissions("backprop")}))
"""
Points = dict[str, dict[str, float]]  # student -> question -> points


def main(out: Path | None = None, nbgrader_venv: Path = Path(".bench/nbgrader"), rounds: int = 1) -> None:
    """Grade the same class with nbgrader and with dl780, time the checks and the imports, print the tables.

    Args:
        out: a file for the same as a section in Markdown
        nbgrader_venv: a virtual environment with nbgrader; made where there is none
        rounds: how often the class is graded; medians are reported
    """
    os.environ["MPLBACKEND"] = "Agg"
    if not (nbgrader_venv / "bin/nbgrader").exists():
        subprocess.run([sys.executable, "-m", "venv", nbgrader_venv], check=True)
        subprocess.run([nbgrader_venv / "bin/pip", "install", "-q", "nbgrader==0.9.6", "ipykernel"], check=True)
    section = ""
    for part in (about, partial(class_graded, nbgrader_venv.resolve(), rounds), partial(apart, checks), imports):
        section += (text := f"{part()}\n\n")
        print(text, end="", flush=True)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(section.rstrip() + "\n", encoding="utf-8")


def class_graded(venv: Path, rounds: int) -> str:
    """The same class through both, `rounds` times; scores and the split are those of the last."""
    costs: dict[str, list[list[float]]] = {}
    with tempfile.TemporaryDirectory(prefix="dl780-bench-") as temporary:
        for i in range(rounds):
            folder, course = Path(temporary) / f"{i}", Path(temporary) / f"{i}" / "course"
            apart(write_class, folder)
            theirs, ours = nbgrader_environment(venv, folder), dict(os.environ)
            measured("nbgrader generate_assignment backprop", course, theirs)  # not counted
            both = "nbgrader autograde backprop && nbgrader generate_feedback backprop"
            grade = f"{sys.executable} -m dl780 grade backprop class --out graded --jobs 2 --seed 780"
            for name, cost in {
                "nbgrader": measured(both, course, theirs),
                "dl780": measured(grade, folder, ours),
                "dl780, nothing trained": measured(f"{sys.executable} -c '{UNTRAINED}'", folder, ours),
            }.items():
                costs.setdefault(name, []).append(cost)
        command = [str(venv / "bin/python"), "-c", GRADEBOOK]
        points = json.loads(subprocess.run(command, cwd=course, env=theirs, check=True, capture_output=True).stdout)
        results = [json.loads(path.read_text(encoding="utf-8")) for path in (folder / "graded/results").iterdir()]
        by_dl780 = {r["submission"]: {name: q["points"] for name, q in r["questions"].items()} for r in results}
        return "\n\n".join([rates(costs), scores(points, by_dl780), apart(split, folder)])


def write_class(folder: Path) -> None:
    """The course's source for nbgrader, and each submission twice: class/NAME.ipynb, and where nbgrader wants it."""
    from dl780.bank import read_bank
    from dl780.check.registry import load_lab
    from dl780.release import read_source, source_of, student_notebook

    lab, source = load_lab("backprop"), source_of("backprop")
    bank = read_bank(source.with_suffix(".mistakes.py"))
    notebook = json.loads(student_notebook(lab, source))
    asked = {}
    for cell, solved in zip(notebook["cells"], read_source(source), strict=True):
        if cell["cell_type"] == "code" and cell["metadata"].get("nbgrader", {}).get("solution"):
            cell["source"], asked[cell["metadata"]["nbgrader"]["grade_id"]] = solved.source, cell
    write(folder / "course/source/backprop/lab.ipynb", json.dumps(notebook))
    write(folder / "course/nbgrader_config.py", 'get_config().CourseDirectory.course_id = "bench"\n')
    right = {name: cell["source"] for name, cell in asked.items()}
    for student, mistakes in STUDENTS.items():
        wrong = {name: bank[name, list(lab.questions[name].mistakes)[n]] for name, n in mistakes.items()}
        for name, cell in asked.items():
            cell["source"] = (right | wrong)[name]
        for path in (f"class/{student}.ipynb", f"course/submitted/{student}/backprop/lab.ipynb"):
            write(folder / path, json.dumps(notebook))


def nbgrader_environment(venv: Path, folder: Path) -> dict[str, str]:
    """No user's settings, and after nbgrader's own packages those of this environment: torch, an editable dl780."""
    packages = sysconfig.get_paths()["purelib"]
    write(folder / "path/sitecustomize.py", f"import site\n\nsite.addsitedir({packages!r})\n")
    mine = {name: str(folder / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
    path = f"{venv / 'bin'}:{os.environ['PATH']}"  # nbgrader calls alembic by its bare name
    return os.environ | mine | dict(PATH=path, PYTHONPATH=str(folder / "path"), PYTHONWARNINGS="ignore")


def rates(costs: dict[str, list[list[float]]]) -> str:
    """The headline, as a table and in words."""
    middle = {name: [median(column) for column in zip(*runs, strict=True)] for name, runs in costs.items()}
    n, ((wall, cpu, *_), ours, less) = len(STUDENTS), middle.values()
    head = ("", "submissions/min", "wall s", "CPU s", "largest process MiB", "all processes MiB")
    rows = [(name, f"{60 * n / c[0]:.1f}", *(f"{number:.0f}" for number in c)) for name, c in middle.items()]
    return (
        f"### {n} submissions, from notebook to feedback page (medians of {len(costs['dl780'])})\n\n"
        f"{table(head, rows)}\n\n"
        f"**dl780 grades {wall / ours[0]:.1f} times as many a minute, for {cpu / ours[1]:.1f} times less CPU time**; "
        f"without the trained question {wall / less[0]:.1f} and {cpu / less[1]:.1f} times. dl780 ran with --jobs 2; "
        "nbgrader runs one notebook at a time, since that is all it does. It executes the whole notebook, figures and "
        "training included; dl780 what the questions need, on cases of its own. All processes: memory of their own "
        "(shared pages once), and the mapped files of the one that maps most."
    )


def scores(theirs: Points, ours: Points) -> str:
    """The points that both give, side by side; nbgrader's come from the notebook's own cases."""
    asked, rows = max(ours.values(), key=len), []
    for student, mistakes in STUDENTS.items():
        both = [{q: points.get(student, {}).get(q) for q in asked} for points in (theirs, ours)]  # None: not graded
        differ = [f"{q}: {a}, {b}" for q, a, b in zip(asked, *map(dict.values, both), strict=True) if a != b]
        sums = [f"{sum(p or 0 for p in points.values()):g}" for points in both]
        rows.append((student, ", ".join(mistakes) or "none", *sums, "; ".join(differ)))
    head = ("submission", "mistakes in", "nbgrader", "dl780", "where they differ")
    same = sum(not row[-1] for row in rows)
    return f"Points, extra ones included; the same in {same} of {len(rows)}:\n\n{table(head, rows)}"


def split(folder: Path) -> str:
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
    return f"Where dl780's time goes, with one job:\n\n{table(('part', 'wall s', 'share'), rows)}"


def checks() -> str:
    """`lab.check` on the solution, question by question."""
    import torch

    from dl780.check.question import Trained
    from dl780.check.registry import load_lab
    from dl780.release import solutions

    asked, space, rows, slow = load_lab("backprop"), dict[str, Any](), [], []
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)  # both as the notebook does
    exec("\n\n".join([asked.opening, *solutions("backprop").values()]), space)
    for name, question in asked.questions.items():
        took = []
        for _ in range(1 + REPEATS):
            begin = time.perf_counter()
            with contextlib.redirect_stdout(None):
                verdict = space["lab"].check(space[name])
            took.append(1e3 * (time.perf_counter() - begin))
            assert verdict.passed, name
        trained = isinstance(question, Trained)
        rows.append((name, f"{median(took[1:]):.0f}", "trained, apart from the goal" * trained))
        slow += [name] * (median(took[1:]) > 150 and not trained)
    title = f"### `lab.check` on the solution (medians of {REPEATS} after one to warm up, one thread)"
    return f"{title}\n\n{table(('question', 'ms', ''), rows)}\n\nOver 150 ms: {', '.join(slow) or 'none'}."


def imports() -> str:
    """Imports in fresh processes, in turn."""
    took: dict[str, list[float]] = {"import torch": [], "import dl780": [], "from dl780 import Lab": []}
    for _ in range(1 + REPEATS):
        for statement, seconds in took.items():
            code = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
            seconds.append(float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout))
    middle = {statement: median(seconds[1:]) for statement, seconds in took.items()}
    rows = [(f"`{s}`", f"{1e3 * t:.1f}", f"{t / middle['import torch']:.3f}") for s, t in middle.items()]
    title = f"### Imports (medians of {REPEATS} fresh processes in turn, after one to warm up)"
    return f"{title}\n\n{table(('', 'ms', 'of import torch'), rows)}"


def measured(command: str, folder: Path, environment: dict[str, str]) -> list[float]:
    """Wall and CPU seconds of a command, MiB of its largest process and of all; exit with its words if it fails."""
    begin, peak = time.perf_counter(), 0.0
    with tempfile.TemporaryFile() as log:
        shell = subprocess.Popen(command, shell=True, cwd=folder, env=environment, stdout=log, stderr=log)
        while not (ended := os.wait4(shell.pid, os.WNOHANG))[0]:
            root = psutil.Process(shell.pid)
            peak = max(peak, resident([root, *root.children(recursive=True)]))
            time.sleep(0.25)
        shell.returncode = os.waitstatus_to_exitcode(ended[1])
        log.seek(0)
        if shell.returncode:
            raise SystemExit(f"{command}\n{log.read().decode(errors='replace')[-4000:]}")
    used = ended[2]
    return [time.perf_counter() - begin, used.ru_utime + used.ru_stime, used.ru_maxrss / 2**10, peak]


def resident(processes: list[psutil.Process]) -> float:
    """MiB of processes together: memory of their own, shared pages once, and the mapped files of one."""
    own, mapped = 0, 0
    for process in processes:
        with contextlib.suppress(OSError, ValueError):  # it has ended
            lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()[1:]
            kib = {name: int(size) for name, size, *_ in map(str.split, lines)}
            own, mapped = own + kib["Pss_Anon:"], max(mapped, kib["Rss:"] - kib["Anonymous:"])
    return (own + mapped) / 2**10


def apart(function: Callable[..., Any], *args: Any) -> Any:
    """What a function of this file returns, in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *args).result()


def about() -> str:
    """When, where and with what."""
    cpu = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("model name")[2].partition("\n")[0].lstrip("\t: ")
    return (
        f"## Grading, beside nbgrader 0.9.6\n\n{datetime.now():%Y-%m-%d %H:%M} · {os.cpu_count()} cores, {cpu}, "
        f"{psutil.virtual_memory().total / 2**30:.0f} GiB, load {os.getloadavg()[0]:.1f} at the start · Python "
        f"{platform.python_version()}, torch {version('torch')}\n\n`python {' '.join(sys.argv)}`"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that reads well as it is and as Markdown."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(f"| {' | '.join(map(str.ljust, line, widths))} |" for line in lines)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    tyro.cli(main)
