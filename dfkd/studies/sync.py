"""Tells MLflow of a study: its run, the cells below it, and its findings once they are there."""

from collections.abc import Mapping
from pathlib import Path

from dfkd.execution.compute import Compute
from dfkd.identity import digest
from dfkd.reporting.console import Console
from dfkd.reporting.report_files import digest_of
from dfkd.stats.comparisons import frame
from dfkd.storage import layout
from dfkd.storage.notes import read_note
from dfkd.storage.outcome import Outcome
from dfkd.studies import tables
from dfkd.studies.findings import Findings, levels_of
from dfkd.studies.plan import StudyPlan
from dfkd.studies.reading import CURVES, RECORD, curves_text
from dfkd.studies.result import typical_of_best
from dfkd.studies.study import Study
from dfkd.tracking import FACTOR, FORM, RunSync, Tracker, in_points


def sync_of(
    name: str, study: Study, compute: Compute, console: Console, register: str | None
) -> RunSync:
    """Return what keeps the study's run in MLflow up to date; nothing is contacted yet.

    register: the name under which the best variant's student is registered, None for none.
    """
    return RunSync(
        Tracker(compute.storage, compute.tracking_uri, warn=console.warn),
        layout.study(name),
        register,
        kind="study",
        name=name,
        identity=f"study {name}",
        params={"question": study.question, "baseline": study.baseline, "blocks": study.blocks},
        tags={"study": name, **read_note(compute.storage, layout.study(name)).in_mlflow()},
    )


def sync_cells(sync: RunSync, plan: StudyPlan, known: Mapping[str, Outcome]) -> None:
    """Open the study's run and tell MLflow of these cells."""
    sync.open()
    for outcome in known.values():
        sync_cell(sync, plan, outcome)


def sync_cell(sync: RunSync, plan: StudyPlan, outcome: Outcome) -> None:
    """Tell MLflow of one cell, with its variant and whether that is the baseline."""
    variant = plan.variant_of(outcome.cell)
    role = "baseline" if variant == plan.study.baseline else "variant"
    name = f"{variant} {plan.jobs[outcome.cell].cell.block}"
    tags = {"study": plan.name, "variant": variant, **_factors(plan.study, variant)}
    sync.cell(outcome, role, name, tags)


def _factors(study: Study, variant: str) -> dict[str, str]:
    """Return which factors of a factorial design are on in a variant; {} for other studies."""
    levels = levels_of(list(study.variants)) or {}
    return {
        f"{FACTOR}{name}": "on" if level > 0 else "off"
        for name, level in levels.get(variant, {}).items()
    }


def sync_findings(
    sync: RunSync,
    plan: StudyPlan,
    done: Mapping[str, Outcome],
    findings: Findings,
    files: dict[str, Path | str],
) -> None:
    """Tell MLflow what came of the study, unless it has been told exactly this before.

    files: those of the report by their names in MLflow.
    """
    record = plan.record.text()
    told = {"record": digest([FORM, record, *sorted(done)]), "report": digest_of(files)}
    if not sync.is_due(told):
        return
    sync_cells(sync, plan, done)
    sync.tracker.finish(
        sync.parent,
        metrics=_metrics(findings),
        tables={
            "effects": frame(findings.comparisons),
            "variants": findings.summary,
            RECORD: record,
            CURVES: curves_text(done.values()),
            layout.NOTE: findings.data.note.json(),
        },
        files=files,
        description=tables.markdown(findings),
    )
    best = typical_of_best(findings.data.cells)
    if best is not None:
        outcome = done[str(best["cell"])]
        experiment = plan.jobs[outcome.cell].cell.experiment
        sync.student(outcome, experiment)
    sync.settle(told)


def _metrics(findings: Findings) -> dict[str, float]:
    """Return test accuracy in per cent, differences in points with intervals, and p by variant."""
    means = zip(findings.summary["variant"], findings.summary["mean"], strict=True)
    metrics = {f"test_percent/{variant}": in_points(mean) for variant, mean in means}
    for c in findings.comparisons:
        found = {"": c.difference, "_low": c.low, "_high": c.high}
        metrics |= {
            f"difference_points{end}/{c.variant}": in_points(value)
            for end, value in found.items()
            if value is not None
        }
        if c.p_holm is not None:
            metrics[f"p_holm/{c.variant}"] = c.p_holm
    return metrics
