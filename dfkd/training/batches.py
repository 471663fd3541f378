"""Batches: which rows of the pool each training step sees. N selected rows, B batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dfkd.seeding import stream


class Batches:
    """Which rows each step sees: every epoch is a fresh permutation of the current rows.

    Batches run across epochs. All selected rows are current until `narrow` says otherwise; a batch
    then depends on its step alone.
    """

    def __init__(self, rows_N: NDArray[np.int64], size: int, seed: int) -> None:
        self.rows_N, self.size, self.seed = rows_N, size, seed
        self.since = 0  # the step from which these rows are current
        self._epoch: tuple[int, NDArray[np.int64]] | None = None

    def at(self, step: int) -> NDArray[np.int64]:
        """Return the pool rows of a step [B]."""
        size, rows = self.size, len(self.rows_N)
        places = np.arange((step - self.since) * size, (step - self.since + 1) * size)
        return np.concatenate(
            [
                self.rows_N[self._permutation(epoch)[places[places // rows == epoch] % rows]]
                for epoch in range(places[0] // rows, places[-1] // rows + 1)
            ]
        )

    def _permutation(self, epoch: int) -> NDArray[np.int64]:
        if self._epoch is None or self._epoch[0] != epoch:
            since = (self.since,) if self.since else ()
            rng = np.random.default_rng(stream(self.seed, "batches", *since, epoch))
            self._epoch = epoch, rng.permutation(len(self.rows_N))
        return self._epoch[1]

    def end_of(self, epochs: int) -> int:
        """Return the first step before which so many epochs over the current rows are complete."""
        return self.since - (-epochs * len(self.rows_N) // self.size)

    def narrow(self, rows_N: NDArray[np.int64], step: int) -> None:
        """Make these rows current from this step on."""
        self.rows_N, self.since, self._epoch = rows_N, step, None

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs: nothing while all selected rows are current."""
        return {"rows": torch.from_numpy(self.rows_N), "since": self.since} if self.since else {}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        if state:
            self.narrow(state["rows"].numpy(), state["since"])
