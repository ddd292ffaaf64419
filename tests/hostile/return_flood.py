"""More numbers than a child may send."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    return torch.zeros(2**25 + 1), W, b
