"""The mutants that the engine makes, and the processes that judge them."""

import os
import signal
import time

from mutants import in_children
from mutation import change, mutants

SOURCE = """\
def f(a, b):
    c = a - b
    return c
"""


def test_three_lines_have_exactly_these_mutants() -> None:
    found = {change(SOURCE, mutant) for mutant in mutants(SOURCE)}
    line, end = "c = a - b", "return c"
    operators = {f"{line} → c = a {op} b" for op in ("+", "*", "/", "**", "@")}
    operands = {f"{line} → c = {other}" for other in ("a", "b", "b - a", "-(a - b)", "-a - b", "a - -b")}
    names = {f"{line} → c = {other}" for other in ("b - b", "c - b", "a - a", "a - c")}
    ends = {f"{end} → return {other}" for other in ("a", "b", "-c")}
    rest = {f"{line} → pass", f"{end} → pass", f"{line} ⏎ {end} → {end} ⏎ {line}", "def f(a, b): → def f(b, a):"}
    assert found == operators | operands | names | ends | rest


def test_no_mutant_is_the_original_and_none_comes_twice() -> None:
    found = mutants(SOURCE)
    assert len({SOURCE.strip(), *found}) == len(found) + 1


def test_endless_loop_and_crash_are_killed_and_stop_nothing_else() -> None:
    def endless() -> bool:
        while True:
            pass

    def crash() -> bool:
        os.kill(os.getpid(), signal.SIGKILL)
        return True

    start = time.monotonic()
    tasks = [endless, lambda: True, crash, lambda: False, lambda: bool(1 / 0), lambda: True]
    assert in_children(tasks, jobs=2, seconds=1) == [-signal.SIGKILL, 0, -signal.SIGKILL, 1, 1, 0]
    assert time.monotonic() - start < 15
