"""Repeats are rows of an imported pool that an earlier row of it has already.

Rows repeat by content or by id, and are found across shards. N rows, S shards, R repeated rows.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dfkd.data.importing.rejects import Reject
from dfkd.storage import Storage, layout


@dataclass(frozen=True)
class Repeats:
    """The rows of one shard that are left out, by position."""

    shard: str  # file name
    rows: tuple[int, ...]

    @property
    def rest(self) -> str:
        """The name of the file without them."""
        told_apart = hashlib.sha256(repr(self.rows).encode()).hexdigest()[:12]
        return layout.shard_without_repeats(self.shard, told_apart)


def find_repeats(folder: Storage, shards: Sequence[str]) -> tuple[list[Repeats], list[Reject]]:
    """Return the repeats of each shard, and what the table of rejects says of them.

    It takes 16 bytes of memory a row, and the names of those in some shards.
    """
    if not shards:
        return [], []
    parts = [_columns(folder.file(shard).path) for shard in shards]
    start_S = np.cumsum([0, *(len(part[0]) for part in parts)])
    row_id_N, content_N = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    row_R, first_R, same_id_R = repeated(row_id_N, content_N)
    shard_R = np.searchsorted(start_S, row_R, side="right") - 1
    repeats = [
        Repeats(shards[s], tuple((row_R[shard_R == s] - start_S[s]).tolist()))
        for s in np.unique(shard_R).tolist()
    ]
    called = _Names(folder, shards, start_S)
    rejects = [
        (called[row], "row id met before" if same else "duplicate", f"the same as {called[first]}")
        for row, first, same in zip(
            row_R.tolist(), first_R.tolist(), same_id_R.tolist(), strict=True
        )
    ]
    return repeats, rejects


def repeated(
    row_id_N: NDArray[np.int64], content_N: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return (row_R, first_R, same_id_R) for rows whose id, or else content, an earlier row has.

    first_R is that earlier row, same_id_R whether it has the same id.
    """
    all_N = np.arange(len(row_id_N))
    first_by_id_N = _first(row_id_N)
    kept = np.flatnonzero(first_by_id_N == all_N)  # what is left out cannot be what another repeats
    first_N = first_by_id_N.copy()
    first_N[kept] = kept[_first(content_N[kept])]
    row_R = np.flatnonzero(first_N != all_N)
    return row_R, first_N[row_R], (first_by_id_N != all_N)[row_R]


def _first(values_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each place the first that has the same value."""
    _, first, group_N = np.unique(values_N, return_index=True, return_inverse=True)
    places_N: NDArray[np.int64] = first[group_N]
    return places_N


def _columns(path: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    table = pq.read_table(path, columns=["row_id", "content"])
    return table["row_id"].to_numpy(), table["content"].to_numpy()


class _Names:
    """Names of rows by their place in the pool, read shard by shard when they are asked for."""

    def __init__(self, folder: Storage, shards: Sequence[str], start_S: NDArray[np.int64]) -> None:
        self.folder, self.shards, self.start_S = folder, shards, start_S
        self.read: dict[int, list[str]] = {}

    def __getitem__(self, row: int) -> str:
        index = int(np.searchsorted(self.start_S, row, side="right")) - 1
        if index not in self.read:
            path = self.folder.file(self.shards[index]).path
            table = pq.read_table(path, columns=["name"])
            self.read[index] = table["name"].to_pylist()
        return self.read[index][row - int(self.start_S[index])]
