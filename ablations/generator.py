"""Is a pool of real images worth more than images that a generator makes from the teacher?

At equal student, steps and batch; the synthesis counts in the seconds of the generators' cells.

`python -m platform.ablate ablations.generator`
"""

from dataclasses import replace

from dfkd import recipes
from dfkd.experiment import Experiment
from dfkd.studies import Study
from dfkd.synthesis import Dafl


def study_of(full: Experiment) -> Study:
    generator = recipes.generator(full)
    return Study(
        question="Is a pool worth more than images that are synthesised from the teacher?",
        variants={
            "full": full,
            "plain_kd": recipes.balanced(full),
            "random": recipes.random(full),
            "generator": generator,
            "dafl": replace(generator, pool=Dafl()),
        },
        baseline="full",
    )


study = study_of(recipes.digits())
