"""Unsigned numbers of 64 bits, which few operations know."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    return [torch.ones(t.shape, dtype=torch.uint64) for t in (Z, W, b)]
