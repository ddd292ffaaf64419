"""The captioner: a network that looks, and one that tells (slide "Combining convolution and recurrent networks";
Karpathy & Fei-Fei 2015, "Deep visual-semantic alignments"; Vinyals et al. 2015, "Show and tell").
"""

from typing import Literal

import torch
from torch import Tensor, nn

from dl780.models.attention import attend
from dl780.models.decode import PAD, State
from dl780.models.lstm import LSTM

Form = Literal["lstm", "multimodal"]


class Captioner(nn.Module):
    """Pictures X (m, C, H, W) and the words so far (m, T) -> logits of the next word (m, T, V).

    The slide's multimodal RNN is told the picture by a bias of its first step only, beside the start symbol:

        z(1) = f(W_xz x(1) + W_zz z(0) + b + b_v),  b_v = W_iv CNN(picture)
        z(t) = f(W_xz x(t) + W_zz z(t-1) + b)

    The LSTM takes the projected picture for its step 0 and words from step 1 on. With attention the output layer sees,
    beside h(t), what the decoder looks at among the places of the CNN's last maps.

    Args:
        look: a CNN up to its last maps, (m, C, H, W) -> (m, features, h, w)
    """

    def __init__(
        self, look: nn.Module, features: int, words: int, hidden: int = 256, embedding: int = 128,
        form: Form = "lstm", attention: bool = False, dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.look, self.form = look, form
        self.embed = nn.Embedding(words, embedding, padding_idx=PAD)
        if form == "lstm":
            self.project = nn.Linear(features, embedding)
            self.rnn: nn.RNNBase = LSTM(embedding, hidden, batch_first=True)
        else:
            self.project = nn.Linear(features, hidden, bias=False)  # W_iv
            self.rnn = nn.RNN(embedding, hidden, batch_first=True)
        self.query = nn.Linear(hidden, features) if attention else None
        self.drop = nn.Dropout(dropout)
        self.out = nn.Linear(hidden + (features if attention else 0), words)
        nn.init.normal_(self.out.weight, std=0.1 / hidden**0.5)  # so that the loss starts at log V
        nn.init.zeros_(self.out.bias)

    def forward(self, X: Tensor, words: Tensor) -> Tensor:
        """As the class says; words begin with START."""
        state = self.begin(X)
        if self.form == "lstm":
            return self._say(words, state)[0]
        first, state = self._say(words[:, :1], state)
        return torch.cat([first, self._say(words[:, 1:], state)[0]], 1) if words.shape[1] > 1 else first

    def begin(self, X: Tensor) -> State:
        """What is known of the pictures before the first word."""
        maps = self.look(X).flatten(2).transpose(1, 2)  # (m, places, features)
        v = self.project(maps.mean(1))
        if self.form == "lstm":
            _, (h, c) = self.rnn(v[:, None])
            known: State = (h.transpose(0, 1), c.transpose(0, 1))
        else:
            known = (torch.zeros_like(v)[:, None], v[:, None])  # z(0), and b_v, which the first step takes
        return (*known, maps) if self.query else known

    def step(self, words: Tensor, state: State) -> tuple[Tensor, State]:
        """One word (m,) -> logits of the next (m, V), and the state after it."""
        logits, state = self._say(words[:, None], state)
        return logits[:, 0], state

    def _say(self, words: Tensor, state: State) -> tuple[Tensor, State]:
        E, maps = self.drop(self.embed(words)), state[2:]
        if self.form == "lstm":
            H, (h, c) = self.rnn(E, tuple(part.transpose(0, 1).contiguous() for part in state[:2]))
            state = (h.transpose(0, 1), c.transpose(0, 1))
        else:
            z, b_v = state[:2]
            first = E[:, :1] @ self.rnn.weight_ih_l0.T + self.rnn.bias_ih_l0  # type: ignore[operator]
            if b_v.any():  # the first step, which is alone
                H = torch.tanh(first + b_v + z @ self.rnn.weight_hh_l0.T + self.rnn.bias_hh_l0)  # type: ignore[operator]
                z = H
            else:
                H, z = self.rnn(E, z.transpose(0, 1).contiguous())
                z = z.transpose(0, 1)
            state = (z, torch.zeros_like(b_v))
        if self.query:
            H = torch.cat([H, attend(self.query(H), maps[0], maps[0])], 2)
        return self.out(self.drop(H)), (*state, *maps)
