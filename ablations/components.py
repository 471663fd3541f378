"""Which part of the recipe earns its place? Each one is left out, the rest stays as it is.

`python -m platform.ablate ablations.components`
"""

from dataclasses import replace

from dfkd import recipes
from dfkd.experiment import Experiment
from dfkd.method.selection import Random
from dfkd.stats.designs import leave_one_out
from dfkd.studies import Study


def random_selection(e: Experiment) -> Experiment:
    """As many rows, drawn at random."""
    return replace(e, selection=Random(ratio=e.selection.ratio, rows=e.selection.rows))


def study_of(full: Experiment) -> Study:
    return Study(
        question="Which part of the recipe earns its place?",
        variants=leave_one_out(
            full,
            {
                "selection": random_selection,
                "dropping": lambda e: replace(e, dropping=None),
                "explicit": lambda e: replace(e, explicit=None),
                "implicit": lambda e: replace(e, implicit=None),
            },
        ),
        baseline="full",
    )


study = study_of(recipes.digits())
