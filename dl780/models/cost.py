"""What a network costs: weights, and the multiply-adds of one forward pass."""

from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def parameters(model: nn.Module) -> int:
    """How many numbers training changes."""
    return sum(p.numel() for p in model.parameters())


def multiply_adds(model: nn.Module, *shape: int) -> int:
    """Multiply-adds of one example of a shape through the model in evaluation, on any device, "meta" too.

    Those of convolutions and matrix products, as the papers count them ("FLOPs (multiply-adds)", He et al. 2015);
    pooling, normalisation and activations are left out. torch counts each as two operations.
    """
    device = next(model.parameters()).device
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(torch.empty(1, *shape, device=device))
    return int(counter.get_total_flops()) // 2


def sketch(make: Callable[[], nn.Module]) -> nn.Module:
    """A model without numbers, on the device "meta": built in no time and no memory, enough to be counted."""
    with torch.device("meta"):
        return make()
