"""What Optuna's view of a search adds to the journal: scales, and the parameters' importance.

The view is `optuna.log` in the sweep's folder. It may be missing: it is rebuilt by the next call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dfkd.sweeps.findings import Importance
from dfkd.sweeps.trial import Trial

if TYPE_CHECKING:  # Optuna takes a second to import
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

ENOUGH = 8  # trials at one step: of fewer, importance is noise
MOST = 200  # trials that are looked at: fANOVA's time grows with their square


def read_view(log: Path) -> dict[int, FrozenTrial]:
    """Return Optuna's trials by the numbers of ours; none where there is no log."""
    if not log.exists():
        return {}
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.load_study(study_name=None, storage=JournalStorage(JournalFileBackend(str(log))))
    return {t.user_attrs["number"]: t for t in study.trials if "number" in t.user_attrs}


def scales(trials: Sequence[Trial], seen: Mapping[int, FrozenTrial]) -> dict[str, str]:
    """Return "log", "linear" or "choice" for each parameter, as the space says, else by value."""
    known = {name: d for trial in seen.values() for name, d in trial.distributions.items()}
    names = dict.fromkeys(name for trial in trials for name in trial.params)
    return {
        name: _scale(known[name])
        if name in known
        else _scale_of_values([t.params[name] for t in trials if name in t.params])
        for name in names
    }


def _scale(distribution: BaseDistribution) -> str:
    from optuna.distributions import FloatDistribution, IntDistribution

    if isinstance(distribution, FloatDistribution | IntDistribution):
        return "log" if distribution.log else "linear"
    return "choice"


def _scale_of_values(values: Sequence[object]) -> str:
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    return "linear" if numeric else "choice"


def importance(trials: Sequence[Trial], seen: Mapping[int, FrozenTrial]) -> Importance | None:
    """Return the importance of the parameters at the last step that most trials reached.

    Probes at different steps do not compare, and the trials that finished are few. Of more than
    MOST trials as many are taken, evenly. None where too few trials reached one step, or where
    their probe did not vary.
    """
    step = _common_step(trials)
    usable = _evenly([t for t in trials if t.number in seen and step in t.points])
    values = [t.points[step] for t in usable if step is not None]
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
    # of parameters that all of these trials have: fANOVA compares nothing else
    shares = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
    if not shares:
        return None
    ordered = sorted(shares.items(), key=lambda pair: (-pair[1], pair[0]))
    return Importance(
        step=step, trials=len(usable), shares={name: float(share) for name, share in ordered}
    )


def _evenly(trials: Sequence[Trial]) -> Sequence[Trial]:
    count = min(MOST, len(trials))
    return [trials[i * len(trials) // count] for i in range(count)]


def _common_step(trials: Sequence[Trial]) -> int | None:
    """Return the last step that three quarters of the trials with a curve have reached."""
    curves = [trial.points for trial in trials if trial.points]
    steps = sorted({step for points in curves for step in points}, reverse=True)
    return next(
        (step for step in steps if sum(step in points for points in curves) >= 0.75 * len(curves)),
        None,
    )
