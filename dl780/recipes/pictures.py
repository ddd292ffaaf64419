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
    augment: tuple[str, ...] = ()  # of shift, crop, flip, affine, zoom, cutout, in the order they are named
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


@dataclass(frozen=True, kw_only=True)
class Large(Pictures):
    """Settings of the networks of the ImageNet years: on CIFAR-10, or on an image folder at 224×224.

    As He et al. 2015, section 4.2, but for a shorter schedule; theirs is --epochs 164 --schedule steps --warm 0.
    """

    dataset: str = "cifar10"  # which data set: `dl780 data list` names them
    augment: tuple[str, ...] = ("crop", "flip")  # of shift, crop, flip, affine, zoom, cutout; at 224×224 take zoom flip
    channels_last: bool = True  # pictures and filters as N, H, W, C in memory: faster convolution
    epochs: int = 40  # passes over the training set
    optimizer: Literal["adamw", "sgd"] = "sgd"  # sgd has Nesterov's momentum
    lr: float = 0.1  # learning rate at its highest: it rises over the first part of the budget and falls to 0
    weight_decay: float = 1e-4  # on weights but not on biases


@dataclass(frozen=True, kw_only=True)
class AlexNet(Large):
    """AlexNet (Krizhevsky et al. 2012), on an image folder at 224×224."""

    name: ClassVar = "alexnet"
    dataset: str = "imagefolder"  # which data set: `dl780 data list` names them
    augment: tuple[str, ...] = ("zoom", "flip")  # of shift, crop, flip, affine, zoom, cutout
    form: Literal["paper", "torchvision"] = "paper"  # two groups and response normalisation, or torchvision's variant
    lr: float = 0.01  # learning rate at its highest: it rises over the first part of the budget and falls to 0
    weight_decay: float = 5e-4  # on weights but not on biases


@dataclass(frozen=True, kw_only=True)
class VGG(Large):
    """VGG (Simonyan & Zisserman 2015): a column of its table; for 32×32 with batch norm and one linear layer."""

    name: ClassVar = "vgg"
    depth: Literal[11, 13, 16, 19] = 16  # columns A, B, D, E
    batch_norm: bool = True  # at 224×224; the paper has none
    lr: float = 0.05  # learning rate at its highest: it rises over the first part of the budget and falls to 0
    weight_decay: float = 5e-4  # on weights but not on biases


@dataclass(frozen=True, kw_only=True)
class GoogLeNet(Large):
    """GoogLeNet (Szegedy et al. 2014); for 32×32 three stages of two blocks, a quarter as wide."""

    name: ClassVar = "googlenet"
    form: Literal["paper", "torchvision"] = "paper"  # at 224×224; torchvision's has batch norm


@dataclass(frozen=True, kw_only=True)
class ResNet(Large):
    """ResNet (He et al. 2015): 20, 32, 44, 56 or 110 layers for 32×32; 18, 34, 50, 101 or 152 for 224×224."""

    name: ClassVar = "resnet"
    depth: int = 20  # layers
