"""An array of objects."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    return [np.array([object()]) for _ in range(3)]
