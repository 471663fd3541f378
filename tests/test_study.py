"""A real, tiny study of a user's own, on Ray and MLflow."""

import json
import shutil
from pathlib import Path

import pytest
from commands import PROJECTS, run

from dfkd.experiment import Study
from dfkd.recipes import digits


def test_two_equal_variants_are_an_error() -> None:
    with pytest.raises(ValueError, match="the study changes nothing"):
        Study(question="?", variants={"a": digits(), "b": digits()}, baseline="a")


def test_a_study_runs_once_and_grows_by_blocks(tmp_path: Path) -> None:
    for file in PROJECTS.glob("*.py"):
        shutil.copy(file, tmp_path)
    first = run("ablate", "tiny_study", "--storage", "s", folder=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "4 cells computed, 0 from the ledger" in first.stdout
    again = run("ablate", "tiny_study", "--storage", "s", folder=tmp_path)
    assert "done already" in again.stdout
    assert [line for line in again.stdout.splitlines() if line.startswith(("full", "no dropping"))] == [
        line for line in first.stdout.splitlines() if line.startswith(("full", "no dropping"))
    ]
    grown = run("ablate", "tiny_study", "--storage", "s", "--blocks", "3", folder=tmp_path)
    assert "2 cells computed, 4 from the ledger" in grown.stdout, grown.stderr
    tests = [json.loads(file.read_text())["test"] for file in tmp_path.glob("s/cells/*/test.json")]
    assert len(tests) == 6 and all(0 < value < 1 for value in tests)
