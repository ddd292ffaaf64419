"""The captioner: a network that looks, and one that tells (slide "Combining convolution and recurrent networks";
Karpathy & Fei-Fei 2015, "Deep visual-semantic alignments"; Vinyals et al. 2015, "Show and tell").
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dl780.models.attention import attend
from dl780.models.decode import PAD, State
from dl780.models.lstm import LSTM
from dl780.models.rnn import RNN

Form = Literal["lstm", "multimodal"]
PLACES = 4  # what the CNN saw is told by a grid of 4×4: captions say where things are


def small_cnn(channels: int = 3, width: int = 32) -> nn.Sequential:
    """Four convolutions for small pictures: X (m, channels, H, W) -> (m, 4 width, H/8, W/8)."""
    layers: list[nn.Module] = []
    n = channels
    for k, halve in ((width, True), (2 * width, True), (4 * width, True), (4 * width, False)):
        layers += [nn.Conv2d(n, k, 3, padding=1, bias=False), nn.BatchNorm2d(k), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] * halve
        n = k
    return nn.Sequential(*layers)


class Captioner(nn.Module):
    """Pictures X (m, C, H, W) and the words so far (m, T) -> logits of the next word (m, T, V).

    The slide's multimodal RNN is told the picture by a bias of its first step only, beside the start symbol:

        z(1) = f(W_xz x(1) + W_zz z(0) + b + b_v),  b_v = W_iv CNN(picture)
        z(t) = f(W_xz x(t) + W_zz z(t-1) + b)

    The LSTM takes the projected picture for its step 0 and words from step 1 on. With attention the output layer sees,
    beside h(t), what the decoder looks at among the places of the CNN's last maps.

    Args:
        look: a CNN up to its last maps, (m, C, H, W) -> (m, features, h, w); `small_cnn` if none is named
    """

    def __init__(
        self, look: nn.Module | None = None, features: int = 128, words: int = 1000, hidden: int = 256,
        embedding: int = 128, form: Form = "lstm", attention: bool = False, dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.look, self.form = look or small_cnn(), form
        self.frozen = not any(p.requires_grad for p in self.look.parameters())
        self.embed = nn.Embedding(words, embedding, padding_idx=PAD)
        self.project = nn.Linear(features * PLACES**2, embedding)  # the CNN's last layer
        if form == "lstm":
            self.rnn: nn.RNNBase = LSTM(embedding, hidden, batch_first=True)
        else:
            self.rnn = RNN(2 * embedding, hidden, batch_first=True)  # its input weights are W_xz and W_iv, side by side
        self.query = nn.Linear(hidden, features) if attention else None
        self.drop = nn.Dropout(dropout)
        self.out = nn.Linear(hidden + (features if attention else 0), words)
        nn.init.normal_(self.out.weight, std=0.1 / hidden**0.5)  # so that the loss starts at log V
        nn.init.zeros_(self.out.bias)

    def forward(self, X: Tensor, words: Tensor) -> Tensor:
        """As the class says; words begin with START."""
        return self._say(words, self.begin(X))[0]

    def begin(self, X: Tensor) -> State:
        """What is known of the pictures before the first word: h(0), c(0), or z(0), v; and for attention the maps."""
        if self.frozen:
            self.look.eval()  # its batch norms, too
        maps = self.look(X)  # (m, features, h, w)
        v = self.project(F.adaptive_avg_pool2d(maps, PLACES).flatten(1))[:, None]
        if self.form == "lstm":
            _, (h, c) = self.rnn(v)
            known: State = (h.transpose(0, 1), c.transpose(0, 1))
        else:
            known = (v.new_zeros(len(v), 1, self.rnn.hidden_size), v)
        return (*known, maps.flatten(2).transpose(1, 2)) if self.query else known

    def step(self, words: Tensor, state: State) -> tuple[Tensor, State]:
        """One word (m,) -> logits of the next (m, V), and the state after it."""
        logits, state = self._say(words[:, None], state)
        return logits[:, 0], state

    def _say(self, words: Tensor, state: State) -> tuple[Tensor, State]:
        E, (z, other, *maps) = self.drop(self.embed(words)), state
        if self.form == "lstm":
            H, (h, c) = self.rnn(E, (z.transpose(0, 1).contiguous(), other.transpose(0, 1).contiguous()))
            state = (h.transpose(0, 1), c.transpose(0, 1))
        else:
            V = torch.cat([other, other.new_zeros(len(E), E.shape[1] - 1, E.shape[2])], 1)  # at the first step only
            H, h = self.rnn(torch.cat([E, V], 2), z.transpose(0, 1).contiguous())
            state = (h.transpose(0, 1), torch.zeros_like(other))
        if self.query:
            H = torch.cat([H, attend(self.query(H), maps[0], maps[0])], 2)
        return self.out(self.drop(H)), (*state, *maps)
