"""Selecting: what a rule chooses of a scored pool, without the probe. N rows, P of the probe.

A rule that names the columns it reads gets those alone, 4 bytes a row each: tables whose logits and
features do not fit into memory can be selected from. The choice is kept beside the arrays, so that
a rule works once per teacher and pool.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfkd.identity import digest, name_of, own_pieces, spec
from dfkd.method.defaults import with_defaults
from dfkd.method.dropping import BaseDropping, Dropping
from dfkd.method.selection import BaseSelection, Rows, Selection
from dfkd.scores import Columns, Scores
from dfkd.seeding import stream
from dfkd.storage import Storage
from dfkd.storage.layout import Key

VERSION = 1  # raised when the probe's rows or the meaning of a seed change


def rows_taken(
    selection: Selection,
    dropping: Dropping | None,
    scores: Scores,
    probe_P: Rows,
    block_seed: int,
    kept: Storage | None = None,
) -> Rows:
    """Return the rows that a run trains on: those selected, less what the dropping takes out.

    Positions in the pool, sorted and distinct, none of the probe's. kept: as for `select`.
    """
    rows_N = select(selection, scores, probe_P, stream(block_seed, "selection"), kept)
    if dropping is None:
        return rows_N
    return with_defaults(dropping, BaseDropping).filter(scores, rows_N)


def select(
    selection: Selection, scores: Scores, probe_P: Rows, seed: int, kept: Storage | None = None
) -> Rows:
    """Return positions in the pool, sorted and distinct, none of the probe's.

    kept: a storage that belongs to these scores; a choice that lies there is read, a new one is
    written. A rule of the user's own is always asked: its code may have changed.
    """
    if kept is None or any(own_pieces(selection)):
        return _selected(selection, scores, probe_P, seed)
    key = Key(f"{digest([VERSION, spec(selection), seed])}.npy")
    if not kept.exists(key):
        rows = _selected(selection, scores, probe_P, seed)
        kept.replace(key, lambda half: _write(half, rows))
    chosen: Rows = np.load(io.BytesIO(kept.get(key)), allow_pickle=False)
    return chosen


def _write(path: Path, rows: Rows) -> None:
    with path.open("wb") as file:  # np.save would add a suffix to a bare name
        np.save(file, rows, allow_pickle=False)


def _selected(selection: Selection, scores: Scores, probe_P: Rows, seed: int) -> Rows:
    keep_N = np.ones(len(scores), dtype=np.bool_)
    keep_N[probe_P] = False
    names = with_defaults(selection, BaseSelection).columns
    candidates = (
        scores.take(np.flatnonzero(keep_N)) if names is None else columns_of(scores, names, keep_N)
    )
    chosen = selection.select(candidates, seed)  # type: ignore[arg-type]  # it reads these columns only
    if any(own_pieces(selection)):  # ours are tested for it
        _check(chosen, int(keep_N.sum()), name_of(selection))
    return _places(chosen, keep_N)


def _check(chosen: Any, rows: int, name: str) -> None:
    """Raise ValueError unless these are positions among so many rows, each at most once."""
    is_array = isinstance(chosen, np.ndarray)
    fits = is_array and chosen.ndim == 1 and chosen.dtype.kind in "iu" and len(chosen) > 0
    fits = fits and chosen.min() >= 0 and chosen.max() < rows
    if fits and (np.all(np.diff(chosen) > 0) or len(np.unique(chosen)) == len(chosen)):
        return
    got = f"{chosen.dtype} {chosen.shape}" if is_array else repr(chosen)[:60]
    raise ValueError(
        f"select of {name} must return positions, one or more whole numbers from 0 to {rows - 1} "
        f"in a numpy array, each once, but got {got}: of a mask take np.flatnonzero(mask)"
    )


def columns_of(scores: Scores, names: tuple[str, ...], keep_N: NDArray[np.bool_]) -> Columns:
    """Return these columns of the rows that are kept."""
    whole = {name: getattr(scores, f"{name}_N") for name in names}
    arrays = {name: column[keep_N] for name, column in whole.items() if column is not None}
    return Columns(rows=int(keep_N.sum()), classes=scores.classes, arrays=arrays)


def _places(chosen: Rows, keep_N: NDArray[np.bool_]) -> Rows:
    """Turn positions among the kept rows into positions in the pool, without an index of all."""
    held_out = np.flatnonzero(~keep_N)
    # how many kept rows come before each one that is held out
    before = held_out - np.arange(len(held_out))
    return chosen + np.searchsorted(before, chosen, side="right")
