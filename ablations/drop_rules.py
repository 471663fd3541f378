"""Which classes should be dropped? Every rule at the rate of the recipe, and none.

The rules mean different things by a rate; each stands for its idea at one setting, not at its best.

`python -m platform.ablate ablations.drop_rules`
"""

from dataclasses import replace

from dfkd import recipes
from dfkd.experiment import Experiment
from dfkd.identity import name_of
from dfkd.method.dropping import DROPPINGS
from dfkd.studies import Study


def study_of(full: Experiment) -> Study:
    rules = [kind.example() for kind in DROPPINGS]
    return Study(
        question="Which classes of the teacher's answer should be dropped?",
        variants={"none": replace(full, dropping=None)}
        | {name_of(rule): replace(full, dropping=rule) for rule in rules},
        baseline="none",
    )


study = study_of(recipes.digits())
