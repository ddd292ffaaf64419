"""torch.utils.checkpoint, which differentiates inside."""
# question: linear_backward
# deserves: 0

from torch.utils.checkpoint import checkpoint


def linear_backward(G, Z, W, b):
    with torch.inference_mode(False), torch.enable_grad():
        Z, W, b = (t.clone().requires_grad_() for t in (Z, W, b))
        y = checkpoint(lambda z, w, c: z @ w.T + c, Z, W, b, use_reentrant=False)
        torch.Tensor.backward(y, G)
        return Z.grad, W.grad, b.grad
