"""One list of what the package needs, in two files: setup.cfg for pip, environment.yml for conda."""

import re
from configparser import ConfigParser

import pytest

from dl780.release import ROOT

pytestmark = pytest.mark.skipif(not (ROOT / "environment.yml").exists(), reason="needs a checkout")
CONDA_NAMES = {"pytorch": "torch"}


def floors(text: str) -> dict[str, str]:
    """Package -> floor, of lines such as `- numpy>=1.26`."""
    found = re.findall(r"(?m)^\s*(?:- )?([\w-]+)\s*>=\s*([\d.]+)\s*$", text)
    assert len(dict(found)) == len(found), "a package stands there twice"
    return {CONDA_NAMES.get(name, name): floor for name, floor in found}


def test_both_lists_agree() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    conda = (ROOT / "environment.yml").read_text()
    required = setup["options"]["install_requires"]
    wanted = floors(required)
    assert len(wanted) == len(required.split()), "each dependency has a floor, and no more"
    assert floors(conda) == {**wanted, "python": setup["options"]["python_requires"].removeprefix(">=")}
    others = re.findall(r"(?m)^  - (.+)$", conda)
    assert [line for line in others if ">=" not in line] == ["pip"]


def test_the_interpreter_is_named_alike_everywhere() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    floor = setup["options"]["python_requires"].removeprefix(">=")
    assert f'target-version = "py{floor.replace(".", "")}"' in (ROOT / "pyproject.toml").read_text()
    assert f"Python {floor}" in (ROOT / "Makefile").read_text()
