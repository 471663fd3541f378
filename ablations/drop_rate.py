"""How many classes should be dropped? The default rule at several rates; rate 0 is plain KD.

`python -m platform.ablate ablations.drop_rate`
"""

from dataclasses import replace

from dfkd import recipes
from dfkd.experiment import Experiment
from dfkd.method.dropping import Tail
from dfkd.stats.designs import BASE, one_at_a_time
from dfkd.studies import Study

RATES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7)


def at(full: Experiment, rate: float) -> Experiment:
    return replace(full, dropping=Tail(rate=rate))


def study_of(full: Experiment) -> Study:
    values = {
        f"{r:g}": lambda e, r=r: at(e, r)
        for r in RATES
        if at(full, r).fingerprint() != full.fingerprint()
    }
    return Study(
        question="How many of the teacher's classes should be dropped?",
        variants=one_at_a_time(full, {"rate": values}),
        baseline=BASE,
    )


study = study_of(recipes.digits())
