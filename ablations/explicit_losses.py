"""Which explicit loss helps?

Every one at its reference weight, against none; the rest of the recipe as it is.

Reference weights come from other tasks and networks: a loss that loses here may win at another
weight.

`python -m platform.ablate ablations.explicit_losses`
"""

from dataclasses import replace

from dfkd import recipes
from dfkd.experiment import Experiment
from dfkd.identity import name_of
from dfkd.method.losses import EXPLICIT
from dfkd.studies import Study


def study_of(full: Experiment) -> Study:
    """The recipe's own loss at the recipe's weight."""
    losses = [full.explicit, *(kind() for kind in EXPLICIT if kind is not type(full.explicit))]
    return Study(
        question="Which explicit loss helps?",
        variants={"none": replace(full, explicit=None)}
        | {name_of(loss): replace(full, explicit=loss) for loss in losses},
        baseline="none",
    )


study = study_of(recipes.digits())
