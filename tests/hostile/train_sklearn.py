"""scikit-learn's own network for train_mlp."""
# question: train_mlp
# deserves: 0


def train_mlp(X, y, seed):
    from sklearn.neural_network import MLPClassifier

    net = MLPClassifier((64,), random_state=seed % 2**31).fit(X.numpy(), y.numpy())
    return [torch.tensor(w.T) for w in net.coefs_], [torch.tensor(b) for b in net.intercepts_]
