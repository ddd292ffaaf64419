"""LSTM and GRU, written out (slide "Long short term memory"; Hochreiter & Schmidhuber 1997; Cho et al. 2014).

The lecture takes the equations from Jozefowicz, Zaremba & Sutskever 2015, whose names differ from torch's:

| torch | paper | what | |
|---|---|---|---|
| i | j → σ here i | input gate: how much of g is written | σ |
| f | f | forget gate: how much of c(t-1) is kept | σ |
| g | i | what would be written | tanh |
| o | o | output gate: how much of the cell is shown | σ |

As the paper's equations are usually transcribed, the output gate has a tanh. A gate is a share, between 0 and 1, and a
negative share would turn the cell's sign around: here, as in torch and as it was first published, it has a σ.
The forget gate's bias starts at 1, as the paper recommends: a fresh network remembers.
"""

import torch
from torch import Tensor, nn

from dl780.models.rnn import State


class LSTM(nn.LSTM):
    """The equations below, for each layer; gates stand in torch's order i, f, g, o, each with two biases.

    i = σ(W_ii x + b_ii + W_hi h + b_hi)
    f = σ(W_if x + b_if + W_hf h + b_hf)
    g = tanh(W_ig x + b_ig + W_hg h + b_hg)
    o = σ(W_io x + b_io + W_ho h + b_ho)
    c(t) = f ∘ c(t-1) + i ∘ g
    h(t) = o ∘ tanh(c(t))
    """

    states = 2

    def reset_parameters(self) -> None:
        """Uniform in ±1/√k, as torch has it; the forget gate's two biases sum to 1."""
        super().reset_parameters()
        for name, b in self.named_parameters():
            if name.startswith("bias"):
                with torch.no_grad():
                    b.chunk(4)[1].fill_(1.0 if name.startswith("bias_ih") else 0.0)

    def cell(self, part: Tensor, state: State, W_h: Tensor, b_h: Tensor | None) -> State:
        """One step: part = W x(t) + b (m, 4k) of all gates, state = (h(t-1), c(t-1)) -> (h(t), c(t))."""
        h, c = state
        i, f, g, o = (part + nn.functional.linear(h, W_h, b_h)).chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        return h, c


class GRU(nn.GRU):
    """In torch's form, which resets after the product.

    r = σ(W_ir x + b_ir + W_hr h + b_hr)
    z = σ(W_iz x + b_iz + W_hz h + b_hz)
    n = tanh(W_in x + b_in + r ∘ (W_hn h + b_hn))
    h(t) = (1 - z) ∘ n + z ∘ h(t-1)
    """

    states = 1

    def cell(self, part: Tensor, state: State, W_h: Tensor, b_h: Tensor | None) -> State:
        """One step: part = W x(t) + b (m, 3k), state = (h(t-1),) -> (h(t),)."""
        (h,) = state
        r_x, z_x, n_x = part.chunk(3, 1)
        r_h, z_h, n_h = nn.functional.linear(h, W_h, b_h).chunk(3, 1)
        z = (z_x + z_h).sigmoid()
        n = (n_x + (r_x + r_h).sigmoid() * n_h).tanh()
        return (n + z * (h - n),)
