"""`dl780 caption`: what a captioner says of pictures, with the alternatives that its beam kept, on a page."""

import base64
import html
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from dl780 import UserError
from dl780.data import normalise
from dl780.data.captions import fitted
from dl780.data.words import said, sentence_of
from dl780.files import write_whole
from dl780.recipes import Captioner
from dl780.train.checkpoint import load_weights
from dl780.train.language import vocabulary_of
from dl780.train.run import newest, read_recipe
from dl780.train.sentences import PICTURES, answers, network

MINUTES = {"captioner": 5}
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Captions</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.5rem; }}
ul {{ list-style: none; padding: 0; display: grid; gap: 1.5rem; }}
ul {{ grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); }}
img {{ width: 100%; image-rendering: auto; border-radius: 6px; }}
ol {{ padding-left: 1.2rem; margin: .3rem 0; font-size: .9rem; }} p {{ margin: .3rem 0; font-weight: 600; }}
.quiet {{ opacity: .75; font-weight: 400; }}
</style></head><body><main><h1>Captions</h1><p class="quiet">{about}</p><ul>
{items}
</ul></main></body></html>
"""


@dataclass(frozen=True)
class Told:
    """A picture, what is said of it with its score, best first, and what people said, if known."""

    path: Path
    captions: tuple[tuple[str, float], ...]
    people: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One line."""
        return f"{self.path}: {self.captions[0][0]}"


def usual_run() -> Path:
    """The newest finished run of the captioner. Raises `UserError`, with the command that makes one."""
    return newest(MINUTES)


def caption(run: Path, paths: Sequence[Path], width: int = 5) -> list[Told]:
    """What a run's captioner says of pictures: the sentences of a beam of `width`. Raises `UserError`."""
    if width < 1:
        raise UserError(f"--width takes a number from 1, not {width}")
    recipe = read_recipe(run)
    if not isinstance(recipe, Captioner):
        raise UserError(f"{run} is a run of {recipe.name}: captions come from a run of captioner")
    about = json.loads((run / PICTURES).read_text())
    vocabulary = vocabulary_of(run)
    model = network(recipe, len(vocabulary))
    model.load_state_dict(load_weights(run))
    X = torch.stack([fitted(path, about["side"]) for path in paths])
    return list(map(Told, paths, _say(model.eval(), normalise(X, about["mean"], about["std"]), vocabulary, width)))


def _say(model: nn.Module, X: Tensor, vocabulary: tuple[str, ...], width: int) -> list[tuple[tuple[str, float], ...]]:
    with torch.inference_mode():
        words, scores = answers(model, X, width)
    return [
        tuple((sentence_of(said(row, vocabulary)), score) for row, score in zip(w, s, strict=True))
        for w, s in zip(words.tolist(), scores.tolist(), strict=True)
    ]


def page(told: Sequence[Told], about: str, out: Path) -> None:
    """A page of pictures, each with its caption, the alternatives, and what people said; whole in one file."""
    write_whole(out, PAGE.format(about=html.escape(about), items="\n".join(map(_item, told))))


def _item(told: Told) -> str:
    best, *others = told.captions
    more = "".join(f"<li>{html.escape(text)} <span class=quiet>{score:.2f}</span></li>" for text, score in others)
    people = "".join(f"<li>{html.escape(text)}</li>" for text in told.people)
    return (
        f'<li><img alt="{html.escape(told.path.name)}" src="data:image/jpeg;base64,{_jpeg(told.path)}">'
        f"<p>{html.escape(best[0])} <span class=quiet>{best[1]:.2f}</span></p>"
        + f"<ol start=2>{more}</ol>" * bool(more)
        + f"<details><summary>people said</summary><ol>{people}</ol></details>" * bool(people)
        + "</li>"
    )


def _jpeg(path: Path) -> str:
    from dl780.data.stream import open_picture

    file = io.BytesIO()
    with open_picture(path) as picture:
        small = picture.convert("RGB")
        small.thumbnail((480, 480))
        small.save(file, "JPEG", quality=85)
    return base64.b64encode(file.getvalue()).decode()
