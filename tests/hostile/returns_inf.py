"""Infinity everywhere."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    return [torch.full_like(t, math.inf) for t in (Z, W, b)]
