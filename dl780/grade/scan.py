"""Calls that a question does not allow, found in the extracted code: the trap's counterpart, before anything runs."""

import ast
import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from dl780.check.question import Question
from dl780.student.traps import AUTOGRAD, refusal

AUTOGRAD_FAMILIES = ("torch.func.", "torch.autograd.")  # all of them, but for what switches recording off
HARMLESS = ("torch.autograd.no_grad", "torch.autograd.inference_mode", "torch.autograd.Variable", "torch.func.vmap")
OPTIMISERS = "torch.optim."
DOUBTFUL = ("torch.enable_grad", "torch.set_grad_enabled", "torch.inference_mode")
ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
LARGEST_STEP = 0.01  # of a numerical derivative
# What no answer needs, and every way around a trap begins with.
USUAL = {
    *("__future__", "abc", "collections", "contextlib", "copy", "dataclasses", "dl780", "enum", "functools"),
    *("itertools", "math", "matplotlib", "numpy", "operator", "random", "re", "string", "time", "torch", "tqdm"),
    *("typing", "warnings"),
}
INSIDES = (
    *("torch._", "torch.ops", "torch.utils", "torch.library", "torch.overrides", "torch.jit", "torch.fx"),
    *("torch.compile", "torch.export", "torch.hub", "torch.package", "torch.multiprocessing", "torch.distributed"),
    *("torch.nn.grad", "dl780.student", "dl780.models", "numpy.ctypeslib", "numpy.f2py"),
)
REFLECTION = {
    *("eval", "exec", "compile", "__import__", "getattr", "setattr", "delattr", "vars", "globals", "locals"),
    *("breakpoint", "__builtins__", "__loader__", "__spec__"),
}
REFLECTIVE = {
    *("__globals__", "__dict__", "__subclasses__", "__bases__", "__mro__", "__code__", "__closure__", "__builtins__"),
    *("__getattribute__", "__loader__", "__reduce__", "f_back", "f_locals", "f_globals", "tb_frame", "gi_frame"),
    *("grad_fn", "requires_grad"),
}


def scan(question: Question, opening: ast.AST, program: Sequence[ast.AST]) -> tuple[str, list[str]]:
    """The sentence for a certain use of what is not allowed ("" for none), and flags for a doubtful one."""
    nodes = [node for tree in program for node in ast.walk(tree)]
    names = dict(_imported([*ast.walk(opening), *nodes]))
    used = set(_dotted(nodes, names))
    autograd = AUTOGRAD[0] in question.not_allowed
    optimisers = any(name.startswith(OPTIMISERS) for name in question.not_allowed)
    certain = [d for d in sorted(used) if (autograd and _of_autograd(d)) or (optimisers and d.startswith(OPTIMISERS))]
    if certain:
        return refusal(_of_autograd(certain[0]), certain[0]), []
    flags = [f"mentions {d}" for d in sorted(used) if d in DOUBTFUL] if autograd else []
    flags += [f"mentions .{a}" for a in sorted(_attributes(nodes)) if autograd]
    flags += ["divides by a small constant, as differencing does"] * (autograd and _divides_by_a_step(nodes))
    return "", flags + [f"uses {what}" for what in sorted(set(_unusual(nodes, names)))]


def _unusual(nodes: Sequence[ast.AST], names: dict[str, str]) -> Iterator[str]:
    """What no answer needs, and every way around a trap begins with: a human looks at the code."""
    for _, dotted in _imported(nodes):
        if dotted.split(".")[0] not in USUAL or dotted.startswith(INSIDES):
            yield dotted
    yield from (d for d in _dotted(nodes, names) if d.startswith(INSIDES) or "_fused_" in d)
    for node in nodes:
        if isinstance(node, ast.Name) and node.id in REFLECTION:
            yield node.id
        if isinstance(node, ast.Attribute) and node.attr in REFLECTIVE:
            yield f".{node.attr}"


def _divides_by_a_step(nodes: Sequence[ast.AST]) -> bool:
    """Whether something is divided by a constant of the size of a step, or multiplied by the inverse of one."""
    constants = dict(_constants(nodes))
    for node in nodes:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div | ast.Mult):
            factor = _number(node.right, constants)
            small = isinstance(node.op, ast.Div) and factor and 0 < abs(factor) <= LARGEST_STEP
            if small or (isinstance(node.op, ast.Mult) and factor and abs(factor) >= 0.5 / LARGEST_STEP):
                return True
    return False


def _constants(nodes: Sequence[ast.AST]) -> Iterator[tuple[str, float]]:
    """Names that are given a number, by an assignment or as a default."""
    for node in nodes:
        if isinstance(node, ast.Assign) and (number := _number(node.value, {})) is not None:
            yield from ((target.id, number) for target in node.targets if isinstance(target, ast.Name))
        if isinstance(node, ast.arguments):
            placed = [*node.posonlyargs, *node.args]
            defaults = [*node.defaults[::-1], *node.kw_defaults]
            names = [*placed[::-1][: len(node.defaults)], *node.kwonlyargs]
            pairs = zip(names, defaults, strict=True)
            yield from ((a.arg, number) for a, d in pairs if d and (number := _number(d, {})) is not None)


def _number(node: ast.AST, names: dict[str, float]) -> float | None:
    """The value of an expression of constants, where it is one."""
    match node:
        case ast.Constant(value=bool()):
            return None
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.Name(id=name):
            return names.get(name)
        case ast.UnaryOp(operand=operand):
            return _number(operand, names)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
            a, b = _number(left, names), _number(right, names)
            with suppress(ArithmeticError, TypeError):
                return None if a is None or b is None else float(ARITHMETIC[type(op)](a, b))
    return None


def _of_autograd(dotted: str) -> bool:
    return dotted in AUTOGRAD or (dotted.startswith(AUTOGRAD_FAMILIES) and dotted not in HARMLESS)


def _imported(nodes: Sequence[ast.AST]) -> Iterator[tuple[str, str]]:
    """Local name -> dotted name, for every import in the code."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (
                (a.asname or a.name.split(".")[0], a.name if a.asname else a.name.split(".")[0]) for a in node.names
            )
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((a.asname or a.name, f"{node.module}.{a.name}") for a in node.names)


def _dotted(nodes: Sequence[ast.AST], names: dict[str, str]) -> Iterator[str]:
    """Dotted names that the code loads, resolved through its imports."""
    for node in nodes:
        parts: list[str] = []
        root: ast.AST = node
        while isinstance(root, ast.Attribute):
            parts.insert(0, root.attr)
            root = root.value
        if isinstance(root, ast.Name) and root.id in names:
            yield ".".join([names[root.id], *parts])


def _attributes(nodes: Sequence[ast.AST]) -> set[str]:
    """`backward` and `requires_grad` of objects, where the code does not define a method of that name itself."""
    own = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    used = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return (used & {"backward", "requires_grad_"}) - own
