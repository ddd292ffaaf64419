"""Numerical differencing of the bias alone, which stays small in the large case."""
# question: linear_backward
# deserves: 0 or flag


def linear_backward(G, Z, W, b):
    def slope(f, x, eps=1e-4):
        steps = eps * torch.eye(len(x))
        return torch.stack([(f(x + step) - f(x - step)) / (2 * eps) for step in steps])

    return Z, W, slope(lambda c: ((Z @ W.T + c) * G).sum(), b)
