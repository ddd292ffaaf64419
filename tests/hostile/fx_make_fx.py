"""make_fx of a function that calls autograd."""
# question: linear_backward
# deserves: 0

from torch.fx.experimental.proxy_tensor import make_fx


def linear_backward(G, Z, W, b):
    def pull(z, w, c):
        z, w, c = (t.detach().requires_grad_() for t in (z, w, c))
        return getattr(torch, "auto" + "grad").grad(z @ w.T + c, (z, w, c), G)

    with torch.inference_mode(False):
        return make_fx(pull)(Z, W, b)(Z, W, b)
