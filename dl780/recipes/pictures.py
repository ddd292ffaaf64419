"""Recipes of the networks that look at pictures."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from dl780.recipes.base import Supervised


@dataclass(frozen=True, kw_only=True)
class Pictures(Supervised):
    """Settings of everything that is trained on pictures."""

    dataset: str = "mnist"  # which data set: `dl780 data list` names them
    validation: int = -1  # examples held out of the training set; -1 as the set says, 0 trains on all
    augment: tuple[str, ...] = ()  # of shift, flip, affine, cutout, in this order
    channels_last: bool = False  # pictures and filters as N, H, W, C in memory: faster convolution
    label_smoothing: float = 0.0  # share of the target that goes to the other classes

    @property
    def about(self) -> str:
        """The data set."""
        return self.dataset


@dataclass(frozen=True, kw_only=True)
class LeNet(Pictures):
    """LeNet-5 (LeCun et al. 1998): the modern form, or the paper's own."""

    name: ClassVar = "lenet"
    channels_last: bool = True  # pictures and filters as N, H, W, C in memory: faster pooling and convolution
    form: Literal["modern", "1998"] = "modern"  # 1998: connection table, trainable subsampling, fixed output layer


@dataclass(frozen=True, kw_only=True)
class MLP(Pictures):
    """A multi-layer perceptron, fresh or from a stack of autoencoders."""

    name: ClassVar = "mlp"
    hidden: tuple[int, ...] = (256, 128)  # units of each hidden layer
    activation: Literal["relu", "tanh", "sigmoid"] = "relu"  # f of the hidden layers
    dropout: float = 0.0  # share of the hidden units that a step leaves out
    start: Path | None = None  # a run of the recipe autoencoder with the same --hidden, whose weights start this one


@dataclass(frozen=True, kw_only=True)
class Autoencoder(Pictures):
    """Greedy layer-wise pre-training: each layer learns to reconstruct its input, for its part of the budget."""

    name: ClassVar = "autoencoder"
    hidden: tuple[int, ...] = (256, 128)  # units of each hidden layer
    weight_decay: float = 0.0  # on weights but not on biases
