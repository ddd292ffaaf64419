"""Sparse tensors."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    return [torch.zeros_like(t).to_sparse() for t in (Z, W, b)]
