"""torch.func.jvp with ones gives an elementwise derivative."""
# question: tanh
# deserves: 0


def tanh(a):
    return torch.func.jvp(torch.tanh, (a,), (torch.ones_like(a),))
