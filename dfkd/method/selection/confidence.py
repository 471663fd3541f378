"""Rules that read one number a row, and so work on score tables of any size.

N rows, K classes.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dfkd.identity import later
from dfkd.method.selection.budget import Budget, Rows, balanced, by_class, highest, lowest
from dfkd.scores import Summary


@dataclass(frozen=True, kw_only=True)
class Random(Budget):
    """Draws rows uniformly: the baseline that every selection has to beat.

    Formula: each set of as many rows is as likely; the seed is the block's.
    Source: published, the baseline of DFND's Table 1; CIFAR-10 91.25 against DFND's 94.02.
    Range: the budget only. Reads no score.
    """

    version: ClassVar[int] = 1
    columns: ClassVar[tuple[str, ...]] = ()

    def select(self, scores: Summary, seed: int) -> Rows:
        rows = np.random.default_rng(seed).choice(
            len(scores), self.count(len(scores)), replace=False
        )
        return np.sort(rows)


@dataclass(frozen=True, kw_only=True)
class Confident(Budget):
    """Takes the most confident rows of the whole pool, whatever their class.

    Formula: the smallest cross-entropy between the teacher's answer and its own argmax at
    temperature 1, which is the largest max_k p_ik.
    Source: published, DFND (Chen et al., CVPR 2021); DFND-train.py keeps 600,000 of 1.28 million
    rows.
    Range: the budget only.
    Interplay: easy classes crowd out hard ones; `Balanced` is the same order with quotas.
    """

    version: ClassVar[int] = 1
    columns: ClassVar[tuple[str, ...]] = ("confidence",)

    def select(self, scores: Summary, seed: int) -> Rows:
        return highest(scores.confidence_N, self.count(len(scores)))


@dataclass(frozen=True, kw_only=True)
class Balanced(Budget):
    """Takes the most confident rows of each pseudo-class, up to a quota. The default rule.

    Formula: of a budget N' the quota is N'/K; row i of pseudo-class k is admitted to it if its
    confidence reaches `threshold * m_k / max_j m_j`, m_k the mean confidence of class k. What a
    short class leaves unfilled goes to the most confident rows that remain, where `fill` is true.
    Source: our reading of the abstract.
    Range: threshold in [0, 1); 0 switches the class threshold off. fill: False leaves quotas
    unfilled, so that no class has more than N'/K rows, and the selection may be smaller than its
    budget, which has to be K rows or more.
    Interplay: where few pseudo-classes hold most of a pool, filled quotas give the selection back
    to them; so does every epoch, unless batches are balanced (`sampling`).
    """

    threshold: float = 0.95
    fill: bool = later(True)
    version: ClassVar[int] = 1
    columns: ClassVar[tuple[str, ...]] = ("pseudo_label", "confidence")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.threshold < 1:
            raise ValueError(
                f"selection.threshold must lie in [0, 1), but got threshold={self.threshold!r}"
            )

    def select(self, scores: Summary, seed: int) -> Rows:
        least_K = self._thresholds(scores)
        rows_of_K = by_class(scores.pseudo_label_N, scores.classes)
        count = self.count(len(scores))
        return balanced(scores.confidence_N, rows_of_K, count, least_K, self.fill)

    def _thresholds(self, scores: Summary) -> NDArray[np.float64]:
        counts_K = np.bincount(scores.pseudo_label_N, minlength=scores.classes)
        sums_K = np.bincount(
            scores.pseudo_label_N, weights=scores.confidence_N, minlength=scores.classes
        )
        means_K = sums_K / np.maximum(counts_K, 1)
        thresholds_K: NDArray[np.float64] = self.threshold * means_K / means_K.max()
        return thresholds_K


@dataclass(frozen=True, kw_only=True)
class Entropy(Budget):
    """Takes the rows on which the teacher's whole answer has the smallest entropy.

    Formula: -sum_k p_ik log p_ik at temperature 1, the smallest first.
    Source: our reading of Sample Selection Based Knowledge Distillation; its entropy.py has class
    quotas and thresholds from original data, which a data-free method does not have.
    Range: the budget only.
    Interplay: close to `Confident`, but of two equally confident rows it takes the one whose rest
    sits on fewer classes.
    """

    version: ClassVar[int] = 1
    columns: ClassVar[tuple[str, ...]] = ("entropy",)

    def select(self, scores: Summary, seed: int) -> Rows:
        return lowest(scores.entropy_N, self.count(len(scores)))


@dataclass(frozen=True, kw_only=True)
class Margin(Budget):
    """Takes the rows with the largest margin between the teacher's two largest logits.

    Formula: z_(1) - z_(2), the largest first.
    Source: our reading of Sample Selection Based Knowledge Distillation; its transfer.py divides by
    ||w_1 - w_2||, the distance of the two classes' weights in the head, and compares with class
    means on original data. We leave both out: scores then need no weights, and a head with weights
    of equal length orders alike.
    Range: the budget only.
    Interplay: unlike confidence it does not saturate, so it still ranks rows on which a teacher is
    very sure.
    """

    version: ClassVar[int] = 1
    columns: ClassVar[tuple[str, ...]] = ("margin",)

    def select(self, scores: Summary, seed: int) -> Rows:
        return highest(scores.margin_N, self.count(len(scores)))


@dataclass(frozen=True, kw_only=True)
class Hardest(Budget):
    """Takes the rows that the teacher knows least about: a stress test, not a method.

    Formula: the largest entropy of the teacher's answer first.
    Source: published, MosaicKD (Fang et al., NeurIPS 2021); kd_mosaic.py builds its
    out-of-distribution sets so, the 50,000 highest of ImageNet-32 or Places365-32; plain KD then
    falls from 73.6 to 50.9 on CIFAR-100.
    Range: the budget only.
    """

    version: ClassVar[int] = 1
    columns: ClassVar[tuple[str, ...]] = ("entropy",)

    def select(self, scores: Summary, seed: int) -> Rows:
        return highest(scores.entropy_N, self.count(len(scores)))
