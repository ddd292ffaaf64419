"""How long `lab.check` takes in a notebook, question by question, and what an import costs."""

import contextlib
import subprocess
import sys
import time
from statistics import median
from typing import Any

import tyro
from measure import apart
from report import about, put, table

REPEATS = 9


def main() -> None:
    """Time the checks and the imports; write their section of docs/results.md."""
    parts = ["## Checks and imports", about("make bench-checks"), apart(checks), imports()]
    put(section := "\n\n".join(parts))
    print(section)


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


if __name__ == "__main__":
    tyro.cli(main)
