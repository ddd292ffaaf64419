"""No solution, and no mistake as code, leaves labs/: not in a notebook, not in the wheel, not in the sdist."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from dl780.release import REGION, ROOT

pytestmark = pytest.mark.skipif(not (ROOT / "labs").is_dir(), reason="needs a checkout")
TELLS_NOTHING = re.compile(
    r"(def|class) .*|return [\w, ]+|(from|import) .*|#.*|.*\"\"\".*|(for|while|if|elif|with) [^=]*:|"
    r"(generator = torch\.Generator\(\)|torch)\.manual_seed\(seed\)"
)


def lines(text: str) -> set[str]:
    return {line.strip() for line in text.splitlines()}


@pytest.fixture(scope="module")
def secrets() -> set[str]:
    """Lines of solutions, mistakes and variants that stand in no question and nowhere in the lab's open text."""
    found: set[str] = set()
    open_text = lines("\n".join(path.read_text() for path in (ROOT / "dl780" / "questions").glob("*.py")))
    for path in (ROOT / "labs").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path.suffixes == [".py"]:
            open_text |= lines(REGION.sub("", text))
            text = "\n".join(region["body"] for region in REGION.finditer(text))
        found |= lines(text)
    return {line for line in found - open_text if len(line) > 12 and not TELLS_NOTHING.fullmatch(line)}


def leaks(name: str, content: bytes, secrets: set[str]) -> list[str]:
    """Lines of a file that are secret, each with the file's name."""
    text = content.decode("utf-8", errors="replace")
    if name.endswith(".ipynb"):
        text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    return [f"{name}: {line}" for line in sorted(lines(text) & secrets)]


def test_there_is_something_to_leak(secrets: set[str]) -> None:
    assert len(secrets) > 300
    assert leaks("solution", (ROOT / "labs" / "02_backprop.py").read_bytes(), secrets)
    assert leaks("mistakes", (ROOT / "labs" / "02_backprop.mistakes.py").read_bytes(), secrets)


def test_student_notebooks_leak_nothing(secrets: set[str]) -> None:
    notebooks = list((ROOT / "notebooks").iterdir())
    assert any(path.suffix == ".ipynb" for path in notebooks)
    assert [leak for path in notebooks if path.is_file() for leak in leaks(path.name, path.read_bytes(), secrets)] == []


def test_the_package_leaks_nothing(secrets: set[str]) -> None:
    files = (ROOT / "dl780").rglob("*.py")
    assert [leak for path in files for leak in leaks(path.name, path.read_bytes(), secrets)] == []


@pytest.mark.slow
def test_wheel_and_sdist(secrets: set[str], tmp_path: Path) -> None:
    """Both are built from a copy of the checkout; the wheel alone gives a student everything."""
    copy, dist = tmp_path / "copy", tmp_path / "dist"
    left = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "build", "dist", "demo", "runs")
    shutil.copytree(ROOT, copy, ignore=left)
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(dist), str(copy)], cwd=tmp_path)
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(sdist) as tar:
        members = [member for member in tar.getmembers() if member.isfile()]
        in_sdist = {m.name.partition("/")[2]: file.read() for m in members if (file := tar.extractfile(m))}
    carried = {"dl780/py.typed", *(f"dl780/grade/pages/{page}.html" for page in ("base", "class", "student"))}
    assert carried | {"dl780/notebooks/02_backprop.ipynb"} <= set(in_wheel)
    assert carried | {"notebooks/02_backprop.ipynb", "setup.cfg", "LICENSE"} <= set(in_sdist)
    for name, content in [*in_wheel.items(), *in_sdist.items()]:
        assert not re.match(r"(.*/)?(labs|tests|benchmarks)/|.*(mistakes|variants)", name), name
        assert leaks(name, content, secrets) == []
    assert {str(path.relative_to(ROOT)) for path in (ROOT / "dl780").rglob("*.py")} <= set(in_wheel)

    alone = tmp_path / "alone"
    run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(alone), str(wheel)], cwd=tmp_path)
    code = "import dl780; from dl780 import Lab; lab = Lab('backprop'); print(dl780.__file__); lab.hint('tanh')"
    said = run([sys.executable, "-c", code], cwd=tmp_path, path=alone).stdout.splitlines()
    assert Path(said[0]).is_relative_to(alone)
    assert len(said) == 2
    release = run([sys.executable, "-m", "dl780", "release"], cwd=tmp_path, path=alone, code=2)
    assert len(release.stderr.splitlines()) == 1
    assert "needs a checkout" in release.stderr


def run(command: list[str], cwd: Path, path: Path | None = None, code: int = 0) -> subprocess.CompletedProcess[str]:
    environment = os.environ | ({"PYTHONPATH": str(path)} if path else {})
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done
