"""Near-duplicates as an inspection shows them: counts, pictures of the largest groups, a list."""

import numpy as np
from numpy.typing import NDArray

from dfkd.inspection.duplicates import Duplicates
from dfkd.inspection.fitness import Copies
from dfkd.reporting.sheets import Picture, png
from dfkd.training.inputs import Inputs

SHOWN_OF_GROUP = 3  # pictures of each group of near-duplicates


def copies_of(found: Duplicates, inputs: Inputs) -> Copies:
    """Count the copies, with pictures of the first rows of each group."""
    return Copies(
        exact=int(found.exact_N.sum()),
        near=int(found.near_N.sum()),
        blank=int(found.blank_N.sum()),
        looked_at=found.looked_at,
        groups=tuple((len(group), _pictures(group, inputs)) for group in found.groups),
    )


def _pictures(group: tuple[int, ...], inputs: Inputs) -> tuple[Picture, ...]:
    shown, confidence_N = np.array(group[:SHOWN_OF_GROUP]), inputs.scores.confidence_N
    return tuple(
        Picture(png=png(image_HWC), confidence=float(confidence_N[row]))
        for row, image_HWC in zip(shown, inputs.images_NHWC[shown], strict=True)
    )


def copies_csv(found: Duplicates, row_id_N: NDArray[np.int64]) -> str:
    """List every row that repeats an earlier one or shows nothing, by its id in the pool."""
    kinds = {"exact": found.exact_N, "near": found.near_N, "blank": found.blank_N}
    lines = [
        f"{row_id_N[row]},{kind}"
        for kind, mask_N in kinds.items()
        for row in np.flatnonzero(mask_N)
    ]
    return "\n".join(["row_id,kind", *lines]) + "\n"
