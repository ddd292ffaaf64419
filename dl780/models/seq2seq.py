"""Sequence to sequence: an encoder reads, a decoder answers (Sutskever, Vinyals & Le 2014; as a network that answers
questions, Vinyals & Le 2015; slide "Sequence to sequence").
"""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from dl780.models.attention import attend
from dl780.models.decode import PAD, State
from dl780.models.lstm import LSTM


class Seq2Seq(nn.Module):
    """Sentences X (m, S), padded, and the words of the answer so far (m, T) -> logits of the next word (m, T, V).

    The encoder reads a sentence from its last word to its first (Sutskever et al., section 3.3); its last state is the
    decoder's first. With attention the output layer sees, beside h(t), what the decoder looks at among the words read.
    """

    def __init__(
        self, words: int = 1000, hidden: int = 256, embedding: int = 128, layers: int = 1, attention: bool = False,
        dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.embed = nn.Embedding(words, embedding, padding_idx=PAD)
        self.encoder = LSTM(embedding, hidden, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
        self.decoder = LSTM(embedding, hidden, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
        self.attention, self.drop = attention, nn.Dropout(dropout)
        self.out = nn.Linear(hidden * (2 if attention else 1), words)
        nn.init.normal_(self.out.weight, std=0.1 / hidden**0.5)  # so that the loss starts at log V
        nn.init.zeros_(self.out.bias)

    def forward(self, X: Tensor, words: Tensor) -> Tensor:
        """As the class says; words begin with START."""
        return self._say(words, self.begin(X))[0]

    def begin(self, X: Tensor) -> State:
        """What the encoder has read: h and c (m, layers, k); for attention its outputs, too, and which there are."""
        lengths = (X != PAD).sum(1).clamp(min=1)
        E = self.drop(self.embed(backwards(X, lengths)))
        packed = pack_padded_sequence(E, lengths.cpu(), batch_first=True, enforce_sorted=False)
        H, (h, c) = self.encoder(packed)
        state = (h.transpose(0, 1), c.transpose(0, 1))
        if not self.attention:
            return state
        K, _ = pad_packed_sequence(H, batch_first=True, total_length=X.shape[1])
        return (*state, K, torch.arange(X.shape[1], device=X.device) < lengths[:, None])

    def step(self, words: Tensor, state: State) -> tuple[Tensor, State]:
        """One word (m,) -> logits of the next (m, V), and the state after it."""
        logits, state = self._say(words[:, None], state)
        return logits[:, 0], state

    def _say(self, words: Tensor, state: State) -> tuple[Tensor, State]:
        h, c, *read = state
        H, (h, c) = self.decoder(self.drop(self.embed(words)), (_layers_first(h), _layers_first(c)))
        if read:
            H = torch.cat([H, attend(H, read[0], read[0], read[1])], 2)
        return self.out(self.drop(H)), (h.transpose(0, 1), c.transpose(0, 1), *read)


def backwards(X: Tensor, lengths: Tensor) -> Tensor:
    """Each row of X (m, S) from its last word to its first; padding stays behind."""
    at = lengths[:, None] - 1 - torch.arange(X.shape[1], device=X.device)
    return torch.where(at >= 0, X.gather(1, at.clamp(min=0)), PAD)


def _layers_first(part: Tensor) -> Tensor:
    return part.transpose(0, 1).contiguous()
