"""Numerical differencing of every entry."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    def slope(f, x, eps=1e-6):
        g = torch.zeros_like(x)
        for j in range(x.numel()):
            step = torch.zeros(x.numel())
            step[j] = eps
            step = step.reshape(x.shape)
            g.view(-1)[j] = (f(x + step) - f(x - step)) / (2 * eps)
        return g

    G_W = slope(lambda w: ((Z @ w.T + b) * G).sum(), W)
    return slope(lambda z: ((z @ W.T + b) * G).sum(), Z), G_W, slope(lambda c: ((Z @ W.T + c) * G).sum(), b)
