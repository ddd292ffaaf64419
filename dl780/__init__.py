"""dl780: hand-written backpropagation, held against autograd.

>>> from dl780 import Lab
>>> lab = Lab("backprop")
>>> lab.check(linear_backward)  # doctest: +SKIP
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dl780.lab import Lab as Lab

__version__ = "0.1.0"
__all__ = ["Lab"]


def __getattr__(name: str) -> object:
    """Import `Lab` on first use: the grader's child imports this module, but no question."""
    if name == "Lab":
        from dl780.lab import Lab

        return Lab
    raise AttributeError(f"module 'dl780' has no attribute {name!r}")


class UserError(Exception):
    """What the user asked cannot be done; the message is one line that says what to do instead."""
