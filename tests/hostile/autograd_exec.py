"""autograd spelled inside exec, where a scan of the source sees a string only."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    mode = getattr(torch, "inference" + "_mode")
    with mode(False):
        Z, W, b = (torch.nn.Parameter(t.clone()) for t in (Z, W, b))
        space = {"y": Z @ W.T + b, "xs": (Z, W, b), "G": G}
        exec("import torch; gs = torch.auto" + "grad.grad(y, xs, G)", space)
        return space["gs"]
