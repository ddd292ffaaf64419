"""From arrays to calls of a student's function, and back, where the lab `captioning` hands over more than arrays."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dl780.student.arrays import Value, collect
from dl780.student.call import WrongOutputs, unpack
from dl780.student.drawn import speaker

Function = Callable[..., Any]


def greedy_words(greedy: Function, E: Tensor, A: Tensor, O: Tensor, kind: Tensor, Z: Tensor, T: int) -> object:
    """`greedy(step, Z, T)` of a drawn recurrent net."""
    return _row(greedy(speaker(E, A, O, kind), Z, T))


def beams(
    beam_search: Function, E: Tensor, A: Tensor, O: Tensor, kind: Tensor, Z: Tensor, T: int, B: int, alpha: float
) -> object:
    """`beam_search(step, Z, T, B, alpha)` of a drawn recurrent net; the words of each hypothesis are a tensor."""
    words, scores = unpack(beam_search(speaker(E, A, O, kind), Z, T, B, alpha), ["words", "scores"])
    if not isinstance(words, list | tuple | Tensor):
        raise WrongOutputs(f"returned a {type(words).__name__} for words, where a list of hypotheses is expected")
    return [_row(hypothesis) for hypothesis in words], _row(scores)


def of_references(bleu: Function, hypotheses: list[Tensor], references: list[Tensor]) -> object:
    """`bleu(hypotheses, references)`: lists of words, and for each of the hypotheses as many references."""
    told, each = [r.tolist() for r in references], len(references) // len(hypotheses)
    return bleu([h.tolist() for h in hypotheses], [told[i : i + each] for i in range(0, len(told), each)])


def _row(value: object) -> Value:
    """Numbers in a row: also a list of 0-d tensors, as `argmax` gives them, or an empty one, is one tensor."""
    found = collect(value)
    if isinstance(found, list) and all(item.ndim == 0 for item in found):
        return torch.stack(found) if found else torch.zeros(0)
    return found
