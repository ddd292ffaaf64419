"""A tensor of 80 GB."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    return torch.zeros(10**10), W, b
