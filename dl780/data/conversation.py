"""Conversations as pairs of speech and answer: chatterbot's corpus, a TSV, film dialogues, Ubuntu's, plays; sequences
to reverse. Split by conversation: no answer, and no speech, stands in two splits.
"""

import csv
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import torch

from dl780 import UserError
from dl780.data.dataset import permutation
from dl780.data.words import PAD, Pairs, Spoken, rows, vocabulary_of, words_of

LONGEST = 25  # words of a speech
Conversation = list[str]  # speeches, each the answer to the one before
FILM = " +++$+++ "


def load_conversations(
    source: str = "auto",
    *,
    least: int = 1,
    vocabulary: tuple[str, ...] = (),
    say: Callable[[str], object] | None = print,
) -> Spoken:
    """Pairs of speech and answer: of auto or embedded, chatterbot's English corpus; `reverse`; else of a path.

    Args:
        source: a TSV of pairs, the folder of Cornell's film dialogues, or of Ubuntu's, or of plays as text files
        least: how often a word occurs in training before the vocabulary holds it
        vocabulary: of a checkpoint
    Raises `UserError`.
    """
    if source == "reverse":
        spoken = reversals()
    else:
        name, title, where, conversations = _found(source)
        talks = [[words for speech in talk if (words := words_of(speech)[:LONGEST])] for talk in conversations]
        parts = _split(_each_once(talks))
        if not all(parts.values()):
            raise UserError(f"{where} holds too few conversations to split: {len(talks)}")
        vocabulary = vocabulary or vocabulary_of((speech for pair in parts["train"] for speech in pair), least)
        pairs = [_pairs(found, vocabulary) for found in parts.values()]
        answers: dict[str, list[str]] = {}
        for speech, answer in parts["test"]:
            answers.setdefault(" ".join(speech), []).append(" ".join(answer))
        references = tuple(tuple(answers[" ".join(speech)]) for speech, _ in parts["test"])
        spoken = Spoken(name, title, where, vocabulary, (pairs[0], pairs[1], pairs[2]), references=references)
    if say:
        say(spoken.describe())
    return spoken


def reversals(n: int = 60_000, longest: int = 20, symbols: int = 26, seed: int = 0) -> Spoken:
    """Random letters, each sequence of 1 to `longest`, and the same from behind: a task with one right answer."""
    generator = torch.Generator().manual_seed(seed)
    letters = tuple(chr(ord("a") + i) for i in range(symbols))
    vocabulary = vocabulary_of([letters])
    lengths = torch.randint(1, longest + 1, (n,), generator=generator).tolist()
    drawn = torch.randint(symbols, (n, longest), generator=generator).tolist()
    said = [[letters[i] for i in row[:length]] for row, length in zip(drawn, lengths, strict=True)]
    test, validation = n // 20, n // 20
    cut = dict(train=said[test + validation :], validation=said[test : test + validation], test=said[:test])
    parts = {part: [(words, words[::-1]) for words in found] for part, found in cut.items()}
    pairs = [_pairs(found, vocabulary) for found in parts.values()]
    references = tuple((" ".join(answer),) for _, answer in parts["test"])
    title = f"sequences of up to {longest} letters, reversed"
    return Spoken("reverse", title, "a seed", vocabulary, (pairs[0], pairs[1], pairs[2]), references)


def _pairs(found: list[tuple[list[str], list[str]]], vocabulary: tuple[str, ...]) -> Pairs:
    given = rows([speech for speech, _ in found], vocabulary, LONGEST)
    given = torch.where(given == 2, PAD, given)  # what is answered needs no end
    return Pairs(given, torch.arange(len(found)), rows([answer for _, answer in found], vocabulary, LONGEST))


def _split(talks: list[list[list[str]]]) -> dict[str, list[tuple[list[str], list[str]]]]:
    """Pairs of three splits. Conversations that share a speech or an answer go into the same split."""
    group = _connected(talks)
    order = permutation(len(talks)).tolist()
    place: dict[int, str] = {}
    total, taken = len(talks), 0
    parts: dict[str, list[tuple[list[str], list[str]]]] = {"train": [], "validation": [], "test": []}
    members: dict[int, list[int]] = {}
    for i in order:
        members.setdefault(group[i], []).append(i)
    for several in members.values():
        share = taken / total
        small = len(several) <= max(1, total // 50)  # a large group would be most of a small split
        part = "test" if share < 0.1 and small else "validation" if share < 0.2 and small else "train"
        taken += len(several) if small else 0
        place |= dict.fromkeys(several, part)
    seen: set[tuple[tuple[str, ...], tuple[str, ...]]] = set()
    for i, talk in enumerate(talks):
        for speech, answer in pairwise(talk):
            if (key := (tuple(speech), tuple(answer))) not in seen:
                seen.add(key)
                parts[place[i]].append((speech, answer))
    return parts


def _each_once(talks: list[list[list[str]]]) -> list[list[list[str]]]:
    """Conversations that differ, in their order."""
    found = {repr(talk): talk for talk in talks}
    return list(found.values())


def _connected(talks: list[list[list[str]]]) -> list[int]:
    """For each conversation the number of its group; groups share no speech."""
    parent = list(range(len(talks)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = grand = parent[parent[i]]
            i = grand
        return i

    first: dict[tuple[str, ...], int] = {}
    for i, talk in enumerate(talks):
        for speech in map(tuple, talk):
            parent[root(i)] = root(first.setdefault(speech, i))
    return [root(i) for i in range(len(talks))]


def _found(source: str) -> tuple[str, str, str, list[Conversation]]:
    """Name, title, place and conversations."""
    if source in ("auto", "embedded"):
        return "chatterbot", "chatterbot's English corpus, deduplicated", "chatterbot-corpus", list(_chatterbot())
    path = Path(source)
    if not path.exists():
        raise UserError(f"there is no {path}; --data takes auto, reverse, a TSV of pairs, or a folder of conversations")
    if path.is_file():
        talks = list(_table(path))
        return path.stem, f"{len(talks):,} pairs of a table", source, talks
    if (path / "movie_lines.txt").is_file():
        return "cornell", "Cornell's film dialogues", source, list(_films(path))
    if tables := sorted(path.rglob("*.tsv")):
        return path.resolve().name, f"{len(tables):,} dialogues of Ubuntu's form", source, list(_ubuntu(tables))
    if plays := sorted(path.rglob("*.txt")):
        return path.resolve().name, f"{len(plays):,} plays", source, [t for p in plays for t in _play(_read(p))]
    raise UserError(f"{path} holds no conversations: *.tsv, movie_lines.txt, or plays as *.txt")


def _chatterbot() -> Iterator[Conversation]:
    from importlib.resources import files

    import yaml

    for file in sorted(files("chatterbot_corpus").joinpath("data", "english").iterdir(), key=lambda f: f.name):
        if file.name.endswith(".yml"):
            for talk in yaml.safe_load(file.read_text(encoding="utf-8"))["conversations"]:
                yield [str(speech) for speech in talk]


def _table(path: Path) -> Iterator[Conversation]:
    """A speech and its answer a line, with a tab between."""
    for row in csv.reader(_read(path).splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE):
        if len(row) >= 2:
            yield row[:2]


def _films(folder: Path) -> Iterator[Conversation]:
    """movie_lines.txt: number +++$+++ … +++$+++ speech; movie_conversations.txt: … +++$+++ ['L1', 'L2']."""
    lines = [line.split(FILM) for line in _read(folder / "movie_lines.txt").splitlines()]
    speeches = {line[0].strip(): line[-1] for line in lines if len(line) >= 5}
    for line in _read(folder / "movie_conversations.txt").splitlines():
        yield [speeches[number] for number in re.findall(r"L\d+", line.split(FILM)[-1]) if number in speeches]


def _ubuntu(tables: list[Path]) -> Iterator[Conversation]:
    """A dialogue a file, a line each: time, from, to, what is said; what one says in a row is one speech."""
    for path in tables:
        talk, before = list[str](), ""
        for row in csv.reader(_read(path).splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE):
            if len(row) < 4:
                continue
            if row[1] == before and talk:
                talk[-1] += " " + row[3]
            else:
                talk.append(row[3])
            before = row[1]
        yield talk


def _play(text: str) -> Iterator[Conversation]:
    """Scenes of speeches: a line `NAME:` or `NAME.` and what is said below it, up to an empty line."""
    talk: Conversation = []
    for block in re.split(r"\n\s*\n", text):
        head, _, said = block.strip().partition("\n")
        if re.fullmatch(r"[A-Z][\w' ]{0,40}[:.]", head.strip()) and said:
            talk.append(" ".join(said.split()))
        elif talk:
            yield talk
            talk = []
    if talk:
        yield talk


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
