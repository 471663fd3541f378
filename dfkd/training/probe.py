"""The probe: one fixed part of the pool, held out before any selection, to compare students by.

The label-free metric is the student's agreement with the undropped teacher, averaged over
pseudo-classes so that a frequent class does not hide a lost one. Agreement on a trial's own
selection would reward tiny over-confident selections; on the whole pool it would reward random
ones. Soft agreement is the chance that a class drawn from the teacher's answer and one drawn from
the student's are the same: it also sees how sure both are. P probe rows, N pool rows, K classes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfkd.scores import Scores
from dfkd.seeding import stream
from dfkd.training.measures import AGREEMENT, SOFT

SHARE, MOST = 0.15, 3000  # 15 % of the pool, at most 3,000 rows
STRATA = ("low", "middle", "high")  # thirds of the probe by the teacher's confidence


@dataclass(frozen=True, kw_only=True)
class Probe:
    """The probe's positions in the pool, the teacher's answers there, and each row's stratum.

    label_P, answer_PK: the teacher's argmax and its probabilities at temperature 1. Strata are
    thirds by its confidence.
    """

    rows_P: NDArray[np.int64]
    label_P: NDArray[np.int64]
    answer_PK: NDArray[np.float32]
    stratum_P: NDArray[np.int64]

    def agreement(self, logits_PK: Tensor) -> dict[str, float]:
        """Return "probe", the agreement in [0, 1], "probe.<stratum>" for each, and "probe.soft".

        Agreement is the mean over pseudo-classes of the share of rows whose most likely class is
        the teacher's; soft agreement that of sum_k t_k s_k, t and s being the teacher's and the
        student's probabilities at temperature 1. logits_PK: the student's.
        """
        same_P = logits_PK.argmax(1).numpy() == self.label_P
        result = {AGREEMENT: _macro(same_P, self.label_P)}
        for index, name in enumerate(STRATA):
            inside_P = self.stratum_P == index
            result[f"probe.{name}"] = _macro(same_P[inside_P], self.label_P[inside_P])
        soft_P = (logits_PK.softmax(1).numpy() * self.answer_PK).sum(1)
        return result | {SOFT: _macro(soft_P, self.label_P)}


def draw_probe(scores: Scores) -> Probe:
    """Return the same rows for every experiment on this teacher and pool.

    They are drawn by the pool's row ids alone.
    """
    rows_P = probe_rows(len(scores))
    count = len(rows_P)
    order_P = np.argsort(scores.confidence_N[rows_P], kind="stable")
    stratum_P = np.empty(count, dtype=np.int64)
    stratum_P[order_P] = np.arange(count) * len(STRATA) // count
    logits_PK = torch.from_numpy(np.array(scores.logits_NK[rows_P], dtype=np.float32))
    return Probe(
        rows_P=rows_P,
        label_P=scores.pseudo_label_N[rows_P],
        answer_PK=logits_PK.softmax(1).numpy(),
        stratum_P=stratum_P,
    )


def probe_rows(rows: int) -> NDArray[np.int64]:
    """Return the positions of the probe in a pool of so many rows, sorted."""
    count = max(1, min(MOST, round(SHARE * rows)))
    return np.sort(
        np.random.default_rng(stream(0, "probe", rows)).choice(rows, count, replace=False)
    )


def _macro(value_P: NDArray[Any], label_P: NDArray[np.int64]) -> float:
    counts_K = np.bincount(label_P)
    sums_K = np.bincount(label_P, weights=value_P)
    present_K = counts_K > 0
    return float((sums_K[present_K] / counts_K[present_K]).mean())
