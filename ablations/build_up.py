"""What does each part add to those before it?

From plain KD on random rows up to the full recipe, one part at a time.

Its last variant is the full recipe of `components`, its cells are shared. What a step gains depends
on the order.

`python -m platform.ablate ablations.build_up`
"""

from dataclasses import replace

from ablations.components import random_selection
from dfkd import recipes
from dfkd.experiment import Experiment
from dfkd.stats.designs import BASE, build_up
from dfkd.studies import Study


def study_of(full: Experiment) -> Study:
    return Study(
        question="What does each part add to those before it?",
        variants=build_up(
            replace(random_selection(full), dropping=None, explicit=None, implicit=None),
            {
                "selection": lambda e: replace(e, selection=full.selection),
                "dropping": lambda e: replace(e, dropping=full.dropping),
                "explicit": lambda e: replace(e, explicit=full.explicit),
                "implicit": lambda e: replace(e, implicit=full.implicit),
            },
        ),
        baseline=BASE,
    )


study = study_of(recipes.digits())
