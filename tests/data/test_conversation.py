"""Conversations, from files in every form, split so that nothing leaks."""

from pathlib import Path

import pytest

from dl780 import UserError
from dl780.data.conversation import load_conversations, reversals
from dl780.data.words import PAD, Pairs, Spoken, said


def speeches(data: Spoken, pairs: Pairs) -> list[tuple[str, str]]:
    given = [" ".join(said(row, data.vocabulary)) for row in pairs.given[pairs.which].tolist()]
    return list(zip(given, (" ".join(said(row, data.vocabulary)) for row in pairs.y.tolist()), strict=True))


def assert_nothing_leaks(data: Spoken) -> None:
    train = {speech for pair in speeches(data, data.train) for speech in pair}
    for pairs in (data.validation, data.test):
        assert len(pairs)
        for speech, answer in speeches(data, pairs):
            unknown = "<unk>" in speech + answer
            assert unknown or (speech not in train and answer not in train)


def test_the_embedded_corpus_is_split_without_a_leak() -> None:
    data = load_conversations(say=None)
    assert data.name == "chatterbot"
    assert_nothing_leaks(data)
    assert 0.6 < data.counts["train"] / sum(data.counts.values()) < 0.95
    assert len(set(speeches(data, data.train))) == data.counts["train"]


def lines(n: int) -> list[str]:
    return [f"speech {i} about thing {i * 7}" for i in range(n)]


def write(folder: Path, form: str) -> Path:
    spoken = lines(120)
    pairs = list(zip(spoken[::2], spoken[1::2], strict=True))
    if form == "tsv":
        path = folder / "pairs.tsv"
        path.write_text("\n".join(f"{a}\t{b}" for a, b in pairs))
        return path
    if form == "cornell":
        rows = [f"L{i} +++$+++ u0 +++$+++ m0 +++$+++ A +++$+++ {s}" for i, s in enumerate(spoken)]
        (folder / "movie_lines.txt").write_text("\n".join(rows))
        talks = [f"u0 +++$+++ u1 +++$+++ m0 +++$+++ ['L{2 * i}', 'L{2 * i + 1}']" for i in range(60)]
        (folder / "movie_conversations.txt").write_text("\n".join(talks))
    elif form == "ubuntu":
        for i, (a, b) in enumerate(pairs):
            first, second = a.split(" about ")
            (folder / f"{i}.tsv").write_text(f"t\tann\t\t{first}\nt\tann\t\tabout {second}\nt\tbob\tann\t{b}\n")
    else:
        scenes = [f"ANN:\n{a}\n\nBOB:\n{b}\n\nThey leave.\n" for a, b in pairs]
        (folder / "play.txt").write_text("\n".join(scenes))
    return folder


@pytest.mark.parametrize("form", ["tsv", "cornell", "ubuntu", "play"])
def test_every_form_gives_the_same_pairs(tmp_path: Path, form: str) -> None:
    data = load_conversations(str(write(tmp_path, form)), say=None)
    assert sum(data.counts.values()) == 60
    assert_nothing_leaks(data)
    for speech, answer in speeches(data, data.train):
        assert int(answer.split()[1]) == int(speech.split()[1]) + 1


def test_reversals_have_one_right_answer() -> None:
    data = reversals(n=400, longest=6)
    for pairs in (data.train, data.test):
        for speech, answer in speeches(data, pairs):
            assert answer.split() == speech.split()[::-1]
    assert data.references[0][0] == speeches(data, data.test)[0][1]
    assert data.train.given[0].ne(PAD).sum() <= 6


def test_bad_sources_are_one_line(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "no", "there is no"), (tmp_path, "holds no conversations")):
        with pytest.raises(UserError, match=words):
            load_conversations(str(path), say=None)
    (tmp_path / "one.tsv").write_text("a\tb\n")
    with pytest.raises(UserError, match="too few conversations"):
        load_conversations(str(tmp_path / "one.tsv"), say=None)
