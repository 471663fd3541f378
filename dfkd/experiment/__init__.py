"""Experiments: WHAT is computed, as values; complete recipes; and experiments back from flat
parameters.
"""

from dfkd.experiment.experiment import Cell, Experiment, Schedule

__all__ = ["Cell", "Experiment", "Schedule"]
