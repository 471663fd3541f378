"""The tracker: how the drivers of cells, studies and sweeps write to MLflow, at no risk to them."""

from __future__ import annotations

import logging
import shlex
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from operator import methodcaller
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

from dfkd.storage import Storage, layout
from dfkd.storage.outcome import ENDED
from dfkd.storage.variables import variable
from dfkd.tracking.address import (
    artifacts_of,
    database_file,
    is_database,
    is_server,
    required_tracking_uri,
    settle,
    shown_uri,
)
from dfkd.tracking.empty_database import empty_database
from dfkd.tracking.failures import failures, is_refusal, of_stores, reason
from dfkd.tracking.origin import origin
from dfkd.tracking.store import Parent, Store

if TYPE_CHECKING:  # MLflow takes seconds to import, PyTorch too
    from pandas import DataFrame

    from dfkd.experiment import Experiment
    from dfkd.storage.outcome import Outcome

T = TypeVar("T")

UI = "http://127.0.0.1:5000"  # where `mlflow ui` serves
RUNS = "runs?workflowType=machine_learning"  # else MLflow shows an experiment's empty traces
FIRST_PAUSE_S, LONGEST_PAUSE_S = 10.0, 600.0


class Tracker:
    """The boundary to MLflow, which no failure of it passes.

    Nothing is contacted before the first call. warn: takes the one line that is said of each kind
    of failure. clock: seconds, for the pauses between attempts.
    """

    def __init__(
        self,
        storage: Storage,
        uri: str | None = None,
        experiment: str = "dfkd",
        warn: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.storage = storage
        self.uri = required_tracking_uri(storage, uri)
        self.experiment = experiment
        self._clock = clock
        self._warn = warn or logging.getLogger(__name__).warning
        self._said: set[str] = set()
        self._store: Store | None = None
        self._experiment_id: str | None = None
        self._waiting: list[Callable[[Store], None]] = []
        self._open: set[Parent] = set()
        self._quiet_until, self._pause = 0.0, FIRST_PAUSE_S
        self._refused = self._without_files = False

    @property
    def shown_uri(self) -> str:
        """The URI without what may be a secret: user, password, query."""
        return shown_uri(self.uri)

    def hint(self, experiment_id: str | None = None) -> list[str]:
        """Return the lines that say how to see the runs: a command, and the address they are at.

        experiment_id: MLflow's, where this tracker has not met it; without it the address of a
        server or the command has to do.
        """
        found = self._experiment_id or experiment_id
        page = f"/#/experiments/{found}/{RUNS}" if found else ""
        if not (is_database(self.uri) or is_server(self.uri) or found):
            return []  # MLflow did not know the address
        if not is_database(self.uri):
            return [f"see all runs:  {self.shown_uri.rstrip('/')}{page}"]
        lines = [f"see all runs:  {self._open_command()}"]
        return [*lines, f"then open:     {UI}{page}"] if page else lines

    def _open_command(self) -> str:
        """Return the shell command that opens the UI on a database."""
        shown = shlex.quote(self.uri)
        if self.uri != self.shown_uri:
            from_environment = variable("MLFLOW_TRACKING_URI") == self.uri
            shown = '"$MLFLOW_TRACKING_URI"' if from_environment else shlex.quote(self.shown_uri)
        return f"mlflow ui --backend-store-uri {shown} --host 127.0.0.1"

    def warm_up(self) -> None:
        """Import MLflow, and have an empty database at hand, beside what the caller does now.

        Nothing is written where results lie, and nobody is called: the work may yet be refused.
        """
        # no daemon: a thread that the end of the process cuts off within an import may abort it
        Thread(target=_warm_up, args=(database_file(self.uri),)).start()

    def parent(
        self, *, kind: str, name: str, identity: str, params: dict[str, Any], tags: dict[str, str]
    ) -> Parent | None:
        """Find the run of this sweep or study by its identity, or make it.

        None while MLflow is away.
        """
        tags = {"kind": kind, "identity": identity, **tags, **self._origin()}
        parent = self._attempt(lambda store: store.parent(f"{kind}/{name}", identity, params, tags))
        if parent is not None:
            self._open.add(parent)
        return parent

    def cell(
        self, outcome: Outcome, parent: Parent | None, *, role: str, name: str, tags: dict[str, str]
    ) -> None:
        """Bring one cell up to date.

        tags: what the cell is to this study. They are joined over studies; as params, which cannot
        be changed, they tell the first use.
        """
        uses, origin = {"role": role, **tags}, self._origin()
        ended = self._ended(outcome)
        self._soon(lambda store: store.cell(outcome, parent, ended, name, uses, origin))

    def finish(
        self,
        parent: Parent | None,
        *,
        metrics: dict[str, float],
        tables: dict[str, str | DataFrame],
        files: dict[str, Path | str],
        description: str = "",
    ) -> None:
        """Write the results of a sweep or study and mark its run as finished.

        tables: texts or data frames, files: paths, both by their names in MLflow. description:
        Markdown; "" leaves what is there.
        """
        if parent is not None:
            self._open.discard(parent)
            self._soon(
                lambda store: store.finish(parent.run_id, metrics, tables, files, description)
            )

    def student(self, parent: Parent | None, outcome: Outcome, experiment: Experiment) -> None:
        """Log the student of a finished cell as a model of the parent run.

        Called after `finish`: exporting takes seconds, and a server that takes no models shall miss
        nothing else.
        """
        from dfkd.storage.ledger import Ledger

        if parent is not None and not self._without_files:
            weights = Ledger(self.storage).weights(outcome.cell)
            self._soon(lambda store: store.student(parent.run_id, outcome, experiment, weights))

    def register(self, parent: Parent | None, outcome: Outcome, name: str) -> None:
        """Register the student that `student` logged of this cell under a name."""
        if parent is not None:
            self._soon(lambda store: store.register(parent.run_id, outcome, name))

    def close(self) -> bool:
        """Write what waits, if it can be. True if MLflow took all that it was sent.

        A parent that was not finished was stopped, and shall not look running.
        """
        self._waiting += [methodcaller("stop", parent.run_id) for parent in self._open]
        if self._waiting:
            self._quiet_until = 0.0  # the last chance
            self._catch_up()
        complete = not (self._waiting or self._refused)
        self._waiting, self._open, self._store = [], set(), None
        return complete

    def _origin(self) -> dict[str, str]:
        return origin(self.uri, self.shown_uri)

    def _ended(self, outcome: Outcome) -> float:
        """Return when the cell was computed, also if it is written much later."""
        if (recorded := outcome.tags.get(ENDED)) is not None:
            return datetime.fromisoformat(recorded).timestamp()
        record = self.storage.walk(layout.cell(outcome.cell) / layout.RECORD)
        return next((entry.modified for entry in record), time.time())

    def _soon(self, work: Callable[[Store], None]) -> None:
        self._waiting.append(work)
        self._catch_up()

    def _catch_up(self) -> None:
        while self._waiting and self._clock() >= self._quiet_until:
            self._attempt(self._waiting[0])
            if self._clock() >= self._quiet_until:  # done, or refused for good
                del self._waiting[0]

    def _attempt(self, work: Callable[[Store], T]) -> T | None:
        """Return the result, or None if MLflow is away or refused."""
        if self._clock() < self._quiet_until:
            return None
        if self._store is None:
            settle()
        from dfkd.tracking.student import NotLogged

        try:
            self._store = self._store or Store(
                self.uri, self.experiment, artifacts_of(self.storage, self.uri)
            )
            self._experiment_id = self._store.experiment_id
            result = work(self._store)
        except failures() as error:
            self._failed(error)
            return None
        except NotLogged as error:
            self._say(
                "model",
                f"MLflow has no model of a student ({self._reason(error)}); the ledger has its "
                "weights",
            )
            return None
        self._pause = FIRST_PAUSE_S
        return result

    def _failed(self, error: BaseException) -> None:
        """Forget the connection, say what failed, and pause where MLflow is away.

        What MLflow holds is no longer known: it may have done what it did not answer.
        """
        connected, self._store = self._store is not None, None
        if connected and is_refusal(error):
            self._refused = True
            self._say(
                "refused", f"MLflow refused an entry ({self._reason(error)}); the ledger has it"
            )
            return
        if connected and isinstance(error, of_stores()):
            self._refused = self._without_files = True
            self._say(
                "files",
                f"MLflow's artifact store takes no files ({self._reason(error)}); they lie in the "
                "storage, all else is in MLflow, and the same command tries again",
            )
            return
        self._quiet_until = self._clock() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE_S)
        self._say(
            "away",
            f"MLflow cannot be reached at {self.shown_uri} ({self._reason(error)}). No result is "
            "lost: the ledger has them, and MLflow is brought up to date as soon as it answers, or "
            "by the next run",
        )

    def _say(self, what: str, line: str) -> None:
        if what not in self._said:
            self._said.add(what)
            self._warn(line)

    def _reason(self, error: BaseException) -> str:
        return reason(error, self.uri)


def _warm_up(database: Path | None) -> None:
    settle()
    if database is not None and not database.exists():
        with suppress(Exception):  # it is tried again, and said, when the database is begun
            empty_database()
