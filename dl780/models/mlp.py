"""Multi-layer perceptron: z_{i+1} = f(W_i z_i + b_i) (slides "Neural networks", "What's changed since the 80s?")."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "relu": nn.ReLU}

OUTPUT_GAIN = 0.1


def mlp(sizes: Sequence[int] = (784, 256, 128, 10), activation: str = "relu", dropout: float = 0.0) -> nn.Sequential:
    """X (m, …) with sizes[0] entries an example -> logits (m, sizes[-1]); any depth.

    Weights start with the variance that keeps the size of a signal under the activation (He et al. 2015 for ReLU,
    Glorot & Bengio 2010 for the others), biases at 0; those of the last layer small, so that the loss starts at log C,
    that of a network that knows nothing. `dropout` is the share of units dropped after each hidden layer.
    """
    layers: list[nn.Module] = [nn.Flatten()]
    for n, k in pairwise(sizes[:-1]):
        layers += [_linear(n, k, activation), ACTIVATIONS[activation]()] + [nn.Dropout(dropout)] * (dropout > 0)
    return nn.Sequential(*layers, _linear(sizes[-2], sizes[-1], "linear"))


def _linear(n: int, k: int, activation: str) -> nn.Linear:
    layer = nn.Linear(n, k)
    if activation == "relu":
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    else:
        nn.init.xavier_uniform_(layer.weight, gain=OUTPUT_GAIN if activation == "linear" else 1.0)
    nn.init.zeros_(layer.bias)
    return layer
