"""The images that a study's variants selected: chosen again from a storage that has the pool and the scores.

A selection follows from the scores and the seed, so a cell need not keep it. N selected rows, K pseudo-classes.
"""

from __future__ import annotations

import io
from collections.abc import Hashable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dfkd.data.pools import PoolFiles
from dfkd.experiment import Experiment
from dfkd.experiment.rebuild import experiment
from dfkd.method.dropping import FiltersRows
from dfkd.method.selection.selecting import select
from dfkd.reporting.sheets import MOST_CLASSES, Picture, Selected, Sheet
from dfkd.scores import Scores
from dfkd.scores.memory_map import open_pack, pack_folder
from dfkd.seeding import Block, stream
from dfkd.storage.ledger import Ledger
from dfkd.studies.findings import StudyData
from dfkd.training.probe import draw_probe

LARGEST = 64  # pixels a side on the page
GONE = "the pool and the teacher's scores of this study are not in the storage that the report was made from"


class Absent(ValueError):
    """Why a variant's selection cannot be shown, in one line."""


def selected(data: StudyData, storage: Path) -> Selected:
    """For each variant the selection of its first cell. Nothing is scored, drawn or trained for it."""
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
        known = sheets.get(key)
        sheets[key] = sheet if known is None else _joined(known, variant)
    absent = "; ".join(_absent(names, len(rows), why) for why, names in reasons.items())
    return Selected(sheets=tuple(sheets.values()), block=str(rows["block"].iloc[0]), absent=absent)


def _absent(variants: list[str], of: int, why: str) -> str:
    return f"no images: {why}" if len(variants) == of else f"no images of {', '.join(variants)}: {why}"


def _joined(sheet: Sheet, variant: str) -> Sheet:
    """The same rows are shown once."""
    return Sheet(
        variants=(*sheet.variants, variant), rows=sheet.rows, of_rows=sheet.of_rows, pictures=sheet.pictures,
        counts=sheet.counts,
    )  # fmt: skip


def _sheet(variant: str, data: StudyData, block: Block, cell: str, storage: Path) -> tuple[Hashable, Sheet]:
    """The sheet, and what is equal for equal ones. ValueError in one line where it cannot be made."""
    e = experiment(data.params[variant]).canonical()
    teacher, pool_digest = _digests(data, cell, storage)
    folder = _packed(e, block, teacher, pool_digest, storage)
    images_NHWC, scores = open_pack(folder)
    rows_N = _rows(e, block, scores, folder / "selections")
    return (folder.name, rows_N.tobytes()), sheet_of(variant, rows_N, images_NHWC, scores)


def probe_images(e: Experiment, block: Block, tags: Mapping[str, str], storage: Path) -> NDArray[np.uint8]:
    """The images on which a cell with these tags was judged without labels. ValueError where they are not there."""
    images_NHWC, scores = open_pack(_packed(e, block, tags["teacher"], tags["pool"], storage))
    images_PHWC: NDArray[np.uint8] = images_NHWC[draw_probe(scores).rows_P]
    return images_PHWC


def _packed(e: Experiment, block: Block, teacher: str, pool_digest: str, storage: Path) -> Path:
    folder = pack_folder(storage, teacher, _pool(e, block, pool_digest, storage), e.task, e.cache)
    if not folder.exists():
        raise Absent(GONE)
    return folder


def _digests(data: StudyData, cell: str, storage: Path) -> tuple[str, str]:
    """Of the cell's teacher and pool: as the ledger says, else as all cells share them."""
    outcome = Ledger(storage).read(cell)
    if outcome is not None:
        return outcome.tags["teacher"], outcome.tags["pool"]
    shared = [data.provenance.get(part, ()) for part in ("teacher", "pool")]
    if any(len(digests) != 1 for digests in shared):
        raise Absent(GONE)
    return shared[0][0], shared[1][0]


def _pool(e: Experiment, block: Block, digest: str, storage: Path) -> PoolFiles:
    """The pool as it lies there. It is not drawn for a report."""
    folder = getattr(e.pool, "folder", None)
    drawn = folder is None or (folder(e.task.image_shape, storage, block.draw) / "pool.json").exists()
    if not (drawn and (storage / "packs").exists()):
        raise Absent(GONE)
    pool = e.pool.files(e.task.image_shape, storage, block.draw)
    if pool.digest != digest:
        raise Absent("the pool in the storage has other pixels than the study's")
    return pool


def _rows(e: Experiment, block: Block, scores: Scores, kept: Path) -> NDArray[np.int64]:
    """As `distill.Run` selects; a choice that was kept is read."""
    seed = stream(block.seed, "selection")
    rows_N = select(e.selection, scores, draw_probe(scores).rows_P, seed, kept if kept.exists() else None)
    return e.dropping.filter(scores, rows_N) if isinstance(e.dropping, FiltersRows) else rows_N


def sheet_of(variant: str, rows_N: NDArray[np.int64], images_NHWC: NDArray[np.uint8], scores: Scores) -> Sheet:
    label_N = np.asarray(scores.pseudo_label_N)[rows_N]
    confidence_N = np.asarray(scores.confidence_N)[rows_N]
    counts_K = np.bincount(label_N, minlength=scores.classes)
    count = min(scores.classes, MOST_CLASSES)
    shown = np.unique(np.linspace(0, scores.classes - 1, count).round().astype(int))
    pictures = {}
    for label in shown.tolist():
        own = np.flatnonzero(label_N == label)
        own = own[np.argsort(-confidence_N[own], kind="stable")]
        places = own[sorted({0, len(own) // 2, len(own) - 1})] if len(own) else own
        pictures[label] = [Picture(png=png(images_NHWC[rows_N[i]]), confidence=float(confidence_N[i])) for i in places]
    return Sheet(
        variants=(variant,), rows=len(rows_N), of_rows=len(images_NHWC), pictures=pictures,
        counts={label: int(n) for label, n in enumerate(counts_K)},
    )  # fmt: skip


def png(image_HWC: NDArray[np.uint8]) -> bytes:
    image = Image.fromarray(image_HWC[:, :, 0] if image_HWC.shape[2] == 1 else np.ascontiguousarray(image_HWC))
    image.thumbnail((LARGEST, LARGEST))
    written = io.BytesIO()
    image.save(written, "PNG")
    return written.getvalue()
