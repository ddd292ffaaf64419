"""Recurrent networks (slide "Recurrent neural networks"), and what every kind of them shares.

The lecture's recurrence, time-major, with a batch of m sequences as rows:

    z(t) = f1(W_xz x(t) + W_zz z(t-1) + b1)        z(0) = 0
    ŷ(t) = f2(W_zy z(t) + b2)                      (the slide's z_2^{(t)} is a misprint of z^{(t)})

Each network here is torch's own, so that the fast kernels (cuDNN's, oneDNN's) train it, and writes the same numbers
out a second time from its own weights: `net(X)` is what one trains, `written_out(net, X)` is what one reads.

| here and in torch | lecture |
|---|---|
| weight_ih_l0 (k, n), bias_ih_l0 (k,) | W_xz, b1 |
| weight_hh_l0 (k, k), bias_hh_l0 (k,) | W_zz, and a second bias, whose sum with the first is b1 |
"""

from typing import Any

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]  # of one layer: z(t), or h(t) and c(t), each (m, k)


def written_out(net: Any, X: Tensor, state: Any = None) -> tuple[Tensor, Any]:
    """What `net(X, state)` computes: X (T, m, n) -> the last layer's z(t) (T, m, k), and every layer's state at T.

    The products with the inputs need no recurrence: they are one product for all times.
    """
    zero = X.new_zeros(net.num_layers, X.shape[1], net.hidden_size)
    given = tuple(zero for _ in range(net.states)) if state is None else state if net.states > 1 else (state,)
    last = []
    for layer in range(net.num_layers):
        W_x, W_z, *biases = (w for w in net.all_weights[layer])
        b_x, b_z = biases or (None, None)
        parts, s = nn.functional.linear(X, W_x, b_x), tuple(kind[layer] for kind in given)
        outputs = []
        for part in parts.unbind(0):
            s = net.cell(part, s, W_z, b_z)
            outputs.append(s[0])
        X = torch.stack(outputs)
        if net.dropout and net.training and layer < net.num_layers - 1:
            X = nn.functional.dropout(X, net.dropout)
        last.append(s)
    kinds = tuple(torch.stack(kind) for kind in zip(*last, strict=True))
    return X, kinds if net.states > 1 else kinds[0]


class RNN(nn.RNN):
    """z(t) = tanh(W_xz x(t) + W_zz z(t-1) + b1), or with ReLU."""

    states = 1

    def cell(self, part: Tensor, state: State, W_z: Tensor, b_z: Tensor | None) -> State:
        """One step: part = W_xz x(t) + b_x (m, k), state = (z(t-1),) -> (z(t),)."""
        (z,) = state
        a = part + nn.functional.linear(z, W_z, b_z)
        return (a.tanh() if self.nonlinearity == "tanh" else a.relu(),)
