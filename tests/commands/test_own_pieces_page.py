"""docs/own_pieces.md, run as it is written: its loss passes the suite, its study is understood."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import ROOT, environment, run

PAGE = (ROOT / "docs" / "own_pieces.md").read_text()
FILES = re.findall(r"`((?:test_)?my_(?:loss|study)\.py)`", PAGE)
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The files of the page, each as its text says."""
    assert FILES == ["my_loss.py", "test_my_loss.py", "my_study.py"]
    for name, text in zip(FILES, BLOCKS, strict=True):
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.slow  # 20 s; tests/testing runs the suites on own pieces
def test_the_loss_passes_the_suite(project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_my_loss.py"],
        cwd=project,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0 and "passed" in done.stdout, done.stdout[-2000:]


def test_the_study_can_be_computed(project: Path) -> None:
    done = run("ablate", "my_study", "--dry-run", "--storage", "runs", folder=project)
    assert done.returncode == 0 and "10 cells" in done.stdout, done.stderr[-2000:]
