"""os._exit in the middle of a case."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    import os

    os._exit(0)
