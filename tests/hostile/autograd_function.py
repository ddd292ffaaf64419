"""A custom autograd.Function and its apply."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    class Linear(torch.autograd.Function):
        @staticmethod
        def forward(ctx, z, w, c):
            ctx.save_for_backward(z, w)
            return z @ w.T + c

        @staticmethod
        def backward(ctx, g):
            z, w = ctx.saved_tensors
            return g @ w, g.T @ z, g.sum(0)

    Z, W, b = (t.clone().requires_grad_() for t in (Z, W, b))
    Linear.apply(Z, W, b).backward(G)
    return Z.grad, W.grad, b.grad
