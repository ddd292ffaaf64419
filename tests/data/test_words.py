"""Sentences as numbers, and pairs in batches of like length."""

import torch

from dl780.data import batches, generator_for
from dl780.data.words import END, PAD, START, UNKNOWN, Pairs, rows, said, sentence_of, vocabulary_of, words_of


def test_sentences_become_numbers_and_come_back() -> None:
    sentence = "It's a red circle, isn't it?"
    words = words_of(sentence)
    assert words == ["it's", "a", "red", "circle", ",", "isn't", "it", "?"]
    vocabulary = vocabulary_of([words, words, ["rare"]], least=2)
    assert vocabulary[:4] == ("<pad>", "<start>", "<end>", "<unk>")
    y = rows([words, ["a", "rare", "red"]], vocabulary, 30)
    assert y.shape == (2, 9)
    assert y[1].tolist()[3:] == [END] + 5 * [PAD]
    assert y[1, 1] == UNKNOWN
    assert sentence_of(said(y[0].tolist(), vocabulary)) == "it's a red circle, isn't it?"
    assert rows([words], vocabulary, 3).tolist()[0][-1] == END


def test_a_vocabulary_is_by_frequency_and_ties_by_the_alphabet() -> None:
    found = vocabulary_of([["b", "a", "c", "c"], ["d"]], most=7)
    assert found[4:] == ("c", "a", "b")


def pairs(n: int = 103) -> Pairs:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 9, (n,), generator=generator)
    y = torch.full((n, 10), PAD)
    for row, length in zip(y, lengths.tolist(), strict=True):
        row[:length] = torch.randint(4, 20, (length,), generator=generator)
        row[length] = END
    given = torch.where(y == END, PAD, y)
    return Pairs(given, torch.arange(n), y)


def test_every_pair_comes_once_with_its_words_shifted() -> None:
    data = pairs()
    fed = list(batches(data, 10, generator_for(0, 0)))
    assert len(fed) == data.steps(10) == 11
    assert [len(y) for _, y in fed] == [10] * 10 + [3]
    seen = sorted(tuple(w for w in row if w) for _, y in fed for row in y.tolist())
    assert seen == sorted(tuple(w for w in row if w) for row in data.y.tolist())
    for (given, before), y in fed:
        assert before[:, 0].eq(START).all()
        assert before[:, 1:].equal(y[:, :-1])
        assert (y != PAD).any(0).all()
        assert torch.where(y == END, PAD, y)[:, : given.shape[1]].equal(given)


def test_batches_of_like_length_hold_less_padding_and_resume_and_share() -> None:
    data = pairs(1000)

    def padding(examples: Pairs) -> int:
        return sum(int((y == PAD).sum()) for _, y in batches(examples, 10, generator_for(0, 0)))

    plain = Pairs(data.given, data.which, data.y, bucketed=False)
    assert padding(data) < 0.4 * padding(plain)
    whole = list(data.order(10, generator_for(0, 1)))
    assert all(a.equal(b) for a, b in zip(data.order(10, generator_for(0, 1), start=3), whole[3:], strict=True))
    halves = [list(data.order(10, generator_for(0, 1), share=(rank, 2))) for rank in (0, 1)]
    assert sorted([*halves[0][2].tolist(), *halves[1][2].tolist()]) == sorted(whole[2].tolist())
    in_order = torch.cat(list(data.order(10, None)))
    assert in_order.equal(torch.arange(1000))
