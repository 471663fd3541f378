"""Ray's executor beside another command that computes one of its cells."""

import os
from pathlib import Path

import pytest

from dfkd.execution.compute import Compute
from dfkd.execution.ray_executor import ray_executor
from dfkd.experiment import Cell, Experiment
from dfkd.reporting.console import Console
from dfkd.seeding import Block
from dfkd.storage import FolderStorage
from dfkd.storage.lease import Lease
from dfkd.storage.ledger import Ledger
from dfkd.storage.outcome import Outcome


class LetGoWhenTold(Console):
    """Keeps what is said; the other command ends when it is heard that somebody waits for it."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.said: list[str] = []
        self.lease: Lease | None = None

    def warn(self, text: str) -> None:
        self.said.append(text)
        if self.lease is not None:
            self.lease.release()


@pytest.mark.slow  # a Ray of its own, 25 s
def test_a_cell_that_another_command_computes_is_waited_for_aloud_and_last(
    tiny: Experiment, tmp_path: Path
) -> None:
    storage, console = FolderStorage(tmp_path), LetGoWhenTold()
    cells = [Cell(experiment=tiny, block=Block(seed=seed)) for seed in range(2)]
    order: list[Outcome] = []
    with ray_executor(cells, Compute(storage=storage, concurrency=1), console) as executor:
        jobs = [executor.run_context.job(cell, read_test=False) for cell in cells]
        console.lease = Ledger(storage).lease(jobs[0].name)
        assert console.lease.acquire()
        done, failures = executor.compute("cells", jobs, order.append)
    assert not failures and done.keys() == {job.name for job in jobs}
    assert [outcome.cell for outcome in order] == [jobs[1].name, jobs[0].name]
    [line] = console.said
    assert f"for the cell {jobs[0].name}: process {os.getpid()} on host" in line
