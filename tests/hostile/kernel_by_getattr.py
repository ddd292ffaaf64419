"""aten's own tanh_backward by a built name."""
# question: tanh
# deserves: 0


def tanh(a):
    f = torch.tanh(a)
    return f, getattr(torch.ops.aten, "tanh_back" + "ward")(torch.ones_like(a), f)
