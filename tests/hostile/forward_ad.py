"""torch.autograd.forward_ad's context and make_dual."""
# question: tanh
# deserves: 0

from torch.autograd import forward_ad as fwd


def tanh(a):
    with torch.inference_mode(False), fwd.dual_level():
        return fwd.unpack_dual(torch.tanh(fwd.make_dual(a, torch.ones_like(a))))
