"""Sentences that answer something: the tasks of the captioner and of sequence to sequence."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dl780 import UserError, recipes
from dl780.data import normalise
from dl780.data.augment import augment, known
from dl780.data.captions import LONGEST, load_captions
from dl780.data.conversation import load_conversations
from dl780.data.shapes import COLOURS, SHAPES
from dl780.data.words import PAD, Spoken, said
from dl780.models import decode, get_model
from dl780.models.captioner import Captioner
from dl780.models.seq2seq import Seq2Seq
from dl780.train.checkpoint import load_weights
from dl780.train.language import VOCABULARY, vocabulary_of
from dl780.train.machine import Machine
from dl780.train.task import Task

Metrics = dict[str, float]
PICTURES = "pictures.json"  # how a captioner's pictures are prepared
TOLD = 2000  # test sentences that are searched for and compared
AT_ONCE = 250


def data_of(
    recipe: recipes.Captioner | recipes.Seq2Seq, source: str, say: Callable[[str], object] | None,
    run: Path | None = None,
) -> Spoken:  # fmt: skip
    """The recipe's pairs, in a run's vocabulary if one is named. Raises `UserError`."""
    words = vocabulary_of(run) if run else ()
    if isinstance(recipe, recipes.Captioner):
        known(recipe.augment)
        data = load_captions(source, side=recipe.side, least=recipe.least, vocabulary=words, say=say)
    else:
        data = load_conversations(source, least=recipe.least, vocabulary=words, say=say)
    train, validation, test = data.splits
    return replace(data, splits=(replace(train, bucketed=recipe.bucketed), validation, test))


def network(recipe: recipes.Captioner | recipes.Seq2Seq, words: int) -> nn.Module:
    """The recipe's network for so many words. Raises `UserError`."""
    if isinstance(recipe, recipes.Seq2Seq):
        return get_model(
            "seq2seq", recipe.seed, words=words, hidden=recipe.hidden, embedding=recipe.embedding,
            layers=recipe.layers, attention=recipe.attention, dropout=recipe.dropout,
        )  # fmt: skip
    look, features = LOOKS[recipe.look](recipe)
    look.requires_grad_(not recipe.frozen)
    return get_model(
        "captioner", recipe.seed, look=look, features=features, words=words, hidden=recipe.hidden,
        embedding=recipe.embedding, form=recipe.form, attention=recipe.attention, dropout=recipe.dropout,
    )  # fmt: skip


def _resnet(recipe: recipes.Captioner, name: str) -> tuple[nn.Module, int]:
    """A ResNet up to its last maps: random, from a run, or, where resnet18 is frozen, torchvision's from the disk."""
    if recipe.start and not recipe.resume:
        weights = load_weights(recipe.start)
        model = get_model(name, recipe.seed, classes=len(weights["fc.bias"]))
        model.load_state_dict(weights)
    else:
        pretrained = recipe.frozen and name == "resnet18"
        model = get_model(name, recipe.seed, weights="torchvision" if pretrained else None)
    layers = list(model.children())[:-3]  # without average pooling, flattening and classes
    return nn.Sequential(*layers), 64 if name == "resnet20" else 512


LOOKS: dict[str, Callable[[recipes.Captioner], tuple[nn.Module, int]]] = {
    "small": lambda recipe: (get_model("small_cnn", recipe.seed), 128),
    "resnet20": partial(_resnet, name="resnet20"),
    "resnet18": partial(_resnet, name="resnet18"),
}


def task_of(recipe: recipes.Captioner | recipes.Seq2Seq, data: Spoken) -> Task:
    """Cross-entropy of the words, END among them, in nats a word; then what is said of the test split is compared."""
    if recipe.width < 1:
        raise UserError(f"--width takes a number from 1, not {recipe.width}")
    pictures = bool(data.mean)
    files = {VOCABULARY: json.dumps(data.vocabulary)}
    if pictures:
        side = data.train.given.shape[-1]
        files[PICTURES] = json.dumps(dict(side=side, mean=data.mean, std=data.std))

    def prepare(X: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return (normalise(X[0], data.mean, data.std) if pictures else X[0]), X[1]

    def augmented(X: tuple[Tensor, Tensor], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        names = recipe.augment if isinstance(recipe, recipes.Captioner) else ()
        return augment(X[0], generator, names) if names else X[0], X[1]

    def loss(model: nn.Module, X: tuple[Tensor, Tensor], y: Tensor, progress: float) -> Tensor:
        return F.cross_entropy(model(*X).flatten(0, 1), y.flatten(), ignore_index=PAD)

    def sums(model: nn.Module, X: tuple[Tensor, Tensor], y: Tensor) -> dict[str, Tensor]:
        logits = model(*X).flatten(0, 1).float()
        return {"loss": F.cross_entropy(logits, y.flatten(), ignore_index=PAD, reduction="sum")}

    return Task(
        network(recipe, len(data.vocabulary)), loss, sums, prepare, augmented,
        counted=lambda X, y: int((y != PAD).sum()), report=partial(_report, data=data, width=recipe.width),
        initial_loss=math.log(len(data.vocabulary)), together=AT_ONCE,
        files=files, in_parts=True,
    )  # fmt: skip


def answers(model: nn.Module, given: Tensor, width: int, most: int = LONGEST) -> tuple[Tensor, Tensor]:
    """What a model says of each of `given`, prepared: words (m, width, T) and scores (m, width), best first."""
    assert isinstance(model, Captioner | Seq2Seq)
    return decode.beam(model.step, model.begin(given), most, width)


def _report(model: nn.Module, machine: Machine, found: Metrics, data: Spoken, width: int) -> Metrics:
    """Perplexity; of the first test examples exact match, BLEU and, on `shapes`, which objects are named."""
    from sacrebleu.metrics.bleu import BLEU

    asked = torch.arange(min(TOLD, len(data.test.given)))
    told: list[str] = []
    for at in torch.split(asked, AT_ONCE):
        given = data.test.given[at.to(data.test.given.device)]
        given = machine.place(normalise(given, data.mean, data.std)) if data.mean else given
        words, _ = answers(model, given, width)
        told += [" ".join(said(row, data.vocabulary)) for row in words[:, 0].tolist()]
    right = [data.references[i] for i in asked.tolist()]
    most = max(map(len, right))
    references: Any = [[r[k] if k < len(r) else None for r in right] for k in range(most)]
    score = BLEU(tokenize="none", lowercase=True, force=True).corpus_score(told, references)
    metrics = {
        "perplexity": math.exp(min(50.0, found["test_loss"])),
        "exact_match": sum(s in r for s, r in zip(told, right, strict=True)) / len(right),
        **{f"bleu_{n}": _bleu(score, n) for n in (1, 2, 3, 4)},
    }
    if data.name == "shapes":
        metrics["object_recall"] = sum(_named(s, r) for s, r in zip(told, right, strict=True)) / len(right)
    return metrics


def _bleu(score: object, n: int) -> float:
    """BLEU-n, 0 to 100: the brevity penalty times the geometric mean of the first n precisions."""
    precisions: list[float] = score.precisions[:n]  # type: ignore[attr-defined]
    if min(precisions) <= 0:
        return 0.0
    return float(score.bp * math.exp(sum(map(math.log, precisions)) / n))  # type: ignore[attr-defined]


def _named(told: str, right: tuple[str, ...]) -> float:
    """The share of a scene's coloured shapes that a caption names, in their colours."""

    def objects(caption: str) -> set[tuple[str, str]]:
        words = caption.split()
        return {(a, b) for a, b in pairwise(words) if a in COLOURS and b in SHAPES}

    there = set.union(*map(objects, right))
    return len(there & objects(told)) / len(there)
