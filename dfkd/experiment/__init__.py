"""Experiments as values: what is computed, complete recipes, and the way back from parameters."""

from dfkd.experiment.experiment import Cell, Experiment, Schedule

__all__ = ["Cell", "Experiment", "Schedule"]
