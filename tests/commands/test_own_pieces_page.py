"""docs/own_pieces.md, run as it is written: its loss passes the suite, its study is understood."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from commands import ROOT, environment, run

from dfkd.storage import FolderStorage

PAGE = (ROOT / "docs" / "own_pieces.md").read_text()
FILES = re.findall(r"`((?:test_)?my_(?:loss|study|teacher)\.py)`", PAGE)
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The files of the page, each as its text says."""
    assert FILES == ["my_loss.py", "test_my_loss.py", "my_study.py", "my_teacher.py"]
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


def test_the_teacher_prepares_images_in_its_own_way(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contrast and brightness of an image are nothing to it; the recipe accepts it."""
    monkeypatch.syspath_prepend(str(project))
    recipe = importlib.import_module("my_teacher").experiment
    recipe.teacher.check(recipe.task)
    module = recipe.teacher.obtain(recipe.task, FolderStorage(project)).build(recipe.task).eval()
    images = torch.rand(3, 1, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(module(images), module(images * 0.3 + 2), atol=1e-4, rtol=1e-4)
        assert not torch.allclose(module(images)[0], module(images)[1], atol=1e-3)
