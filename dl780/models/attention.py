"""Dot-product attention: where a decoder looks (Luong, Pham & Manning 2015; scaled as Vaswani et al. 2017)."""

from torch import Tensor


def attend(Q: Tensor, K: Tensor, V: Tensor, seen: Tensor | None = None) -> Tensor:
    """softmax(Q Kᵀ / √d) V: Q (m, T, d), K (m, S, d), V (m, S, n) -> (m, T, n).

    Args:
        seen: (m, S), which of the S places there are; all of them where it is None
    """
    A = Q @ K.transpose(1, 2) / Q.shape[2] ** 0.5
    if seen is not None:
        A = A.masked_fill(~seen[:, None], -1e9)
    out: Tensor = A.softmax(2) @ V
    return out
