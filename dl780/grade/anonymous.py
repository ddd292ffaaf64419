"""A student's code as an example for a class: without comments, words or names that tell whose it is."""

import ast
import re

MOST_LINES = 40
EINSUM = re.compile(r"[A-Za-z]{1,5}(, ?[A-Za-z]{1,5})* ?-> ?[A-Za-z]{0,5}")
TELLS_NOBODY = {
    "submission",
    "notebook",
    "assignment",
    "solution",
    "final",
    "copy",
    "ipynb",
    "backprop",
    "assignsubmission",
}


def anonymous(code: str, submission: str, question: str) -> str:
    """The code without comments, docstrings and texts, its imports left out; names like the submission's are changed.

    Empty where it cannot be read.
    """
    try:
        tree = ast.parse(code)
        kept = [node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom)]
        telling = {*re.findall(r"[^\W\d_]{3,}", submission.lower())} - TELLS_NOBODY
        stripped = _Stripped(telling, question).visit(ast.Module(kept, []))
        lines = ast.unparse(ast.fix_missing_locations(stripped)).splitlines()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    return "\n".join([*lines[:MOST_LINES], *["…"] * (len(lines) > MOST_LINES)])


class _Stripped(ast.NodeTransformer):
    """Texts become "…"; names that hold a part of the submission's become name1, name2 and so on."""

    def __init__(self, telling: set[str], question: str) -> None:
        self.telling, self.question = telling, question
        self.changed: dict[str, str] = {}

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(getattr(node, "body", None), list):
            node.body = [s for s in node.body if not _is_text(s)] or [ast.Pass()]  # type: ignore[attr-defined]
        for field in ("id", "name", "arg", "attr"):
            if isinstance(old := getattr(node, field, None), str):
                setattr(node, field, self._name(old))
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and not _is_einsum(node.value):
            return ast.Constant("…")
        visited: ast.AST = self.generic_visit(node)
        return visited

    def _name(self, old: str) -> str:
        if old == self.question or not any(part in old.lower() for part in self.telling):
            return old
        return self.changed.setdefault(old, f"name{len(self.changed) + 1}")


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _is_einsum(value: str | bytes) -> bool:
    return isinstance(value, str) and bool(EINSUM.fullmatch(value))
