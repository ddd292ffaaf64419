"""From arrays to calls of a student's function, and back: one function for each shape of call.

An adapter is called as `adapter(function, **inputs)`; its parameters name the inputs it is sent.
A question that names none calls its function with the inputs in the order of its signature.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dl780.student.arrays import collect
from dl780.student.call import WrongOutputs, unpack
from dl780.student.drawn import expression, polynomial, wave, weighted_squares

Function = Callable[..., Any]


def call(function: Function, **inputs: object) -> object:
    """`function(*inputs)`, in the order in which the inputs come."""
    return function(*inputs.values())


def of_polynomial(numerical_gradient: Function, c: Tensor, x: Tensor, eps: float) -> object:
    """`numerical_gradient(f, x, eps)` of a drawn polynomial f."""
    return numerical_gradient(polynomial(c), x, eps)


def of_column(vgg_column: Function, column: Tensor, C: int, H: int, W: int) -> object:
    """`vgg_column(rows, C, H, W)`: a text travels as its bytes, and arrives as the list of its words."""
    return vgg_column(bytes(column.tolist()).decode().split(), C, H, W)


def with_drawn_network(
    backpropagation: Function, x: Tensor, y: Tensor, Ws: list[Tensor], bs: list[Tensor], cs: list[Tensor], s: Tensor
) -> object:
    """`backpropagation(x, y, Ws, bs, fs, loss)` with drawn activations and a drawn loss."""
    return backpropagation(x, y, Ws, bs, [wave(c) for c in cs], weighted_squares(s))


def sgd_steps(sgd_step: Function, w: Tensor, gs: list[Tensor], alphas: Tensor) -> object:
    """w after each of the steps."""
    ws = []
    for g, alpha in zip(gs, alphas.tolist(), strict=True):
        w = one_tensor(sgd_step(w, g, alpha))
        ws.append(w.clone())
    return ws


def momentum_steps(momentum_step: Function, w: Tensor, gs: list[Tensor], alphas: Tensor, beta: float) -> object:
    """w and v after each of the steps, from v = 0."""
    ws, vs, v = [], [], torch.zeros_like(w)
    for g, alpha in zip(gs, alphas.tolist(), strict=True):
        w, v = map(one_tensor, unpack(momentum_step(w, g, v, alpha, beta), ["w", "v"]))
        ws.append(w.clone())
        vs.append(v.clone())
    return ws, vs


def adam_steps(
    adam_step: Function, w: Tensor, gs: list[Tensor], alphas: Tensor, beta1: float, beta2: float, eps: float
) -> object:
    """w, m and v after each of the steps t = 1, 2, …, from m = v = 0."""
    ws, ms, vs, m, v = [], [], [], torch.zeros_like(w), torch.zeros_like(w)
    for t, (g, alpha) in enumerate(zip(gs, alphas.tolist(), strict=True), start=1):
        w, m, v = map(one_tensor, unpack(adam_step(w, g, m, v, t, alpha, beta1, beta2, eps), ["w", "m", "v"]))
        ws.append(w.clone())
        ms.append(m.clone())
        vs.append(v.clone())
    return ws, ms, vs


def one_tensor(value: object) -> Tensor:
    """What a step returned, as the tensor that the next step is given."""
    found = collect(value)
    if not isinstance(found, Tensor):
        raise WrongOutputs(f"returned a list of {len(found)}, where one tensor is expected")
    return found


def three_draws(dropout: Function, Z: Tensor, p: float, seed: int) -> object:
    """Two calls with one generator, then a third with a fresh generator of the same seed."""
    generator = torch.Generator().manual_seed(seed)
    again = torch.Generator().manual_seed(seed)
    pairs = [unpack(dropout(Z.clone(), p, g), ["out", "mask"]) for g in (generator, generator, again)]
    return [out for out, _ in pairs], [mask for _, mask in pairs]


def three_samples(sample: Function, logits: Tensor, temperature: float, seed: int) -> object:
    """Two calls with one generator, then a third with a fresh generator of the same seed."""
    generator = torch.Generator().manual_seed(seed)
    again = torch.Generator().manual_seed(seed)
    return [one_tensor(sample(logits.clone(), temperature, g)) for g in (generator, generator, again)]


def of_expression(tape: Function, xs: list[Tensor], choice: int) -> object:
    """`tape(f, xs)` for a drawn expression f."""
    return tape(expression(choice), xs)


def with_state(lenet_backward: Function, X: Tensor, y: Tensor, **state: Tensor) -> object:
    """`lenet_backward(X, y, P)`, which returns the loss and a dict of gradients; its keys are those of P."""
    loss, grads = unpack(lenet_backward(X, y, state), ["loss", "grads"])
    if not isinstance(grads, dict):
        raise WrongOutputs(f"returned a {type(grads).__name__} for grads, where a dict is expected")
    return {"loss": loss, **grads}
