"""The ledger: finished cells on disk, the truth of which MLflow and Optuna's storage are views.

A cell is a folder `cells/<key>-<environment>` with
    curve.parquet        a row per evaluation
    student.safetensors  the weights after the last step
    test.json            accuracy on the test set, and by class; only for cells that were meant to
    read it
    record.json          written last: the cell is finished (or diverged, or pruned)
    checkpoint.pt        while it is being computed
    error.txt            why it could not be computed; the next call tries again
    lease                while it is being computed: who does it
Files appear whole or not at all (rename), so any process can be killed at any time.
"""

from __future__ import annotations

import contextlib
import json
import math
import pickle
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dfkd.identity import Scalar
from dfkd.storage import layout
from dfkd.storage.files import replace_file, write_json
from dfkd.storage.lease import Lease
from dfkd.storage.storage import Storage

FINAL = ("finished", "diverged")
MEASURES = ("probe", "validation")  # of a curve, what reports draw and MLflow gives back


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One cell as a row. `metrics` are those of the last evaluation; "test" and "test.class.<k>":
    see `write_test`.
    """

    cell: str  # key and environment: the folder's name
    # "finished", "diverged" (kept; metrics are those of chance) or "pruned" (stopped by a search)
    state: str
    step: int
    metrics: dict[str, float]
    params: dict[str, Scalar]
    block: dict[str, int]
    tags: dict[str, str]  # teacher and pool digest, git commit
    environment: dict[str, Any]
    seconds: float
    points: list[dict[str, float]] = field(default_factory=list, repr=False)  # the curve

    @property
    def final(self) -> bool:
        return self.state in FINAL


class Ledger:
    """All cells below one storage folder."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def folder(self, cell: str) -> Path:
        return self.storage / layout.cell(cell)

    def read(self, cell: str) -> Outcome | None:
        """The cell's outcome, or None while it has none. A file that was damaged from outside
        counts as none.
        """
        folder = self.folder(cell)
        try:
            record = json.loads((folder / layout.RECORD).read_text())
            points = pd.read_parquet(folder / layout.CURVE).to_dict("records")
            outcome = Outcome(**record, points=[_without_gaps(point) for point in points])
        except (OSError, ValueError, TypeError):  # not there, or not what `write` wrote
            return None
        with contextlib.suppress(FileNotFoundError, ValueError):
            outcome.metrics.update(json.loads((folder / layout.TEST).read_text()))
        return outcome

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield the record of every cell that has one, pruned ones included, without its curve."""
        for path in (self.storage / layout.CELLS).glob(f"*/{layout.RECORD}"):
            with contextlib.suppress(OSError, ValueError):  # as for `read`
                yield json.loads(path.read_text())

    def write(self, outcome: Outcome, weights: dict[str, Tensor] | None) -> None:
        """Keep an outcome. A final one stays as it is; a pruned one may be replaced by one that
        went further.
        """
        known = self.read(outcome.cell)
        if known is not None and (known.final or not (outcome.final or outcome.step > known.step)):
            return
        folder = self.folder(outcome.cell)
        replace_file(folder / layout.CURVE, pd.DataFrame(outcome.points).to_parquet)
        if weights is not None:
            tensors = {name: value.cpu().contiguous() for name, value in weights.items()}
            replace_file(folder / layout.WEIGHTS, lambda half: save_file(tensors, half))
        record = {name: value for name, value in asdict(outcome).items() if name != "points"}
        write_json(folder / layout.RECORD, record)
        for leftover in (layout.CHECKPOINT, layout.ERROR):
            (folder / leftover).unlink(missing_ok=True)

    def weights(self, cell: str) -> dict[str, Tensor]:
        return load_file(self.folder(cell) / layout.WEIGHTS)

    def write_test(
        self, cell: str, accuracy: float, by_class: dict[int, float] | None = None
    ) -> None:
        """`by_class`: the share of right answers among the test images of each class."""
        classes = {f"test.class.{label}": share for label, share in (by_class or {}).items()}
        write_json(self.folder(cell) / layout.TEST, {"test": accuracy, **classes})

    def write_error(self, cell: str, text: str) -> None:
        """Why a cell could not be computed; it has no record, so that the next call tries it
        again.
        """
        replace_file(self.folder(cell) / layout.ERROR, lambda half: half.write_text(text + "\n"))

    def checkpoint(self, cell: str, state: dict[str, Any]) -> None:
        replace_file(self.folder(cell) / layout.CHECKPOINT, lambda half: torch.save(state, half))

    def restore(self, cell: str) -> dict[str, Any] | None:
        """The last checkpoint, or None where there is none or only a damaged one."""
        path = self.folder(cell) / layout.CHECKPOINT
        if not zipfile.is_zipfile(path):  # torch.load fails in many ways on other files
            return None
        try:
            state: dict[str, Any] = torch.load(path, weights_only=True)
        except (RuntimeError, pickle.UnpicklingError):
            return None
        return state

    def lease(self, cell: str) -> Lease:
        return self.storage.lease(layout.cell(cell) / layout.LEASE)


def _without_gaps(point: dict[Any, float]) -> dict[str, float]:
    """A row of the curve without the columns that only other rows have."""
    return {str(name): value for name, value in point.items() if not math.isnan(value)}
