"""Each lab's mistakes and right variants, as code: what a mistake is told, and that no honest way is refused."""

from functools import cache
from typing import Any

import pytest

from dl780 import UserError
from dl780.bank import read_bank
from dl780.check.cases import PUBLIC, Case
from dl780.check.question import Answers, Trained
from dl780.check.registry import lab_names, load_lab
from dl780.check.verdict import Verdict, answer_key, judge
from dl780.release import source_of
from dl780.student.call import attempt

LABS = {name: load_lab(name).questions for name in lab_names()}
MASTERS = (PUBLIC, b"one", b"two")
MANY = tuple(b"master %d" % i for i in range(20))


def bank(lab: str, kind: str) -> dict[tuple[str, str], str]:
    """A lab's mistakes or variants, as code."""
    return read_bank(source_of(lab).with_suffix(f".{kind}.py"))


@cache
def drawn(lab: str, name: str, master: bytes) -> tuple[list[Case], list[Answers]]:
    """The cases of a question under a master seed, with the answer key."""
    cases = list(LABS[lab][name].cases(master))
    return cases, answer_key(LABS[lab][name], cases)


def verdict_on(namespace: dict[str, Any], lab: str, name: str, master: bytes) -> Verdict:
    """Judge the function that a namespace holds under a question's name."""
    q = LABS[lab][name]
    cases, key = drawn(lab, name, master)
    outcomes = [
        attempt(namespace[name], q.adapter, q.sent_inputs(case), q.outputs, q.not_allowed, name, q.products)
        for case in cases
    ]
    return judge(q, cases, outcomes, key)


def cells(kind: str) -> list[Any]:
    """One parameter for each cell of every lab; those of trained questions are slow."""
    return [
        pytest.param(
            *(lab, name, title, code),
            id=f"{lab}-{name}: {title}",
            marks=[pytest.mark.slow] * isinstance(questions.get(name), Trained),
        )
        for lab, questions in LABS.items()
        for (name, title), code in bank(lab, kind).items()
    ]


def asked(*, trained: bool) -> list[Any]:
    """One parameter for each question of every lab."""
    return [
        pytest.param(lab, name, id=f"{lab}-{name}")
        for lab, questions in LABS.items()
        for name, question in questions.items()
        if trained or not isinstance(question, Trained)
    ]


def assert_full(verdict: Verdict, about: object) -> None:
    """All points, and nothing to remark."""
    assert verdict.passed, (about, [(o.name, o.message) for o in verdict.outputs])
    assert verdict.points == verdict.out_of
    assert verdict.flags == []


@pytest.mark.parametrize("lab", LABS)
def test_each_mistake_has_one_cell_and_each_cell_a_mistake(lab: str) -> None:
    declared = [(name, sentence) for name, question in LABS[lab].items() for sentence in question.mistakes]
    assert list(bank(lab, "mistakes")) == declared


@pytest.mark.parametrize(("lab", "name", "sentence", "code"), cells("mistakes"))
def test_mistake_is_recognised(lab: str, name: str, sentence: str, code: str, after_solutions: Any) -> None:
    namespace = after_solutions(lab, code)
    for master in MASTERS:
        verdict = verdict_on(namespace, lab, name, master)
        assert not verdict.passed
        assert verdict.points < verdict.out_of
        told = [(o.name, o.message) for o in verdict.outputs]
        assert verdict.mistake == sentence, (master, told)


@pytest.mark.parametrize(("lab", "name"), asked(trained=True))
def test_five_variants_of_every_question(lab: str, name: str) -> None:
    assert len([title for question, title in bank(lab, "variants") if question == name]) >= 5


@pytest.mark.parametrize(("lab", "name", "title", "code"), cells("variants"))
def test_variant_earns_all_points(lab: str, name: str, title: str, code: str, after_solutions: Any) -> None:
    namespace = after_solutions(lab, code)
    trained = isinstance(LABS[lab][name], Trained)
    for master in MASTERS[:1] if trained else MASTERS:
        assert_full(verdict_on(namespace, lab, name, master), master)


@pytest.mark.parametrize(("lab", "name"), asked(trained=False))
def test_solution_earns_all_points_under_twenty_masters(lab: str, name: str, after_solutions: Any) -> None:
    namespace = after_solutions(lab)
    for master in MANY:
        assert_full(verdict_on(namespace, lab, name, master), master)


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
