"""The sweep: search by the probe, try the best again on fresh blocks, confirm the winner against
the default.

Three sets of blocks that share nothing: the search's, those on which the winner is chosen (both
label-free), and those on which it is compared with the default, the only ones that read the test
set.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from dfkd.execution.compute import Compute
from dfkd.execution.executor import ComputeCells, Executor, OpenExecutor, compute_all
from dfkd.execution.ray_executor import ray_executor
from dfkd.execution.reuse import known_run_context
from dfkd.experiment import Cell, Experiment
from dfkd.identity import Scalar, digest
from dfkd.reporting.console import Console
from dfkd.reporting.report_files import digest_of
from dfkd.seeding import Block
from dfkd.stats.paired import paired_interval
from dfkd.storage import FolderStorage, layout
from dfkd.storage.files import write_json
from dfkd.storage.lease import Lease
from dfkd.storage.ledger import Ledger, Outcome
from dfkd.sweeps import record as sweeps
from dfkd.sweeps.choosing import SEARCH, choose, finished, read_cells, search_trials, source_of
from dfkd.sweeps.findings import SweepData
from dfkd.sweeps.page import write_report
from dfkd.sweeps.record import RECORD
from dfkd.sweeps.search import Journal, TrialRecord, recorded_experiments
from dfkd.sweeps.trials import TrialContext
from dfkd.tracking import RunSync, Tracker
from dfkd.training.cells import Job, RunContext
from dfkd.training.inputs import check, inputs_key
from dfkd.training.provenance import require_same_code
from dfkd.user_modules import load

CONFIRMATION = 3000  # the first seed


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A search. space: module name. choice_blocks, confirmation_blocks: cells per candidate, per
    side.
    """

    space: str
    trials: int = 24
    seed: int = 0
    deterministic: bool = False
    choice_blocks: int = 3
    confirmation_blocks: int = 10

    def __post_init__(self) -> None:
        if self.trials < 1 or self.choice_blocks < 1 or self.confirmation_blocks < 2:
            raise ValueError(
                f"a sweep needs 1 trial, 1 block to choose on and 2 to confirm on, but got {self}"
            )

    def default(self) -> Experiment:
        experiment: Experiment = load(self.space, "default", "search_spaces")
        return experiment

    def name(self) -> str:
        """Equal for calls that go on with one another: the number of trials may grow. Comments are
        not identity.
        """
        identity = digest(
            [source_of(self.space), self.default().fingerprint(), self.seed, self.deterministic], 8
        )
        return f"{self.space.split('.')[-1]}-{identity}"


@dataclass(frozen=True, kw_only=True)
class SweepResult:
    """What a sweep found. Differences are in accuracy on the test set, paired by block."""

    name: str
    trials: list[TrialRecord]
    # Spearman, probe against validation at each trial's last step; NaN without validation
    correlation: float
    best: list[dict[str, Scalar]]  # the best trials: parameters, probe, validation
    winner: dict[
        str, Scalar
    ]  # parameters in which it differs from the default; empty: the default itself won
    winner_test: list[float]
    default_test: list[float]
    seconds: float

    def difference(self) -> tuple[float, float | None, float | None]:
        interval = paired_interval(np.subtract(self.winner_test, self.default_test))
        return interval.mean, interval.low, interval.high


def run_sweep(
    sweep: Sweep, compute: Compute, console: Console, open_executor: OpenExecutor = ray_executor
) -> SweepResult:
    """The whole sweep. What an earlier call has finished is not done again; ValueError for input
    that cannot work.
    """
    driver = _Driver(sweep, compute, console)
    begun = [sweep.default(), *recorded_experiments(sweep.space, driver.journal)]
    require_same_code(begun, driver.ledger, compute.accept_changed_code, console.line)
    with closing(driver.sync.tracker):
        known = finished_result(sweep, driver.folder)
        if known is not None:
            console.line(
                f"all {sweep.trials} trials of the sweep {sweep.name()} and its confirmation are "
                "done already"
            )
            driver.tell_again(*known)
            return known[0]
        default = Cell(experiment=sweep.default(), block=Block(seed=SEARCH))
        check(default, compute.storage, read_test=True)
        with open_executor([default], compute, console) as executor, _alone(sweep, driver.folder):
            return driver.run(default, executor)


@contextmanager
def _alone(sweep: Sweep, folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    lease = Lease(folder / layout.LEASE)
    if not lease.acquire():
        raise ValueError(
            f"another process is running the sweep {sweep.name()}: wait, or take another --seed"
        )
    try:
        yield
    finally:
        lease.release()


def finished_result(sweep: Sweep, folder: Path) -> tuple[SweepResult, RunContext] | None:
    """The result of an earlier call, unless the mathematics of a piece or the version of PyTorch
    has changed since.
    """
    path = folder / layout.sweep_result(sweep.trials, sweep.confirmation_blocks)
    if not path.exists():
        return None
    saved = json.loads(path.read_text())
    default = Cell(experiment=sweep.default(), block=Block(seed=SEARCH))
    run_context = known_run_context(saved["setting"], [inputs_key(default)])
    if run_context is None:
        return None
    compute = Compute(storage=FolderStorage(folder))  # of no matter: nothing is computed
    context = _context(sweep, compute, run_context)
    trials = [TrialRecord(**record) for record in saved["result"].pop("trials")]
    stale = any(context.trial(record.params).name != record.cell for record in trials)
    return None if stale else (SweepResult(trials=trials, **saved["result"]), run_context)


def _context(sweep: Sweep, compute: Compute, run_context: RunContext) -> TrialContext:
    block = Block(seed=SEARCH)
    return TrialContext(
        space=sweep.space,
        default=sweep.default().params(),
        block=block,
        run_context=run_context,
        compute=compute,
    )


class _Driver:
    """One call: prepare, search, choose, confirm, and keep MLflow up to date on the way."""

    def __init__(self, sweep: Sweep, compute: Compute, console: Console) -> None:
        self.sweep, self.compute, self.console = sweep, compute, console
        self.folder = compute.storage / layout.sweep(sweep.name())
        self.ledger, self.journal = Ledger(compute.storage), Journal(self.folder / layout.TRIALS)
        self.sync = RunSync(
            Tracker(compute.storage, compute.tracking_uri, warn=console.warn),
            self.folder,
            kind="sweep",
            name=sweep.name(),
            identity=sweep.name(),
            params=asdict(sweep),
            tags={"space": sweep.space},
        )
        self.started = time.monotonic()

    def run(self, default: Cell, executor: Executor) -> SweepResult:
        self._begin(executor.run_context, executor.compute)
        records = search_trials(
            self.context,
            self.folder,
            executor.inputs(default),
            self.console,
            trials=self.sweep.trials,
            seed=self.sweep.seed,
            deterministic=self.sweep.deterministic,
            evaluations=self.sweep.default().schedule.evaluations,
        )
        result = self._conclude(records)
        saved = {"setting": executor.run_context.saved(), "result": asdict(result)}
        write_json(
            self.folder / layout.sweep_result(self.sweep.trials, self.sweep.confirmation_blocks),
            saved,
        )
        self._tell(result, *self._report())
        return result

    def _begin(self, run_context: RunContext, compute_cells: ComputeCells) -> None:
        self.compute_cells = compute_cells
        self.context = _context(self.sweep, self.compute, run_context)
        self.sync.open()

    def tell_again(self, result: SweepResult, run_context: RunContext) -> None:
        """To an MLflow that has not been told of it in full: from the ledger, without a cluster."""
        data, files = self._report()
        if not self.sync.is_due(told_of(data, files)):
            return
        self._begin(run_context, read_cells(self.ledger))
        try:
            self._conclude(result.trials)
        except LookupError as error:
            self.console.warn(f"MLflow is not brought up to date: {error}")
            return
        self._tell(result, data, files)

    def _conclude(self, records: list[TrialRecord]) -> SweepResult:
        self._track_trials(records)
        best = finished(records, self.journal.folder)
        default, winner = self.sweep.default(), self._choose(best)
        winner_test, default_test = self._confirm(winner, default)
        correlation = sweeps.correlation_of(
            [sweeps.trial_of(asdict(record), self.ledger) for record in records]
        )
        return SweepResult(
            name=self.sweep.name(),
            trials=records,
            correlation=float("nan") if correlation is None else correlation,
            best=[self._row(record) for record in best[:10]],
            winner={
                name: mine for name, (mine, _) in winner.diff(default).items() if mine is not None
            },
            winner_test=winner_test,
            default_test=default_test,
            seconds=time.monotonic() - self.started,
        )

    def _row(self, record: TrialRecord) -> dict[str, Scalar]:
        outcome = self.ledger.read(record.cell)
        if outcome is None:
            raise LookupError(f"the cell {record.cell} is no longer in the ledger")
        validation = outcome.metrics.get("validation", float("nan"))
        return {
            "trial": record.number,
            "probe": record.value or 0.0,
            "validation": validation,
            **record.params,
        }

    def _choose(self, best: Sequence[TrialRecord]) -> Experiment:
        return choose(
            best,
            self.context,
            self.compute_cells,
            self.sweep.choice_blocks,
            lambda o: self._track(o, "candidate"),
        )

    def _confirm(self, winner: Experiment, default: Experiment) -> tuple[list[float], list[float]]:
        """Test accuracies on blocks that nothing was chosen on. The default against itself is not
        computed twice.
        """
        blocks = [Block(seed=CONFIRMATION + i) for i in range(self.sweep.confirmation_blocks)]
        sides = [
            [self._job(experiment, block, read_test=True) for block in blocks]
            for experiment in (winner, default)
        ]
        jobs = [job for side in sides for job in side]
        outcomes = compute_all(
            self.compute_cells,
            "winner against default",
            jobs,
            lambda o: self._track(o, "confirmation"),
        )
        self.student = (winner, outcomes[sides[0][0].name])  # nothing was chosen on its block
        tests = [[outcomes[job.name].metrics["test"] for job in side] for side in sides]
        return tests[0], tests[1]

    def _job(self, experiment: Experiment, block: Block, read_test: bool) -> Job:
        return self.context.run_context.job(Cell(experiment=experiment, block=block), read_test)

    def _track(self, outcome: Outcome, role: str, name: str = "") -> None:
        name = name or f"{role} {outcome.block['seed']}"
        self.sync.cell(outcome, role, name, {"sweep": self.sweep.name()})

    def _track_trials(self, records: list[TrialRecord]) -> None:
        for record in records:
            if (outcome := self.ledger.read(record.cell)) is not None:
                self._track(outcome, "trial", f"trial {record.number}")

    def _report(self) -> tuple[SweepData, dict[str, Path | str]]:
        data = sweeps.read(self.compute.storage, self.sweep.name())
        return data, write_report(data, self.compute.storage)[0]

    def _tell(self, result: SweepResult, data: SweepData, files: dict[str, Path | str]) -> None:
        difference, low, high = result.difference()
        metrics = {
            "winner_minus_default": difference,
            "winner_minus_default.low": low,
            "winner_minus_default.high": high,
            "probe_validation_rank_correlation": result.correlation,
        }
        finite = {
            name: value
            for name, value in metrics.items()
            if value is not None and math.isfinite(value)
        }
        tables: dict[str, str | pd.DataFrame] = {
            "best_trials": pd.DataFrame(result.best),
            RECORD: sweeps.text(data),
        }
        tracker, parent = self.sync.tracker, self.sync.parent
        tracker.finish(parent, metrics=finite, tables=tables, files=files)
        winner, outcome = self.student
        if outcome.state == "finished":
            tracker.student(parent, outcome, winner)
        self.sync.settle(told_of(data, files))


def told_of(data: SweepData, files: dict[str, Path | str]) -> dict[str, str]:
    return {"record": digest(sweeps.text(data)), "report": digest_of(files)}
