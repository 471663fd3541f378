"""One study, one code: blocks of an own loss whose body was edited are not put beside new ones."""

import importlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from commands import PROJECTS

from dfkd.execution.compute import Compute
from dfkd.execution.local_executor import local_executor
from dfkd.experiment import Experiment
from dfkd.reporting.console import Console
from dfkd.storage import FolderStorage, layout
from dfkd.storage.ledger import Ledger
from dfkd.storage.outcome import Outcome
from dfkd.studies import Study
from dfkd.studies.driver import run_study
from dfkd.studies.forecast import forecast
from dfkd.sweeps.driver import run_sweep
from dfkd.sweeps.journal import Journal
from dfkd.sweeps.sweep import Sweep
from dfkd.sweeps.trial import Trial
from dfkd.training.inputs import InputSource

CHANGED = "^my_own_loss.Mean has changed since: raise its version, or --accept-changed-code$"
SPACE = """
from dataclasses import replace
from my_own_loss import Mean
from tiny_space import default

def space(trial):
    weight = trial.suggest_float("explicit.weight", 0.0, 2.0)
    return replace(default, explicit=Mean(weight=weight))
"""


@pytest.fixture
def project(tmp_path: Path, write_module: Callable[..., None]) -> Path:
    """A user's folder on the path, with modules of its own."""
    write_module("my_own_loss", (PROJECTS / "own_loss.py").read_text())
    write_module("tiny_space", (PROJECTS / "tiny_space.py").read_text())
    write_module("my_own_space", SPACE)
    return tmp_path


@pytest.fixture
def compute(source: InputSource, source_storage: Path, tmp_path: Path) -> Compute:
    """A storage in which the tiny teacher and pool lie."""
    return Compute(storage=FolderStorage(shutil.copytree(source_storage, tmp_path / "runs")))


@pytest.fixture
def study_of(tiny: Experiment, project: Path) -> Callable[[ModuleType, int], Study]:
    def study(my_own_loss: ModuleType, blocks: int) -> Study:
        variants = {"full": tiny, "mean": replace(tiny, explicit=my_own_loss.Mean(weight=1.0))}
        return Study(question="?", variants=variants, baseline="full", blocks=blocks)

    return study


def edited(project: Path) -> ModuleType:
    path = project / "my_own_loss.py"
    path.write_text(path.read_text().replace("** 2", "** 4"))
    return importlib.reload(importlib.import_module("my_own_loss"))


def never(*_: object) -> None:
    raise AssertionError("something was spent")


def test_new_blocks_after_an_edit_are_refused_or_said(project, compute, study_of) -> None:
    lines: list[str] = []
    console = Console(quiet=True)
    console.line = lines.append
    before = study_of(importlib.import_module("my_own_loss"), 2)
    run_study("mine", before, compute, console, open_executor=local_executor)
    code = {
        outcome.tags.get("code.my_own_loss.Mean")
        for cell in compute.storage.list(layout.CELLS)
        if (outcome := Ledger(compute.storage).read(cell)) is not None
    }
    assert len(code) == 2 and None in code  # of the variant with the loss, and of the other one

    after = study_of(edited(project), 3)
    with pytest.raises(ValueError, match=CHANGED):
        run_study("mine", after, compute, console, open_executor=never)
    with pytest.raises(ValueError, match=CHANGED):
        forecast("mine", after, compute)

    lines.clear()
    accepting = replace(compute, accept_changed_code=True)
    result = run_study("mine", after, accepting, console, open_executor=local_executor)
    assert result.computed == 2  # the third block
    assert len(result.findings.data.provenance["code of my_own_loss.Mean"]) == 2
    [line] = [line for line in lines if "changed" in line]
    assert "my_own_loss.Mean" in line


def test_a_sweep_does_not_go_on_from_trials_of_other_code(project, compute) -> None:
    sweep = Sweep(space="my_own_space", trials=3)
    space = importlib.import_module("my_own_space")
    trial = replace(space.default, explicit=space.Mean(weight=0.5))
    Journal(compute.storage, layout.sweep(sweep.name())).write(
        Trial(number=0, params={"explicit.weight": 0.5}, cell="a-cell", state="pruned", step=5)
    )
    pruned = Outcome(
        cell="a-cell",
        state="pruned",
        step=5,
        metrics={"probe": 0.5},
        params=trial.params(),
        block={"seed": 1000, "draw": 0, "teacher": 0},
        tags={"code.my_own_loss.Mean": "1-0123456789abcdef"},
        environment={},
        seconds=1.0,
        points=[{"step": 5.0, "probe": 0.5}],
    )
    Ledger(compute.storage).write(pruned, None)
    with pytest.raises(ValueError, match=CHANGED):
        run_sweep(sweep, compute, Console(quiet=True), open_executor=never)
