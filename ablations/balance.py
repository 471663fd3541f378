"""Do balanced batches, unfilled quotas or rows that fit the teacher's statistics help?

Alone and together; and standardised logits. The oracle, to which they are to close the gap, is in
`ablations.baselines`.

`python -m platform.ablate ablations.balance`
"""

from dataclasses import replace

from dfkd import recipes
from dfkd.experiment import Experiment
from dfkd.method.losses import StandardisedKD
from dfkd.method.sampling import ClassBalanced
from dfkd.method.selection import Balanced, BatchNormNearest
from dfkd.studies import Study


def study_of(full: Experiment) -> Study:
    batches = replace(full, sampling=ClassBalanced())
    budget = {"ratio": full.selection.ratio, "rows": full.selection.rows}
    unfilled = Balanced(**budget, fill=False)
    nearest = BatchNormNearest(**budget)
    return Study(
        question="Does balance help, and rows that fit the teacher's statistics?",
        variants={
            "full": full,
            "balanced_batches": batches,
            "unfilled_quotas": replace(full, selection=unfilled),
            "both": replace(batches, selection=unfilled),
            "bn_nearest": replace(full, selection=nearest),
            "bn_nearest_batches": replace(batches, selection=nearest),
            "standardised_logits": replace(full, kd=StandardisedKD()),
        },
        baseline="full",
    )


study = study_of(recipes.digits())
