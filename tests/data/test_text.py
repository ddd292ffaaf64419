"""Text: found, split, encoded, and read as streams that go on."""

import io
import tarfile
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from dl780 import UserError
from dl780.data import batches, generator_for
from dl780.data.text import UNKNOWN, Windows, encode, load_text


def decoded(symbols: torch.Tensor, vocabulary: tuple[str, ...]) -> str:
    return "".join(vocabulary[i] for i in symbols.tolist())


def test_the_standard_library_is_always_there(capsys: pytest.CaptureFixture[str]) -> None:
    text = load_text(unit="byte")
    assert text.name.startswith("python-3.")
    assert text.counts["train"] > 2_000_000
    assert 0.03 < text.counts["test"] / sum(text.counts.values()) < 0.2
    assert "256 symbols" in capsys.readouterr().out


def test_a_file_is_split_from_front_to_end_and_encoded_by_its_vocabulary(tmp_path: Path) -> None:
    path = tmp_path / "poem.txt"
    content = "abc déf\n" * 500 + "∀x" * 20 + "ghi" * 200
    path.write_text(content, encoding="utf-8")
    text = load_text(str(path), length=8, shares=(0.05, 0.1), say=None)
    assert text.name == "poem"
    assert text.vocabulary[0] == UNKNOWN
    assert decoded(text.train.symbols, text.vocabulary) == content[: len(text.train.symbols)]
    ends = text.test.symbols
    assert decoded(ends, text.vocabulary).endswith(UNKNOWN)  # g, h and i were never seen in training
    again = load_text(str(path), length=8, vocabulary=text.vocabulary, say=None)
    assert again.train.symbols.equal(text.train.symbols)


def test_more_symbols_than_a_byte_holds_and_characters_across_pieces() -> None:
    symbols = "".join(chr(0x4E00 + i) for i in range(400))
    vocabulary = (UNKNOWN, *symbols)
    coded = encode([symbols.encode() * 3], vocabulary)
    assert coded.dtype == torch.int16
    assert decoded(coded, vocabulary) == symbols * 3


def test_a_folder_is_split_by_file(tmp_path: Path) -> None:
    for i in range(40):
        (tmp_path / f"{i}.c").write_text(f"{i:02}" * 200)
        (tmp_path / f"{i}.h").write_text("#" * 50)
    text = load_text(str(tmp_path), files="*.c", length=8, shares=(0.1, 0.2), say=None)
    assert sum(text.counts.values()) == 40 * 400
    seen = {name: set(decoded(getattr(text, name).symbols, text.vocabulary).split("0")) for name in text.counts}
    assert "#" not in text.vocabulary
    assert text.counts["test"] == 8 * 400
    assert seen["train"]


def test_an_archive_is_read_in_place_by_member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "linux-source-6.1.tar.xz"
    with tarfile.open(path, "w:xz") as archive:
        for name, content in {
            "linux/kernel/a.c": b"int a;\n" * 99,
            "linux/mm/b.c": b"x" * 99,
            "linux/kernel/README": b"r",
        }.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    for _ in range(2):  # the second time from what was kept
        text = load_text(str(path), files="*.c", members="linux/kernel/", length=8, say=None)
        assert sum(text.counts.values()) == 7 * 99
        assert text.name == "linux-source-6.1-kernel"


@pytest.mark.parametrize("content", [b"not an archive", b""])
def test_what_is_no_archive_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "a.tar.xz"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        load_text(str(path), say=None)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "cache").rglob("*.tar*"))


@pytest.mark.parametrize(("name", "content", "words"), [
    ("short.txt", b"too short", "too short to learn from"),
    ("empty.txt", b"", "holds no text"),
    ("nothing", None, "there is no"),
])  # fmt: skip
def test_bad_sources_are_one_line(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=words):
        load_text(str(path), say=None)


def test_each_stream_goes_on_where_its_batch_before_ended() -> None:
    text = Windows(torch.arange(1000, dtype=torch.int16), 7)
    fed = list(batches(text, 5, generator_for(0, 0)))
    assert len(fed) == text.steps(5)
    for (X, y), (after, _) in pairwise(fed):
        assert X.shape == (5, 7)
        assert y.equal(X + 1)
        assert after[:, 0].equal(y[:, -1])
    assert not next(batches(text, 5, generator_for(0, 1)))[0].equal(fed[0][0])
    resumed = list(batches(text, 5, generator_for(0, 0), start=3))
    assert all(a.equal(b) for (a, _), (b, _) in zip(resumed, fed[3:], strict=True))
    halves = [list(batches(text, 5, generator_for(0, 0), share=(rank, 2))) for rank in (0, 1)]
    assert {*halves[0][1][0][:, 0].tolist(), *halves[1][1][0][:, 0].tolist()} == set(fed[1][0][:, 0].tolist())


def test_evaluation_reads_every_symbol_but_less_than_one_a_stream() -> None:
    text = Windows(torch.arange(2700, dtype=torch.int16), 7)
    read = torch.cat([y.flatten() for _, y in batches(text, 6)])
    assert len(read) == len(read.unique()) == 2699 // 6 * 6
