"""Optimizing: what moves the weights of students and of teachers that are trained here."""

from dfkd.models.optimizing.optimizer import Optimizer
from dfkd.models.optimizing.rates import Rate, cosine, one_cycle, tenths

__all__ = ["Optimizer", "Rate", "cosine", "one_cycle", "tenths"]
