"""The pages in a real browser, from disk, in light and in dark: axe-core finds nothing to object to."""

import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dl780.grade import log
from dl780.grade.book import write_pages

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")]
AXE = "axe-core@4.14.1"
RUN = "axe.run().then(r => { const p = document.createElement('script'); p.type = 'application/json'; p.id = 'found';"
RUN += "p.textContent = JSON.stringify({violations: r.violations.map(v => [v.id, v.nodes.map(n => n.html)]),"
RUN += " passes: r.passes.length, width: document.documentElement.scrollWidth}).replaceAll('<', '\\\\u003c');"
RUN += "document.body.append(p) })"
WRONG = "def linear_backward(G, Z, W, b):\n    return G @ W, G.T @ Z, G.mean(0)"


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core: of the file that DL780_AXE names, else from npm."""
    if named := os.environ.get("DL780_AXE"):
        return Path(named).read_text(encoding="utf-8")
    folder = tmp_path_factory.mktemp("axe")
    if not (npm := shutil.which("npm")):
        pytest.skip("needs npm, or axe.min.js in DL780_AXE")
    try:
        subprocess.run([npm, "pack", AXE], cwd=folder, check=True, capture_output=True, timeout=60)
    except (subprocess.SubprocessError, OSError):
        pytest.skip("npm gives no axe-core here; DL780_AXE may name an axe.min.js")
    with tarfile.open(next(folder.glob("axe-core-*.tgz"))) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member
        return member.read().decode()


@pytest.fixture(scope="module")
def pages(
    grade_below: Callable[..., Any], right: list[str], ipynb: Any, tmp_path_factory: pytest.TempPathFactory
) -> list[Path]:
    folder = tmp_path_factory.mktemp("accessible")
    doubtful = (
        "step = 1e-5\n\ndef tanh(a):\n    f = torch.tanh\n    return f(a), (f(a + step) - f(a - step)) / 2 / step"
    )
    off = "def tanh(a):\n    t = a.tanh() + 0.01 * (a > 0)\n    return t, 1 - a.tanh()**2"
    files = {f"s{i}.ipynb": ipynb(*right, *[WRONG] * (i % 2), f"n = {i}") for i in range(4)}
    results = grade_below(
        folder, {**files, "t.ipynb": ipynb(*right, doubtful), "u.ipynb": ipynb(*right, off), "v.py": ""}
    )
    out = folder / "out"
    log.append(out, "request", submission="s1", question="linear_backward", comment="The slide averages.")
    lab, _, _ = log.recall(out)
    write_pages(lab, list(results.values()), out)
    return [out / "class.html", out / "review.html", out / "feedback" / "s1.html", out / "feedback" / "u.html"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_s_check_finds_nothing(pages: list[Path], axe: str, scheme: str, tmp_path: Path) -> None:
    for page in pages:
        html = page.read_text(encoding="utf-8").replace("<details>", "<details open>")
        html = html.replace("color-scheme: light dark", f"color-scheme: {scheme}")
        media = "all" if scheme == "dark" else "not all"
        html = re.sub(r"@media ?\(prefers-color-scheme: ?dark\)", f"@media {media}", html)
        copy = tmp_path / page.name
        copy.write_text(
            html.replace("</body>", f"<script>{axe}</script><script>{RUN}</script></body>"), encoding="utf-8"
        )
        command = [
            str(CHROMIUM),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path / 'profile'}",
        ]
        command += ["--virtual-time-budget=60000", "--dump-dom", copy.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        match = re.search(r'<script type="application/json" id="found">(.*?)</script>', done.stdout, re.DOTALL)
        assert match, done.stderr[-2000:]
        found = json.loads(match[1])
        assert found["violations"] == [], page.name
        assert found["passes"] > 5
