"""Runs a study: every variant in every block, then the paired differences with their intervals.

Cells that other work has computed are used as they are; one of them, drawn at random, is computed
again as a check. A race computes only what its next look needs, look by look.
"""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from dfkd.execution.compute import Compute
from dfkd.execution.executor import OpenExecutor
from dfkd.execution.ray_executor import ray_executor
from dfkd.reporting.console import Console
from dfkd.storage import Storage, layout
from dfkd.storage.ledger import Ledger
from dfkd.storage.notes import annotate, read_note
from dfkd.storage.outcome import Outcome
from dfkd.studies import record as studies
from dfkd.studies.computing import check_reused, compute_missing
from dfkd.studies.findings import find
from dfkd.studies.page import write_report
from dfkd.studies.plan import (
    StudyPlan,
    changed_since,
    check_looks,
    complete_cells,
    kept_run_context,
    next_jobs,
    plan_study,
    recorded_cells,
)
from dfkd.studies.reading import data_of
from dfkd.studies.record import Retuned, StudyRecord
from dfkd.studies.result import StudyResult
from dfkd.studies.study import Study
from dfkd.studies.sync import sync_cell, sync_cells, sync_findings, sync_of
from dfkd.tracking import RunSync, check_model_name
from dfkd.training.inputs import check, inputs_key
from dfkd.training.provenance import require_same_code


@dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """How far one call on a study goes.

    race: stop computing variants that are decided, at planned looks. check: compute one reused cell
    again. max_device_hours: of the cells of this call; no block is begun that would go beyond it,
    going by what cells took so far. register: the name under which MLflow's model registry gets
    the student that stands for the best variant; None registers nothing. note, tags: as for
    `storage.notes.annotate`. command: that asks for the study, for its report.
    """

    race: bool = False
    check: bool = True
    max_device_hours: float | None = None
    register: str | None = None
    note: str | None = None
    tags: tuple[str, ...] = ()
    command: str = ""

    def __post_init__(self) -> None:
        if self.register is not None:
            check_model_name(self.register)
        if self.max_device_hours is not None and not self.max_device_hours > 0:
            raise ValueError(f"max_device_hours must be above 0, but got {self.max_device_hours}")


def run_study(
    name: str,
    study: Study,
    compute: Compute,
    console: Console,
    options: StudyOptions = StudyOptions(),
    retuned: Retuned | None = None,
    open_executor: OpenExecutor = ray_executor,
) -> StudyResult:
    """Compute the cells of a study that are missing, and return what all of them say.

    retuned: how its variants came to be. open_executor: who computes the cells. Raises ValueError
    for input that cannot work, before anything is computed.
    """
    ledger = Ledger(compute.storage)
    require_same_code(study.variants.values(), ledger, compute.accept_changed_code, console.line)
    inputs = {inputs_key(cell): cell for cell in study.cells().values()}
    for cell in inputs.values():
        check(cell, compute.storage, read_test=True)
    earlier = studies.read(compute.storage, name)
    check_looks(study, options.race, earlier)
    plan_for = partial(
        plan_study,
        name,
        study,
        race=options.race,
        retuned=retuned,
        earlier=earlier,
        command=options.command,
    )
    annotate(compute.storage, layout.study(name), options.note, options.tags)
    sync = sync_of(name, study, compute, console, options.register)
    with closing(sync.tracker):
        run_context = kept_run_context(name, compute, inputs)
        if run_context is not None:
            done = _done_already(plan_for(run_context), earlier, compute.storage, sync, console)
            if done is not None:
                return done
        sync.tracker.warm_up()
        with open_executor(inputs.values(), compute, console) as executor:
            plan = plan_for(executor.run_context)
            recorded = recorded_cells(plan, ledger)
            known = complete_cells(recorded)
            _say_changes(plan, earlier, console)
            _begin(plan, known, compute.storage, sync)
            if options.check and plan.record.check is None:
                again = check_reused(plan, known, executor, compute.storage, console)
                plan = plan.with_check(again)
            tell = partial(sync_cell, sync, plan)
            limit = options.max_device_hours
            computed = compute_missing(plan, known, executor, compute, limit, console, tell)
        result = conclude(computed.plan, computed.done, earlier, compute.storage, sync, console)
    own = {name for name, outcome in computed.done.items() if outcome.fresh}
    others = computed.done.keys() - own - recorded.keys()
    return replace(result, computed=len(own), elsewhere=len(others), stopped=computed.stopped)


def _done_already(
    plan: StudyPlan, earlier: StudyRecord | None, storage: Storage, sync: RunSync, console: Console
) -> StudyResult | None:
    """Return what a study says of which nothing is left to compute; None for any other."""
    known = complete_cells(recorded_cells(plan, Ledger(storage)))
    if next_jobs(plan, known):
        return None
    _say_changes(plan, earlier, console)
    console.line(f"nothing to compute: the study {plan.name} is done already")
    return conclude(plan, known, earlier, storage, sync, console)


def _begin(plan: StudyPlan, known: Mapping[str, Outcome], storage: Storage, sync: RunSync) -> None:
    """Keep on disk and in MLflow what is asked, and which cells are there already."""
    storage.write_json(layout.run_context(plan.name), plan.run_context.saved())
    studies.write(storage, plan.record)
    sync_cells(sync, plan, known)


def _say_changes(plan: StudyPlan, earlier: StudyRecord | None, console: Console) -> None:
    """Say which variants are answered by other cells than an earlier call has answered them by."""
    if changed := changed_since(earlier, plan.record):
        console.line(f"changed since the last call: {', '.join(changed)}")


def conclude(
    plan: StudyPlan,
    done: Mapping[str, Outcome],
    earlier: StudyRecord | None,
    storage: Storage,
    sync: RunSync,
    console: Console,
) -> StudyResult:
    """Return what the cells say, as if none was computed by this call.

    Record and report are written, and MLflow is told what it does not know yet. earlier: the record
    on disk before this call.
    """
    blocks = int(data_of(plan.record, done.get).cells["block"].nunique())
    if blocks not in plan.record.looked[-1:]:
        plan = plan.with_look(blocks)
    note = read_note(storage, layout.study(plan.name))
    findings = find(data_of(plan.record, done.get, note), storage)
    if plan.record != earlier:
        studies.write(storage, plan.record)
    files, _ = write_report(findings, storage)
    sync_findings(sync, plan, done, findings, files)
    for line in sync.registered():
        console.line(line)
    return StudyResult(findings=findings, page=Path(files[f"{layout.REPORT}/{layout.PAGE}"]))
