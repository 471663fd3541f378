"""Answers that are no numbers are counted and refused, before anything is selected by them.

N rows, K classes, D feature width.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class NotFinite(ValueError):
    """A teacher answered NaN or infinity for some images.

    images: how many it looked at; bad: how many of them have such an answer; first: the row id of
    one; kinds: images by what is wrong with them, "NaN in logits" and so on.
    """

    def __init__(self, images: int, bad: int, first: int, kinds: dict[str, int]) -> None:
        super().__init__(images, bad, first, kinds)
        self.images, self.bad, self.first, self.kinds = images, bad, first, kinds

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} with {kind}" for kind, count in self.kinds.items())
        return (
            f"the teacher must answer with finite numbers, but {self.bad} of {self.images} images "
            f"got others ({kinds}; the first is row {self.first}): mend its weights or its "
            "network, or name another teacher"
        )


def check_finite(
    row_id_N: NDArray[np.int64], logits_NK: NDArray[np.float32], features_ND: NDArray[np.float32]
) -> None:
    """Raise NotFinite, which counts, unless all logits and features are finite."""
    kinds = {
        f"{kind} in {part}": found(values).any(axis=1)
        for part, values in (("logits", logits_NK), ("features", features_ND))
        for kind, found in (("NaN", np.isnan), ("infinity", np.isinf))
    }
    bad = np.flatnonzero(np.logical_or.reduce(list(kinds.values())))
    if len(bad):
        counts = {kind: int(mask_N.sum()) for kind, mask_N in kinds.items() if mask_N.any()}
        raise NotFinite(len(row_id_N), len(bad), int(row_id_N[bad[0]]), counts)


def together(parts: Sequence[NotFinite], images: int) -> NotFinite:
    """Return what was found in several shards as one; images: of all that were looked at."""
    kinds = sum((Counter(part.kinds) for part in parts), Counter[str]())
    return NotFinite(images, sum(part.bad for part in parts), parts[0].first, dict(kinds))
