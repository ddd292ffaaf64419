"""KeyboardInterrupt out of the function."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    raise KeyboardInterrupt
