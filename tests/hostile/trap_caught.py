"""A trap sprung and caught, with another way behind it."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    try:
        Z, W, b = (t.clone().requires_grad_() for t in (Z, W, b))
        (Z @ W.T + b).backward(G)
    except Exception:
        pass
    return G @ W, G.T @ Z, G.sum(0)
