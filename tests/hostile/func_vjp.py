"""torch.func.vjp."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    return torch.func.vjp(lambda Z, W, b: Z @ W.T + b, Z, W, b)[1](G)
