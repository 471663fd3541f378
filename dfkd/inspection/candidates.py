"""The rows of a pool that a selection may choose from, and what each class has of them.

Legend: N rows of the pool, A those that may be selected, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfkd.inspection.fitness import BINS, CONFIDENT, ClassFit
from dfkd.method.selection import Rows
from dfkd.training.inputs import Inputs


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """All rows but the probe's: their positions and what the teacher answers to them."""

    rows_A: Rows
    label_A: NDArray[np.int64]
    confidence_A: NDArray[np.float32]


def candidates_of(inputs: Inputs) -> Candidates:
    """Return the rows that may be selected, in the pool's order."""
    scores = inputs.scores
    rows_A = np.setdiff1d(np.arange(len(scores)), inputs.probe.rows_P, assume_unique=True)
    return Candidates(
        rows_A=rows_A,
        label_A=np.asarray(scores.pseudo_label_N)[rows_A],
        confidence_A=np.asarray(scores.confidence_N)[rows_A],
    )


def classes_of(
    candidates: Candidates, taken_K: Sequence[int], recall_K: Sequence[float | None]
) -> tuple[ClassFit, ...]:
    """Return what the candidates hold of each class.

    taken_K: rows that the recipe takes. recall_K: the teacher's on validation images, None where
    it is not known.
    """
    classes = len(taken_K)
    label_A, confidence_A = candidates.label_A, candidates.confidence_A
    rows_K = np.bincount(label_A, minlength=classes)
    sure_K = np.bincount(label_A[confidence_A >= np.float32(CONFIDENT)], minlength=classes)
    sum_K = np.bincount(label_A, weights=confidence_A, minlength=classes)
    mean_K = sum_K / np.maximum(rows_K, 1)
    return tuple(
        ClassFit(
            label=k,
            rows=int(rows_K[k]),
            confident=int(sure_K[k]),
            mean_confidence=float(mean_K[k]),
            taken=taken_K[k],
            teacher=recall_K[k],
        )
        for k in range(classes)
    )


def histogram(confidence_N: NDArray[np.float32]) -> tuple[int, ...]:
    """Count rows in BINS equal parts of 0 to 1.

    The edges are float32, so that 0.9 is the edge that CONFIDENT is.
    """
    edges = np.linspace(0, 1, BINS + 1).astype(np.float32)
    return tuple(np.histogram(confidence_N, bins=edges)[0].tolist())
