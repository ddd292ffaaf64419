"""How the weights of the networks for pictures start."""

from typing import TypeVar

from torch import nn

from dl780.models.mlp import OUTPUT_GAIN

Model = TypeVar("Model", bound=nn.Module)


def he(model: Model, classes: int) -> Model:
    """W ~ N(0, 2/n) for n inputs of a unit, biases 0: ReLU then keeps the size of a signal at any depth.

    He et al. 2015, "Delving deep into rectifiers", eq. 10. With it VGG and AlexNet train from scratch, where the
    papers needed a shallower network's weights (VGG §3.1) or N(0, 0.01²) with biases of 1 (AlexNet §5). Layers
    that tell the classes start small, so that the loss starts at log C. Returns the model.
    """
    for layer in model.modules():
        if isinstance(layer, nn.Linear) and layer.out_features == classes:
            nn.init.xavier_uniform_(layer.weight, gain=OUTPUT_GAIN)
        elif isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return model
