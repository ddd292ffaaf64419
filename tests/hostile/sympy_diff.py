"""The derivative by sympy."""
# question: tanh
# deserves: 0 or flag

import sympy

x = sympy.Symbol("x")
slope = sympy.lambdify(x, sympy.diff(sympy.tanh(x), x), "numpy")


def tanh(a):
    return torch.tanh(a), slope(a.numpy())
