"""Beside each network what its paper says of it: the rows of `dl780 models`."""

from functools import partial
from typing import NamedTuple

from dl780.models import get_model, list_models
from dl780.models.cost import multiply_adds, parameters, sketch


class Paper(NamedTuple):
    """Where a network stands, the shape of its input, and the error that its paper reports."""

    slide: str
    shape: tuple[int, ...]
    error: str = ""


IMAGENET, CIFAR, MNIST = (3, 224, 224), (3, 32, 32), (1, 28, 28)
LENET = "LeNet-5 (LeCun et al., 1998)"
VGG = "VGG Network (Simonyan and Zisserman, 2015)"
GOOGLENET = "GoogLeNet (Szegedy et al., 2014)"
RESNET = "Deep ResNet (He et al., 2015)"
# ImageNet: percent top-1 / top-5 on the validation set of ILSVRC 2012, of one network. AlexNet: table 2. VGG: table 3,
# one scale (S = Q = 256). GoogLeNet: table 3, one crop. ResNet: tables 2 and 3, ten crops; CIFAR-10: table 6.
PAPERS = {
    "mlp": Paper("Neural networks", (784,)),
    "autoencoder": Paper("What's changed since the 80s?", (784,)),
    "lenet5": Paper(LENET, MNIST),
    "lenet5_1998": Paper(LENET, MNIST, "0.95 % of MNIST"),
    "alexnet": Paper("“AlexNet” (Krizhevsky et al., 2012)", IMAGENET, "40.7 / 18.2 %"),
    "vgg11": Paper(VGG, IMAGENET, "29.6 / 10.4 %"),
    "vgg11_lrn": Paper(VGG, IMAGENET, "29.7 / 10.5 %"),
    "vgg13": Paper(VGG, IMAGENET, "28.7 / 9.9 %"),
    "vgg16_c": Paper(VGG, IMAGENET, "28.1 / 9.4 %"),
    "vgg16": Paper(VGG, IMAGENET, "27.0 / 8.8 %"),
    "vgg19": Paper(VGG, IMAGENET, "27.3 / 9.0 %"),
    **{f"vgg{depth}_bn": Paper(VGG, IMAGENET) for depth in (11, 13, 16, 19)},
    **{f"vgg{depth}_cifar": Paper(VGG, CIFAR) for depth in (11, 13, 16, 19)},
    "googlenet": Paper(GOOGLENET, IMAGENET, "– / 10.07 %"),
    "googlenet_cifar": Paper(GOOGLENET, CIFAR),
    "resnet18": Paper(RESNET, IMAGENET, "27.88 / – %"),
    "resnet34": Paper(RESNET, IMAGENET, "24.52 / 7.46 %"),
    "resnet50": Paper(RESNET, IMAGENET, "22.85 / 6.71 %"),
    "resnet101": Paper(RESNET, IMAGENET, "21.75 / 6.05 %"),
    "resnet152": Paper(RESNET, IMAGENET, "21.43 / 5.71 %"),
    "resnet20": Paper(RESNET, CIFAR, "8.75 % of CIFAR-10"),
    "resnet32": Paper(RESNET, CIFAR, "7.51 % of CIFAR-10"),
    "resnet44": Paper(RESNET, CIFAR, "7.17 % of CIFAR-10"),
    "resnet56": Paper(RESNET, CIFAR, "6.97 % of CIFAR-10"),
    "resnet110": Paper(RESNET, CIFAR, "6.43 % of CIFAR-10"),
    "alphago": Paper("Artificial intelligence: Google's AlphaGo beats Go master Lee Se-dol", (2, 3, 3)),
    "captioner": Paper("Combining convolution and recurrent networks", ()),
    "seq2seq": Paper("Some recent applications", ()),
    "char_rnn": Paper("Char-RNN trained character-by-character level on the Linux source code", ()),
}
NOTES = (
    "FLOPs are multiply-adds of convolutions and matrix products: one example, one forward pass.",
    "GoogLeNet's parameters are with its auxiliary heads, its FLOPs without.",
    "Errors are the papers', each of one network; for ImageNet top-1 / top-5 on the validation set.",
)


def table() -> list[str]:
    """The lines of `dl780 models`: name, input, parameters, FLOPs, the paper's error, slide."""
    rows = [("model", "input", "parameters", "FLOPs", "paper's error", "slide")]
    for name in [*PAPERS, *(set(list_models()) - set(PAPERS))]:
        model = sketch(partial(get_model, name))
        paper = PAPERS.get(name, Paper("", ()))
        cost = f"{multiply_adds(model, *paper.shape) / 1e6:,.1f} M" if paper.shape else ""
        size = "×".join(map(str, paper.shape))
        rows.append((name, size, f"{parameters(model):,}", cost, paper.error, paper.slide))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    aligned = (str.ljust, str.ljust, str.rjust, str.rjust, str.ljust, str.ljust)
    lines = ["  ".join(f(cell, w) for f, cell, w in zip(aligned, row, widths, strict=True)).rstrip() for row in rows]
    return [*lines, "", *NOTES]
