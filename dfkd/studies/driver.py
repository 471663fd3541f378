"""A study: every variant in every block on the warm workers, then the paired differences with their
intervals.

With `Terms(race=True)` only what the plan of the race asks for is computed, look by look. Cells
that other work has computed are used as they are; one of them, drawn at random, is computed again
as a check.
"""

from __future__ import annotations

import json
import random
import shutil
import statistics
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from dfkd.execution import reuse
from dfkd.execution.compute import Compute
from dfkd.execution.executor import Executor, Failure, OpenExecutor
from dfkd.execution.ray_executor import ray_executor
from dfkd.identity import digest
from dfkd.reporting.console import Console
from dfkd.reporting.report_files import digest_of
from dfkd.stats import racing
from dfkd.stats.comparisons import frame
from dfkd.storage import FolderStorage, Storage, layout
from dfkd.storage.files import write_json
from dfkd.storage.ledger import Ledger, Outcome
from dfkd.studies import Study
from dfkd.studies import record as studies
from dfkd.studies.findings import Findings, find
from dfkd.studies.page import write_report
from dfkd.studies.record import Retuned, StudyRecord
from dfkd.studies.result import StudyResult, typical_of_best
from dfkd.tracking import RunSync, Tracker
from dfkd.training.cells import Job, RunContext, look_up
from dfkd.training.inputs import check, inputs_key
from dfkd.training.provenance import require_same_code


@dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """How far a study goes. race: stop comparing what is decided. check: compute one reused cell
    again.

    max_device_hours: of the cells of this call; no block is begun that would go beyond it by what
    cells took so far.
    """

    race: bool = False
    check: bool = True
    max_device_hours: float | None = None

    def __post_init__(self) -> None:
        if self.max_device_hours is not None and not self.max_device_hours > 0:
            raise ValueError(f"max_device_hours must be above 0, but got {self.max_device_hours=}")


def run_study(
    name: str,
    study: Study,
    compute: Compute,
    console: Console,
    options: StudyOptions = StudyOptions(),
    retuned: Retuned | None = None,
    open_executor: OpenExecutor = ray_executor,
) -> StudyResult:
    """Compute what is missing. ValueError for input that cannot work, before anything is computed.

    retuned: how its variants came to be. open_executor: who computes the cells.
    """
    accept, ledger = compute.accept_changed_code, Ledger(compute.storage)
    require_same_code(study.variants.values(), ledger, accept, console.line)
    sources = {inputs_key(cell): cell for cell in study.cells().values()}
    for cell in sources.values():
        check(cell, compute.storage, read_test=True)
    driver = _Driver(name, study, compute, console, options, retuned)
    run_context = known_run_context(compute.storage / layout.run_context(name), sources)
    with closing(driver.sync.tracker):
        if run_context is not None:
            driver.begin(run_context)
            if not driver.wanted():
                console.line(f"nothing to compute: the study {name} is done already")
                return driver.conclude()
        with open_executor(sources.values(), compute, console) as driver.executor:
            driver.begin(driver.executor.run_context)
            return driver.run()


def known_run_context(path: Path, sources: Iterable[str]) -> RunContext | None:
    """The run context of an earlier call on a study, while it still says what cells are called."""
    return reuse.known_run_context(json.loads(path.read_text()), sources) if path.exists() else None


def device_hours(seconds: float, compute: Compute) -> float:
    """GPU hours where a cell has GPUs, else CPU hours."""
    return seconds * compute.workers * (compute.gpus or compute.cpus) / 3600


class _Driver:
    """One call: look what there is, compute what is wanted, and keep MLflow up to date on the
    way.
    """

    executor: Executor

    def __init__(
        self,
        name: str,
        study: Study,
        compute: Compute,
        console: Console,
        options: StudyOptions,
        retuned: Retuned | None,
    ) -> None:
        self.name, self.study, self.compute, self.console, self.options = (
            name,
            study,
            compute,
            console,
            options,
        )
        self.retuned = retuned
        self.ledger = Ledger(compute.storage)
        self.earlier = studies.read(compute.storage, name)
        self.known: dict[str, Outcome] = {}
        self.fresh: list[Outcome] = []  # computed by this call
        self.looks = list(racing.usual_looks(study.blocks)) if options.race else None
        self.sync = RunSync(
            Tracker(compute.storage, compute.tracking_uri, warn=console.warn),
            compute.storage / layout.study(name),
            kind="study",
            name=name,
            identity=f"study {name}",
            params={"question": study.question, "baseline": study.baseline, "blocks": study.blocks},
            tags={"study": name},
        )
        before = self.earlier
        if (
            before is not None
            and before.looked
            and before.looks != self.looks
            and (before.looks or options.race)
        ):
            begun = (
                f"as a race with looks after {before.looks} blocks"
                if before.looks
                else "without --race"
            )
            raise ValueError(
                f"the study {name} was begun {begun}, and looks have to be fixed before the first "
                "cell: go on in the "
                "same way, or give the module another name"
            )

    def begin(self, run_context: RunContext) -> None:
        """What is asked and what there is."""
        run_context = replace(
            run_context,
            tags={**run_context.tags, "computed_by": studies.author(self.name)},
            accept_changed_code=self.compute.accept_changed_code,
        )
        self.run_context = run_context
        jobs = {
            at: run_context.job(cell, read_test=True) for at, cell in self.study.cells().items()
        }
        self.jobs = {job.name: job for job in jobs.values()}
        names = {at: job.name for at, job in jobs.items()}
        images = self.earlier.test_images if self.earlier else None
        images = images or len(self.study.variants[self.study.baseline].task.test())
        record = StudyRecord.of(self.name, self.study, names, images).continued(self.earlier)
        self.record = replace(record, looks=self.looks, retuned=self.retuned)
        for cell in self.jobs:
            self._look_up(cell)

    def _look_up(self, cell: str) -> None:
        outcome = look_up(self.jobs[cell], self.ledger)
        if outcome is not None and outcome.final and "test" in outcome.metrics:
            self.known[cell] = outcome

    def wanted(self) -> list[Job]:
        """What is to be computed next, block by block: all that is missing, or what the race needs
        to look.
        """
        cells = self.record.names() if self.looks is None else self._raced()
        wanted = [
            cell for cell in cells if cell not in self.known and cell not in self.record.errors
        ]
        jobs = [self.jobs[cell] for cell in wanted]
        if self.options.max_device_hours is None:
            return jobs
        return [
            job for job in jobs if job.cell.block == jobs[0].cell.block
        ]  # so that whole blocks are done

    def _raced(self) -> list[str]:
        assert self.looks is not None
        data = studies.data_of(self.record, self.known.get)
        plan = racing.Plan(blocks=data.blocks, looks=tuple(self.looks))
        standing = racing.race(
            data.cells, variants=list(data.params), baseline=data.baseline, plan=plan
        )
        needed = (*standing.running, data.baseline) if standing.running else ()
        places = range(len(standing.blocks))
        return [
            self.record.cells[variant][i]
            for i in places
            for variant in self.record.cells
            if variant in needed
        ]

    def run(self) -> StudyResult:
        """Everything, with the workers there."""
        write_json(self.compute.storage / layout.run_context(self.name), self.run_context.saved())
        studies.write(self.compute.storage, self.record)
        self._open_account()
        self._check_one()
        return self.conclude(self._compute())

    def _open_account(self) -> None:
        self.sync.open()
        for outcome in self.known.values():
            self._track(outcome)

    def _compute(self) -> str:
        """Until nothing is wanted any more; why it ended before, if it did."""
        while jobs := self.wanted():
            limit, expected = self.options.max_device_hours, self._expected(len(jobs))
            if limit is not None and expected > limit:
                return (
                    f"stopped by --max-device-hours {limit:g}: another block would make it "
                    f"{expected:.2g}"
                )
            if self.looks is not None:
                done = len({job.cell.block for job in jobs})
                self.console.line(f"race: {len(jobs)} cells in {done} blocks before the next look")
            _, failures = self.executor.compute(f"study {self.name}", jobs, self._end)
            self._note_failures(failures)
        return ""

    def _expected(self, cells: int) -> float:
        """Device hours of this call once so many more cells are computed."""
        spent = [outcome.seconds for outcome in self.fresh]
        each = statistics.fmean(
            spent or [outcome.seconds for outcome in self.known.values()] or [0.0]
        )
        return device_hours(sum(spent) + cells * each, self.compute)

    def _end(self, outcome: Outcome) -> None:
        self.known[outcome.cell] = outcome
        self.fresh.append(outcome)
        self._track(outcome)

    def _note_failures(self, failures: list[Failure]) -> None:
        errors = {failure.job.name: failure.reason for failure in failures}
        self.record = replace(self.record, errors=self.record.errors | errors)

    def _track(self, outcome: Outcome) -> None:
        variant = next(name for name, cells in self.record.cells.items() if outcome.cell in cells)
        role = "baseline" if variant == self.study.baseline else "variant"
        tags = {"study": self.name, "variant": variant}
        name = f"{variant} {self.jobs[outcome.cell].cell.block}"
        self.sync.cell(outcome, role, name, tags)

    def _check_one(self) -> None:
        """Compute one reused cell again, apart from the ledger: the same cell has to give the same
        bits.
        """
        reused = sorted(
            cell for cell, outcome in self.known.items() if studies.is_reused(outcome, self.name)
        )
        if not reused or not self.options.check or self.record.check is not None:
            return
        cell = random.Random(self.name).choice(reused)
        with self._apart() as storage:
            done, failures = self.executor.apart(storage).compute(
                "one reused cell again", [self.jobs[cell]], lambda outcome: None
            )
        if failures:
            return
        again = done[cell]
        equal = (
            again.metrics == self.known[cell].metrics and again.points == self.known[cell].points
        )
        self.record = replace(self.record, check={"cell": cell, "equal": equal})
        (self.console.line if equal else self.console.warn)(studies.check_line(self.record))

    @contextmanager
    def _apart(self) -> Iterator[Storage]:
        """A ledger of its own, on the storage that every node sees."""
        folder = self.compute.storage / layout.study(self.name) / layout.CHECK
        try:
            yield FolderStorage(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def conclude(self, stopped: str = "") -> StudyResult:
        """The findings; record and report on disk, and in MLflow where they are not there yet."""
        findings = find(studies.data_of(self.record, self.known.get))
        blocks = int(findings.data.cells["block"].nunique())
        if blocks not in self.record.looked[-1:]:
            self.record = replace(self.record, looked=[*self.record.looked, blocks])
            findings = find(studies.data_of(self.record, self.known.get))
        if self.record != self.earlier:
            studies.write(self.compute.storage, self.record)
        files, _ = write_report(findings, self.compute.storage)
        told = {
            "record": digest([self.record.text(), *sorted(self.known)]),
            "report": digest_of(files),
        }
        if self.sync.is_due(told):
            self._tell(findings, files)
            self.sync.settle(told)
        return StudyResult(findings=findings, computed=len(self.fresh), stopped=stopped)

    def _tell(self, findings: Findings, files: dict[str, Path | str]) -> None:
        self._open_account()
        self.sync.tracker.finish(
            self.sync.parent,
            metrics={f"difference/{c.variant}": c.difference for c in findings.comparisons if c.n},
            tables={
                "effects": frame(findings.comparisons),
                "variants": findings.summary,
                "study.json": self.record.text(),
                "curves.json": studies.curves_text(self.known.values()),
            },
            files=files,
        )
        best = typical_of_best(findings.data.cells)
        if best is not None:
            outcome = self.known[str(best["cell"])]
            self.sync.tracker.student(
                self.sync.parent, outcome, self.jobs[outcome.cell].cell.experiment
            )
