"""The ledger: the cells in a storage, the truth of which MLflow and Optuna's storage are views.

A cell is a folder `cells/<key>-<environment>` with
    curve.parquet        a row per evaluation
    student.safetensors  the weights after the last step
    test.json            accuracy on the test set, by class as well; only where it was to be read
    record.json          written last: the cell is finished (or diverged, or pruned)
    checkpoint.pt        while it is being computed
    error.txt            why it could not be computed; the next call tries again
    lease                while it is being computed: who does it
Files appear whole or not at all, so that any process can be killed at any time.
"""

import contextlib
import io
import json
import math
import pickle
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import load, save_file
from torch import Tensor

from dfkd.storage import layout
from dfkd.storage.lease import Lease
from dfkd.storage.outcome import Outcome
from dfkd.storage.storage import Storage, Unreachable

MEASURES = ("probe", "validation")  # of a curve, what reports draw and MLflow gives back


class Ledger:
    """All cells in one storage."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def address(self, cell: str) -> str:
        """Return the path or URI at which people find the cell's files."""
        return self.storage.address(layout.cell(cell))

    def read(self, cell: str) -> Outcome | None:
        """Return the cell's outcome, or None while it has none.

        A file that was damaged from outside counts as none.
        """
        folder = layout.cell(cell)
        try:
            record = self.storage.read_json(folder / layout.RECORD)
            curve = pq.read_table(io.BytesIO(self.storage.get(folder / layout.CURVE)))
            points = [_without_gaps(point) for point in curve.to_pylist()]
            outcome = Outcome(**record, points=points)
        except Unreachable:
            raise
        except (OSError, ValueError, TypeError):  # not there, or not what `write` wrote
            return None
        with contextlib.suppress(FileNotFoundError, ValueError):
            outcome.metrics.update(self.storage.read_json(folder / layout.TEST))
        return outcome

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield the record of every cell that has one, pruned ones included, without its curve."""
        for cell in self.storage.list(layout.CELLS):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError, ValueError):
                yield self.storage.read_json(layout.cell(cell) / layout.RECORD)

    def write(self, outcome: Outcome, weights: dict[str, Tensor] | None) -> None:
        """Keep an outcome, and the weights of a finished one.

        A final outcome that is there stays, whichever process was first; a pruned one gives way to
        one that went further.
        """
        known = self.read(outcome.cell)
        if known is not None and (known.final or not (outcome.final or outcome.step > known.step)):
            return
        folder = layout.cell(outcome.cell)
        curve = _table(outcome.points)
        self.storage.replace(folder / layout.CURVE, lambda half: pq.write_table(curve, half))
        if weights is not None:
            tensors = {name: value.cpu().contiguous() for name, value in weights.items()}
            self.storage.replace(folder / layout.WEIGHTS, lambda half: save_file(tensors, half))
        record = {name: value for name, value in outcome.kept().items() if name != "points"}
        text = json.dumps(record, indent=1) + "\n"
        first = known is None and self.storage.put_if_absent(folder / layout.RECORD, text.encode())
        if not first and (known is not None or self.read(outcome.cell) is None):
            self.storage.write_text(folder / layout.RECORD, text)  # over a pruned or a damaged one
        for leftover in (layout.CHECKPOINT, layout.ERROR):
            self.storage.delete(folder / leftover)

    def weights(self, cell: str) -> dict[str, Tensor]:
        """Return the student's weights after the last step. FileNotFoundError where it has none."""
        return load(self.storage.get(layout.cell(cell) / layout.WEIGHTS))

    def write_test(
        self, cell: str, accuracy: float, by_class: dict[int, float] | None = None
    ) -> None:
        """Keep the accuracy on the test set, in [0, 1].

        by_class: the share of right answers among the test images of each class.
        """
        classes = {f"test.class.{label}": share for label, share in (by_class or {}).items()}
        self.storage.write_json(layout.cell(cell) / layout.TEST, {"test": accuracy, **classes})

    def write_error(self, cell: str, text: str) -> None:
        """Keep why a cell could not be computed; without a record, the next call tries it again."""
        self.storage.write_text(layout.cell(cell) / layout.ERROR, text + "\n")

    def error(self, cell: str) -> str | None:
        """Return why a cell could not be computed, None where nothing is known of it."""
        key = layout.cell(cell) / layout.ERROR
        return self.storage.get(key).decode() if self.storage.exists(key) else None

    def checkpoint(self, cell: str, state: dict[str, Any]) -> None:
        """Keep the state of a run, over that of an earlier moment."""
        key = layout.cell(cell) / layout.CHECKPOINT
        self.storage.replace(key, lambda half: torch.save(state, half))

    def restore(self, cell: str) -> dict[str, Any] | None:
        """Return the last checkpoint, None where there is none or only a damaged one."""
        key = layout.cell(cell) / layout.CHECKPOINT
        if not self.storage.exists(key):
            return None
        file = io.BytesIO(self.storage.get(key))
        if not zipfile.is_zipfile(file):  # torch.load fails in many ways on other files
            return None
        file.seek(0)
        try:
            state: dict[str, Any] = torch.load(file, weights_only=True)
        except (RuntimeError, pickle.UnpicklingError):
            return None
        return state

    def lease(self, cell: str) -> Lease:
        """Return the lease of the cell, which whoever computes it holds."""
        return self.storage.lease(layout.cell(cell) / layout.LEASE)


def _table(points: Sequence[Mapping[str, float]]) -> pa.Table:
    """Return a row per point, and a column for whatever any of them has."""
    names = list(dict.fromkeys(name for point in points for name in point))
    return pa.table({name: [point.get(name) for point in points] for name in names})


def _without_gaps(point: dict[str, float | None]) -> dict[str, float]:
    """Return a row of the curve without the columns that only other rows have."""
    return {n: value for n, value in point.items() if value is not None and not math.isnan(value)}
