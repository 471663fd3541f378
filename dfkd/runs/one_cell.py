"""One cell from the command line: in this process, or, with several workers, under Ray Train."""

from dfkd.execution.compute import Compute
from dfkd.execution.executor import OpenExecutor, compute_all
from dfkd.experiment import Cell
from dfkd.reporting.console import Console
from dfkd.storage.ledger import Ledger
from dfkd.storage.outcome import Outcome
from dfkd.tracking import Tracker
from dfkd.training.provenance import require_same_code


def compute_one(
    cell: Cell, read_test: bool, compute: Compute, console: Console
) -> tuple[Outcome, list[str]]:
    """Compute the cell and return its outcome, which is then in the ledger and in MLflow.

    Also returns the lines that say how to see it there.

    Raises ValueError with one line if it failed in all attempts, and before anything is computed
    if earlier cells of the experiment came from other code of the user's.
    """
    ledger = Ledger(compute.storage)
    require_same_code([cell.experiment], ledger, compute.accept_changed_code, console.line)
    tracker = Tracker(compute.storage, compute.tracking_uri, warn=console.warn)
    title = "distill" if compute.workers == 1 else f"distill with {compute.workers} workers"
    with _executor(compute)([cell], compute, console) as executor:
        job = executor.run_context.job(cell, read_test)
        outcome = compute_all(executor.compute, title, [job], lambda outcome: None)[job.name]
    tracker.cell(outcome, None, role="single", name=f"cell {cell.block}", tags={})
    tracker.close()
    return outcome, tracker.hint()


def _executor(compute: Compute) -> OpenExecutor:
    """Return this process for one worker, Ray, which takes seconds to import, for several."""
    if compute.workers == 1:
        from dfkd.execution.local_executor import local_executor

        return local_executor
    from dfkd.execution.ray_executor import ray_executor

    return ray_executor
