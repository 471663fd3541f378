"""The local executor: the same interface as Ray's, in this process."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dfkd.execution.compute import Compute
from dfkd.execution.executor import Executor, compute_all
from dfkd.execution.local_executor import local_executor
from dfkd.experiment import Cell, Experiment
from dfkd.method.selection import Balanced
from dfkd.reporting.console import Console
from dfkd.seeding import Block
from dfkd.storage import FolderStorage
from dfkd.storage.ledger import Ledger
from dfkd.storage.outcome import Outcome
from dfkd.training.inputs import InputSource


@pytest.fixture
def cell(tiny: Experiment) -> Cell:
    return Cell(experiment=tiny, block=Block(seed=0))


@pytest.fixture
def storage(source: InputSource, source_storage: Path, tmp_path: Path) -> Path:
    """A copy of the storage in which the tiny teacher and pool lie."""
    return Path(shutil.copytree(source_storage, tmp_path / "runs"))


@pytest.fixture
def executor(cell: Cell, storage: Path) -> Iterator[Executor]:
    with local_executor(
        [cell], Compute(storage=FolderStorage(storage)), Console(quiet=True)
    ) as executor:
        yield executor


def ignore(outcome: Outcome) -> None:
    pass


def test_each_cell_is_computed_once_and_then_read(
    executor: Executor, cell: Cell, storage: Path
) -> None:
    job = executor.run_context.job(cell, read_test=True)
    seen: list[Outcome] = []
    done, failures = executor.compute("twice the same", [job, job], seen.append)
    assert not failures and seen == [done[job.name]] and 0 < seen[0].metrics["test"] < 1
    assert seen[0].fresh
    written = {path: path.stat().st_mtime_ns for path in storage.glob("cells/*/*")}
    again = compute_all(executor.compute, "again", [job], ignore)
    assert again == done and not again[job.name].fresh
    assert {path: path.stat().st_mtime_ns for path in storage.glob("cells/*/*")} == written


def test_a_cell_apart_has_the_same_bits_in_another_ledger(
    executor: Executor, cell: Cell, tmp_path: Path
) -> None:
    job = executor.run_context.job(cell, read_test=False)
    here = compute_all(executor.compute, "here", [job], ignore)[job.name]
    apart = compute_all(
        executor.apart(FolderStorage(tmp_path / "apart")).compute, "apart", [job], ignore
    )
    assert apart[job.name].points == here.points
    assert Ledger(FolderStorage(tmp_path / "apart")).read(job.name) is not None


def test_a_cell_that_fails_leaves_a_log_and_the_others_are_computed(
    executor: Executor, cell: Cell, storage: Path
) -> None:
    few = replace(cell.experiment, selection=Balanced(rows=1000))  # of 600
    jobs = [
        executor.run_context.job(replace(cell, experiment=experiment), read_test=False)
        for experiment in (few, cell.experiment)
    ]
    done, [failure] = executor.compute("one of two", jobs, ignore)
    assert failure.job == jobs[0] and list(done) == [jobs[1].name]
    log = (storage / "cells" / jobs[0].name / "error.txt").read_text()
    assert "Traceback" in log and failure.reason == log.strip().splitlines()[-1][12:]
    with pytest.raises(ValueError, match=r"a cell failed \(.*\), its log is cells/.*/error.txt"):
        compute_all(executor.compute, "again", jobs, ignore)


def test_several_workers_need_ray(cell: Cell, tmp_path: Path) -> None:
    where = Compute(storage=FolderStorage(tmp_path), workers=2)
    with (
        pytest.raises(ValueError, match="one worker"),
        local_executor([cell], where, Console(quiet=True)),
    ):
        pass
