"""`python -m platform.inspect` writes its files once, and hides no standard module."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import ROOT, run

from dfkd.execution.compute import Compute
from dfkd.execution.preparing import PreparedInputs
from dfkd.experiment import Cell, Experiment
from dfkd.inspection.driver import inspect
from dfkd.reporting.console import Console
from dfkd.seeding import Block
from dfkd.storage import FolderStorage
from dfkd.training.distill import Inputs
from dfkd.training.inputs import InputSource

TINY = (
    "pool.rows=600",
    "teacher.network.width=8",
    "teacher.steps=30",
    "teacher.batch=32",
    "selection.ratio=0.3",
    "schedule.steps=20",
    "schedule.batch=16",
    "schedule.evaluations=4",
)


@pytest.mark.slow  # a Ray of its own, 25 s; what the page says is test_inspection_page's
def test_the_command_writes_a_page_once(
    tiny: Experiment, source: InputSource, inputs: Inputs, source_storage: Path, tmp_path: Path
) -> None:
    """Run on a pool that is scored already: scoring on Ray is what test_study.py waits for."""
    storage = tmp_path / "runs"
    shutil.copytree(source_storage, storage)
    done = run("inspect", "digits", "--set", *TINY, "--storage", "runs", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    [folder] = (storage / "inspections").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == [
        "classes.csv",
        "duplicates.csv",
        "index.html",
        "summary.json",
    ]
    assert json.loads((folder / "summary.json").read_text())["verdict"] in done.stdout
    assert (
        f"written to {folder}" in done.stdout
        and "next:  python -m platform.distill digits --storage runs --set" in done.stdout
    )
    before = stamps(storage)
    cell = Cell(experiment=tiny, block=Block(seed=0))
    nothing_to_compute_from: Any = None
    prepared = PreparedInputs(source=source, mapped=nothing_to_compute_from)
    where = Compute(storage=FolderStorage(storage))
    page = inspect(cell, "digits", prepared, where, Console(quiet=True))
    assert page == str(folder / "index.html")
    assert stamps(storage) == before


def stamps(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_a_command_run_by_its_file_still_finds_the_standard_inspect() -> None:
    """`python platform/score.py` puts its folder in front of the standard library.

    There is a file inspect.py in that folder.
    """
    code = "import inspect, dataclasses; print(inspect.signature(dataclasses.replace))"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path.insert(0, {str(ROOT / 'platform')!r}); {code}",
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0 and done.stdout.startswith("(obj"), done.stderr
