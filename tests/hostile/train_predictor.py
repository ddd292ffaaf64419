"""A predictor with a __getitem__ instead of weights."""
# question: train_mlp
# deserves: 0


class Weights(list):
    def __getitem__(self, i):
        raise KeyError(i)


def train_mlp(X, y, seed):
    return Weights([lambda H: y] * 2), [X, y]
