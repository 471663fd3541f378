"""The images that a study's variants selected: chosen again from the pool and its scores.

A selection follows from the scores and the seed, so a cell need not keep it. N selected rows, K
pseudo-classes.
"""

import sys
from collections.abc import Hashable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dfkd.experiment import Experiment
from dfkd.experiment.rebuild import experiment, modules_of
from dfkd.method.selection.selecting import rows_taken
from dfkd.reporting.sheets import Selected, Sheet, sheet_of
from dfkd.scores import Scores
from dfkd.seeding import Block
from dfkd.storage import Storage, layout
from dfkd.storage.layout import Key
from dfkd.storage.ledger import Ledger
from dfkd.studies.findings import StudyData
from dfkd.training.probe import draw_probe
from dfkd.training.recorded_inputs import GONE, Absent, recorded_memory_map


def selected(data: StudyData, storage: Storage) -> Selected:
    """Return for each variant the selection of its first cell, as a sheet of images.

    Nothing is scored, drawn or trained for it: what the storage lacks is named in `absent`.
    """
    rows = data.cells[data.cells["state"] != "errored"].drop_duplicates("variant")
    sheets: dict[Hashable, Sheet] = {}
    reasons: dict[str, list[str]] = {}
    for row in rows.to_dict("records"):
        variant = str(row["variant"])
        block = Block(seed=int(row["seed"]), draw=int(row["draw"]), teacher=int(row["teacher"]))
        try:
            key, sheet = _sheet(variant, data, block, str(row["cell"]), storage)
        except ValueError as error:
            reasons.setdefault(str(error), []).append(variant)
            continue
        if key in sheets:  # it selects the same rows
            sheet = replace(sheets[key], variants=(*sheets[key].variants, variant))
        sheets[key] = sheet
    absent = "; ".join(_absent(names, len(rows), why) for why, names in reasons.items())
    return Selected(sheets=tuple(sheets.values()), block=str(rows["block"].iloc[0]), absent=absent)


def _absent(variants: list[str], of: int, why: str) -> str:
    return (
        f"no images: {why}" if len(variants) == of else f"no images of {', '.join(variants)}: {why}"
    )


def _sheet(
    variant: str, data: StudyData, block: Block, cell: str, storage: Storage
) -> tuple[Hashable, Sheet]:
    """Return the sheet, and a key that is equal for equal sheets.

    Raises ValueError in one line where it cannot be made.
    """
    params = data.params[variant]
    loaded = [m for m in modules_of(params) if m in sys.modules]  # a record makes us import none
    e = experiment(params, modules=loaded).canonical()
    teacher, pool_digest = _digests(data, cell, storage)
    name, images_NHWC, scores = recorded_memory_map(e, block, teacher, pool_digest, storage)
    rows_N = _rows(e, block, scores, layout.pack(name) / layout.SELECTIONS, storage)
    return (name, rows_N.tobytes()), sheet_of(variant, rows_N, images_NHWC, scores)


def _digests(data: StudyData, cell: str, storage: Storage) -> tuple[str, str]:
    """Return the digests of the cell's teacher and pool.

    The ledger says them, else all cells share them. Raises Absent where neither does.
    """
    outcome = Ledger(storage).read(cell)
    if outcome is not None:
        return outcome.tags["teacher"], outcome.tags["pool"]
    shared = [data.provenance.get(part, ()) for part in ("teacher", "pool")]
    if any(len(digests) != 1 for digests in shared):
        raise Absent(GONE)
    return shared[0][0], shared[1][0]


def _rows(
    e: Experiment, block: Block, scores: Scores, kept: Key, storage: Storage
) -> NDArray[np.int64]:
    """Return rows_N as a run takes them; a choice that was kept is read."""
    probe_P = draw_probe(scores).rows_P
    found = storage.below(kept) if storage.exists(kept) else None
    return rows_taken(e.selection, e.dropping, scores, probe_P, block.seed, found)
