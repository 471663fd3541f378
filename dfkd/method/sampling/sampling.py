"""What every sampling promises. N selected rows, K classes."""

from typing import ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray


class Sampling(Protocol):
    """An order in which an epoch shows the rows, some of them perhaps more often than others."""

    version: ClassVar[int]

    def epoch(self, label_N: NDArray[np.int64], classes: int, seed: int) -> NDArray[np.int64]:
        """Return the places [N] that an epoch shows, in order: each in 0..N-1, some repeatedly.

        label_N: the pseudo-labels of the rows that are current; seed: of this block and epoch, and
        all that may be random comes from it. Batches are cut from one epoch after the other.
        """

    @classmethod
    def example(cls) -> Self:
        """Return an instance with likely values, for tables and tests."""
