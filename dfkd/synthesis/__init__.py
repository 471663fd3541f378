"""Synthesis: pools whose images a generator makes from the teacher alone, the rivals of a real one.

Yours inherits `Synthesised` and defines `synthesise`.
"""

from dfkd.data.pools import Pool
from dfkd.synthesis.dafl import Dafl
from dfkd.synthesis.fast_dfkd import FastDfkd
from dfkd.synthesis.pool import Synthesised

__all__ = ["SYNTHESISED", "Dafl", "FastDfkd", "Synthesised"]

SYNTHESISED: tuple[type[Pool], ...] = (Dafl, FastDfkd)
