"""A study: every variant in every block on the warm workers, then the paired differences with their intervals."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import torch

from dfkd.cells import Job, Setting
from dfkd.cluster.crew import Crew
from dfkd.cluster.session import Compute, session
from dfkd.console import Console
from dfkd.evidence.statistics import Comparison, compare, frame, summarise
from dfkd.experiment import Study
from dfkd.files import write_json
from dfkd.ledger import Ledger, Outcome
from dfkd.sources import check, source_key
from dfkd.tracking import Tracker


@dataclass(frozen=True, kw_only=True)
class StudyResult:
    """One row per cell (variant, block, state, value = test accuracy), and what follows from them."""

    name: str
    outcomes: pd.DataFrame
    summary: pd.DataFrame
    comparisons: list[Comparison]
    computed: int  # cells of this call; the others were in the ledger


def run_study(name: str, study: Study, compute: Compute, console: Console) -> StudyResult:
    """Compute what is missing. ValueError for input that cannot work, before anything is computed."""
    cells = study.cells()
    sources = {source_key(cell): cell for cell in cells.values()}
    for cell in sources.values():
        check(cell, compute.storage)
    ledger, saved = Ledger(compute.storage), compute.storage / "studies" / name / "setting.json"
    setting = _known_setting(saved, sources)
    if setting is not None:
        jobs = {at: setting.job(cell, read_test=True) for at, cell in cells.items()}
        if all(_done(ledger, job) for job in jobs.values()):
            console.line(f"all {len(cells)} cells of the study {name} are done already")
            return _conclude(name, study, jobs, ledger, computed=0)
    tracker = Tracker(compute.storage, compute.tracking_uri, warn=console.warn)
    with session(compute), closing(tracker):
        crew = Crew(sources.values(), compute, console)
        write_json(saved, asdict(crew.setting))
        jobs = {at: crew.setting.job(cell, read_test=True) for at, cell in cells.items()}
        return _compute(name, study, crew, jobs, ledger, tracker)


def _known_setting(path: Path, sources: Iterable[str]) -> Setting | None:
    """The setting of an earlier call on this study, if it names every source and PyTorch is still the same."""
    if not path.exists():
        return None
    setting = Setting.of(json.loads(path.read_text()))
    same = setting.environment.torch == torch.__version__ and set(sources) <= setting.digests.keys()
    return setting if same else None


def _done(ledger: Ledger, job: Job) -> bool:
    outcome = ledger.read(job.name)
    return outcome is not None and outcome.final and "test" in outcome.metrics


def _compute(
    name: str, study: Study, crew: Crew, jobs: dict[tuple[str, int], Job], ledger: Ledger, tracker: Tracker
) -> StudyResult:
    """Compute the missing cells, block by block, and show every cell in MLflow."""
    parent = tracker.parent(
        kind="study", name=name, identity=f"study {name}",
        params={"question": study.question, "baseline": study.baseline, "blocks": study.blocks},
        tags={"study": name},
    )  # fmt: skip
    variants = {job.name: variant for (variant, _), job in jobs.items()}

    def track(outcome: Outcome) -> None:
        variant = variants[outcome.cell]
        role = "baseline" if variant == study.baseline else "variant"
        tags = {"study": name, "variant": variant}
        tracker.cell(outcome, parent, role=role, name=f"{variant} {outcome.block['seed']}", tags=tags)

    missing = [job for job in jobs.values() if not _done(ledger, job)]
    for job in jobs.values():
        if (known := ledger.read(job.name)) is not None and job not in missing:
            track(known)
    crew.compute(f"study {name}", missing, track)
    result = _conclude(name, study, jobs, ledger, len(missing))
    tracker.finish(
        parent,
        metrics={f"difference/{c.variant}": c.difference for c in result.comparisons if c.n},
        tables={"effects": frame(result.comparisons), "variants": result.summary},
        files={},
    )
    return result


def _conclude(
    name: str, study: Study, jobs: dict[tuple[str, int], Job], ledger: Ledger, computed: int
) -> StudyResult:
    rows = []
    for (variant, seed), job in jobs.items():
        outcome = ledger.read(job.name)
        value = outcome.metrics["test"] if outcome is not None else float("nan")
        state = outcome.state if outcome is not None else "errored"
        rows.append({"variant": variant, "block": seed, "state": state, "value": value, "cell": job.name})
    outcomes = pd.DataFrame(rows)
    outcomes["variant"] = pd.Categorical(outcomes["variant"], categories=list(study.variants))
    comparisons = compare(outcomes, baseline=study.baseline)
    return StudyResult(
        name=name, outcomes=outcomes, summary=summarise(outcomes), comparisons=comparisons, computed=computed
    )


