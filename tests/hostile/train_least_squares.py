"""Random hidden units and least squares for train_mlp: nothing is propagated back."""
# question: train_mlp
# deserves: 0 or flag


def train_mlp(X, y, seed):
    generator = torch.Generator().manual_seed(seed)
    W, b = torch.randn(256, 64, generator=generator) / 4, torch.randn(256, generator=generator) / 4
    H = torch.cat([(X @ W.T + b).relu(), torch.ones(len(X), 1)], 1)
    T = torch.nn.functional.one_hot(y, 10).double()
    V = torch.linalg.solve(H.T @ H + 0.1 * torch.eye(257), H.T @ T)
    return [W, V[:-1].T.contiguous()], [b, V[-1]]
