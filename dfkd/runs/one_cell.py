"""One cell from the command line: in this process, or, with several workers, under Ray Train."""

from __future__ import annotations

from dfkd.execution.executor import Executor
from dfkd.execution.session import Compute, session
from dfkd.experiment import Cell
from dfkd.reporting.console import Console
from dfkd.seeding import use_deterministic
from dfkd.storage.lease import using
from dfkd.storage.ledger import Ledger, Outcome
from dfkd.tracking import Tracker
from dfkd.training.cells import Computation, RunContext
from dfkd.training.environment import this_environment
from dfkd.training.inputs import check_space, inputs_key, load, obtain, score_here
from dfkd.training.provenance import git_commit


def compute_one(cell: Cell, read_test: bool, compute: Compute, console: Console) -> Outcome:
    """The cell's outcome, in the ledger and in MLflow.

    RuntimeError if its workers failed for good.
    """
    if compute.workers == 1:
        with using(compute.storage):
            outcome = _here(cell, read_test, compute, console)
    else:
        outcome = _shared(cell, read_test, compute, console)
    tracker = Tracker(compute.storage, compute.tracking_uri, warn=console.warn)
    tracker.cell(outcome, None, role="single", name=f"cell {cell.block}", tags={})
    tracker.close()
    return outcome


def _here(cell: Cell, read_test: bool, compute: Compute, console: Console) -> Outcome:
    use_deterministic(compute.cpus)
    with console.step("teacher, pool and scores"):
        source = obtain(cell, compute.storage)
        space = check_space(source, compute.storage)
        if space.rows:
            console.line(space.line())
        score_here(source, compute.storage, compute.device)
        inputs = load(source, compute.storage)
    if source.pool.set_aside is not None:
        console.line(source.pool.set_aside.line(source.pool.rows))
    digests = {inputs_key(cell): (source.teacher.digest, source.pool.digest)}
    environment = this_environment(compute.device, threads=compute.cpus)
    job = RunContext(
        environment=environment, digests=digests, tags={"git_commit": git_commit()}
    ).job(cell, read_test)
    computation = Computation(job, inputs, Ledger(compute.storage), compute.device)
    steps = cell.experiment.schedule.steps
    try:
        with console.progress("distill", steps, "steps") as advance:
            at = 0
            while (point := computation.advance()) is not None:
                advance(int(point["step"]) - at, f"probe {point['probe']:.3f}")
                at = int(point["step"])
    finally:
        computation.close()
    assert computation.outcome is not None
    return computation.outcome


def _shared(cell: Cell, read_test: bool, compute: Compute, console: Console) -> Outcome:
    with session(compute):
        executor = Executor([cell], compute, console)
        job = executor.run_context.job(cell, read_test)
        done, failures = executor.compute(
            f"distill with {compute.workers} workers", [job], lambda outcome: None
        )
    if failures:
        raise RuntimeError(failures[0].reason)
    return done[job.name]
