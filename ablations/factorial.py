"""Do dropping, explicit and implicit loss help each other?

Every combination of them, on the selected rows.

`python -m platform.ablate ablations.factorial`
"""

from dataclasses import replace

from dfkd import recipes
from dfkd.experiment import Experiment
from dfkd.stats.designs import BASE, full_factorial
from dfkd.studies import Study


def study_of(full: Experiment) -> Study:
    return Study(
        question="Do dropping, explicit and implicit loss help each other?",
        variants=full_factorial(
            replace(full, dropping=None, explicit=None, implicit=None),
            {
                "dropping": lambda e: replace(e, dropping=full.dropping),
                "explicit": lambda e: replace(e, explicit=full.explicit),
                "implicit": lambda e: replace(e, implicit=full.implicit),
            },
        ),
        baseline=BASE,
    )


study = study_of(recipes.digits())
