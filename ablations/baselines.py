"""What is the full method worth beside its baselines, at equal steps, batch and student?

`python -m platform.ablate ablations.baselines --blocks 10`, on Fashion-MNIST with `--recipe
fashion`
"""

from dfkd import recipes
from dfkd.experiment import Experiment
from dfkd.identity import name_of
from dfkd.studies import Study


def study_of(full: Experiment) -> Study:
    return Study(
        question="What is the full method worth beside its baselines, at equal steps and batch?",
        variants={
            "full method": full,
            "original labels": recipes.labels(full),
            "KD, original images": recipes.original(full),
            f"KD, {name_of(full.selection)} selection": recipes.balanced(full),
            "KD, random part": recipes.random(full),
            "DFND": recipes.dfnd(full),
        },
        baseline="full method",
    )


study = study_of(recipes.digits())
