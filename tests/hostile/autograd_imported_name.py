"""The grad function imported by name, before any trap is set."""
# question: linear_backward
# deserves: 0

from torch.autograd import grad as ready


def linear_backward(G, Z, W, b):
    with torch.inference_mode(False), torch.enable_grad():
        Z, W, b = (t.clone().requires_grad_() for t in (Z, W, b))
        return ready(Z @ W.T + b, (Z, W, b), G)
