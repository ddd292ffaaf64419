"""os.abort."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    import os

    os.abort()
