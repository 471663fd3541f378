"""Retuning: each variant of a study gets a search of its own before it is compared.

Leaving a part out of a recipe whose settings were found with it favours the recipe. Here every
variant, the recipe included, has the same space, trials, sampler's seed and blocks to choose on,
and no search sees a label. A search
belongs to the variant, not to the study: another study that has it as well goes on with what there
is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from dfkd.execution.compute import Compute
from dfkd.execution.executor import Executor, OpenExecutor
from dfkd.execution.ray_executor import ray_executor
from dfkd.execution.reuse import known_run_context
from dfkd.experiment import Cell, Experiment
from dfkd.identity import Scalar, digest
from dfkd.reporting.console import Console
from dfkd.seeding import Block
from dfkd.storage import layout
from dfkd.storage.files import write_json
from dfkd.storage.lease import alone
from dfkd.storage.ledger import Ledger, Outcome
from dfkd.studies import Study
from dfkd.studies.driver import StudyOptions, run_study
from dfkd.studies.record import Retuned
from dfkd.studies.result import StudyResult
from dfkd.sweeps.choosing import CANDIDATES, choose
from dfkd.sweeps.context import TrialContext, recorded_experiments
from dfkd.sweeps.findings import Trial, best_first
from dfkd.sweeps.journal import Journal
from dfkd.sweeps.searching import is_changed, search_trials
from dfkd.sweeps.sweep import SEARCH, source_of
from dfkd.sweeps.variants import Change, without_effect
from dfkd.tracking import RunSync, Tracker
from dfkd.training.cells import RunContext
from dfkd.training.inputs import check, inputs_key
from dfkd.training.provenance import require_same_code
from dfkd.user_modules import load

CHOICE_BLOCKS = 3


@dataclass(frozen=True, kw_only=True)
class Retuning:
    """A search per variant. space: module name; its default must be one of the study's variants."""

    space: str
    trials: int = 24
    seed: int = 0

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise ValueError(f"a variant needs 1 trial or more, but got trials={self.trials!r}")

    @property
    def most_cells(self) -> int:
        """Per variant; a trial that is pruned is a part of one."""
        return self.trials + CANDIDATES * CHOICE_BLOCKS

    def default(self, study: Study) -> Experiment:
        """ValueError where the space is about another recipe."""
        default: Experiment = load(self.space, "default", "search_spaces")
        if all(default.diff(variant) for variant in study.variants.values()):
            differing = default.diff(study.variants[study.baseline])
            raise ValueError(
                f"no variant of the study is the recipe that {self.space} searches around (it "
                f"differs from the baseline in {', '.join(list(differing)[:4])}): name a module "
                "with `space` and `default` of this recipe with --space"
            )
        return default


def run_retuned_study(
    name: str,
    study: Study,
    retuning: Retuning,
    compute: Compute,
    console: Console,
    options: StudyOptions,
    open_executor: OpenExecutor = ray_executor,
) -> StudyResult:
    """The study with each variant at its own best setting. What was searched before is not searched
    again.

    Variants that have become one experiment are compared once: the first of them stays, or the
    baseline.
    """
    searches = _searches(name, study, retuning, compute, console)
    begun = [e for search in searches for e in search.begun()]
    require_same_code(begun, Ledger(compute.storage), compute.accept_changed_code, console.line)
    left = [search for search in searches if search.found() is None]
    if not left:
        return _compare(name, study, searches, compute, console, options, open_executor)
    for search in left:
        check(search.cell, compute.storage)
    cells = [*study.cells().values(), *(search.cell for search in left)]
    with open_executor(cells, compute, console) as executor:
        for search in left:
            search.run(executor)
        return _compare(
            name, study, searches, compute, console, options, lambda *_: nullcontext(executor)
        )


def _compare(
    name: str,
    study: Study,
    searches: Sequence[_Search],
    compute: Compute,
    console: Console,
    options: StudyOptions,
    open_executor: OpenExecutor,
) -> StudyResult:
    for search in searches:
        search.tell()
    tuned, told = _tuned(
        study, searches[0].retuning, {s.label: s.chosen() for s in searches}, console
    )
    return run_study(name, tuned, compute, console, options, told, open_executor)


def known(name: str, study: Study, retuning: Retuning, compute: Compute) -> Study:
    """What is compared once no search is open any more."""
    quiet = Console(quiet=True)
    searches = _searches(name, study, retuning, compute, quiet)
    return _tuned(study, retuning, {search.label: search.chosen() for search in searches}, quiet)[0]


def open_searches(name: str, study: Study, retuning: Retuning, compute: Compute) -> list[str]:
    """The variants whose search has no result yet."""
    searches = _searches(name, study, retuning, compute, Console(quiet=True))
    return [search.label for search in searches if search.found() is None]


def _searches(
    name: str, study: Study, retuning: Retuning, compute: Compute, console: Console
) -> list[_Search]:
    default = retuning.default(study)
    return [
        _Search(name, label, e, default, retuning, compute, console)
        for label, e in study.variants.items()
    ]


def _tuned(
    study: Study, retuning: Retuning, chosen: Mapping[str, Experiment], console: Console
) -> tuple[Study, Retuned]:
    variants, twins = {study.baseline: chosen[study.baseline]}, dict[str, str]()
    for label, experiment in chosen.items():
        same = next(
            (other for other, e in variants.items() if e.fingerprint() == experiment.fingerprint()),
            None,
        )
        if same is None:
            variants[label] = experiment
        elif same != label:
            twins[label] = same
            console.line(f"{label} is left out: tuned, it is the same experiment as {same}")
    if len(variants) == 1:
        raise ValueError("tuned, all variants are one experiment: there is nothing to compare")
    ordered = {label: variants[label] for label in study.variants if label in variants}
    settings = {
        label: {
            n: mine
            for n, (mine, _) in chosen[label].diff(study.variants[label]).items()
            if mine is not None
        }
        for label in study.variants
    }
    told = Retuned(space=retuning.space, trials=retuning.trials, settings=settings, twins=twins)
    return replace(study, variants=ordered), told


class _Search:
    """Of one variant, in a folder of its own."""

    def __init__(
        self,
        study: str,
        label: str,
        variant: Experiment,
        default: Experiment,
        retuning: Retuning,
        compute: Compute,
        console: Console,
    ) -> None:
        self.label, self.variant, self.default, self.retuning = label, variant, default, retuning
        self.compute, self.console, self.ledger = compute, console, Ledger(compute.storage)
        self.cell = Cell(experiment=variant, block=Block(seed=SEARCH))
        identity = digest(
            [source_of(retuning.space), default.fingerprint(), variant.fingerprint(), retuning.seed]
        )
        self.place = layout.retuning(identity)
        self.folder = compute.storage / self.place
        self.change = Change.of(variant, default)
        self.fixed, self.is_free = without_effect(
            load(retuning.space, "space", "search_spaces"), default.params(), self.change
        )
        self.sync = RunSync(
            Tracker(compute.storage, compute.tracking_uri, warn=console.warn),
            self.folder,
            kind="retuning",
            name=f"{study}/{label}",
            identity=f"retuning {identity}",
            params={"trials": retuning.trials, "seed": retuning.seed, **variant.params()},
            tags={"space": retuning.space, "variant": label},
        )

    @property
    def _path(self) -> Path:
        return self.folder / layout.retuning_result(self.retuning.trials)

    def found(self) -> dict[str, Any] | None:
        """What an earlier call found, unless the mathematics of a piece or the version of PyTorch
        has changed since.
        """
        if not self._path.exists():
            return None
        saved: dict[str, Any] = json.loads(self._path.read_text())
        run_context = known_run_context(saved["setting"], [inputs_key(self.cell)])
        if run_context is None:
            return None
        context = self._context(run_context)
        changed = any(is_changed(Trial(**record), context) for record in saved["trials"])
        return None if changed else saved

    def begun(self) -> list[Experiment]:
        """The variant, and its settings in all trials that there are."""
        trials = Journal(self.compute.storage, self.place).read()
        tried = recorded_experiments(self.retuning.space, trials, self.change, self.fixed)
        return [self.variant, *tried]

    def chosen(self) -> Experiment:
        saved = self.found()
        assert saved is not None
        return self._context(RunContext.of(saved["setting"])).experiment(saved["chosen"])

    def _context(self, run_context: RunContext) -> TrialContext:
        return TrialContext(
            space=self.retuning.space,
            default=self.default.params(),
            block=self.cell.block,
            run_context=run_context,
            compute=self.compute,
            change=self.change,
            fixed=self.fixed,
        )

    def run(self, executor: Executor) -> None:
        lease = self.compute.storage.lease(layout.retuning(self.folder.name) / layout.LEASE)
        with alone(lease, f"the retuning of {self.label}", self.console.warn):
            self._run(executor)

    def _run(self, executor: Executor) -> None:
        context = self._context(executor.run_context)
        records = search_trials(
            context,
            self.place,
            executor.inputs(self.cell),
            self.console,
            trials=self.retuning.trials if self.is_free else 1,
            seed=self.retuning.seed,
            deterministic=True,
            evaluations=self.variant.schedule.evaluations,
            title=f"tune {self.label}",
        )
        cells = {record.cell: ["trial", f"trial {record.number}"] for record in records}

        def note(outcome: Outcome) -> None:
            cells.setdefault(outcome.cell, ["candidate", f"candidate {outcome.block['seed']}"])

        best = best_first(records)
        if not best:
            self.console.warn(f"no trial of {self.label} came to its end: it stays as it is")
            chosen = records[0]  # the recipe's own settings
        else:
            winner = (
                choose(best, context, executor.compute, CHOICE_BLOCKS, note).fingerprint()
                if len(best) > 1
                else ""
            )
            chosen = next(
                (r for r in best if context.experiment(r.params).fingerprint() == winner), best[0]
            )
        saved = {
            "variant": self.label,
            "setting": executor.run_context.saved(),
            "chosen": chosen.params,
            "cells": cells,
            "trials": [record.record() for record in records],
        }
        write_json(self._path, saved)

    def tell(self) -> None:
        """MLflow, as far as it does not know it yet. Cells that are gone from the ledger are left
        out.
        """
        saved = self.found()
        assert saved is not None
        told = {"record": digest(json.dumps(saved))}
        if not self.sync.is_due(told):
            return
        with closing(self.sync.tracker):
            self.sync.open()
            for cell, (role, name) in saved["cells"].items():
                if (outcome := self.ledger.read(cell)) is not None:
                    self.sync.cell(outcome, role, f"{self.label}: {name}", {"variant": self.label})
            best = max(trial["value"] or 0.0 for trial in saved["trials"])
            trials = pd.DataFrame([self._row(trial) for trial in saved["trials"]])
            tracker, parent = self.sync.tracker, self.sync.parent
            tracker.finish(
                parent, metrics={"best_probe": best}, tables={"trials": trials}, files={}
            )
            self.sync.settle(told)

    def _row(self, trial: Mapping[str, Any]) -> dict[str, Scalar]:
        return {
            "trial": trial["number"],
            "state": trial["state"],
            "probe": trial["value"] or 0.0,
            **trial["params"],
        }
