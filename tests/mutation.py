"""AST mutants of a source: what one operator makes of it, at one place."""

import ast
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from functools import partial
from itertools import islice
from typing import Any

Scope = Sequence[str]  # the local names of the functions around a node
Operator = Callable[[Any, Scope], Iterator[ast.AST]]

# --- operators: from a node to what may stand in its place -----------------------------------------------------------

ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.MatMult)
ORDER = (ast.Gt, ast.GtE, ast.Lt, ast.LtE, ast.Eq, ast.NotEq)
METHODS = ("sum", "mean", "max", "min", "exp", "log", "sqrt", "append", "insert", "ones_like", "zeros_like")
NAMES = 4  # how many other locals are put in a name's place


def with_(node: Any, **fields: Any) -> Any:
    """A shallow copy of a node with other fields."""
    other = copy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    return other


def swapped(items: list[Any]) -> Iterator[list[Any]]:
    """The list with two neighbours exchanged, for each pair."""
    for i in range(len(items) - 1):
        yield [*items[:i], items[i + 1], items[i], *items[i + 2 :]]


def dropped(items: list[Any]) -> Iterator[list[Any]]:
    """The list without one of its items, for each of them."""
    for i in range(len(items)):
        yield [*items[:i], *items[i + 1 :]]


def shifted(index: ast.expr) -> Iterator[ast.expr]:
    """index - 1 and index + 1."""
    for op in (ast.Sub(), ast.Add()):
        yield ast.BinOp(index, op, ast.Constant(1))


def arithmetic(node: ast.BinOp | ast.AugAssign, _: Scope) -> Iterator[ast.AST]:
    """Another operator."""
    yield from (with_(node, op=op()) for op in ARITHMETIC)


def operands(node: ast.BinOp, _: Scope) -> Iterator[ast.AST]:
    """One operand alone, both exchanged (where that matters), one of a product transposed."""
    yield from (node.left, node.right)
    if not isinstance(node.op, ast.Add | ast.Mult):
        yield with_(node, left=node.right, right=node.left)
    if isinstance(node.op, ast.MatMult):
        yield with_(node, left=ast.Attribute(node.left, "T"))
        yield with_(node, right=ast.Attribute(node.right, "T"))


def comparison(node: ast.Compare, _: Scope) -> Iterator[ast.AST]:
    """Another comparison, or its opposite."""
    if isinstance(node.ops[0], ORDER):
        yield from (with_(node, ops=[op()]) for op in ORDER)
    yield ast.UnaryOp(ast.Not(), node)


def condition(node: ast.If | ast.IfExp | ast.While, _: Scope) -> Iterator[ast.AST]:
    """A condition that always holds, or never."""
    yield from (with_(node, test=ast.Constant(value)) for value in (True, False))


def constant(node: ast.Constant, _: Scope) -> Iterator[ast.AST]:
    """Another number: one more, one less; the other truth value."""
    if isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node.value, int | float):
        yield from (ast.Constant(node.value + step) for step in (-1, 1))


def sign(node: ast.expr, scope: Scope) -> Iterator[ast.AST]:
    """A minus more, or one less."""
    if isinstance(node, ast.UnaryOp):
        yield node.operand
    elif not isinstance(node, ast.Name) or (isinstance(node.ctx, ast.Load) and node.id in scope):
        yield ast.UnaryOp(ast.USub(), node)


def name(node: ast.Name, scope: Scope) -> Iterator[ast.AST]:
    """Another local of the function."""
    if isinstance(node.ctx, ast.Load) and node.id in scope:
        i = scope.index(node.id)
        yield from (ast.Name(other) for other in [*scope[i + 1 :], *scope[:i]][:NAMES])


def attribute(node: ast.Attribute, _: Scope) -> Iterator[ast.AST]:
    """Without `.T` or `.values`; another method."""
    if node.attr in ("T", "values"):
        yield node.value
    if node.attr in METHODS:
        yield from (with_(node, attr=other) for other in METHODS if other != node.attr)


def call(node: ast.Call, _: Scope) -> Iterator[ast.AST]:
    """Only its receiver or one argument; arguments exchanged or dropped; other bounds of a range."""
    yield from node.args
    if isinstance(node.func, ast.Attribute):
        yield node.func.value
    yield from (with_(node, args=args) for args in (*swapped(node.args), *dropped(node.args)))
    yield from (with_(node, keywords=keywords) for keywords in dropped(node.keywords))
    if isinstance(node.func, ast.Name) and node.func.id == "range":
        yield with_(node, args=[ast.Constant(1), *node.args[-1:]])
        yield from (with_(node, args=[*node.args[:-1], stop]) for stop in shifted(node.args[-1]))


def subscript(node: ast.Subscript, _: Scope) -> Iterator[ast.AST]:
    """Its neighbours, or the whole."""
    yield node.value
    if not isinstance(node.slice, ast.Slice | ast.Tuple):
        yield from (with_(node, slice=index) for index in shifted(node.slice))


def slice_(node: ast.Slice, _: Scope) -> Iterator[ast.AST]:
    """Without a bound; with the bounds at the other end."""
    yield from (with_(node, lower=None), with_(node, upper=None), ast.Slice(ast.Constant(1), None))


def sequence(node: ast.Tuple | ast.List, _: Scope) -> Iterator[ast.AST]:
    """Neighbours exchanged: returned values in another order."""
    yield from (with_(node, elts=elts) for elts in swapped(node.elts))


def parameters(node: ast.arguments, _: Scope) -> Iterator[ast.AST]:
    """Two parameters exchanged."""
    yield from (with_(node, args=args) for args in swapped(node.args))


def deleted(node: ast.stmt, _: Scope) -> Iterator[ast.AST]:
    """A statement deleted."""
    yield ast.Pass()


def order(node: ast.FunctionDef | ast.For | ast.While | ast.If, _: Scope) -> Iterator[ast.AST]:
    """Two statements in the other order."""
    if not any(isinstance(statement, ast.FunctionDef) for statement in node.body):
        yield from (with_(node, body=body) for body in swapped(node.body))


SIMPLE = ast.Assign | ast.AugAssign | ast.Expr | ast.Return | ast.For | ast.If | ast.While
OPERATORS: tuple[tuple[Any, Operator], ...] = (
    (ast.BinOp | ast.AugAssign, arithmetic),
    (ast.BinOp, operands),
    (ast.Compare, comparison),
    (ast.If | ast.IfExp | ast.While, condition),
    (ast.Constant, constant),
    (ast.BinOp | ast.Call | ast.Name | ast.UnaryOp, sign),
    (ast.Name, name),
    (ast.Attribute, attribute),
    (ast.Call, call),
    (ast.Subscript, subscript),
    (ast.Slice, slice_),
    (ast.Tuple | ast.List, sequence),
    (ast.arguments, parameters),
    (SIMPLE, deleted),
    (ast.FunctionDef | ast.For | ast.While | ast.If, order),
)

# --- mutants of a source ---------------------------------------------------------------------------------------------


def mutants(source: str) -> list[str]:
    """Every distinct source that one operator makes of it, at one place."""
    tree = ast.parse(source)
    seen = {ast.unparse(tree): None}
    for node, put, scope in list(_places(tree, ())):
        for kind, operator in OPERATORS:
            for other in operator(node, scope) if isinstance(node, kind) else ():
                put(other)
                seen.setdefault(ast.unparse(tree))
                put(node)
    return list(islice(filter(_compiles, seen), 1, None))


def _places(parent: ast.AST, scope: Scope) -> Iterator[tuple[ast.AST, Callable[[Any], None], Scope]]:
    """Every node below, with what puts another in its place and the locals around it."""
    if isinstance(parent, ast.FunctionDef | ast.Lambda):
        scope = list(dict.fromkeys([*scope, *_locals(parent)]))
    for field, value in ast.iter_fields(parent):
        several = isinstance(value, list)
        put = value.__setitem__ if several else partial(setattr, parent)
        for at, node in enumerate(value) if several else [(field, value)]:
            if isinstance(node, ast.AST):
                yield node, partial(put, at), scope
                yield from _places(node, scope)


def _locals(function: ast.AST) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _compiles(source: str) -> bool:
    try:
        return bool(compile(source, "mutant", "exec"))
    except SyntaxError:
        return False


def change(before: str, after: str) -> str:
    """The lines that differ, as "before → after"."""
    a, b = ([" ".join(line.split()) for line in text.splitlines()] for text in (before, after))
    while a and b and a[0] == b[0]:
        a, b = a[1:], b[1:]
    while a and b and a[-1] == b[-1]:
        a, b = a[:-1], b[:-1]
    return f"{' ⏎ '.join(a)} → {' ⏎ '.join(b)}"
