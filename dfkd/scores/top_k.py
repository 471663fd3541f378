"""Of each answer the largest logits are kept in half precision, and how much the others weigh.

It is for label spaces in which whole logits would fill a disk. N rows, B some of them, K classes, J
kept classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from dfkd.identity import Piece

LEAST = -65504.0  # of float16


@dataclass(frozen=True, kw_only=True)
class TopK(Piece):
    """Keeps the k largest logits of the teacher's cached answer, and spreads the rest evenly.

    Formula: l_j as it was for the k largest, in float16 below the largest one, which is float32;
    l_j = log(sum of exp(l) over the others / (K - k)) for each of the others. Probabilities at
    temperature 1 keep their sums; at temperature T > 1 the others together weigh more than in the
    whole answer (Jensen): on made-up logits of 100 classes, the gradient of KD with 10, 20 and 50
    of them has a cosine of 0.970, 0.988 and 0.998 to the whole one at T = 4, of 0.9998 and more at
    T = 1.
    Range: k of 1 or more; K or more keeps all, in float16. A row takes 4k + 8 bytes (6k + 8 above
    65,536 classes), whole 4K.
    Interplay: confidence, entropy, margin and pseudo-label are the whole answer's, so that what is
    selected by them is the same; dropping and losses see the spread answer. A teacher that is asked
    live answers whole.
    Source: ours; top-k logits with a remainder are common in the distillation of language models.
    """

    k: int
    version: ClassVar[int] = 1

    @classmethod
    def example(cls) -> Self:
        return cls(k=10)

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"cache.k must be 1 class or more, but got k={self.k!r}")

    def canonical(self, classes: int) -> TopK:
        """Return the one form of all caches that keep the same of so many classes."""
        return TopK(k=min(self.k, classes))

    def kept(self, logits_NK: NDArray[np.float32]) -> TopLogits:
        """Return what is kept of these logits; of equal ones the class with the lower number."""
        classes = logits_NK.shape[1]
        order_NK = np.argsort(-logits_NK, axis=1, kind="stable")
        class_NJ = order_NK[:, : self.k]
        largest_N = logits_NK.max(axis=1)
        below_NK = (
            np.take_along_axis(logits_NK, order_NK, axis=1).astype(np.float64) - largest_N[:, None]
        )
        return TopLogits(
            classes=classes,
            top_class_NJ=class_NJ.astype(_kind(classes)),
            top_logit_NJ=np.maximum(below_NK[:, : self.k], LEAST).astype(np.float16),
            largest_N=largest_N,
            other_N=_log_mean(below_NK[:, self.k :]),
        )

    def bytes_per_row(self, classes: int) -> int:
        """Return the bytes that the logits of a row take."""
        return min(self.k, classes) * (_kind(classes).itemsize + 2) + 8


def _kind(classes: int) -> np.dtype[Any]:
    return np.dtype(np.uint16 if classes <= 2**16 else np.int32)


def _log_mean(rest_NR: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return log(mean(exp)) of each row; 0 where there is nothing."""
    if not rest_NR.shape[1]:
        return np.zeros(len(rest_NR), dtype=np.float32)
    largest_N1 = rest_NR[:, :1]  # they are sorted
    log_mean_N = np.log(np.exp(rest_NR - largest_N1).mean(axis=1)) + largest_N1[:, 0]
    result: NDArray[np.float32] = log_mean_N.astype(np.float32)
    return result


@dataclass(frozen=True, kw_only=True)
class TopLogits:
    """Stands for logits [N, K] of which only some are kept.

    `logits[rows]` are whole rows [B, K], made when they are asked for.
    """

    classes: int
    top_class_NJ: NDArray[Any]
    top_logit_NJ: NDArray[np.float16]  # minus the row's largest
    largest_N: NDArray[np.float32]
    other_N: NDArray[np.float32]  # of each class that is not kept; minus the row's largest
    dtype: ClassVar[np.dtype[Any]] = np.dtype(np.float32)

    @property
    def shape(self) -> tuple[int, int]:
        """N and K."""
        return len(self), self.classes

    def __len__(self) -> int:
        return len(self.largest_N)

    def __getitem__(self, rows: Any) -> NDArray[np.float32]:
        largest_B = self.largest_N[rows]
        logits_BK = np.repeat(self.other_N[rows][..., None], self.classes, axis=-1)
        np.put_along_axis(
            logits_BK,
            self.top_class_NJ[rows].astype(np.int64),
            self.top_logit_NJ[rows].astype(np.float32),
            axis=-1,
        )
        result: NDArray[np.float32] = logits_BK + largest_B[..., None]
        return result

    def __array__(self, *_: Any, **__: Any) -> NDArray[np.float32]:
        """Refuse: the table would be as large as what was to be avoided."""
        raise ValueError(
            f"all {len(self):,} x {self.classes:,} logits are asked for at once, but their cache "
            f"keeps the {self.top_class_NJ.shape[1]} largest of each row: read logits_NK[rows], or "
            "set cache=none"
        )

    def take(self, rows: NDArray[np.int64]) -> TopLogits:
        """Return those rows, still not whole."""
        return TopLogits(
            classes=self.classes, **{name: values[rows] for name, values in self.columns().items()}
        )

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name, as files hold them."""
        return {name: getattr(self, name) for name in COLUMNS}


COLUMNS = ("top_class_NJ", "top_logit_NJ", "largest_N", "other_N")
CACHES: tuple[type[TopK], ...] = (TopK,)
