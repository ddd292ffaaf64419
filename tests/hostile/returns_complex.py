"""Complex numbers."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    return [t * 1j for t in (Z, W, b)]
