"""Which rows should be selected?

Every rule at the same number of rows, the rest of the recipe as it is.

`python -m platform.ablate ablations.selection_rules`
"""

from dataclasses import replace

from dfkd import recipes
from dfkd.experiment import Experiment
from dfkd.identity import name_of
from dfkd.method.selection import SELECTIONS, Dynamic, Selection
from dfkd.studies import Study


def rules(like: Selection) -> list[Selection]:
    """Each rule at its own defaults, with as many rows as `like`.

    And `like` drawn from anew as the student learns.
    """
    once = [kind(ratio=like.ratio, rows=like.rows) for kind in SELECTIONS if kind is not Dynamic]
    return [rule for rule in once if type(rule) is not type(like)] + [Dynamic(rule=like)]


def study_of(full: Experiment) -> Study:
    others = {name_of(rule): replace(full, selection=rule) for rule in rules(full.selection)}
    return Study(
        question="Which rows of the pool should be selected?",
        variants={name_of(full.selection): full} | others,
        baseline=name_of(full.selection),
    )


study = study_of(recipes.digits())
