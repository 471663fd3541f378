"""docs/own_pieces.md, run as it is written: its loss passes the suite, its study is understood."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import ROOT, environment, run

PAGE = (ROOT / "docs" / "own_pieces.md").read_text()
FILES = re.findall(r"`((?:test_)?my_(?:loss|study|space)\.py)`", PAGE)
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The files of the page, each as its text says."""
    assert FILES == ["my_loss.py", "test_my_loss.py", "my_study.py", "my_space.py"]
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


def test_the_space_asks_for_what_it_says(project: Path) -> None:
    code = (
        "import optuna, my_space\n"
        "params = {'rule': 'random', 'rows': 200, 'loss': 'rkd'}\n"
        "made = my_space.space(optuna.trial.FixedTrial(params))\n"
        "assert made.selection.rows == 200 and type(made.implicit).__name__ == 'RKD'\n"
        "params = {'rule': 'balanced', 'ratio': 0.2, 'loss': 'none'}\n"
        "assert my_space.space(optuna.trial.FixedTrial(params)).implicit is None\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=project, env=environment(), check=True)
