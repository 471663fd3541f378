"""Sweeps as records: what a sweep's folder and the ledger hold of its trials, read without its
space's module.

As text it is an artifact of the sweep's run in MLflow: from there the same page can be made without
folder and ledger.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfkd.stats.summaries import rank_correlation
from dfkd.storage import Storage, layout
from dfkd.storage.ledger import Ledger
from dfkd.sweeps.findings import Confirmation, Importance, SweepData, Trial
from dfkd.tracking.reading import Tracked

if TYPE_CHECKING:  # Optuna takes a second to import
    import optuna

RECORD = "sweep.json"  # the whole sweep, as an artifact of its run in MLflow
ENOUGH = 8  # trials at one step: of fewer, importance is noise


def recorded(storage: Storage) -> list[str]:
    """The names of all sweeps that have begun, in order."""
    return sorted(path.parent.name for path in (storage / layout.SWEEPS).glob(f"*/{layout.TRIALS}"))


def read(storage: Storage, name: str) -> SweepData:
    """The sweep as far as it has come. ValueError where it has no trial yet."""
    folder = storage / layout.sweep(name)
    saved = _result(folder)
    records = saved["result"]["trials"] if saved else _journal(folder)
    if not records:
        raise ValueError(f"the sweep {name} has no trial yet: run it first")
    trials = tuple(trial_of(record, Ledger(storage)) for record in records)
    seen = _optuna_trials(folder / layout.OPTUNA_LOG)
    return SweepData(
        name=name,
        trials=trials,
        scales=_scales(trials, seen),
        importance=_importance(trials, seen),
        correlation=correlation_of(trials),
        confirmation=_confirmation(saved["result"]) if saved else None,
        provenance=_provenance(saved["setting"]) if saved else {},
    )


def from_mlflow(tracked: Tracked, name: str) -> SweepData:
    """As `read` at the end of the sweep's last call, and equal to it. ValueError where MLflow has
    no such sweep.
    """
    return parse(tracked.record("sweep", name, RECORD))


def text(data: SweepData) -> str:
    return json.dumps(asdict(data), indent=1) + "\n"


def parse(text: str) -> SweepData:
    """What `text` wrote."""
    facts = json.loads(text)
    trials = [
        t | {"points": {int(step): probe for step, probe in t["points"].items()}}
        for t in facts.pop("trials")
    ]
    importance, confirmation = facts.pop("importance"), facts.pop("confirmation")
    tests = ("winner_test", "default_test")
    return SweepData(
        **facts
        | {"provenance": {name: tuple(values) for name, values in facts["provenance"].items()}},
        trials=tuple(Trial(**trial) for trial in trials),
        importance=None if importance is None else Importance(**importance),
        confirmation=None
        if confirmation is None
        else Confirmation(**confirmation | {name: tuple(confirmation[name]) for name in tests}),
    )


def _result(folder: Path) -> dict[str, Any] | None:
    """Of the call with the most trials, then the most blocks; None while none has ended."""
    found = [
        (int(m[1]), int(m[2]), path)
        for path in folder.glob("*.json")
        if (m := layout.RESULT.fullmatch(path.name))
    ]
    return json.loads(max(found)[2].read_text()) if found else None


def _journal(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(path.read_text()) for path in sorted((folder / layout.TRIALS).glob("*.json"))
    ]


def trial_of(record: Mapping[str, Any], ledger: Ledger) -> Trial:
    """A cell may have gone further since, for another sweep: this one saw it up to its step."""
    outcome = ledger.read(record["cell"])
    points = [p for p in outcome.points if p["step"] <= record["step"]] if outcome else []
    last = points[-1] if points else {}
    return Trial(
        number=record["number"],
        params=record["params"],
        cell=record["cell"],
        state=record["state"],
        step=record["step"],
        value=record["value"],
        validation=last.get("validation"),
        points={int(p["step"]): p["probe"] for p in points},
    )


def _optuna_trials(log: Path) -> dict[int, optuna.trial.FrozenTrial]:
    """By our number; none where Optuna's view of the sweep has been thrown away."""
    if not log.exists():
        return {}
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.load_study(study_name=None, storage=JournalStorage(JournalFileBackend(str(log))))
    return {t.user_attrs["number"]: t for t in study.trials if "number" in t.user_attrs}


def _scales(
    trials: Sequence[Trial], seen: Mapping[int, optuna.trial.FrozenTrial]
) -> dict[str, str]:
    """As the space says, else by the values."""
    names = list(dict.fromkeys(name for trial in trials for name in trial.params))
    known = {name: d for trial in seen.values() for name, d in trial.distributions.items()}
    return {
        name: _scale(known.get(name), [t.params[name] for t in trials if name in t.params])
        for name in names
    }


def _scale(distribution: object, values: Sequence[object]) -> str:
    if distribution is not None:
        numeric = "log" if getattr(distribution, "log", False) else "linear"
        return "choice" if hasattr(distribution, "choices") else numeric
    return (
        "linear"
        if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        else "choice"
    )


def _importance(
    trials: Sequence[Trial], seen: Mapping[int, optuna.trial.FrozenTrial]
) -> Importance | None:
    """At the last step that most trials reached: the probes of trials that were stopped at
    different steps do not compare, and those that finished are few. None where too few are there,
    or nothing varied.
    """
    step = _common_step(trials)
    usable = [t for t in trials if t.number in seen and step in t.points]
    values = [t.points[step] for t in usable]  # type: ignore[index]
    if step is None or len(usable) < ENOUGH or len(set(values)) == 1:
        return None
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    study = optuna.create_study(direction="maximize")
    for trial, value in zip(usable, values, strict=True):
        known = seen[trial.number]
        study.add_trial(
            optuna.trial.create_trial(
                value=value, params=known.params, distributions=known.distributions
            )
        )
    shares = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
    ordered = sorted(shares.items(), key=lambda pair: (-pair[1], pair[0]))
    return Importance(
        step=step, trials=len(usable), shares={name: float(share) for name, share in ordered}
    )


def _common_step(trials: Sequence[Trial]) -> int | None:
    """The last step that at least three quarters of the trials with a curve have reached."""
    curves = [trial.points for trial in trials if trial.points]
    steps = sorted({step for points in curves for step in points}, reverse=True)
    return next(
        (step for step in steps if sum(step in points for points in curves) >= 0.75 * len(curves)),
        None,
    )


def correlation_of(trials: Sequence[Trial]) -> float | None:
    """Spearman's, at each trial's last step; None where fewer than three are labelled, or one side
    is constant.
    """
    pairs = [
        (t.value, t.validation) for t in trials if t.value is not None and t.validation is not None
    ]
    if len(pairs) < 3:
        return None
    found = rank_correlation(*zip(*pairs, strict=True))
    return None if found != found else found


def _confirmation(result: Mapping[str, Any]) -> Confirmation:
    return Confirmation(
        winner=result["winner"],
        winner_test=tuple(result["winner_test"]),
        default_test=tuple(result["default_test"]),
    )


def _provenance(setting: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    digests = list(setting["digests"].values())
    facts = {
        "teacher": {teacher for teacher, _ in digests},
        "pool": {pool for _, pool in digests},
        "commit": {setting["tags"].get("git_commit") or "not recorded"},
        **{name: {str(value)} for name, value in setting["environment"].items()},
    }
    return {name: tuple(sorted(values)) for name, values in facts.items()}
