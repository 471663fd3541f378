"""Finishing: how the student that is evaluated and kept is made of the one that is trained.

Without one it is the trained one itself.
"""

from dfkd.method.finishing.ema import Ema
from dfkd.method.finishing.finishing import Batches, Finishing, Remembered
from dfkd.method.finishing.recalibrated import RecalibratedBatchNorm

__all__ = ["FINISHINGS", "Batches", "Ema", "Finishing", "RecalibratedBatchNorm", "Remembered"]

FINISHINGS: tuple[type[Finishing], ...] = (Ema, RecalibratedBatchNorm)
