"""NaN everywhere: no comparison holds."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    return [torch.full_like(t, math.nan) for t in (Z, W, b)]
