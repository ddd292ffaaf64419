from runpy import run_path

import pytest

put = run_path("benchmarks/report.py")["put"]


def test_a_section_is_replaced_in_its_place_and_leaves_the_others(tmp_path):
    page = tmp_path / "results.md"
    for section in ("## One\n\n1", "## Two\n\n### Part\n\n2", "## Three\n\n3", "## Two\n\nnew"):
        put(section, page)
    assert page.read_text() == "## One\n\n1\n\n## Two\n\nnew\n\n## Three\n\n3\n"


def test_what_stands_before_the_first_section_stays(tmp_path):
    page = tmp_path / "results.md"
    page.write_text("# Results\n\nMeasured.\n\n## One\n\nold\n")
    put("## One\n\nnew", page)
    assert page.read_text() == "# Results\n\nMeasured.\n\n## One\n\nnew\n"


def test_a_section_without_a_title_is_refused(tmp_path):
    with pytest.raises(ValueError, match="begins with its title"):
        put("### Part\n\n1", tmp_path / "results.md")
