"""The sweep: search by the probe, try the best again on fresh blocks, confirm the winner against the default.

Three sets of blocks that share nothing: the search's, those on which the winner is chosen (both label-free), and those
on which it is compared with the default, the only ones that read the test set.
"""

from __future__ import annotations

import ast
import inspect
import json
import math
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from dfkd.cells import Job, Setting
from dfkd.cluster.crew import Crew
from dfkd.cluster.preparing import Prepared
from dfkd.cluster.search import Journal, SweepSearch, TrialRecord
from dfkd.cluster.session import Compute, session
from dfkd.cluster.trials import Brief
from dfkd.cluster.tuning import BATCH, OnEnd, tune_trials
from dfkd.console import Console
from dfkd.evidence.statistics import paired_interval, rank_correlation
from dfkd.experiment import Cell, Experiment
from dfkd.files import write_json
from dfkd.lease import Lease
from dfkd.ledger import Ledger, Outcome
from dfkd.modules import load
from dfkd.randomness import Block
from dfkd.reports import write_sweep_report
from dfkd.sources import check, source_key
from dfkd.tracking import Tracker
from dfkd.values import Scalar, digest

SEARCH, CHOICE, CONFIRMATION = 1000, 2000, 3000  # first seeds; those below 1000 are the studies'
CANDIDATES = 3


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A search. space: module name. choice_blocks, confirmation_blocks: cells per candidate, per side."""

    space: str
    trials: int = 24
    seed: int = 0
    deterministic: bool = False
    choice_blocks: int = 3
    confirmation_blocks: int = 10

    def __post_init__(self) -> None:
        if self.trials < 1 or self.choice_blocks < 1 or self.confirmation_blocks < 2:
            raise ValueError(f"a sweep needs 1 trial, 1 block to choose on and 2 to confirm on, but got {self}")

    def default(self) -> Experiment:
        experiment: Experiment = load(self.space, "default", "search_spaces")
        return experiment

    def name(self) -> str:
        """Equal for calls that go on with one another: the number of trials may grow. Comments are not identity."""
        load(self.space, "space", "search_spaces")
        source = ast.dump(ast.parse(inspect.getsource(sys.modules[self.space])))
        identity = digest([source, self.default().fingerprint(), self.seed, self.deterministic], 8)
        return f"{self.space.split('.')[-1]}-{identity}"


@dataclass(frozen=True, kw_only=True)
class SweepResult:
    """What a sweep found. Differences are in accuracy on the test set, paired by block."""

    name: str
    trials: list[TrialRecord]
    correlation: float  # Spearman, probe against validation at each trial's last step; NaN without validation
    best: list[dict[str, Scalar]]  # the best trials: parameters, probe, validation
    winner: dict[str, Scalar]  # parameters in which it differs from the default; empty: the default itself won
    winner_test: list[float]
    default_test: list[float]
    seconds: float

    def difference(self) -> tuple[float, float | None, float | None]:
        interval = paired_interval(np.subtract(self.winner_test, self.default_test))
        return interval.mean, interval.low, interval.high


def run_sweep(sweep: Sweep, compute: Compute, console: Console) -> SweepResult:
    """The whole sweep. What an earlier call has finished is not done again; ValueError for input that cannot work."""
    folder = compute.storage / "sweeps" / sweep.name()
    known = finished_result(sweep, folder)
    if known is not None:
        console.line(f"all {sweep.trials} trials of the sweep {sweep.name()} and its confirmation are done already")
        return known
    check(Cell(experiment=sweep.default(), block=Block(seed=SEARCH)), compute.storage)
    with session(compute):  # nothing is written before it is known that the cluster can hold a cell
        folder.mkdir(parents=True, exist_ok=True)
        lease = Lease(folder / "lease")
        if not lease.acquire():
            raise ValueError(f"another process is running the sweep {sweep.name()}: wait, or take another --seed")
        driver = _Driver(sweep, compute, console, folder)
        try:
            return driver.run()
        finally:
            driver.tracker.close()
            lease.release()


def finished_result(sweep: Sweep, folder: Path) -> SweepResult | None:
    """The result of an earlier call, unless the mathematics of a piece or the version of PyTorch has changed since."""
    path = folder / f"result-{sweep.trials}-{sweep.confirmation_blocks}.json"
    if not path.exists():
        return None
    saved = json.loads(path.read_text())
    brief = _brief(sweep, Compute(storage=folder), Setting.of(saved["setting"]))
    if brief.setting.environment.torch != torch.__version__:
        return None
    trials = [TrialRecord(**record) for record in saved["result"].pop("trials")]
    stale = any(brief.trial(record.params).name != record.cell for record in trials)
    return None if stale else SweepResult(trials=trials, **saved["result"])


def _brief(sweep: Sweep, compute: Compute, setting: Setting) -> Brief:
    block = Block(seed=SEARCH)
    return Brief(
        space=sweep.space, default=sweep.default().params(), block=block, setting=setting, compute=compute
    )  # fmt: skip


class _Driver:
    """One call: prepare, search, choose, confirm, and keep MLflow up to date on the way."""

    def __init__(self, sweep: Sweep, compute: Compute, console: Console, folder: Path) -> None:
        self.sweep, self.compute, self.console, self.folder = sweep, compute, console, folder
        self.ledger, self.journal = Ledger(compute.storage), Journal(folder / "trials")
        self.tracker = Tracker(compute.storage, compute.tracking_uri, warn=console.warn)
        self.started = time.monotonic()

    def run(self) -> SweepResult:
        default = Cell(experiment=self.sweep.default(), block=Block(seed=SEARCH))
        self.crew = Crew([default], self.compute, self.console)
        self.brief = _brief(self.sweep, self.compute, self.crew.setting)
        self.parent = self.tracker.parent(
            kind="sweep", name=self.sweep.name(), identity=self.sweep.name(),
            params=asdict(self.sweep), tags={"space": self.sweep.space},
        )  # fmt: skip
        self._search(self.crew.prepared[source_key(default)])
        result = self._conclude()
        saved = {"setting": asdict(self.crew.setting), "result": asdict(result)}
        write_json(self.folder / f"result-{self.sweep.trials}-{self.sweep.confirmation_blocks}.json", saved)
        self._finish_tracking(result)
        return result

    def _search(self, prepared: Prepared) -> None:
        """Fresh trials up to the number asked for. A deterministic sweep is replayed from its start."""
        batch = BATCH if self.sweep.deterministic else None
        if batch:
            self.journal.clear()
        search = SweepSearch(
            self.brief, self.journal, self.folder / "optuna.log",
            seed=self.sweep.seed, total=self.sweep.trials, batch=batch,
        )  # fmt: skip
        left = self.sweep.trials - sum(record.ended for record in self.journal.read())
        if left <= 0:
            return self._track_trials()
        evaluations = self.sweep.default().schedule.evaluations
        with self.console.progress("search", left, "trials") as advance:
            on_end = OnEnd(lambda result: advance(1, self._note(result)))
            tune_trials(search, left, evaluations, prepared, self.compute, on_end)
        self._track_trials()

    def _note(self, result: dict[str, Any] | None) -> str:
        self.best = max(getattr(self, "best", 0.0), result["probe"] if result else 0.0)
        return f"best probe {self.best:.3f}"

    def _conclude(self) -> SweepResult:
        records = self.journal.read()
        finished = sorted((r for r in records if r.state == "finished"), key=lambda r: -(r.value or 0))
        if not finished:
            raise ValueError(f"no trial finished, so there is nothing to confirm: the journal is {self.journal.folder}")
        default, winner = self.sweep.default(), self._choose(finished)
        winner_test, default_test = self._confirm(winner, default)
        seen = [outcome for record in records if (outcome := self.ledger.read(record.cell))]
        labelled = [outcome.metrics for outcome in seen if "validation" in outcome.metrics]
        return SweepResult(
            name=self.sweep.name(),
            trials=records,
            correlation=rank_correlation([m["probe"] for m in labelled], [m["validation"] for m in labelled])
            if len(labelled) > 2
            else float("nan"),
            best=[self._row(record) for record in finished[:10]],
            winner={name: mine for name, (mine, _) in winner.diff(default).items() if mine is not None},
            winner_test=winner_test,
            default_test=default_test,
            seconds=time.monotonic() - self.started,
        )

    def _row(self, record: TrialRecord) -> dict[str, Scalar]:
        outcome = self.ledger.read(record.cell)
        assert outcome is not None
        validation = outcome.metrics.get("validation", float("nan"))
        return {"trial": record.number, "probe": record.value or 0.0, "validation": validation, **record.params}

    def _choose(self, finished: Sequence[TrialRecord]) -> Experiment:
        """The best few, distinct ones, again on fresh blocks: the best of many carries the luck of its block."""
        distinct = {record.cell: record for record in reversed(finished)}
        best = sorted(distinct.values(), key=lambda r: -(r.value or 0))[:CANDIDATES]
        candidates = [self.brief.experiment(record.params) for record in best]
        blocks = [Block(seed=CHOICE + i) for i in range(self.sweep.choice_blocks)]
        jobs = {(i, b): self._job(e, b, read_test=False) for i, e in enumerate(candidates) for b in blocks}
        outcomes = self._compute("best three on fresh blocks", jobs.values(), "candidate")
        means = [np.mean([outcomes[jobs[i, b].name].metrics["probe"] for b in blocks]) for i in range(len(candidates))]
        return candidates[int(np.argmax(means))]

    def _confirm(self, winner: Experiment, default: Experiment) -> tuple[list[float], list[float]]:
        """Test accuracies on blocks that nothing was chosen on. The default against itself is not computed twice."""
        blocks = [Block(seed=CONFIRMATION + i) for i in range(self.sweep.confirmation_blocks)]
        sides = [[self._job(experiment, block, read_test=True) for block in blocks] for experiment in (winner, default)]
        outcomes = self._compute("winner against default", [job for side in sides for job in side], "confirmation")
        self.student = (winner, outcomes[sides[0][0].name])  # nothing was chosen on its block
        tests = [[outcomes[job.name].metrics["test"] for job in side] for side in sides]
        return tests[0], tests[1]

    def _job(self, experiment: Experiment, block: Block, read_test: bool) -> Job:
        return self.crew.setting.job(Cell(experiment=experiment, block=block), read_test)

    def _compute(self, title: str, jobs: Iterable[Job], role: str) -> dict[str, Outcome]:
        """All of these cells, by name. ValueError where one could not be computed after all attempts."""
        done, failures = self.crew.compute(title, jobs, lambda outcome: self._track(outcome, role))
        for failure in failures:
            log = self.ledger.folder(failure.job.name) / "error.txt"
            raise ValueError(f"a cell failed ({failure.reason}), its log is {log}; the same command tries it again")
        return done

    def _track(self, outcome: Outcome, role: str, name: str = "") -> None:
        name = name or f"{role} {outcome.block['seed']}"
        self.tracker.cell(outcome, self.parent, role=role, name=name, tags={"sweep": self.sweep.name()})

    def _track_trials(self) -> None:
        for record in self.journal.read():
            if (outcome := self.ledger.read(record.cell)) is not None:
                self._track(outcome, "trial", f"trial {record.number}")

    def _finish_tracking(self, result: SweepResult) -> None:
        difference, low, high = result.difference()
        metrics = {
            "winner_minus_default": difference,
            "winner_minus_default.low": low,
            "winner_minus_default.high": high,
            "probe_validation_rank_correlation": result.correlation,
        }
        files, _ = write_sweep_report(result.name, self.compute.storage)
        finite = {name: value for name, value in metrics.items() if value is not None and math.isfinite(value)}
        self.tracker.finish(self.parent, metrics=finite, tables={"best_trials": pd.DataFrame(result.best)}, files=files)
        winner, outcome = self.student
        if outcome.state == "finished":
            self.tracker.student(self.parent, outcome, winner)
