"""A list of a hundred thousand tensors."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    return [torch.zeros(1)] * 100_000, W, b
