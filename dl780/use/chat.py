"""`dl780 chat`: a conversation with a sequence-to-sequence network in the terminal."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import torch

from dl780 import UserError
from dl780.data.conversation import LONGEST
from dl780.data.words import rows, said, sentence_of, words_of
from dl780.models import decode
from dl780.models.seq2seq import Seq2Seq as Network
from dl780.recipes import Seq2Seq
from dl780.train.checkpoint import load_weights
from dl780.train.language import vocabulary_of
from dl780.train.run import newest, read_recipe
from dl780.train.sentences import answers, network

MINUTES = {"seq2seq": 3}


class Partner:
    """Answers speeches; remembers the `history` before the last one, and reads them with it."""

    def __init__(self, run: Path, history: int = 0, temperature: float = 0.0, width: int = 5, seed: int = 0) -> None:
        """From a run's checkpoint. Raises `UserError`."""
        recipe = read_recipe(run)
        if not isinstance(recipe, Seq2Seq):
            raise UserError(f"{run} is a run of {recipe.name}: a conversation needs a run of seq2seq")
        if history < 0 or temperature < 0 or width < 1:
            raise UserError("--history and --temperature take numbers from 0, --width from 1")
        self.vocabulary = vocabulary_of(run)
        model = network(recipe, len(self.vocabulary))
        model.load_state_dict(load_weights(run))
        assert isinstance(model, Network)
        self.model = model.eval()
        self.history, self.temperature, self.width = history, temperature, width
        self.generator = torch.Generator().manual_seed(seed)
        self.speeches: list[str] = []
        self.trained_on = json.loads((run / "manifest.json").read_text())["data"]["title"]

    def answer(self, speech: str) -> str:
        """What it says; the likeliest of a beam, or drawn where there is a temperature."""
        self.speeches.append(speech)
        heard = [word for s in self.speeches[len(self.speeches) - 1 - self.history :] for word in words_of(s)]
        X = rows([heard[-LONGEST:]], self.vocabulary, LONGEST)[:, :-1]
        if not X.shape[1]:
            return "…"
        with torch.inference_mode():
            if self.temperature:
                state = self.model.begin(X)
                words = decode.drawn(self.model.step, state, LONGEST, self.temperature, self.generator)
            else:
                words = answers(self.model, X, self.width, LONGEST)[0][:, 0]
        said_ = sentence_of(said(words[0].tolist(), self.vocabulary)) or "…"
        self.speeches.append(said_)
        return said_


def usual_run() -> Path:
    """The newest finished run of seq2seq. Raises `UserError`, with the command that makes one."""
    return newest(MINUTES)


def talk(partner: Partner) -> Iterator[str]:
    """Lines of a conversation with whoever types; ends with the input."""
    with suppress(ImportError):  # arrow keys and earlier lines, where there is readline
        import readline  # noqa: F401
    yield f"trained on {partner.trained_on}; an empty line ends it"
    with suppress(EOFError):
        while speech := input("Human: ").strip():
            yield f"Machine: {partner.answer(speech)}"
