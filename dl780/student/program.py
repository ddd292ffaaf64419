"""Running what was taken from a submission: statements in order, each failing alone."""

import linecache
import sys
from types import ModuleType
from typing import Any

from dl780.student.call import sentence
from dl780.student.traps import default_float64


def run(opening: str, statements: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Execute the opening imports, then each statement; return the namespace and one sentence a failure.

    A statement that failed because a name stood further down is tried once more when the others are done.
    """
    module = ModuleType("__main__")
    sys.modules["__main__"] = module
    namespace = vars(module)
    with default_float64():
        exec(compile(opening, "<opening>", "exec"), namespace)
        waiting = list(enumerate(statements))
        failures: dict[int, BaseException] = {}
        while waiting:
            failed = {i: error for i, code in waiting if (error := _execute(i, code, namespace))}
            for i, _ in waiting:
                failures.pop(i, None)
            failures |= failed
            again = [(i, code) for i, code in waiting if isinstance(failed.get(i), NameError)]
            if len(again) == len(waiting):
                break
            waiting = again
    return namespace, [sentence(error, "") for _, error in sorted(failures.items())]


def _execute(i: int, code: str, namespace: dict[str, Any]) -> BaseException | None:
    name = f"<submission {i}>"
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    try:
        exec(compile(code, name, "exec"), namespace)
    except (Exception, SystemExit) as error:
        return error
    return None
