"""The pages: whole files that need nothing else, and in which nothing that a student wrote is more than text."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from dl780.check.registry import LabQuestions
from dl780.grade.feedback import class_page, student_page

Grade = Callable[..., dict[str, Any]]
EVIL = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"
VOID = {"meta", "img", "br", "link", "input", "rect"}


class Page(HTMLParser):
    """Tags, links and text of a page; fails where tags do not match."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += f" {data}"


@pytest.fixture(scope="module")
def graded(
    grade_below: Grade, right: list[str], ipynb: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The output of a class: one right, one mistaken, one hostile, one cut off."""
    averaged = "def linear_backward(G, Z, W, b):\n    return G @ W, G.T @ Z, G.mean(0)"
    off = "def tanh(a):\n    t = a.tanh() + 0.01 * (a > 0)\n    return t, 1 - a.tanh()**2"
    evil = f"def relu(a):\n    raise ValueError({EVIL!r})"
    folder = tmp_path_factory.mktemp("pages")
    grade_below(
        folder,
        {
            "ada.ipynb": ipynb(*right),
            "bea.ipynb": ipynb(*right, averaged, off),
            "<i>eve & co.ipynb": ipynb(*right, evil, averaged),
            "cut.ipynb": "{",
        },
    )
    return folder / "out"


def test_pages_stand_alone(graded: Path) -> None:
    pages = [graded / "class.html", *(graded / "feedback").iterdir()]
    assert len(pages) == 5
    for path in pages:
        text = path.read_text(encoding="utf-8")
        assert text.startswith("<!doctype html>")
        assert not re.search(r"(?i)(https?:)?//|<script|@import|url\(|javascript:", text.replace(EVIL, "")), path
        names = [tag for tag, _ in Page(path).tags]
        assert not {"script", "link", "iframe", "object", "embed"} & set(names)
        assert ("html", {"lang": "en"}) in Page(path).tags
        assert names.count("h1") == 1


def test_what_a_student_wrote_is_only_text(graded: Path) -> None:
    page = Page(graded / "feedback" / "<i>eve & co.html")
    assert f"raised ValueError: {EVIL}" in page.text
    assert "<i>eve & co" in page.text
    overview = Page(graded / "class.html")
    for tag, attributes in page.tags + overview.tags:
        assert tag not in ("script", "img", "i")
        assert not any(name.startswith("on") for name in attributes)
    assert "<i>eve & co" in overview.text


def test_every_link_of_the_class_page_leads_to_a_page(graded: Path) -> None:
    links = [attributes["href"] for tag, attributes in Page(graded / "class.html").tags if tag == "a"]
    assert len(links) == 4 + 3  # the list of all, and the heat map of those that were graded
    for link in links:
        assert link
        assert (graded / unquote(link)).is_file(), link


def test_every_picture_has_an_alternative(graded: Path) -> None:
    pictures = [a for p in (graded / "feedback").iterdir() for tag, a in Page(p).tags if tag == "svg"]
    assert pictures
    assert all(a.get("role") == "img" and a.get("aria-label") for a in pictures)
    bars = [a for tag, a in Page(graded / "class.html").tags if a.get("class") == "bar"]
    assert bars
    assert all(a.get("role") == "img" and a.get("aria-label") for a in bars)


def test_the_class_page_counts(graded: Path) -> None:
    text = " ".join(Page(graded / "class.html").text.split())
    assert "3 graded, median 15 of 20" in text
    assert "3 graded, 1 unreadable" in text
    assert "linear_backward averaged the bias gradient over the batch 2" in text
    assert "linear_backward 1 2 0 80 %" in text
    assert "example def linear_backward(G, Z, W, b): return (G @ W, G.T @ Z, G.mean(0))" in text
    assert "Points of each student, best first" in text
    assert "ada 4 4 10 2 4 20" in text
    labels = [a["aria-label"] for _, a in Page(graded / "class.html").tags if a.get("class") == "histogram"]
    assert labels == ["Histogram of 3 scores: 1 from 12 to 14, 1 from 14 to 16, 1 from 18 to 20."]
    assert "cut unreadable" in text


def test_the_students_page_says_what_the_notebook_says(graded: Path) -> None:
    text = " ".join(Page(graded / "feedback" / "bea.html").text.split())
    assert "averaged the bias gradient over the batch" in text
    assert 'lab.replay("linear_backward", "1:' in text
    assert "15 of 20 points" in text
    cut = Page(graded / "feedback" / "cut.html").text
    assert "Not graded" in cut
    assert "0 of 20" not in cut


def test_questions_that_look_too_hard_or_too_easy(small: LabQuestions) -> None:
    def result(i: int, tanh: float) -> dict[str, Any]:
        questions = {
            n: dict(points=q.out_of, out_of=q.out_of, mistake=None, flags=[]) for n, q in small.questions.items()
        }
        questions["tanh"]["points"] = tanh
        questions["relu"]["points"] = 2.0 if i == 0 else 4.0
        about = dict(submission=str(i), status="graded", score=10.0 + i, out_of=20.0, note="")
        return about | dict(questions=questions, examples={})

    shares = (0.0, 0.0, 4.0, 0.0, 0.0)
    page = class_page(small, [result(i, tanh) for i, tanh in enumerate(shares)])
    looks = dict(
        re.findall(r"<code>(\w+)</code></th>\s*<td><div class=\"bar\".*?<td>(too \w+\?|)</td></tr>", page, re.DOTALL)
    )
    assert looks == dict(
        tanh="too hard?", relu="", linear_backward="too easy?", sgd_step="too easy?", products="too easy?"
    )
    assert "too hard?" not in class_page(small, [result(i, 0.0) for i in range(4)])


def test_requests_for_a_regrade_stand_in_the_page(small: LabQuestions) -> None:
    asked = dict(submission="ada", question="tanh", comment="<b>I was right</b>", time="2026-03-01", answered="")
    page = class_page(small, [], [asked])
    assert "&lt;b&gt;I was right&lt;/b&gt;" in page
    assert "waits" in page


def test_a_class_without_a_graded_submission_has_a_page(small: LabQuestions) -> None:
    result: dict[str, Any] = dict(submission="x", lab="backprop", status="empty", score=None, out_of=20.0, note="empty")
    result["questions"] = {}
    assert "0 graded" in class_page(small, [result])
    assert "Not graded" in student_page(small, result, [])


def test_what_is_doubtful_is_shown_to_a_human_with_its_code(
    grade_all: Any, right: list[str], ipynb: Any, tmp_path: Path
) -> None:
    doubtful = (
        "step = 1e-5\n\ndef tanh(a):\n    f = torch.tanh\n    return f(a), (f(a + step) - f(a - step)) / 2 / step"
    )
    found = grade_all({"ada.ipynb": ipynb(*right, doubtful), "bea.ipynb": ipynb(*right)})
    tanh = found["ada"]["questions"]["tanh"]
    assert tanh["points"] == tanh["out_of"]
    assert "divides by a small constant, as differencing does" in tanh["flags"]
    assert "takes a function at two points close together, as differencing does" in tanh["flags"]
    page = Page(tmp_path / "out" / "review.html")
    assert "(f(a + step) - f(a - step)) / 2 / step" in page.text
    assert "step = 1e-5" in page.text
    assert "as differencing does" in page.text
    assert [a["href"] for tag, a in page.tags if tag == "a"] == ["feedback/ada.html"]
    assert found["ada"]["review"].keys() == {"tanh"}
    assert found["bea"]["review"] == {}
