"""A Gradescope autograder: the zip to upload, and what runs inside it.

Gradescope unpacks the zip into /autograder/source, runs setup.sh once, copies run_autograder to /autograder, and for
each submission starts it and reads /autograder/results/results.json.
"""

import json
import secrets
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from dl780 import UserError
from dl780.check.registry import LabQuestions, load_lab
from dl780.files import whole, write_whole
from dl780.grade.export import gradescope_results
from dl780.grade.extract import statements
from dl780.grade.pool import judge_alone
from dl780.grade.read import Submission, Unreadable, cells, find, take
from dl780.grade.submission import graded
from dl780.grade.work import Worker
from dl780.release import ROOT

SETUP = """\
#!/usr/bin/env bash
# Python 3.11 or newer, torch's CPU wheels, and dl780 from this zip. Choose Ubuntu 24.04 as the base image: older ones
# have an older Python, and get one from deadsnakes.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
root="${AUTOGRADER:-/autograder}"
python=python3
apt-get update
apt-get install -y --no-install-recommends python3 python3-venv
if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    apt-get install -y --no-install-recommends software-properties-common
    add-apt-repository -y ppa:deadsnakes/ppa
    apt-get update
    apt-get install -y --no-install-recommends python3.12 python3.12-venv
    python=python3.12
fi
"$python" -m venv "$root/venv"
"$root/venv/bin/pip" install --no-cache-dir torch torchvision --index-url https://download.pytorch.org/whl/cpu
"$root/venv/bin/pip" install --no-cache-dir "$root"/source/dl780-*.whl
"""
RUN = """\
#!/usr/bin/env bash
# One submission: from submission/ to results/results.json, with a score and sentences for each question.
set -euo pipefail
root="${{AUTOGRADER:-/autograder}}"
exec "$root/venv/bin/python" -m dl780.grade.gradescope {lab} "$root"
"""


def pack(lab: LabQuestions, out: Path, wheel: Path | None = None) -> None:
    """Write the zip: setup.sh, run_autograder and this package's wheel, which is built where none is given."""
    with tempfile.TemporaryDirectory() as folder:
        wheel = wheel or _built(Path(folder))
        if not wheel.name.startswith("dl780-") or wheel.suffix != ".whl":
            raise UserError(f"{wheel} is no wheel of dl780, such as dl780-0.1.0-py3-none-any.whl")
        scripts = {"setup.sh": SETUP, "run_autograder": RUN.format(lab=lab.name)}
        with whole(out, alone=True) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in scripts.items():
                entry = zipfile.ZipInfo(name)
                entry.external_attr = 0o755 << 16
                archive.writestr(entry, text)
            archive.write(wheel, wheel.name)


def run(lab: LabQuestions, root: Path) -> None:
    """Grade what lies in ROOT/submission, and write ROOT/results/results.json, whatever is there.

    The seed is drawn anew and kept nowhere: what a student may read there tells nothing of it.
    """
    try:
        submission, note = _chosen(lab, root)
        judge_alone()
        worker = Worker(lab.opening)
        try:
            result, _ = graded(lab, take(submission), worker, secrets.token_bytes(32), "")
        finally:
            worker.close()
        result["note"] = "\n".join(filter(None, (result["note"], note)))
        found = gradescope_results(lab, result)
    except UserError as error:
        found = dict(score=0, output=f"Not graded: {error}", tests=[])
    write_whole(root / "results" / "results.json", json.dumps(found, indent=1))


def _chosen(lab: LabQuestions, root: Path) -> tuple[Submission, str]:
    """Of several files the one that answers most questions, and a note that says so."""
    with tempfile.TemporaryDirectory() as unpacked:
        found = find([root / "submission"], Path(unpacked), "plain")
        if len(found) > 1:
            found.sort(key=lambda s: -_answered(lab, s))
        chosen = found[0]
        kept = root / "results" / f"graded{chosen.path.suffix}"
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(chosen.path, kept)  # out of a zip, too
    note = f"{len(found)} files: {chosen.name} was graded" if len(found) > 1 else ""
    return Submission(chosen.name, kept), note


def _answered(lab: LabQuestions, submission: Submission) -> int:
    try:
        bound = {name for statement in statements(cells(take(submission))) for name in statement.binds}
    except Unreadable:
        return -1
    return len(bound & lab.questions.keys())


def _built(folder: Path) -> Path:
    """This package's wheel, built from a copy of the checkout, so that nothing is left in it."""
    if not (ROOT / "setup.cfg").exists():
        raise UserError("this needs a checkout of dl780, or its wheel: --wheel dl780-….whl")
    copy = folder / "copy"
    left = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "build", "dist", "demo", "runs", "labs", "tests")
    shutil.copytree(ROOT, copy, ignore=left)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(copy)]
    for isolation in (["--no-build-isolation"], []):
        done = subprocess.run([*command, *isolation], capture_output=True, text=True)
        if done.returncode == 0:
            return next(folder.glob("dl780-*.whl"))
    last = done.stderr.strip().splitlines()[-1:]
    raise UserError(f"the wheel could not be built: {' '.join(last)}; build it and name it with --wheel")


if __name__ == "__main__":
    run(load_lab(sys.argv[1]), Path(sys.argv[2]))
