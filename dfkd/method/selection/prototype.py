"""Prototype: confident rows near the centres of their pseudo-class, rare classes first.

N rows, K classes, D feature width, C centres.
"""

import math
import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dfkd.method.selection.budget import Budget, Rows, by_class, highest
from dfkd.scores import Scores

FITTED_ON = 20_000  # rows of a class, evenly spaced by their row id


@dataclass(frozen=True, kw_only=True)
class Prototype(Budget):
    """Takes rows by confidence, closeness to a prototype of their pseudo-class, and its rarity.

    Formula: score_i = confidence * c_i + closeness * max_k cos(f_i, mu_{y_i,k}) + rarity * (1 -
    n_{y_i} / N), each of the three min-max scaled over the pool; mu_{y,k} are the k-means centres
    of the l2-normalised features of pseudo-class y. The largest scores are taken.
    Source: our reading of ODSD (Wang et al., arXiv 2307.16601), whose formula we have not seen.
    Range: confidence, closeness and rarity are weights, 0 or more, not all 0; clusters, 1 or more
    for each pseudo-class.
    Interplay: it reads the teacher's features, so it does not work on columns alone; k-means is
    seeded by a constant, so that the rule is one choice per teacher and pool.
    """

    confidence: float = 1.0
    closeness: float = 1.0
    rarity: float = 1.0
    clusters: int = 5
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        weights = self.confidence, self.closeness, self.rarity
        if not all(0 <= weight < math.inf for weight in weights) or not any(weights):
            raise ValueError(
                "selection's weights must be 0 or more and one of them above 0, "
                f"but got confidence={self.confidence}, closeness={self.closeness}, "
                f"rarity={self.rarity}"
            )
        if self.clusters < 1:
            raise ValueError(
                f"selection.clusters must be 1 or more, but got clusters={self.clusters!r}"
            )

    def select(self, scores: Scores, seed: int) -> Rows:
        label_N = scores.pseudo_label_N
        size_N = np.bincount(label_N, minlength=scores.classes)[label_N]
        score_N = (
            self.confidence * _scaled(scores.confidence_N)
            + self.closeness * _scaled(closeness(scores, self.clusters))
            + self.rarity * _scaled(1 - size_N / len(scores))
        )
        return highest(score_N, self.count(len(scores)))


def closeness(scores: Scores, clusters: int) -> NDArray[np.float64]:
    """Return the cosine of each row's features to the nearest prototype of its pseudo-class [N]."""
    lengths_N = np.linalg.norm(scores.features_ND, axis=1, keepdims=True)
    unit_ND = scores.features_ND / np.maximum(lengths_N, 1e-12)
    result_N = np.empty(len(scores))
    for rows in by_class(scores.pseudo_label_N, scores.classes):
        if len(rows):
            # whatever the order of the table
            in_order = rows[np.argsort(scores.row_id_N[rows], kind="stable")]
            centres_CD = _centres(unit_ND[in_order], clusters)
            own_ND = unit_ND[rows].astype(np.float64)
            # a sum for each row, not a matrix product: equal rows have equal sums wherever they
            # stand
            cosines = [(own_ND * centre_D).sum(axis=1) for centre_D in centres_CD]
            result_N[rows] = np.max(cosines, axis=0)
    return result_N


def _centres(unit_ND: NDArray[np.float32], clusters: int) -> NDArray[np.float32]:
    """Return the l2-normalised k-means centres; as many as there are rows at most."""
    from sklearn.cluster import KMeans  # seconds to import
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    if len(unit_ND) > FITTED_ON:
        unit_ND = unit_ND[np.linspace(0, len(unit_ND) - 1, FITTED_ON).round().astype(np.int64)]
    means = KMeans(min(clusters, len(unit_ND)), n_init=1, random_state=0)
    with threadpool_limits(1), warnings.catch_warnings():  # threads would add up in any order
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than clusters
        centres_CD: NDArray[np.float32] = means.fit(unit_ND).cluster_centers_
    lengths_C1 = np.linalg.norm(centres_CD, axis=1, keepdims=True)
    unit_CD: NDArray[np.float32] = centres_CD / np.maximum(lengths_C1, 1e-12)
    return unit_CD


def _scaled(values_N: NDArray[Any]) -> NDArray[np.float64]:
    """Return the values between 0 and 1; all 0 where all are equal."""
    span = float(values_N.max()) - float(values_N.min())
    return (values_N.astype(np.float64) - float(values_N.min())) / (span or 1.0)
