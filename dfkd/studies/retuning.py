"""Retuning: each variant of a study gets a search of its own before it is compared.

Leaving a part out of a recipe whose settings were found with it favours the recipe. Here every
variant, the recipe included, has the same space, trials, sampler's seed and blocks to choose on,
and no search sees a label. A search belongs to the variant, not to the study: another study that
has it as well goes on with what there is.
"""

import json
from collections.abc import Mapping
from contextlib import closing, nullcontext
from dataclasses import replace

import pandas as pd

from dfkd.execution.compute import Compute
from dfkd.execution.executor import OpenExecutor
from dfkd.execution.ray_executor import ray_executor
from dfkd.experiment import Experiment
from dfkd.identity import digest
from dfkd.reporting.console import Console
from dfkd.storage.ledger import Ledger
from dfkd.studies.driver import StudyOptions, run_study
from dfkd.studies.record import Retuned
from dfkd.studies.result import StudyResult
from dfkd.studies.study import Study
from dfkd.studies.variant_search import (
    Choice,
    Retuning,
    VariantSearch,
    kept_choice,
    run_search,
    search_of,
)
from dfkd.tracking import RunSync, Tracker
from dfkd.training.inputs import check
from dfkd.training.provenance import require_same_code


def run_retuned_study(
    name: str,
    study: Study,
    retuning: Retuning,
    compute: Compute,
    console: Console,
    options: StudyOptions,
    open_executor: OpenExecutor = ray_executor,
) -> StudyResult:
    """Run a study with each variant at its own best setting.

    What was searched before is not searched again. Variants that have become one experiment are
    compared once: the first of them stays, or the baseline. Raises ValueError for input that cannot
    work, before anything is computed.
    """
    searches = _searches(study, retuning)
    begun = [e for search in searches for e in search.begun(compute.storage)]
    require_same_code(begun, Ledger(compute.storage), compute.accept_changed_code, console.line)
    kept = {search.label: kept_choice(search, compute) for search in searches}
    left = [search for search in searches if kept[search.label] is None]
    for search in left:
        check(search.cell, compute.storage)
    if again := [s.label for s in left if compute.storage.exists(s.result())]:
        console.line(
            f"{', '.join(again)}: tuned again, since PyTorch, teacher, pool or the cells of the "
            "trials are others now"
        )

    def compare(choices: Mapping[str, Choice], open_executor: OpenExecutor) -> StudyResult:
        for search in searches:
            sync_choice(name, search, choices[search.label], compute, console)
        chosen = {search.label: choices[search.label].experiment for search in searches}
        tuned, retuned = tuned_study(study, retuning, chosen)
        for line in retuned.twin_lines():
            console.line(line)
        return run_study(name, tuned, compute, console, options, retuned, open_executor)

    known = {label: choice for label, choice in kept.items() if choice is not None}
    if not left:
        return compare(known, open_executor)
    cells = [*study.cells().values(), *(search.cell for search in left)]
    with open_executor(cells, compute, console) as executor:
        found = {search.label: run_search(search, executor, compute, console) for search in left}
        return compare(known | found, lambda *_: nullcontext(executor))


def retuned_so_far(study: Study, retuning: Retuning, compute: Compute) -> tuple[list[str], Study]:
    """Return the variants that are not tuned yet, and the study as it is known so far.

    Once every variant is tuned, that is the study which will be compared; before, the given one.
    """
    kept = {search.label: kept_choice(search, compute) for search in _searches(study, retuning)}
    chosen = {label: choice.experiment for label, choice in kept.items() if choice is not None}
    left = [label for label in kept if label not in chosen]
    return left, study if left else tuned_study(study, retuning, chosen)[0]


def tuned_study(
    study: Study, retuning: Retuning, chosen: Mapping[str, Experiment]
) -> tuple[Study, Retuned]:
    """Return the study with each variant as `chosen` says, and how it came to be.

    Raises ValueError where all variants have become one experiment.
    """
    variants, twins = {study.baseline: chosen[study.baseline]}, dict[str, str]()
    for label, experiment in chosen.items():
        known = {e.fingerprint(): other for other, e in variants.items()}
        same = known.get(experiment.fingerprint())
        if same is None:
            variants[label] = experiment
        elif same != label:
            twins[label] = same
    if len(variants) == 1:
        raise ValueError("tuned, all variants are one experiment: there is nothing to compare")
    ordered = {label: variants[label] for label in study.variants if label in variants}
    settings = {
        label: {
            name: mine
            for name, (mine, _) in chosen[label].diff(variant).items()
            if mine is not None
        }
        for label, variant in study.variants.items()
    }
    retuned = Retuned(space=retuning.space, trials=retuning.trials, settings=settings, twins=twins)
    return replace(study, variants=ordered), retuned


def _searches(study: Study, retuning: Retuning) -> list[VariantSearch]:
    default = retuning.default(study)
    return [search_of(retuning, label, e, default) for label, e in study.variants.items()]


def sync_choice(
    study: str, search: VariantSearch, choice: Choice, compute: Compute, console: Console
) -> None:
    """Tell MLflow of a search, as far as it does not know it yet. study: the study's name.

    Cells that are gone from the ledger are left out.
    """
    sync = RunSync(
        Tracker(compute.storage, compute.tracking_uri, warn=console.warn),
        search.folder(),
        kind="retuning",
        name=f"{study}/{search.label}",
        identity=f"retuning {search.identity()}",
        params={
            "trials": search.retuning.trials,
            "seed": search.retuning.seed,
            **search.variant.params(),
        },
        tags={"space": search.retuning.space, "variant": search.label},
    )
    saved, ledger = choice.saved, Ledger(compute.storage)
    told = {"record": digest(json.dumps(saved))}
    if not sync.is_due(told):
        return
    with closing(sync.tracker):
        sync.open()
        for cell, (role, name) in saved["cells"].items():
            if (outcome := ledger.read(cell)) is not None:
                sync.cell(outcome, role, f"{search.label}: {name}", {"variant": search.label})
        rows = [
            {"trial": t["number"], "state": t["state"], "probe": t["value"] or 0.0, **t["params"]}
            for t in saved["trials"]
        ]
        metrics = {"best_probe": max(row["probe"] for row in rows)}
        tables: dict[str, str | pd.DataFrame] = {"trials": pd.DataFrame(rows)}
        sync.tracker.finish(sync.parent, metrics=metrics, tables=tables, files={})
        sync.settle(told)
