"""Class dropping: which classes of the teacher's answer are noise and are taken out of the target.

The teacher's most likely class is always kept, and a rule that drops nothing is exactly plain KD.
The abstract names "class-dropping" without a formula: where a card names no other source, the rule
is our reading of it.
"""

from dfkd.method.dropping.masks import ByConfidence, Nucleus, Random, Tail
from dfkd.method.dropping.noise_matrix import NoiseMatrix
from dfkd.method.dropping.rule import BaseDropping, Dropping
from dfkd.method.dropping.whole_class import WholeClass

__all__ = [
    "DROPPINGS",
    "BaseDropping",
    "ByConfidence",
    "Dropping",
    "NoiseMatrix",
    "Nucleus",
    "Random",
    "Tail",
    "WholeClass",
]

DROPPINGS: tuple[type[Dropping], ...] = (
    Tail,
    Random,
    ByConfidence,
    Nucleus,
    WholeClass,
    NoiseMatrix,
)
