"""Each lab's mistakes and right variants, as code: what a mistake is told, and that no honest way is refused."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dl780 import UserError
from dl780.bank import read_bank
from dl780.check.cases import PUBLIC, Case
from dl780.check.question import Answers, Trained
from dl780.check.registry import load_lab
from dl780.check.verdict import Verdict, answer_key, judge
from dl780.student.call import attempt

QUESTIONS = load_lab("backprop").questions
LABS = Path(__file__).parents[2] / "labs"
MISTAKES = read_bank(LABS / "02_backprop.mistakes.py")
VARIANTS = read_bank(LABS / "02_backprop.variants.py")
MASTERS = (PUBLIC, b"one", b"two")
MANY = tuple(b"master %d" % i for i in range(20))


@cache
def drawn(name: str, master: bytes) -> tuple[list[Case], list[Answers]]:
    """The cases of a question under a master seed, with the answer key."""
    cases = list(QUESTIONS[name].cases(master))
    return cases, answer_key(QUESTIONS[name], cases)


def verdict_on(namespace: dict[str, Any], name: str, master: bytes) -> Verdict:
    """Judge the function that a namespace holds under a question's name."""
    question = QUESTIONS[name]
    cases, key = drawn(name, master)
    outcomes = [
        attempt(namespace[name], question.adapter, question.sent_inputs(case), question.outputs, question.not_allowed)
        for case in cases
    ]
    return judge(question, cases, outcomes, key)


def cells(bank: dict[tuple[str, str], str]) -> list[Any]:
    """One parameter for each cell; those of trained questions are slow."""
    return [
        pytest.param(
            name, title, id=f"{name}: {title}", marks=[pytest.mark.slow] * isinstance(QUESTIONS.get(name), Trained)
        )
        for name, title in bank
    ]


def assert_full(verdict: Verdict, about: object) -> None:
    """All points, and nothing to remark."""
    assert verdict.passed, (about, [(o.name, o.message) for o in verdict.outputs])
    assert verdict.points == verdict.out_of
    assert verdict.flags == []


def test_each_mistake_has_one_cell_and_each_cell_a_mistake() -> None:
    declared = [(name, sentence) for name, question in QUESTIONS.items() for sentence in question.mistakes]
    assert list(MISTAKES) == declared


@pytest.mark.parametrize(("name", "sentence"), cells(MISTAKES))
def test_mistake_is_recognised(name: str, sentence: str, after_solutions: Any) -> None:
    namespace = after_solutions(MISTAKES[name, sentence])
    for master in MASTERS:
        verdict = verdict_on(namespace, name, master)
        assert not verdict.passed
        assert verdict.points < verdict.out_of
        told = [(o.name, o.message) for o in verdict.outputs]
        assert verdict.mistake == sentence, (master, told)


@pytest.mark.parametrize("name", QUESTIONS)
def test_five_variants_of_every_question(name: str) -> None:
    assert len([title for question, title in VARIANTS if question == name]) >= 5


@pytest.mark.parametrize(("name", "title"), cells(VARIANTS))
def test_variant_earns_all_points(name: str, title: str, after_solutions: Any) -> None:
    namespace = after_solutions(VARIANTS[name, title])
    for master in MASTERS:
        assert_full(verdict_on(namespace, name, master), master)


@pytest.mark.parametrize("name", [name for name, question in QUESTIONS.items() if not isinstance(question, Trained)])
def test_solution_earns_all_points_under_twenty_masters(name: str, after_solutions: Any) -> None:
    namespace = after_solutions()
    for master in MANY:
        assert_full(verdict_on(namespace, name, master), master)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# %% no title\npass\n", "reads `# %% question: sentence`, not `# %% no title`"),
        ("# %%\npass\n", "reads"),
        ("# %% tanh: a\npass\n# %% tanh: a\npass\n", "two cells are called `tanh: a`"),
    ],
)
def test_malformed_banks_are_one_clear_line(tmp_path: Any, text: str, words: str) -> None:
    path = tmp_path / "bank.py"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        read_bank(path)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
