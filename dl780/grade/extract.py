"""What is graded is a definition: a name's last binding, and whatever it needs, in the order of the source."""

import ast
import re
import symtable
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

_parsing = threading.Lock()
LONG = 10_000  # characters: a longer cell is read anew each time, so that what is remembered stays small
COMPOUND = (ast.If, ast.Try, ast.TryStar, ast.With, ast.For, ast.While, ast.Match)


@dataclass(frozen=True)
class Statement:
    """One top-level statement: its source, the names it binds, those it changes, and those it uses."""

    source: str
    node: ast.stmt = field(compare=False, repr=False)
    binds: frozenset[str]
    touches: frozenset[str]
    uses: frozenset[str]
    star: bool  # from … import *: it may bind anything
    imports: bool  # what it binds are modules, or what stands in them


def statements(cells: list[str]) -> list[Statement]:
    """The top-level statements of all cells that can be parsed, in order."""
    return [statement for cell in cells for statement in _read(cell) or ()]


def broken(cells: list[str]) -> list[str]:
    """The cells that cannot be parsed."""
    return [cell for cell in cells if cell.strip() and _read(cell) is None]


def extract(name: str, all_statements: list[Statement]) -> list[Statement] | None:
    """The last binding of `name` and of all that it needs; None where nothing binds it."""
    last = next((s for s in reversed(all_statements) if name in s.binds), None)
    if last is None:
        return None
    taken, names, wanted = {last}, {name}, set(last.uses)
    imported = {bound for s in all_statements if s.imports for bound in s.binds}  # torch.save(…) changes no torch
    earlier = name in last.uses  # f = decorate(f): the last binding needs the one before it
    while wanted:
        names |= wanted
        sought = names if earlier else names - {name}
        new = [
            s
            for s in all_statements
            if s not in taken and (s.star or s.binds & sought or s.touches & (names - imported))
        ]
        taken.update(new)
        wanted = {used for s in new for used in s.uses | s.binds} - names
    return [s for s in all_statements if s in taken]


def parse(text: str) -> ast.Module:
    """A syntax tree, one at a time: CPython 3.11 counts the depth of all threads' parsers together."""
    with _parsing, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


def _read(cell: str) -> tuple[Statement, ...] | None:
    """A cell's statements; None where it cannot be parsed. Most cells of a class are the same: they are read once."""
    return (_remembered if len(cell) <= LONG else _fresh)(cell)


def _fresh(cell: str) -> tuple[Statement, ...] | None:
    parsed = _tree(cell)
    return None if parsed is None else tuple(_statement(source, node) for source, node in _pieces(*parsed))


_remembered = lru_cache(maxsize=512)(_fresh)


def _pieces(text: str, tree: ast.Module) -> Iterator[tuple[str, ast.stmt]]:
    """The source of each top-level statement, decorators included, beside its node."""
    lines = text.encode().splitlines(keepends=True)
    for node in tree.body:
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        last = node.end_lineno or node.lineno
        chosen = lines[first - 1 : last]
        chosen[-1] = chosen[-1][: node.end_col_offset]
        if first == node.lineno:
            chosen[0] = chosen[0][node.col_offset :]
        yield b"".join(chosen).decode(), node


def _tree(cell: str) -> tuple[str, ast.Module] | None:
    """A cell's text and syntax tree; lines of IPython's own (%magic, !command, help?) are taken out if need be."""
    text = cell.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").replace("\f", " ")
    while True:
        try:
            return text, parse(text)
        except SyntaxError as error:
            plain = _without_magic(text, error.lineno or 0)
            if plain is None:
                return None
            text = plain
        except (ValueError, RecursionError, MemoryError):
            return None


def _without_magic(text: str, line: int) -> str | None:
    """The text with the line at fault replaced, where it is IPython's own: %magic, !command, help?, x = !command."""
    lines = text.split("\n")
    if not 0 < line <= len(lines):
        return None
    fault = lines[line - 1]
    plain = re.sub(r"^(\s*)(?:[%!].*|\?{1,2}[\w.]+|[\w.]+\?{1,2})\s*$", r"\1pass", fault)
    lines[line - 1] = re.sub(r"^(\s*[\w, ]+=)\s*[%!].*$", r"\1 None", plain)
    return None if lines[line - 1] == fault else "\n".join(lines)


def _statement(source: str, node: ast.stmt) -> Statement:
    uses, defined = _names(source)
    star = isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)
    touches = frozenset(_touched(node)) - defined
    imports = isinstance(node, ast.Import | ast.ImportFrom)
    return Statement(source, node, frozenset(defined), touches, frozenset(uses), star, imports)


def _names(source: str) -> tuple[set[str], set[str]]:
    """Global names that a statement uses, anywhere inside it, and those it binds at the top level."""
    try:
        with _parsing, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            top = symtable.symtable(source, "<submission>", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # ast is more patient than the compiler
        return set(), set()
    uses = {s.get_name() for s in top.get_symbols() if s.is_referenced()}
    binds = {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported()}
    inner = list(top.get_children())
    while inner:
        table = inner.pop()
        inner += table.get_children()
        uses |= {s.get_name() for s in table.get_symbols() if s.is_global()}
        binds |= {s.get_name() for s in table.get_symbols() if s.is_declared_global() and s.is_assigned()}
    return uses, binds


def _touched(node: ast.stmt) -> Iterator[str]:
    """Names whose items, attributes or contents a statement changes: x[0] = …, x.a = …, x.append(…)."""
    inside = ast.walk(node) if isinstance(node, COMPOUND) else [node]
    for part in inside:
        targets: list[ast.expr] = []
        if isinstance(part, ast.Assign):
            targets = part.targets
        elif isinstance(part, ast.AugAssign | ast.AnnAssign):
            targets = [part.target]
        elif isinstance(part, ast.Delete):
            targets = part.targets
        elif isinstance(part, ast.Expr) and isinstance(part.value, ast.Call):
            targets = [part.value.func]
        for target in targets:
            root = target
            while isinstance(root, ast.Attribute | ast.Subscript | ast.Call | ast.Starred):
                root = root.func if isinstance(root, ast.Call) else root.value
            if isinstance(root, ast.Name) and root is not target:
                yield root.id
