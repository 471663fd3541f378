"""MLflow: the record that people look at. One writer, on the driver; a view that the ledger can rebuild at any time.

A cell stands there once, found by its tag `cell_key`, whatever the number of calls, crashes and studies. Its params are
those of the ledger; the curve is a metric per column; `final/<name>` is the value that counts. What differs between the
uses of one cell (study, variant, role) is joined in its tags: "losses, views" for a cell of two studies, so that
tags.study LIKE '%losses%' finds every cell of a study, while `parent` can only name the first.

A server that is away costs no result: what could not be written waits, is tried again now and then, and whatever is
missing at the end is written by the next run.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import shlex
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:  # MLflow takes seconds to import, PyTorch too
    from mlflow.entities import Metric, Run
    from pandas import DataFrame

    from dfkd.ledger import Outcome

T = TypeVar("T")

# A diverged cell counts, as chance: as FAILED it would drop out wherever people filter for finished runs, and the mean
# of what is left would flatter its recipe. The tag `state` tells. A pruned cell is not comparable: KILLED.
STATUS = {"finished": "FINISHED", "diverged": "FINISHED", "pruned": "KILLED"}
PARENT = "mlflow.parentRunId"
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
PAGE, METRICS, PARAMS = 1000, 800, 100  # MLflow's limits: 1000 things in a batch, of these 100 params and 100 tags
PARAM_LENGTH, TAG_LENGTH = 6000, 5000
FIRST_PAUSE_S, LONGEST_PAUSE_S = 10.0, 600.0
REFUSALS = ("INVALID_PARAMETER_VALUE", "INVALID_STATE", "RESOURCE_DOES_NOT_EXIST")  # of one run: the next may do
SETTINGS = {  # unless the user has set them
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # MLflow's own patience with an absent server is minutes for every call
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",  # nothing is contacted but the tracking server
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


@dataclass(frozen=True)
class Parent:
    """The run of a sweep or study, below which its cells stand."""

    run_id: str
    experiment_id: str


class Tracker:
    """The boundary: no failure of MLflow passes it. Nothing is contacted before the first call."""

    def __init__(
        self,
        storage: Path,
        uri: str | None = None,
        experiment: str = "dfkd",
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self.storage = storage.resolve()  # a Ray job runs in a directory that is thrown away
        self.uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self.storage}/mlflow.db"
        self.experiment = experiment
        self._warn = warn or logging.getLogger(__name__).warning
        self._said: set[str] = set()
        self._store: _Store | None = None
        self._waiting: list[Callable[[_Store], None]] = []
        self._open: set[Parent] = set()
        self._quiet_until, self._pause = 0.0, FIRST_PAUSE_S

    @property
    def shown_uri(self) -> str:
        """The URI without what may be a secret: user, password, query."""
        return without_credentials(self.uri).split("?")[0]

    def open_command(self) -> str:
        """The shell command that opens the UI, or the server's address."""
        if self.uri.split("+")[0].split(":")[0] not in DATABASES:
            return self.shown_uri
        shown = shlex.quote(self.uri)
        if self.uri != self.shown_uri:
            from_environment = os.environ.get("MLFLOW_TRACKING_URI") == self.uri
            shown = '"$MLFLOW_TRACKING_URI"' if from_environment else shlex.quote(self.shown_uri)
        return f"mlflow ui --backend-store-uri {shown} --host 127.0.0.1"

    def parent(
        self, *, kind: str, name: str, identity: str, params: dict[str, Any], tags: dict[str, str]
    ) -> Parent | None:
        """The run of this sweep or study, found by its identity or made. None while MLflow is away."""
        tags = {"kind": kind, "identity": identity, **tags}
        parent = self._attempt(lambda store: store.parent(f"{kind}/{name}", identity, params, tags))
        if parent is not None:
            self._open.add(parent)
        return parent

    def cell(self, outcome: Outcome, parent: Parent | None, *, role: str, name: str, tags: dict[str, str]) -> None:
        """Bring one cell up to date. `tags` say what the cell is to this study; they are joined over studies."""
        uses = {"role": role, **tags}
        ended = self._ended(outcome)
        self._soon(lambda store: store.cell(outcome, parent, ended, name, uses))

    def finish(
        self,
        parent: Parent | None,
        *,
        metrics: dict[str, float],
        tables: dict[str, str | DataFrame],
        files: dict[str, Path | str],
    ) -> None:
        """Results of a sweep or study: `tables` as text or as MLflow's tables, `files` by their name in MLflow."""
        if parent is not None:
            self._open.discard(parent)
            self._soon(lambda store: store.finish(parent.run_id, metrics, tables, files))

    def close(self) -> None:
        """Write what waits, if it can be. A parent that was not finished was stopped, and shall not look running."""
        for parent in self._open:
            self._waiting.append(lambda store, run_id=parent.run_id: store.stop(run_id))  # type: ignore[misc]
        if self._waiting:
            self._quiet_until = 0.0  # the last chance
            self._catch_up()
        self._waiting, self._open, self._store = [], set(), None

    def _ended(self, outcome: Outcome) -> float:
        """When the cell was computed, also if it is written much later. The ledger knows best."""
        from dfkd.ledger import Ledger

        record = Ledger(self.storage).folder(outcome.cell) / "record.json"
        return record.stat().st_mtime if record.exists() else time.time()

    def _soon(self, work: Callable[[_Store], None]) -> None:
        self._waiting.append(work)
        self._catch_up()

    def _catch_up(self) -> None:
        while self._waiting and time.monotonic() >= self._quiet_until:
            self._attempt(self._waiting[0])
            if time.monotonic() >= self._quiet_until:  # done, or refused for good
                del self._waiting[0]

    def _attempt(self, work: Callable[[_Store], T]) -> T | None:
        """The result, or None if MLflow is away or refused."""
        if time.monotonic() < self._quiet_until:
            return None
        if self._store is None:
            settle()
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError  # MLflow's; it lets some pass

        try:
            self._store = self._store or _Store(self.uri, self.experiment, self.storage / "mlartifacts")
            result = work(self._store)
        except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:  # OSError: requests' are
            self._failed(error)
            return None
        self._pause = FIRST_PAUSE_S
        return result

    def _failed(self, error: Exception) -> None:
        """What MLflow holds is no longer known: it may have done what it did not answer."""
        connected, self._store = self._store is not None, None
        if connected and getattr(error, "error_code", "") in REFUSALS:
            self._say("refused", f"MLflow refused an entry ({self._reason(error)}); the ledger has it")
            return
        self._quiet_until = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE_S)
        self._say(
            "away",
            f"MLflow cannot be reached at {self.shown_uri} ({self._reason(error)}). No result is lost: "
            "the ledger has them, and MLflow is brought up to date as soon as it answers, or by the next run",
        )

    def _say(self, what: str, line: str) -> None:
        if what not in self._said:
            self._said.add(what)
            self._warn(line)

    def _reason(self, error: Exception) -> str:
        """One short line of an error message that may hold pages and the URI."""
        text = without_credentials(str(error).replace(self.uri, self.shown_uri))
        known = re.findall(r"\[Errno -?\d+\] ([^'\")]+)", text)
        lines = text.strip().splitlines() or [type(error).__name__]
        return str(known[-1] if known else lines[0][:200])


def without_credentials(text: str) -> str:
    return re.sub(r"//[^/\s]*@", "//", text)


def settle() -> None:
    """Before MLflow is imported, and after: it sets up its loggers by itself."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401

    for logger in ("mlflow", "alembic", "urllib3.connectionpool"):
        logging.getLogger(logger).setLevel(logging.CRITICAL)  # all that matters arrives as an exception


@dataclass
class _Held:
    """What MLflow holds of one run, so that only what is missing is written."""

    run_id: str
    status: str
    tags: dict[str, str]
    params: set[str]
    metrics: dict[str, float]

    @classmethod
    def of(cls, run: Run) -> _Held:
        data = run.data
        return cls(run.info.run_id, run.info.status, dict(data.tags), set(data.params), dict(data.metrics))

    @property
    def step(self) -> int:
        """Up to where the curve was written; the tag is the last thing that is."""
        return int(self.tags.get("step", -1))


class _Store:
    """An MLflow that answered. Its failures are raised."""

    def __init__(self, uri: str, experiment: str, artifacts: Path) -> None:
        from mlflow import MlflowClient

        scheme = uri.split("+")[0].split(":")[0]
        if scheme in DATABASES:
            knock(uri)
        self.client = MlflowClient(tracking_uri=uri)
        # Left to itself, MLflow puts a database's artifacts into the current directory; a server knows its own place.
        self.experiment_id = self._experiment(experiment, artifacts.as_uri() if scheme in DATABASES else None)
        self.cells: dict[str, _Held] = {}

    def _experiment(self, name: str, artifacts: str | None) -> str:
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(name)
        if found is None:
            try:
                return self.client.create_experiment(name, artifact_location=artifacts)
            except MlflowException:  # another driver may have been faster
                found = self.client.get_experiment_by_name(name)
                if found is None:
                    raise
        if found.lifecycle_stage != "active":
            raise MlflowException(f"its experiment {name} was deleted: restore it there, or delete it for good")
        return found.experiment_id

    def _search(self, tag: str, value: str) -> Iterator[Run]:
        """The oldest first: should two drivers ever have made one run twice, both go on with the same."""
        token = None
        while True:
            page = self.client.search_runs(
                [self.experiment_id],
                f"tags.`{tag}` = '{value}'",
                max_results=PAGE,
                order_by=["attributes.start_time ASC", "attributes.run_id ASC"],
                page_token=token,
            )
            yield from page
            token = page.token
            if not token:
                return

    def parent(self, name: str, identity: str, params: dict[str, Any], tags: dict[str, str]) -> Parent:
        run = next(self._search("identity", identity), None)
        if run is None:
            run = self.client.create_run(self.experiment_id, tags=_as_tags(tags), run_name=name)
        else:
            for child in self._search(PARENT, run.info.run_id):  # a resumed sweep asks for thousands: one search
                self.cells.setdefault(child.data.tags.get("cell_key", ""), _Held.of(child))
        held = _Held.of(run)
        self._write(held, params=params, tags=tags)
        if held.status != "RUNNING":
            self.client.update_run(held.run_id, status="RUNNING")
        return Parent(held.run_id, self.experiment_id)

    def cell(self, outcome: Outcome, parent: Parent | None, ended: float, name: str, uses: dict[str, str]) -> None:
        facts, below = _facts(outcome), {PARENT: parent.run_id} if parent else {}
        held = self.cells.get(outcome.cell) or self._find(outcome.cell)
        if held is None:
            held = self._create(outcome, name, below | uses | facts, ended)
        self.cells[outcome.cell] = held
        tags = {name: _joined(held.tags.get(name), value) for name, value in uses.items()}
        if PARENT not in held.tags:
            tags |= below
        if outcome.step < held.step:  # pruned long ago, finished by another driver since
            self._write(held, tags=tags)
            return
        done = {"state": outcome.state, "step": str(outcome.step)}
        self._write(held, _metrics(outcome, held, ended), outcome.params, tags | facts | done)
        status = STATUS[outcome.state]
        if held.status != status:
            self.client.set_terminated(held.run_id, status, int(1000 * ended))
            held.status = status

    def _create(self, outcome: Outcome, name: str, tags: dict[str, str], ended: float) -> _Held:
        start = int(1000 * (ended - outcome.seconds))
        return _Held.of(self.client.create_run(self.experiment_id, start, _as_tags(tags), name))

    def _find(self, cell: str) -> _Held | None:
        """Of another study, or made by another driver a moment ago."""
        run = next(self._search("cell_key", cell), None)
        return _Held.of(run) if run is not None else None

    def finish(
        self, run_id: str, metrics: dict[str, float], tables: dict[str, str | DataFrame], files: dict[str, Path | str]
    ) -> None:
        from mlflow.entities import Metric

        held = _Held.of(self.client.get_run(run_id))
        now = int(1000 * time.time())
        new = [Metric(n, v, now, 0) for n, v in metrics.items() if math.isfinite(v) and held.metrics.get(n) != v]
        self._write(held, new)
        for name, table in tables.items():
            self._table(held, name, table)
        for name, file in files.items():
            self._file(run_id, PurePosixPath(name), Path(file))
        self.client.set_terminated(run_id, "FINISHED")

    def _table(self, held: _Held, name: str, table: str | DataFrame) -> None:
        """A data frame becomes what MLflow's `log_table` writes, which itself would append to the last writing."""
        if isinstance(table, str):
            self.client.log_text(held.run_id, table, name)
            return
        path = name if name.endswith(".json") else f"{name}.json"
        text = table.to_json(orient="split", index=False, date_format="iso")
        self.client.log_text(held.run_id, text, path)
        entry, entries = {"path": path, "type": "table"}, json.loads(held.tags.get("mlflow.loggedArtifacts", "[]"))
        if entry not in entries:
            self._write(held, tags={"mlflow.loggedArtifacts": json.dumps([*entries, entry])})

    def _file(self, run_id: str, name: PurePosixPath, file: Path) -> None:
        folder = None if name.parent == PurePosixPath(".") else str(name.parent)
        with tempfile.TemporaryDirectory() as temporary:  # MLflow takes an artifact's name from its file
            self.client.log_artifact(run_id, shutil.copyfile(file, Path(temporary) / name.name), folder)

    def stop(self, run_id: str) -> None:
        self.client.set_terminated(run_id, "KILLED")

    def _write(
        self,
        held: _Held,
        metrics: list[Metric] | None = None,
        params: dict[str, Any] | None = None,
        tags: dict[str, str] | None = None,
    ) -> None:
        """What is not there yet. Params can be written only once. The tags come last: they say what was written."""
        from mlflow.entities import Param, RunTag

        metrics = metrics or []
        new = [Param(n, str(v)[:PARAM_LENGTH]) for n, v in (params or {}).items() if n not in held.params]
        changed = {n: v for n, v in _as_tags(tags or {}).items() if held.tags.get(n) != v}
        marks = [RunTag(name, value) for name, value in changed.items()]
        batches = max(math.ceil(len(metrics) / METRICS), math.ceil(len(new) / PARAMS), int(bool(marks)))
        for i in range(batches):
            part = metrics[METRICS * i : METRICS * (i + 1)], new[PARAMS * i : PARAMS * (i + 1)]
            self.client.log_batch(held.run_id, *part, tags=marks if i == batches - 1 else [])
        held.params |= {param.key for param in new}
        held.tags |= changed
        held.metrics |= {metric.key: metric.value for metric in metrics}


def knock(uri: str) -> None:
    """MLflow tries for 100 seconds to open a database that is not there; once is enough."""
    import sqlalchemy

    if uri.startswith("sqlite:///"):
        Path(uri.removeprefix("sqlite:///").split("?")[0]).parent.mkdir(parents=True, exist_ok=True)
    timeout = {"connect_timeout": 10} if uri.startswith(("postgresql", "mysql")) else {}
    engine = sqlalchemy.create_engine(uri, connect_args=timeout)
    engine.connect().close()
    engine.dispose()


def _as_tags(tags: dict[str, str]) -> dict[str, str]:
    return {name: str(value)[:TAG_LENGTH] for name, value in tags.items()}


def _joined(old: str | None, new: str) -> str:
    if old is None or old == new:
        return new
    return old if f", {new}, " in f", {old}, " else f"{old}, {new}"


def _facts(outcome: Outcome) -> dict[str, str]:
    """Tags that follow from the outcome alone."""
    from dfkd.randomness import Block

    renamed = {"teacher": "teacher_digest", "pool": "pool_digest"}
    facts = {renamed.get(name, name): value for name, value in outcome.tags.items()}
    facts |= {f"environment.{name}": str(value) for name, value in outcome.environment.items()}
    facts |= {"cell_key": outcome.cell, "block": str(Block(**outcome.block))}
    if facts.get("git_commit"):
        facts["mlflow.source.git.commit"] = facts["git_commit"]  # the UI has a column for it
    return facts


def _metrics(outcome: Outcome, held: _Held, ended: float) -> list[Metric]:
    """The curve from where it was left, and the final values that are not there.

    The times are spread evenly and are the same in every attempt: MLflow keeps one of two equal entries.
    """
    from mlflow.entities import Metric

    def at(step: int) -> int:
        return int(1000 * (ended - outcome.seconds * (1 - step / max(outcome.step, 1))))

    curve = [
        Metric(name, value, at(int(point["step"])), int(point["step"]))
        for point in outcome.points
        for name, value in point.items()
        if name != "step" and int(point["step"]) > held.step and math.isfinite(value)
    ]
    final = {f"final/{name}": value for name, value in outcome.metrics.items() if math.isfinite(value)}
    final["seconds"] = outcome.seconds  # MLflow's own times are rounded, and those of the process that wrote them
    changed = {name: value for name, value in final.items() if held.metrics.get(name) != value}
    return curve + [Metric(name, value, at(outcome.step), outcome.step) for name, value in changed.items()]
