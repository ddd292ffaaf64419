"""aten's own tanh_backward."""
# question: tanh
# deserves: 0


def tanh(a):
    f = torch.tanh(a)
    return f, torch.ops.aten.tanh_backward(torch.ones_like(a), f)
