"""The perceptron and the stack of autoencoders whose weights may start it."""

import pytest
import torch
from torch import nn

from dl780.models import get_model
from dl780.models.autoencoder import Stack, encoder_weights
from dl780.models.mlp import OUTPUT_GAIN


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_an_mlp_is_the_slides_composition(activation: str) -> None:
    model = get_model("mlp", 0, sizes=(7, 5, 3, 2), activation=activation)
    X = torch.randn(4, 7, generator=torch.Generator().manual_seed(0))
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    Z = X
    for i, layer in enumerate(layers):
        Z = Z @ layer.weight.T + layer.bias
        Z = getattr(torch, activation)(Z) if i < 2 else Z
    assert torch.allclose(model(X), Z, atol=1e-6)


def test_signals_keep_their_size_through_twenty_layers() -> None:
    X = torch.randn(256, 300, generator=torch.Generator().manual_seed(0))
    deep = get_model("mlp", 0, sizes=(300,) * 21 + (10,))
    assert 0.3 < deep(X).std() / OUTPUT_GAIN < 3


def test_dropout_stands_after_each_hidden_layer() -> None:
    drops = [m for m in get_model("mlp", 0, sizes=(4, 5, 6, 2), dropout=0.3).modules() if isinstance(m, nn.Dropout)]
    assert [m.p for m in drops] == [0.3, 0.3]


def test_a_layer_alone_gets_all_of_the_gradient() -> None:
    stack = get_model("autoencoder", 0, sizes=(9, 7, 5))
    X = torch.rand(6, 9, generator=torch.Generator().manual_seed(0))
    for alone in (0, 1):
        stack.zero_grad()
        stack(X, alone=alone).mean().backward()
        with_gradient = {name.split(".")[0] for name, p in stack.named_parameters() if p.grad is not None}
        assert with_gradient == {str(alone)}
        stack.zero_grad(set_to_none=True)


def test_the_error_of_a_stack_is_that_of_all_layers_and_back() -> None:
    stack = get_model("autoencoder", 0, sizes=(9, 7, 5))
    assert isinstance(stack, Stack)
    X = torch.rand(6, 9, generator=torch.Generator().manual_seed(0))
    (W1, b1), (W2, b2) = encoder_weights(stack.state_dict())
    H = ((X @ W1.T + b1).sigmoid() @ W2.T + b2).sigmoid()
    back = ((H @ W2).sigmoid() @ W1).sigmoid()  # its other biases start at 0
    assert torch.allclose(stack(X), ((back - X) ** 2).sum(1), atol=1e-6)
