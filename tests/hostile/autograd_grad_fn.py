"""The nodes of grad_fn called by hand, so that the engine is never asked."""
# question: linear_backward
# deserves: 0 or flag


def linear_backward(G, Z, W, b):
    with torch.inference_mode(False), torch.enable_grad():
        Z, W, b = (t.clone().requires_grad_() for t in (Z, W, b))
        add = (Z @ W.T + b).grad_fn
        G_A, G_b = add(G)
        mm = add.next_functions[0][0]
        G_Z, G_WT = mm(G_A)
        return G_Z, mm.next_functions[1][0](G_WT), G_b
