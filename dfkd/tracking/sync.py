"""Keeping the run of a study or sweep in MLflow up to date, until all of it stands there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dfkd.storage.layout import Key
from dfkd.tracking.store import Parent
from dfkd.tracking.sync_state import SyncState
from dfkd.tracking.tracker import Tracker

if TYPE_CHECKING:
    from dfkd.storage.ledger import Outcome


class RunSync:
    """The run of one study or sweep in one MLflow.

    folder: that of the study or sweep, in which its sync state lies. facts: what `Tracker.parent`
    takes.
    """

    def __init__(self, tracker: Tracker, folder: Key, **facts: Any) -> None:
        self.tracker, self.facts = tracker, facts
        self.sync_state = SyncState(tracker.storage, folder)
        self.parent: Parent | None = None
        self.opened = False

    def open(self) -> None:
        """Find or make the parent run; called again after MLflow was away, it tries again."""
        self.opened = True
        self.parent = self.parent or self.tracker.parent(**self.facts)

    def cell(self, outcome: Outcome, role: str, name: str, tags: dict[str, str]) -> None:
        """Bring one cell up to date below the parent run; see `Tracker.cell`."""
        self.tracker.cell(outcome, self.parent, role=role, name=name, tags=tags)

    def is_due(self, told: Mapping[str, str]) -> bool:
        """Return whether something is still to be sent.

        told: the digest of what there is to send, by subject.
        """
        return self.opened or not told.items() <= self.sync_state.of(self.tracker.shown_uri).items()

    def is_known(self) -> bool:
        """Return whether this MLflow has been sent anything of it."""
        return bool(self.sync_state.of(self.tracker.shown_uri))

    def settle(self, told: Mapping[str, str]) -> None:
        """Close the tracker, and note what was sent if MLflow took everything.

        Where it did not, nothing is noted, and the next call sends it again.
        """
        if self.tracker.close() and self.parent is not None:
            self.sync_state.note(self.tracker.shown_uri, dict(told))
