"""Cells interrupted, damaged or asked for twice at once: the same bits, and nothing twice."""

import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cells import files, student, told

import dfkd.training.cells
from dfkd.method.selection import Confident
from dfkd.storage import FolderStorage
from dfkd.storage.ledger import Ledger
from dfkd.storage.outcome import Outcome
from dfkd.training.cells import Computation, compute
from dfkd.training.distill import Run
from dfkd.training.inputs import Inputs
from dfkd.training.jobs import Job

# In a process of its own: the first cell in one storage, then the same cell in another, up to the
# middle of a stretch.
FIRST_THEN_STALLED = """
import pickle, sys, time
from pathlib import Path
import dfkd.training.cells
from dfkd.training.distill import Run
from dfkd.storage.ledger import Ledger
from dfkd.seeding import use_deterministic

class Stalled(Run):
    def _train_step(self):
        if self.step == 13:
            print("stalled", flush=True)
            time.sleep(600)
        super()._train_step()

use_deterministic(1)
dfkd.training.cells.CHECKPOINT_EVERY_S = 0
job, material, calm, killed = pickle.loads(Path(sys.argv[1]).read_bytes())
dfkd.training.cells.compute(job, material, calm)
computation = dfkd.training.cells.Computation(job, material, Ledger(killed), run_type=Stalled)
while computation.advance():
    pass
"""


# ---- the same bits


@pytest.fixture(scope="module")
def calm_and_killed(tiny, inputs, job_of, tmp_path_factory) -> Iterator[tuple[Path, Path]]:
    """Return two storages: the cell came first, and its process was killed at step 13."""
    folder = tmp_path_factory.mktemp("processes")
    work = (job_of(tiny), inputs, FolderStorage(folder / "calm"), FolderStorage(folder / "killed"))
    (folder / "work").write_bytes(pickle.dumps(work))
    process = subprocess.Popen(
        [sys.executable, "-c", FIRST_THEN_STALLED, str(folder / "work")],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "stalled\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    yield folder / "calm", folder / "killed"


def test_the_sixth_cell_of_a_process_is_the_first_of_another(
    job, tiny, job_of, inputs, tmp_path, calm_and_killed
):
    calm, _ = calm_and_killed
    others = [
        replace(tiny, selection=Confident(ratio=0.2)),
        replace(tiny, schedule=replace(tiny.schedule, learning_rate=1e6)),  # diverges
        replace(tiny, dropping=None),
        replace(tiny, explicit=None),
    ]
    for index, experiment in enumerate(others):
        compute(job_of(experiment, seed=index), inputs, FolderStorage(tmp_path))
    compute(job, inputs, FolderStorage(tmp_path / "fifth"))
    sixth = compute(job, inputs, FolderStorage(tmp_path))
    assert student(tmp_path, job) == student(tmp_path / "fifth", job) == student(calm, job)
    assert told(sixth) == told(Ledger(FolderStorage(calm)).read(job.name))


def test_a_killed_cell_goes_on_from_its_checkpoint(job, inputs, calm_and_killed, steps):
    calm, killed = calm_and_killed
    assert files(killed, job) == {"checkpoint.pt", "lease"}
    seconds = Ledger(FolderStorage(killed)).restore(job.name)["seconds"]
    outcome = compute(job, inputs, FolderStorage(killed))
    assert steps == list(range(10, 20))
    assert student(killed, job) == student(calm, job)
    assert told(outcome) == told(Ledger(FolderStorage(calm)).read(job.name))
    assert outcome.seconds > seconds > 0  # what was spent before counts
    assert files(killed, job) == {"curve.parquet", "student.safetensors", "record.json"}


# ---- interrupted, damaged, refused


@pytest.mark.parametrize("evaluations", [1, 3, 4])
def test_a_closed_computation_is_taken_up_again(
    job, inputs, tmp_path, steps, monkeypatch, evaluations
):
    monkeypatch.setattr(dfkd.training.cells, "CHECKPOINT_EVERY_S", 0)
    first = Computation(job, inputs, Ledger(FolderStorage(tmp_path)))
    seen = [first.advance() for _ in range(evaluations)]
    first.close()  # as a search does that stops it
    assert "lease" not in files(tmp_path, job)
    outcome = compute(job, inputs, FolderStorage(tmp_path))
    assert steps == list(range(20))
    assert outcome.points[:evaluations] == seen and len(outcome.points) == 4


def test_a_damaged_checkpoint_costs_time_only(job, inputs, tmp_path, monkeypatch, steps):
    monkeypatch.setattr(dfkd.training.cells, "CHECKPOINT_EVERY_S", 0)
    first = Computation(job, inputs, Ledger(FolderStorage(tmp_path)))
    first.advance()
    first.close()
    (Path(Ledger(FolderStorage(tmp_path)).address(job.name)) / "checkpoint.pt").write_bytes(b"half")
    assert compute(job, inputs, FolderStorage(tmp_path)).state == "finished"
    assert steps == [*range(5), *range(20)]


def test_a_damaged_record_is_computed_again(job, inputs, tmp_path, steps):
    first = compute(job, inputs, FolderStorage(tmp_path))
    weights = student(tmp_path, job)
    (Path(Ledger(FolderStorage(tmp_path)).address(job.name)) / "record.json").write_text(
        '{"cell": '
    )
    assert told(compute(job, inputs, FolderStorage(tmp_path))) == told(first)
    assert len(steps) == 40
    assert student(tmp_path, job) == weights


def test_a_pruned_cell_is_finished_when_it_is_asked_for(job, inputs, tmp_path):
    ledger = Ledger(FolderStorage(tmp_path))
    calm = compute(job, inputs, FolderStorage(tmp_path / "calm"))
    pruned = replace(calm, state="pruned", step=10, points=calm.points[:2])
    ledger.write(pruned, None)
    assert told(compute(job, inputs, FolderStorage(tmp_path))) == told(calm)
    ledger.write(pruned, None)
    assert told(ledger.read(job.name)) == told(calm)


@pytest.mark.parametrize("where", ["_select", "evaluate", "restore"])
def test_an_error_leaves_neither_lease_nor_record(job, inputs, tmp_path, monkeypatch, where):
    monkeypatch.setattr(dfkd.training.cells, "CHECKPOINT_EVERY_S", 0)
    started = Computation(job, inputs, Ledger(FolderStorage(tmp_path)))
    started.advance()
    started.close()
    with monkeypatch.context() as broken:
        broken.setattr(Run, where, _fails)
        with pytest.raises(RuntimeError, match="out of memory"):
            compute(job, inputs, FolderStorage(tmp_path))
    assert files(tmp_path, job) == {"checkpoint.pt"}
    assert compute(job, inputs, FolderStorage(tmp_path)).state == "finished"


def _fails(*arguments: object) -> None:
    raise RuntimeError("out of memory")


# ---- side by side


def waiting(job: Job, inputs: Inputs, storage: Path) -> tuple[threading.Thread, list[Outcome]]:
    outcomes: list[Outcome] = []
    thread = threading.Thread(
        target=lambda: outcomes.append(compute(job, inputs, FolderStorage(storage))), daemon=True
    )
    thread.start()
    return thread, outcomes


def test_who_finds_a_cell_under_way_waits_and_is_told(job, inputs, tmp_path, monkeypatch, steps):
    monkeypatch.setattr("dfkd.storage.lease.POLL_S", 0.01)
    holder = Computation(job, inputs, Ledger(FolderStorage(tmp_path)))
    thread, outcomes = waiting(job, inputs, tmp_path)
    while holder.advance():
        assert not outcomes
    thread.join(30)
    assert outcomes == [holder.outcome]
    assert steps == list(range(20))


def test_who_waits_goes_on_where_the_other_let_go(job, inputs, tmp_path, monkeypatch, steps):
    monkeypatch.setattr("dfkd.storage.lease.POLL_S", 0.01)
    monkeypatch.setattr(dfkd.training.cells, "CHECKPOINT_EVERY_S", 0)
    holder = Computation(job, inputs, Ledger(FolderStorage(tmp_path)))
    holder.advance()
    thread, outcomes = waiting(job, inputs, tmp_path)
    time.sleep(0.05)
    assert steps == list(range(5))
    holder.close()
    thread.join(30)
    assert outcomes[0].state == "finished"
    assert steps == list(range(20))


def test_a_cell_recorded_just_before_its_lease_was_free_is_not_computed_again(
    job, inputs, tmp_path, monkeypatch, steps
):
    compute(job, inputs, FolderStorage(tmp_path))
    calls: list[Callable[[], Outcome | None]] = []
    known = Computation._known

    def missed_once(computation: Computation) -> Outcome | None:
        """As if the record appeared between the first look and the lease."""
        calls.append(computation._known)
        return known(computation) if len(calls) > 1 else None

    monkeypatch.setattr(Computation, "_known", missed_once)
    compute(job, inputs, FolderStorage(tmp_path))
    assert steps == list(range(20))
    assert "lease" not in files(tmp_path, job)
