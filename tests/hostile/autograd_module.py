"""torch.nn.Linear as a module, and backward through it."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    with torch.inference_mode(False), torch.enable_grad():
        layer = torch.nn.Linear(W.shape[1], W.shape[0])
        layer.weight.data, layer.bias.data, Z = W.clone(), b.clone(), Z.clone().requires_grad_()
        layer(Z).backward(G)
    return Z.grad, layer.weight.grad, layer.bias.grad
