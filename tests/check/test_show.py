"""A verdict as text and as a page fragment: what stands there, what is escaped, what a picture says."""

import re
import sys
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from torch import Tensor, tensor

from dl780.check import show
from dl780.check.verdict import OutputVerdict, Verdict

HOSTILE = "<script>alert('1')</script> & \"x\""


def wrong(name: str = "G_W", **more: Any) -> OutputVerdict:
    return OutputVerdict(name, 2.0, message="differs", shape="(2, 3)", case=2, **more)


def right(name: str = "G_b") -> OutputVerdict:
    return OutputVerdict(name, 1.5, points=1.5, ok=True, message="agrees", shape="(3,)")


def verdict(*outputs: OutputVerdict, **more: Any) -> Verdict:
    return Verdict("linear_backward", list(outputs), cases=6, **more)


def page(found: Verdict) -> ElementTree.Element:
    """The fragment, parsed: it must be well-formed."""
    return ElementTree.fromstring(show.fragment(found).replace("<th scope=row>", "<th>").replace(" class=shape", ""))


def test_text_has_a_line_for_points_for_each_output_and_for_the_way_back() -> None:
    found = verdict(wrong(), right(), flags=["changes its input Z in place"], replay='lab.replay("linear_backward", 2)')
    lines = show.text(found).splitlines()
    assert re.fullmatch(r"linear_backward +1\.5 of 3\.5 points", lines[0])
    assert [line.split() for line in lines[1:3]] == [["G_W", "(2,", "3)", "differs"], ["G_b", "(3,)", "agrees"]]
    assert lines[1].index("differs") == lines[2].index("agrees")
    assert lines[3:] == [
        "  note: changes its input Z in place",
        '  case 2 of 6 · again: lab.replay("linear_backward", 2)',
    ]


def test_one_sentence_for_all_outputs_stands_once() -> None:
    outputs = [OutputVerdict(name, 1, message="is not written yet") for name in ("f", "df")]
    assert show.text(verdict(*outputs)).count("is not written yet") == 1
    assert show.fragment(verdict(*outputs)).count("is not written yet") == 1


def test_right_outputs_with_the_same_sentence_are_told_each() -> None:
    assert show.text(verdict(right("f"), right("df"))).count("agrees") == 2


def test_a_fragment_is_well_formed_and_says_right_and_wrong_in_words() -> None:
    marks = [span.get("aria-label") for span in page(verdict(wrong(), right())).iter("span")]
    assert marks == ["wrong", "right"]


def test_whatever_a_student_wrote_is_escaped() -> None:
    pair = (torch.ones(2, 2), torch.zeros(2, 2))
    outputs = [OutputVerdict(HOSTILE, 1, message=HOSTILE, shape=HOSTILE, case=1, pair=pair), right()]
    found = Verdict(HOSTILE, outputs, flags=[HOSTILE], replay=HOSTILE, cases=1)
    assert "<script" not in show.html(found)
    assert HOSTILE in "".join(page(found).itertext())


def test_a_page_needs_no_script_and_knows_the_dark() -> None:
    whole = show.html(verdict(wrong(pair=(torch.ones(2, 2), torch.zeros(2, 2)))))
    assert "<script" not in whole
    assert "prefers-color-scheme:dark" in whole
    assert "http" not in whole
    assert not re.search(r"\son\w+=", whole)


def squares(got: Tensor, want: Tensor) -> list[ElementTree.Element]:
    """The filled squares of a heat map."""
    got, want = got.double(), want.double()
    return [
        rect for rect in ElementTree.fromstring(show.heat_map(got, want, "G")).iter("rect") if rect.get("x") != "-.5"
    ]


def places(got: Tensor, want: Tensor) -> set[tuple[int, int]]:
    """Row and column of each filled square."""
    return {(int(s.get("y", "")) // 12, int(s.get("x", "")) // 12) for s in squares(got, want)}


def test_a_heat_map_marks_the_entries_that_are_off() -> None:
    want = torch.zeros(3, 4)
    got = want.clone()
    got[1, 2], got[2, 0] = 5.0, 2.5
    assert places(got, want) == {(1, 2), (2, 0)}
    assert {s.get("fill-opacity") for s in squares(got, want)} == {"1.00", "0.50"}


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_what_is_not_finite_is_darkest(bad: float) -> None:
    found = squares(tensor([[bad, 1.0], [0.0, 0.0]]), torch.zeros(2, 2))
    assert [(s.get("x"), s.get("y"), s.get("fill-opacity")) for s in found] == [("0", "0", "1.00")]


def test_a_picture_has_an_alternative_text_with_the_true_size() -> None:
    svg = ElementTree.fromstring(show.heat_map(torch.ones(100, 50).double(), torch.zeros(100, 50).double(), "G_W"))
    assert svg.get("role") == "img"
    assert svg.get("aria-label") == "Error map of G_W, 100 by 50 entries: 576 of 576 squares are off."


@pytest.mark.parametrize("shape", [(1,), (7,), (1, 1), (25, 3), (3, 25), (500, 300), (2, 3, 4), (2, 2, 30, 40)])
def test_a_picture_of_any_shape_is_bounded_and_keeps_a_single_error(shape: tuple[int, ...]) -> None:
    want = torch.zeros(shape, dtype=torch.float64)
    got = want.clone()
    got.view(-1)[-1] = 1e-7
    svg = ElementTree.fromstring(show.heat_map(got, want, "G"))
    assert max(int(svg.get("width", "")), int(svg.get("height", ""))) <= 12 * show.PICTURE
    assert len(squares(got, want)) >= 1


def test_a_lone_error_in_a_large_picture_is_as_dark_as_a_block_of_them() -> None:
    got = torch.zeros(240, 240)
    got[0, 0] = 1.0
    got[120:180, 120:180] = 1.0
    found = squares(got, torch.zeros(240, 240))
    assert {s.get("fill-opacity") for s in found} == {"1.00"}
    assert len(found) == 1 + 6 * 6


def test_equal_arrays_have_an_empty_picture() -> None:
    assert squares(torch.ones(3, 3), torch.ones(3, 3)) == []


def test_in_a_terminal_a_verdict_is_printed_never_written_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    show.display(verdict(wrong(), right()))
    out, err = capsys.readouterr()
    assert out == show.text(verdict(wrong(), right())) + "\n"
    assert err == ""


def test_without_ipython_a_verdict_is_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "IPython.core.getipython", None)
    show.display(verdict(right()))
    assert "agrees" in capsys.readouterr().out


def test_in_a_notebook_a_verdict_is_rich_with_text_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("IPython.core.getipython.get_ipython", object)
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append((data, raw)))
    found = verdict(wrong(), right())
    show.display(found)
    assert shown == [({"text/html": show.html(found), "text/plain": show.text(found)}, True)]
