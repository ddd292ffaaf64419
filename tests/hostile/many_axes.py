"""A tensor of five hundred axes."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    return torch.zeros([1] * 500), W, b
