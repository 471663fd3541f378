"""What is the full method worth beside its baselines, at equal steps, batch and student?

`python -m platform.ablate ablations.baselines --blocks 10`
"""

from dfkd import recipes
from dfkd.experiment import Study

study = Study(
    question="What is the full method worth beside its baselines, at equal steps and batch?",
    variants={
        "full method": recipes.digits(),
        "original labels": recipes.digits_labels(),
        "KD, original images": recipes.digits_original(),
        "KD, balanced selection": recipes.digits_balanced(),
        "KD, random part": recipes.digits_random(),
        "DFND": recipes.digits_dfnd(),
    },
    baseline="full method",
)
