"""ClassBalanced: batches in which all pseudo-classes are equally frequent.

N selected rows, K classes, n_k rows of class k.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dfkd.identity import Piece
from dfkd.method.selection.budget import by_class


@dataclass(frozen=True, kw_only=True)
class ClassBalanced(Piece):
    """Shows all pseudo-classes equally often in every batch, the rows of rare ones repeatedly.

    Formula: an epoch of N images has q_k of pseudo-class k: N/K each, but at most `most_repeats` *
    n_k; what a class lacks is shared evenly by the others. Each row of a class is shown floor(q_k /
    n_k) times, and as many as are left of them, drawn anew in each epoch, once more. The images of
    a class are spread evenly over the epoch, so that a batch of B has B q_k / N of them, give or
    take 2.
    Source: ours, class-aware sampling (Shen et al., ECCV 2016) with a cap; there by true labels,
    here by the teacher's argmax.
    Range: most_repeats, 2 or more: how often an epoch shows a row at most. The lower, the nearer to
    the selection's own shares; 1 would be a plain epoch.
    Interplay: it mends what the selection leaves unbalanced, and does next to nothing on quotas
    that are full. Rows of a large class are seen less often than once per epoch. Repeated rows
    are repeated images unless `views` change them.
    """

    most_repeats: int = 10
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.most_repeats < 2:
            raise ValueError(
                "sampling.most_repeats must be 2 or more, since at 1 an epoch shows each row once, "
                f"as without a sampling, but got most_repeats={self.most_repeats!r}"
            )

    def epoch(self, label_N: NDArray[np.int64], classes: int, seed: int) -> NDArray[np.int64]:
        """Return the places [N] that an epoch shows, in order."""
        rng = np.random.default_rng(seed)
        rows_of_K = by_class(label_N, classes)
        counts_K = np.array([len(rows) for rows in rows_of_K])
        shown: list[NDArray[np.int64]] = []
        when: list[NDArray[np.float64]] = []
        for rows, images in zip(rows_of_K, shares(counts_K, self.most_repeats), strict=True):
            if images:
                shown.append(_repeated(rows, int(images), rng))
                when.append((np.arange(images) + rng.random(images)) / images)
        return np.concatenate(shown)[np.argsort(np.concatenate(when), kind="stable")]


def shares(counts_K: NDArray[np.int64], most_repeats: int) -> NDArray[np.int64]:
    """Return how many of an epoch's images are of each class [K]; they sum to that of counts_K.

    They are equal up to 1, but for classes that have reached `most_repeats` times their rows.
    """
    most_K = counts_K * most_repeats
    images_K = np.zeros_like(counts_K)
    left = int(counts_K.sum())
    while left:
        open_J = np.flatnonzero(images_K < most_K)[:left]  # fewer images than classes: the first
        more_J = np.minimum(left // len(open_J), most_K[open_J] - images_K[open_J])
        images_K[open_J] += more_J
        left -= int(more_J.sum())
    return images_K


def _repeated(rows: NDArray[np.int64], images: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return so many of a class's rows, in rounds: in each of them every row comes once."""
    rounds = [rng.permutation(rows) for _ in range(-(-images // len(rows)))]
    return np.concatenate(rounds)[:images]
