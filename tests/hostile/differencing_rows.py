"""Differencing all rows at once, a class at a time."""
# question: softmax_cross_entropy
# deserves: 0 or flag


def softmax_cross_entropy(Z, y):
    def losses(Z):
        return torch.logsumexp(Z, 1) - Z[torch.arange(len(Z)), y]

    steps = 1e-4 * torch.eye(Z.shape[1])
    slopes = [(losses(Z + step) - losses(Z - step)) / 2e-4 for step in steps]
    return losses(Z).mean(), torch.stack(slopes, 1) / len(Z)
