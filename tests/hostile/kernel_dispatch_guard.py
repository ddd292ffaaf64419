"""aten's own tanh_backward below a guard that excludes the Python keys."""
# question: tanh
# deserves: 0 or flag


def tanh(a):
    f = torch.tanh(a)
    with torch._C._DisableTorchDispatch():
        return f, getattr(torch.ops.aten, "tanh_back" + "ward")(torch.ones_like(a), f)
