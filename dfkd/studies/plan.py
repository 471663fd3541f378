"""What a study wants computed: its cells by name, those that are there, and those that are next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from dfkd.execution.compute import Compute
from dfkd.execution.executor import Failure
from dfkd.execution.reuse import known_run_context
from dfkd.stats import racing
from dfkd.storage import layout
from dfkd.storage.ledger import Ledger
from dfkd.storage.outcome import Outcome
from dfkd.studies.reading import data_of, is_complete
from dfkd.studies.record import Check, Retuned, StudyRecord, author
from dfkd.studies.study import Study
from dfkd.training.jobs import Job, RunContext, look_up


@dataclass(frozen=True, kw_only=True)
class StudyPlan:
    """A study, the cells that answer it, and what this call has noted of them.

    jobs: the cells by their names.
    """

    study: Study
    run_context: RunContext
    record: StudyRecord
    jobs: Mapping[str, Job]

    @property
    def name(self) -> str:
        return self.record.name

    def variant_of(self, cell: str) -> str:
        """Return the variant that a cell belongs to."""
        return next(name for name, cells in self.record.cells.items() if cell in cells)

    def with_check(self, check: Check | None) -> StudyPlan:
        """Return the plan with what computing one reused cell again gave."""
        return replace(self, record=replace(self.record, check=check))

    def with_errors(self, failures: Iterable[Failure]) -> StudyPlan:
        """Return the plan with cells that failed: this call does not try them again."""
        errors = {failure.job.name: failure.reason for failure in failures}
        return replace(self, record=replace(self.record, errors=self.record.errors | errors))

    def with_look(self, blocks: int) -> StudyPlan:
        """Return the plan with the note that results were shown after so many blocks."""
        return replace(self, record=replace(self.record, looked=[*self.record.looked, blocks]))


def plan_study(
    name: str,
    study: Study,
    run_context: RunContext,
    *,
    race: bool,
    retuned: Retuned | None,
    earlier: StudyRecord | None,
    command: str = "",
) -> StudyPlan:
    """Name the study's cells for this run context, and go on with what earlier calls have seen."""
    tags = {**run_context.tags, "computed_by": author(name)}
    run_context = replace(run_context, tags=tags)
    jobs = {
        (variant, block): run_context.job(cell, True, f"{name}: {variant}, block {cell.block}")
        for (variant, block), cell in study.cells().items()
    }
    names = {at: job.name for at, job in jobs.items()}
    images = earlier.test_images if earlier else None
    images = images or len(study.variants[study.baseline].task.test())
    record = replace(
        StudyRecord.of(name, study, names, images).continued(earlier),
        looks=looks_of(study, race),
        retuned=retuned,
        command=command,
    )
    by_name = {job.name: job for job in jobs.values()}
    return StudyPlan(study=study, run_context=run_context, record=record, jobs=by_name)


def looks_of(study: Study, race: bool) -> list[int] | None:
    """Return after how many blocks a race looks; None for a study that is no race."""
    return list(racing.usual_looks(study.blocks)) if race else None


def check_looks(study: Study, race: bool, earlier: StudyRecord | None) -> None:
    """Raise ValueError if earlier calls have shown results under other looks than this one."""
    looks = looks_of(study, race)
    if earlier is None or not earlier.looked or earlier.looks == looks:
        return
    begun = (
        f"as a race with looks after {earlier.looks} blocks" if earlier.looks else "without --race"
    )
    raise ValueError(
        f"the study {earlier.name} was begun {begun}, and looks have to be fixed before the first "
        "cell: go on in the same way, or give the module another name"
    )


def recorded_cells(plan: StudyPlan, ledger: Ledger) -> dict[str, Outcome]:
    """Return the outcomes that are there already, by cell, whoever computed them."""
    found = {name: look_up(job, ledger) for name, job in plan.jobs.items()}
    return {name: outcome for name, outcome in found.items() if outcome is not None}


def complete_cells(recorded: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """Return those of the outcomes that the study can use."""
    return {name: outcome for name, outcome in recorded.items() if is_complete(outcome)}


def next_jobs(plan: StudyPlan, done: Mapping[str, Outcome]) -> list[Job]:
    """Return the cells to compute next, block by block.

    That is all that is missing and has not failed; of a race what its next look needs.
    """
    record = plan.record
    cells = record.names() if record.looks is None else _cells_before_next_look(record, done)
    return [plan.jobs[cell] for cell in cells if cell not in done and cell not in record.errors]


def first_block(jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs of the first block, so that a study that is stopped has whole blocks."""
    return [job for job in jobs if job.cell.block == jobs[0].cell.block]


def _cells_before_next_look(record: StudyRecord, done: Mapping[str, Outcome]) -> list[str]:
    data = data_of(record, done.get)
    assert data.looks is not None
    plan = racing.Plan(blocks=data.blocks, looks=data.looks)
    standing = racing.race(
        data.cells, variants=list(data.params), baseline=data.baseline, plan=plan
    )
    needed = (*standing.running, data.baseline) if standing.running else ()
    return [
        record.cells[variant][i]
        for i in range(len(standing.blocks))
        for variant in record.cells
        if variant in needed
    ]


def kept_run_context(name: str, compute: Compute, inputs: Iterable[str]) -> RunContext | None:
    """Return the run context of an earlier call on the study of this name, if it still holds."""
    key = layout.run_context(name)
    if not compute.storage.exists(key):
        return None
    return known_run_context(compute.storage.read_json(key), inputs, compute)


def changed_since(earlier: StudyRecord | None, now: StudyRecord) -> list[str]:
    """Return the variants that an earlier call answered with other cells than this one.

    Their recipe, a piece's version, teacher, pool or environment has changed.
    """
    if earlier is None:
        return []
    return [
        variant
        for variant, cells in now.cells.items()
        if any(a != b for a, b in zip(cells, earlier.cells.get(variant, ()), strict=False))
    ]
