"""Plain backward on a fresh graph."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    Z, W, b = (t.clone().requires_grad_() for t in (Z, W, b))
    (Z @ W.T + b).backward(G)
    return Z.grad, W.grad, b.grad
