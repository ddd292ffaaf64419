"""torch._decomp's backward of tanh, written in Python, which no kernel's name gives away."""
# question: tanh
# deserves: 0 or flag

from torch._decomp.decompositions import tanh_backward


def tanh(a):
    f = torch.tanh(a)
    return f, tanh_backward(torch.ones_like(a), f)
