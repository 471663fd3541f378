"""Sampling: how often, and in which order, an epoch shows the selected rows to the student.

Without a sampling every epoch is a permutation of the selected rows.
"""

from dfkd.method.sampling.class_balanced import ClassBalanced
from dfkd.method.sampling.sampling import Sampling

__all__ = ["SAMPLINGS", "ClassBalanced", "Sampling"]

SAMPLINGS: tuple[type[Sampling], ...] = (ClassBalanced,)
