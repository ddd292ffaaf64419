"""Calls that a question does not allow, found in the extracted code: the trap's counterpart, before anything runs."""

import ast
from collections.abc import Iterator, Sequence

from dl780.check.question import Question
from dl780.student.traps import AUTOGRAD

AUTOGRAD_FAMILIES = ("torch.func.", "torch.autograd.")  # all of them, but for what switches recording off
HARMLESS = ("torch.autograd.no_grad", "torch.autograd.inference_mode", "torch.autograd.Variable", "torch.func.vmap")
OPTIMISERS = "torch.optim."
DOUBTFUL = ("torch.enable_grad", "torch.set_grad_enabled", "torch.inference_mode")


def scan(question: Question, opening: ast.AST, program: Sequence[ast.AST]) -> tuple[str, list[str]]:
    """The sentence for a certain use of what is not allowed ("" for none), and flags for a doubtful one."""
    trees = [opening, *program]
    names = {name: dotted for tree in trees for name, dotted in _imported(tree)}
    used = {dotted for tree in trees[1:] for dotted in _dotted(tree, names)}
    autograd = AUTOGRAD[0] in question.not_allowed
    optimisers = any(name.startswith(OPTIMISERS) for name in question.not_allowed)
    certain = [d for d in sorted(used) if (autograd and _of_autograd(d)) or (optimisers and d.startswith(OPTIMISERS))]
    if certain:
        what = "calls autograd" if _of_autograd(certain[0]) else "uses a library's own version"
        return f"{what} ({certain[0]}), but this question is to be written by hand", []
    flags = [f"mentions {d}" for d in sorted(used) if d in DOUBTFUL] if autograd else []
    return "", flags + [f"mentions .{a}" for a in sorted(_attributes(trees[1:])) if autograd]


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
