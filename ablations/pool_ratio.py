"""How much of the pool should be selected? The selection at several ratios, at equal steps.

`python -m platform.ablate ablations.pool_ratio`
"""

from dataclasses import replace

from dfkd import recipes
from dfkd.experiment import Experiment
from dfkd.stats.designs import BASE, one_at_a_time
from dfkd.studies import Study

RATIOS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)


def at(full: Experiment, ratio: float) -> Experiment:
    return replace(full, selection=replace(full.selection, ratio=ratio, rows=None))


def study_of(full: Experiment) -> Study:
    values = {
        f"{r:g}": lambda e, r=r: at(e, r)
        for r in RATIOS
        if at(full, r).fingerprint() != full.fingerprint()
    }
    return Study(
        question="How much of the pool should be selected?",
        variants=one_at_a_time(full, {"ratio": values}),
        baseline=BASE,
    )


study = study_of(recipes.digits())
