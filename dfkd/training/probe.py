"""The probe: one fixed part of the pool, held out before any selection, to compare students by.

The label-free metric is the student's agreement with the undropped teacher, averaged over
pseudo-classes so that a frequent class does not hide a lost one. Agreement on a trial's own
selection would reward tiny over-confident selections; on the whole pool it would reward random
ones. P probe rows, N pool rows, K classes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfkd.scores import Scores
from dfkd.seeding import stream

SHARE, MOST = 0.15, 3000  # 15 % of the pool, at most 3,000 rows
STRATA = ("low", "middle", "high")  # thirds of the probe by the teacher's confidence


@dataclass(frozen=True, kw_only=True)
class Probe:
    """The probe's positions in the pool, the teacher's argmax there, and each row's stratum.

    Strata are thirds by the teacher's confidence.
    """

    rows_P: NDArray[np.int64]
    label_P: NDArray[np.int64]
    stratum_P: NDArray[np.int64]

    def agreement(self, answer_P: NDArray[np.int64]) -> dict[str, float]:
        """Return "probe", the agreement in [0, 1], and "probe.<stratum>" for each stratum.

        Agreement is the mean over pseudo-classes of the share of equal answers.
        """
        same_P = answer_P == self.label_P
        result = {"probe": _macro(same_P, self.label_P)}
        for index, name in enumerate(STRATA):
            inside_P = self.stratum_P == index
            result[f"probe.{name}"] = _macro(same_P[inside_P], self.label_P[inside_P])
        return result


def draw_probe(scores: Scores) -> Probe:
    """Return the same rows for every experiment on this teacher and pool.

    They are drawn by the pool's row ids alone.
    """
    rows_P = probe_rows(len(scores))
    count = len(rows_P)
    order_P = np.argsort(scores.confidence_N[rows_P], kind="stable")
    stratum_P = np.empty(count, dtype=np.int64)
    stratum_P[order_P] = np.arange(count) * len(STRATA) // count
    return Probe(rows_P=rows_P, label_P=scores.pseudo_label_N[rows_P], stratum_P=stratum_P)


def probe_rows(rows: int) -> NDArray[np.int64]:
    """Return the positions of the probe in a pool of so many rows, sorted."""
    count = max(1, min(MOST, round(SHARE * rows)))
    return np.sort(
        np.random.default_rng(stream(0, "probe", rows)).choice(rows, count, replace=False)
    )


def _macro(same_P: NDArray[np.bool_], label_P: NDArray[np.int64]) -> float:
    counts_K = np.bincount(label_P)
    right_K = np.bincount(label_P, weights=same_P)
    present_K = counts_K > 0
    return float((right_K[present_K] / counts_K[present_K]).mean())
