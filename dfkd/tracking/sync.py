"""Keeping the run of a study or sweep in MLflow up to date, until all of it stands there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dfkd.storage import Storage
from dfkd.storage.layout import Key
from dfkd.tracking.registry import CHAMPION
from dfkd.tracking.store import Parent
from dfkd.tracking.sync_state import SyncState
from dfkd.tracking.tracker import Tracker

if TYPE_CHECKING:
    from dfkd.experiment import Experiment
    from dfkd.storage.outcome import Outcome

EXPERIMENT, REGISTERED = "experiment", "registered"  # subjects of a sync state that are no digests


class RunSync:
    """The run of one study or sweep in one MLflow.

    folder: that of the study or sweep, in which its sync state lies. register: the name under which
    its best student is registered, None for none. facts: what `Tracker.parent` takes.
    """

    def __init__(
        self, tracker: Tracker, folder: Key, register: str | None = None, **facts: Any
    ) -> None:
        self.tracker, self.register, self.facts = tracker, register, facts
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

    def student(self, outcome: Outcome, experiment: Experiment) -> None:
        """Log the student of the cell as a model of the parent run, and register it if asked."""
        self.tracker.student(self.parent, outcome, experiment)
        if self.register is not None:
            self.tracker.register(self.parent, outcome, self.register)

    def is_due(self, told: Mapping[str, str]) -> bool:
        """Return whether something is still to be sent.

        told: the digest of what there is to send, by subject.
        """
        known = self.sync_state.of(self.tracker.shown_uri).items()
        return self.opened or not self._asked(told).items() <= known

    def is_known(self) -> bool:
        """Return whether this MLflow has been sent anything of it."""
        return bool(self.sync_state.of(self.tracker.shown_uri))

    def registered(self) -> list[str]:
        """Return the line that says how to load the student that was registered; [] for none."""
        noted = self.sync_state.of(self.tracker.shown_uri).get(REGISTERED)
        if self.register is None or noted != self.register:
            return []
        return [f"registered:  models:/{self.register}@{CHAMPION}, for mlflow.pytorch.load_model"]

    def settle(self, told: Mapping[str, str]) -> None:
        """Close the tracker, and note what was sent if MLflow took everything.

        Where it did not, nothing is noted, and the next call sends it again.
        """
        if self.tracker.close() and self.parent is not None:
            noted = {**self._asked(told), EXPERIMENT: self.parent.experiment_id}
            self.sync_state.note(self.tracker.shown_uri, noted)

    def _asked(self, told: Mapping[str, str]) -> dict[str, str]:
        return {**told, **({REGISTERED: self.register} if self.register else {})}


def hint(storage: Storage, tracking_uri: str | None, place: Key) -> list[str]:
    """Return the lines that say how to see the runs of the study or sweep in this place."""
    tracker = Tracker(storage, tracking_uri)
    return tracker.hint(SyncState(storage, place).of(tracker.shown_uri).get(EXPERIMENT))
