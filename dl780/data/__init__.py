"""Where examples come from: one resolver over real sets and the embedded ones, feeding, and augmentation.

>>> from dl780.data import batches, generator_for, load
>>> digits = load("digits", say=None)
>>> X, y = next(batches(digits.train, 64, generator_for(0, 0)))
>>> tuple(X.shape), X.dtype, tuple(y.shape)
((64, 1, 8, 8), torch.uint8, (64,))
"""

from dl780.data.dataset import Dataset, Split
from dl780.data.feed import Examples, batches, generator_for, indices, normalise
from dl780.data.resolve import load
from dl780.data.sets import SETS

__all__ = ["SETS", "Dataset", "Examples", "Split", "batches", "generator_for", "indices", "load", "normalise"]
