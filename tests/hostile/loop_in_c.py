"""A loop in C that holds the interpreter."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    return sum(iter(int, 1))
