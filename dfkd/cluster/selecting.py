"""Selecting from score tables that do not fit into memory: as a task on the cluster, column by column.

N rows of the pool.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import ray
from numpy.typing import NDArray

from dfkd.method.selection import Rows, Selection
from dfkd.probe import probe_rows
from dfkd.scores import read_columns


@dataclass(frozen=True, kw_only=True)
class Selected:
    """Positions in the pool, sorted and distinct, none of the probe's; and what it cost to find them."""

    rows: Rows
    seconds: float
    peak_bytes: int  # of the process, libraries included


def select(selection: Selection, paths: Sequence[Path], classes: int, seed: int) -> Selected:
    """What the rule selects from these score files, in the order of the pool's shards. The driver reads no score.

    The task holds the columns that the rule reads, 4 bytes a row each, and as much again to order them: 2 to 4 GB for
    100 million rows. ValueError for a rule that needs logits or features.
    """
    check(selection)
    return ray.get(_select.remote(selection, paths, classes, seed))


@ray.remote(num_cpus=1, max_calls=1)  # a process of its own: its memory goes back, and is measured
def _select(selection: Selection, paths: Sequence[Path], classes: int, seed: int) -> Selected:
    started = time.monotonic()
    rows = select_here(selection, paths, classes, seed)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB
    return Selected(rows=rows, seconds=time.monotonic() - started, peak_bytes=peak)


def check(selection: Selection) -> tuple[str, ...]:
    """The columns that the rule reads. ValueError where these are not enough."""
    columns: tuple[str, ...] | None = getattr(selection, "columns", None)
    if columns is None:
        raise ValueError(f"only rules that name the columns they read select from files, but got {selection}")
    return columns


def select_here(selection: Selection, paths: Sequence[Path], classes: int, seed: int) -> Rows:
    """The same in this process."""
    keep_N = _others(sum(pq.read_metadata(path).num_rows for path in paths))
    scores = read_columns(paths, check(selection), classes, keep_N)
    return _places(selection.select(scores, seed), keep_N)  # type: ignore[arg-type]  # it reads these columns only


def _others(rows: int) -> NDArray[np.bool_]:
    """The rows that may be selected: all but the probe's."""
    keep_N = np.ones(rows, dtype=np.bool_)
    keep_N[probe_rows(rows)] = False
    return keep_N


def _places(chosen: Rows, keep_N: NDArray[np.bool_]) -> Rows:
    """Positions among the kept rows as positions in the pool, without an index of all kept rows."""
    held_out = np.flatnonzero(~keep_N)
    before = held_out - np.arange(len(held_out))  # how many kept rows come before each one that is held out
    return chosen + np.searchsorted(before, chosen, side="right")
