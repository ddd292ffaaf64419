"""Recursion without end, with the limit raised."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    import sys

    sys.setrecursionlimit(10**9)

    def deeper(x):
        return [deeper([x]), x]

    return deeper(G)
