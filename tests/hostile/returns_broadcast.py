"""Shapes that would broadcast, and an expanded view of one number."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    return torch.zeros(1), torch.zeros(1, 1).expand(10**6, 10**6), torch.tensor(0.0)
