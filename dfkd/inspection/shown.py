"""What a drawn pool knows of its rows: for the evaluation of a selection, never for the selection.

Legend: N rows of the pool.
"""

import numpy as np
from numpy.typing import NDArray

from dfkd.data.pools import PoolFiles, read_characters
from dfkd.data.tasks import Task


def classes_shown(pool: PoolFiles, task: Task) -> NDArray[np.int64] | None:
    """Return for each row the class of the task that it shows, -1 for none of them.

    None for a pool that does not know it. A drawn pool names what a row shows, and the task knows
    which of its classes has that name.
    """
    parts = []
    for shard in pool.shards:
        try:
            characters = read_characters(shard.path)
        except ValueError:  # not a drawn pool
            return None
        shown = [task.class_shown(character) for character in characters]
        labels = [-1 if label is None else label for label in shown]
        parts.append(np.array(labels, dtype=np.int64))
    return np.concatenate(parts)
