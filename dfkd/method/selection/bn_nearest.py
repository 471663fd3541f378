"""BatchNormNearest: the rows whose activations look most like the teacher's training data.

N rows, K classes.
"""

from dataclasses import dataclass
from typing import ClassVar

from dfkd.method.selection.budget import Budget, Rows, balanced, by_class
from dfkd.scores import Summary


@dataclass(frozen=True, kw_only=True)
class BatchNormNearest(Budget):
    """Takes the rows of each pseudo-class whose activations fit the teacher's BatchNorm statistics.

    Formula: of a budget N' the quota is N'/K; a class's rows with the smallest d_i are taken, d_i
    the mean over BatchNorm layers and their channels of ((m_i - mu)^2 + (s_i - sigma)^2) / sigma^2:
    mean and deviation of the row's own inputs to the layer over all positions, against the running
    ones, in units of these (the squared 2-Wasserstein distance of two Gaussians). What a short
    class leaves unfilled goes to the nearest rows that remain, where `fill` is true.
    Source: ours, after the prior of DeepInversion (Yin et al., CVPR 2020), which draws images
    whose batch statistics are the running ones; here rows are picked by it.
    Range: fill: False leaves quotas unfilled, as in `Balanced`.
    Interplay: a teacher without BatchNorm is refused. The distances take one pass of the teacher
    over the whole pool, at the first run that needs them, and are kept beside the scores. The
    teacher's confidence is not read: rows near a class's border may be taken.
    """

    fill: bool = True
    version: ClassVar[int] = 1
    columns: ClassVar[tuple[str, ...]] = ("pseudo_label", "bn_distance")

    def select(self, scores: Summary, seed: int) -> Rows:
        distance_N = scores.bn_distance_N
        if distance_N is None:
            raise ValueError(
                "batch_norm_nearest needs the rows' distances to the teacher's BatchNorm "
                "statistics, which are computed when a run selects: they are not there yet"
            )
        rows_of_K = by_class(scores.pseudo_label_N, scores.classes)
        return balanced(-distance_N, rows_of_K, self.count(len(scores)), fill=self.fill)
