"""The char-RNN (Karpathy 2015, "The unreasonable effectiveness of recurrent neural networks"; slide "Char-RNN")."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from dl780.models.lstm import GRU, LSTM
from dl780.models.rnn import RNN

KINDS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}


class CharRNN(nn.Module):
    """Reads symbols and says of each what may come next: X (m, T) int64 -> logits (m, T, V), and the state after T.

    Args:
        symbols: V
        kind: rnn, lstm or gru
        hidden: units of each layer
        embedding: length of a symbol's vector; 0 feeds symbols one-hot, as the lecture does
        dropout: share left out between layers, and before the output
    """

    def __init__(
        self, symbols: int = 256, kind: str = "lstm", hidden: int = 512, layers: int = 1, embedding: int = 0,
        dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.symbols = symbols
        self.embed = nn.Embedding(symbols, embedding) if embedding else None
        between = dropout if layers > 1 else 0.0
        self.rnn = KINDS[kind](embedding or symbols, hidden, layers, dropout=between)
        self.drop = nn.Dropout(dropout)
        self.out = nn.Linear(hidden, symbols)
        nn.init.zeros_(self.out.bias)
        nn.init.normal_(self.out.weight, std=0.1 / hidden**0.5)  # so that the loss starts at log V

    def forward(self, X: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Logits of the next symbol at every time, and the state to go on with."""
        symbols = X.T  # (T, m)
        fed = self.embed(symbols) if self.embed else F.one_hot(symbols, self.symbols).to(self.out.weight.dtype)
        Z, state = self.rnn(fed, state)
        return self.out(self.drop(Z)).transpose(0, 1), state
