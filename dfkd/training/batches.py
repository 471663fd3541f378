"""Batches: which rows of the pool each training step sees.

N selected rows, B batch, M rows of the pool, K classes.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from dfkd.method.sampling import Sampling
from dfkd.seeding import stream

Rows: TypeAlias = NDArray[np.int64]
Order: TypeAlias = Callable[[Rows, int], Rows]  # the current rows and a seed -> places among them


def permutation(rows_N: Rows, seed: int) -> Rows:
    """Return the places of all rows, in random order."""
    return np.random.default_rng(seed).permutation(len(rows_N))


def order_of(sampling: Sampling | None, label_M: Rows, classes: int) -> Order:
    """Return the order of an epoch by this sampling, with the pool's pseudo-labels in 0..K-1.

    ValueError, when an epoch begins, for a sampling that does not return N places below N.
    """
    return permutation if sampling is None else partial(_sampled, sampling, label_M, classes)


def _sampled(sampling: Sampling, label_M: Rows, classes: int, rows_N: Rows, seed: int) -> Rows:
    places = sampling.epoch(label_M[rows_N], classes, seed)
    if len(places) != len(rows_N) or places.min() < 0 or places.max() >= len(rows_N):
        raise ValueError(
            f"sampling.epoch must return {len(rows_N)} places in 0..{len(rows_N) - 1}, but got "
            f"{len(places)} in {places.min()}..{places.max()}"
        )
    return places


class Batches:
    """Which rows each step sees: every epoch is the current rows in a fresh order.

    Batches run across epochs. All selected rows are current until `narrow` says otherwise; a batch
    then depends on its step alone.
    """

    def __init__(self, rows_N: Rows, size: int, seed: int, order: Order = permutation) -> None:
        self.rows_N, self.size, self.seed, self.order = rows_N, size, seed, order
        self.since = 0  # the step from which these rows are current
        self._epoch: tuple[int, Rows] | None = None

    def at(self, step: int) -> Rows:
        """Return the pool rows of a step [B]."""
        rows, parts = len(self.rows_N), list[Rows]()
        place, end = (step - self.since) * self.size, (step - self.since + 1) * self.size
        while place < end:
            epoch, first = divmod(place, rows)
            parts.append(self._shown(epoch)[first : first + end - place])
            place += len(parts[-1])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _shown(self, epoch: int) -> Rows:
        """Return the pool rows of an epoch [N], in its order."""
        if self._epoch is None or self._epoch[0] != epoch:
            since = (self.since,) if self.since else ()
            seed = stream(self.seed, "batches", *since, epoch)
            self._epoch = epoch, self.rows_N[self.order(self.rows_N, seed)]
        return self._epoch[1]

    def end_of(self, epochs: int) -> int:
        """Return the first step before which so many epochs over the current rows are complete."""
        return self.since - (-epochs * len(self.rows_N) // self.size)

    def narrow(self, rows_N: Rows, step: int) -> None:
        """Make these rows current from this step on."""
        self.rows_N, self.since, self._epoch = rows_N, step, None

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs: nothing while all selected rows are current."""
        return {"rows": torch.from_numpy(self.rows_N), "since": self.since} if self.since else {}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        if state:
            self.narrow(state["rows"].numpy(), state["since"])
