"""Selection: which rows of the pool the student learns from, chosen from the teacher's scores.

Every rule returns sorted, distinct row positions, breaks ties by position and is deterministic for
a seed. The paper's abstract says "the useful samples are selected"; where a card names no other
source, the rule is our reading of it.
"""

from dfkd.method.selection.bn_nearest import BatchNormNearest
from dfkd.method.selection.budget import BaseSelection, Budget, Redraw, Rows, Selection
from dfkd.method.selection.confidence import Balanced, Confident, Entropy, Hardest, Margin, Random
from dfkd.method.selection.dynamic import Dynamic
from dfkd.method.selection.energy import Energy
from dfkd.method.selection.flexible import Flexible
from dfkd.method.selection.mixture import Mixture
from dfkd.method.selection.prototype import Prototype

__all__ = [
    "SELECTIONS",
    "Balanced",
    "BaseSelection",
    "BatchNormNearest",
    "Budget",
    "Confident",
    "Dynamic",
    "Energy",
    "Entropy",
    "Flexible",
    "Hardest",
    "Margin",
    "Mixture",
    "Prototype",
    "Random",
    "Redraw",
    "Rows",
    "Selection",
]

SELECTIONS: tuple[type[Selection], ...] = (
    Balanced,
    Confident,
    Random,
    Entropy,
    Margin,
    Prototype,
    BatchNormNearest,
    Energy,
    Flexible,
    Mixture,
    Hardest,
    Dynamic,
)
