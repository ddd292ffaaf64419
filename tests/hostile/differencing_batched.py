"""All entries differenced in one batched product."""
# question: linear_backward
# deserves: 0 or flag


def linear_backward(G, Z, W, b):
    def slope(f, x, eps=1e-3):
        steps = eps * torch.eye(x.numel()).reshape(-1, *x.shape)
        return ((torch.vmap(f)(x + steps) - torch.vmap(f)(x - steps)) / (2 * eps)).reshape(x.shape)

    G_b = slope(lambda c: ((Z @ W.T + c) * G).sum(), b)
    G_Z = torch.stack([slope(lambda z: ((z @ W.T + b) * g).sum(), z) for z, g in zip(Z, G, strict=True)])
    return G_Z, torch.stack([slope(lambda w: ((Z @ w) * g).sum(), w) for w, g in zip(W, G.T, strict=True)]), G_b
