"""Made-up scores, for tests of selections and droppings. N rows, K classes."""

from dataclasses import replace

import numpy as np

from dfkd.scores import Scores, scores_of


def random_scores(rows: int = 400, classes: int = 10, seed: int = 0) -> Scores:
    """Return scores in which every class is there, in very different numbers."""
    rng = np.random.default_rng(seed)
    logits_NK = rng.normal(size=(rows, classes)) * 2 + np.linspace(0, 2, classes)
    features_ND = rng.normal(size=(rows, 4)).astype(np.float32)
    scores = scores_of(np.arange(rows), logits_NK.astype(np.float32), features_ND)
    return replace(scores, bn_distance_N=rng.gamma(2.0, size=rows).astype(np.float32))


def table(*rows: tuple[int, float], classes: int) -> Scores:
    """Return scores typed by hand: rows of (pseudo-label, confidence), all else 0."""
    label_N, confidence_N = (np.array(column) for column in zip(*rows, strict=True))
    count = len(rows)
    return Scores(
        row_id_N=np.arange(count),
        pseudo_label_N=label_N,
        confidence_N=confidence_N.astype(np.float32),
        entropy_N=np.zeros(count, dtype=np.float32),
        margin_N=np.zeros(count, dtype=np.float32),
        logits_NK=np.zeros((count, classes), dtype=np.float32),
        features_ND=np.zeros((count, 1), dtype=np.float32),
        bn_distance_N=np.zeros(count, dtype=np.float32),
    )


def read_only(scores: Scores) -> Scores:
    """Return the scores with arrays that cannot be written, as views of shared memory are."""
    for array in vars(scores).values():
        array.flags.writeable = False
    return scores
