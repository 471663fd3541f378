"""The account of a study or sweep with one MLflow: open while it computes, settled once all of it
stands there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfkd.tracking.store import Parent
from dfkd.tracking.sync_state import SyncState
from dfkd.tracking.tracker import Tracker

if TYPE_CHECKING:
    from dfkd.storage.ledger import Outcome


class RunSync:
    """`facts`: what `Tracker.parent` takes. `folder`: of the study or sweep; its receipts lie
    there.
    """

    def __init__(self, tracker: Tracker, folder: Path, **facts: Any) -> None:
        self.tracker, self.facts = tracker, facts
        self.sync_state = SyncState(folder)
        self.parent: Parent | None = None
        self.opened = False

    def open(self) -> None:
        """Find or make the parent run, unless it is there; also tried again after MLflow was
        away.
        """
        self.opened = True
        self.parent = self.parent or self.tracker.parent(**self.facts)

    def cell(self, outcome: Outcome, role: str, name: str, tags: dict[str, str]) -> None:
        self.tracker.cell(outcome, self.parent, role=role, name=name, tags=tags)

    def is_due(self, told: Mapping[str, str]) -> bool:
        """Whether something of this is still to be told. `told`: digests of what there is to tell,
        by subject.
        """
        return self.opened or not told.items() <= self.sync_state.of(self.tracker.shown_uri).items()

    def is_known(self) -> bool:
        """Whether this MLflow has been told of it at all."""
        return bool(self.sync_state.of(self.tracker.shown_uri))

    def settle(self, told: Mapping[str, str]) -> None:
        """Close it. With a receipt only if MLflow took everything: otherwise the next call tells it
        again.
        """
        if self.tracker.close() and self.parent is not None:
            self.sync_state.note(self.tracker.shown_uri, dict(told))
