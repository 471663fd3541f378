"""One finished cell and its exported student, for all tests of the export."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dfkd.experiment import Experiment
from dfkd.storage import FolderStorage
from dfkd.storage.outcome import Outcome
from dfkd.training.cells import compute
from dfkd.training.distill import Inputs
from dfkd.training.jobs import Job


@pytest.fixture(scope="package")
def finished(
    tiny: Experiment,
    inputs: Inputs,
    job_of: Callable[..., Job],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Outcome]:
    """A storage with one real cell, its test set read."""
    storage = tmp_path_factory.mktemp("finished")
    return storage, compute(job_of(tiny, read_test=True), inputs, FolderStorage(storage))


@pytest.fixture(scope="package")
def exported(
    finished: tuple[Path, Outcome],
    run_command: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """What the command made of it, and what it said."""
    storage, outcome = finished
    folder = tmp_path_factory.mktemp("exports")
    done = run_command(
        "export",
        outcome.cell[:6],
        "--storage",
        str(storage),
        "--out",
        "deep/student",
        folder=folder,
    )
    assert done.returncode == 0, done.stderr
    return folder / "deep" / "student", done
