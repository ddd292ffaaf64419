"""Calls that a question does not allow, found in the extracted code: the trap's counterpart, before anything runs."""

import ast
from collections.abc import Iterator, Sequence

from dl780.check.question import Question
from dl780.student.traps import AUTOGRAD, refusal

AUTOGRAD_FAMILIES = ("torch.func.", "torch.autograd.")  # all of them, but for what switches recording off
HARMLESS = ("torch.autograd.no_grad", "torch.autograd.inference_mode", "torch.autograd.Variable", "torch.func.vmap")
OPTIMISERS = "torch.optim."
DOUBTFUL = ("torch.enable_grad", "torch.set_grad_enabled", "torch.inference_mode")
# What no answer needs, and every way around a trap begins with.
USUAL = {
    *("__future__", "abc", "collections", "contextlib", "copy", "dataclasses", "dl780", "enum", "functools"),
    *("itertools", "math", "matplotlib", "numpy", "operator", "random", "re", "string", "time", "torch", "tqdm"),
    *("typing", "warnings"),
}
INSIDES = (
    *("torch._", "torch.ops", "torch.utils", "torch.library", "torch.overrides", "torch.jit", "torch.fx"),
    *("torch.compile", "torch.export", "torch.hub", "torch.package", "torch.multiprocessing", "torch.distributed"),
    *("torch.nn.grad", "dl780.student", "numpy.ctypeslib", "numpy.f2py"),
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
    trees = [opening, *program]
    names = {name: dotted for tree in trees for name, dotted in _imported(tree)}
    used = {dotted for tree in trees[1:] for dotted in _dotted(tree, names)}
    autograd = AUTOGRAD[0] in question.not_allowed
    optimisers = any(name.startswith(OPTIMISERS) for name in question.not_allowed)
    certain = [d for d in sorted(used) if (autograd and _of_autograd(d)) or (optimisers and d.startswith(OPTIMISERS))]
    if certain:
        return refusal(_of_autograd(certain[0]), certain[0]), []
    flags = [f"mentions {d}" for d in sorted(used) if d in DOUBTFUL] if autograd else []
    flags += [f"mentions .{a}" for a in sorted(_attributes(trees[1:])) if autograd]
    return "", flags + [f"uses {what}" for what in sorted({w for tree in trees[1:] for w in _unusual(tree, names)})]


def _unusual(tree: ast.AST, names: dict[str, str]) -> Iterator[str]:
    """What no answer needs, and every way around a trap begins with: a human looks at the code."""
    for _, dotted in _imported(tree):
        if dotted.split(".")[0] not in USUAL or dotted.startswith(INSIDES):
            yield dotted
    yield from (d for d in _dotted(tree, names) if d.startswith(INSIDES) or "_fused_" in d)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in REFLECTION:
            yield node.id
        if isinstance(node, ast.Attribute) and node.attr in REFLECTIVE:
            yield f".{node.attr}"


def _of_autograd(dotted: str) -> bool:
    return dotted in AUTOGRAD or (dotted.startswith(AUTOGRAD_FAMILIES) and dotted not in HARMLESS)


def _imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Local name -> dotted name, for every import in the code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (
                (a.asname or a.name.split(".")[0], a.name if a.asname else a.name.split(".")[0]) for a in node.names
            )
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((a.asname or a.name, f"{node.module}.{a.name}") for a in node.names)


def _dotted(tree: ast.AST, names: dict[str, str]) -> Iterator[str]:
    """Dotted names that the code loads, resolved through its imports."""
    for node in ast.walk(tree):
        parts: list[str] = []
        root: ast.AST = node
        while isinstance(root, ast.Attribute):
            parts.insert(0, root.attr)
            root = root.value
        if isinstance(root, ast.Name) and root.id in names:
            yield ".".join([names[root.id], *parts])


def _attributes(trees: Sequence[ast.AST]) -> set[str]:
    """`backward` and `requires_grad` of objects, where the code does not define a method of that name itself."""
    nodes = [node for tree in trees for node in ast.walk(tree)]
    own = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    used = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return (used & {"backward", "requires_grad_"}) - own
