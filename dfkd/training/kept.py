"""The student that is evaluated and kept, where it is not the trained one as it is.

B batch, C channels, H height, W width, N selected rows, R of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from torch import Tensor, nn

from dfkd.data.images.transforms import normalised
from dfkd.experiment import Cell
from dfkd.method.finishing import Remembered
from dfkd.seeding import stream
from dfkd.training.pool_rows import PoolRows, Rows


class Kept:
    """What the experiment's finishing remembers of a student, and makes of it."""

    def __init__(self, cell: Cell, student: nn.Module, pool_rows: PoolRows, rows_N: Rows) -> None:
        self.cell, self.student, self.pool_rows, self.rows_N = cell, student, pool_rows, rows_N
        self.finishing = cell.experiment.finishing
        self.remembered: Remembered = (
            {} if self.finishing is None else self.finishing.begin(student)
        )

    def follow(self, step: int) -> None:
        """Bring what is remembered up to date after this step."""
        if self.finishing is not None:
            self.finishing.follow(self.remembered, self.student, step)

    @contextmanager
    def now(self) -> Iterator[nn.Module]:
        """Let the student be the one that is kept, inside; afterwards it is the trained one."""
        if self.finishing is None:
            yield self.student
            return
        trained = self._state()
        try:
            self.finishing.finish(self.remembered, self.student, self._images)
            yield self.student
        finally:
            self.student.load_state_dict(trained)

    def weights(self) -> dict[str, Tensor]:
        """Return a copy of the weights and statistics of the student that is kept."""
        with self.now():
            return self._state()

    def state(self) -> dict[str, Remembered]:
        """Return what `restore` needs: nothing where nothing is remembered."""
        return {"finishing": self.remembered} if self.remembered else {}

    def restore(self, state: dict[str, Remembered]) -> None:
        """Go on from a saved state."""
        for name, value in state.get("finishing", {}).items():
            self.remembered[name].copy_(value)

    def _state(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self.student.state_dict().items()}

    def _images(self, rows: int) -> Iterator[Tensor]:
        """Yield normalised images [B, C, H, W] of some selected rows, as `Finishing` says."""
        experiment = self.cell.experiment
        rng = np.random.default_rng(stream(self.cell.block.seed, "finishing"))
        rows_R = np.sort(rng.choice(self.rows_N, min(rows, len(self.rows_N)), replace=False))
        batches = max(1, len(rows_R) // experiment.schedule.batch)
        for rows_B in np.array_split(rows_R, batches):
            yield normalised(self.pool_rows.images(rows_B), experiment.task)
