"""torch.autograd.functional.jacobian."""
# question: tanh
# deserves: 0

from torch.autograd.functional import jacobian


def tanh(a):
    return torch.tanh(a), jacobian(lambda x: torch.tanh(x).sum(), a)
