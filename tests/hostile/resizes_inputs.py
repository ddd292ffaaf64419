"""The inputs resized and their storage freed."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    for t in (G, Z, W, b):
        t.untyped_storage().resize_(0)
    return torch.zeros_like(Z), torch.zeros_like(W), torch.zeros_like(b)
