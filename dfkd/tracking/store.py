"""An MLflow that answered: runs are found or made there, and what is missing in them is written."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from dfkd.storage import layout
from dfkd.tracking.address import database_file, is_database, knock
from dfkd.tracking.empty_database import begin_database
from dfkd.tracking.entries import (
    Held,
    as_metric_name,
    as_tags,
    cut,
    datasets_of,
    facts_of,
    joined,
    metrics_of,
    params_of,
)
from dfkd.tracking.failures import is_refusal
from dfkd.tracking.places import NOTE, experiment_id
from dfkd.tracking.registry import register
from dfkd.tracking.runs import runs_that

if TYPE_CHECKING:  # MLflow takes seconds to import
    from mlflow.entities import DatasetInput, Metric, Param, Run, RunTag
    from pandas import DataFrame
    from torch import Tensor

    from dfkd.experiment import Experiment
    from dfkd.storage.outcome import Outcome

# A diverged cell counts, as chance: as FAILED it would drop out wherever people filter for finished
# runs, and the mean of what is left would flatter its recipe. The tag `state` tells. A pruned cell
# is not comparable: KILLED.
STATUS = {"finished": "FINISHED", "diverged": "FINISHED", "pruned": "KILLED"}
# Tags to which MLflow and its UI give a meaning: the run above, and tables that `load_table` finds.
PARENT, LOGGED_TABLES = "mlflow.parentRunId", "mlflow.loggedArtifacts"
REPORT = f"{layout.REPORT}/{layout.PAGE}"  # among the files of a study or sweep
# MLflow's limits: 1000 things in a batch, of these 100 params and 100 tags
METRICS, PARAMS = 800, 100
PARAM_LENGTH = 6000


@dataclass(frozen=True)
class Parent:
    """The run of a sweep or study, below which its cells stand."""

    run_id: str
    experiment_id: str


class Store:
    """An MLflow that answered. All its failures are raised; `Tracker` catches them."""

    def __init__(self, uri: str, experiment: str, artifacts: Path) -> None:
        from mlflow import MlflowClient

        if (file := database_file(uri)) is not None:
            begin_database(file)
        if is_database(uri):
            knock(uri)
        self.client = MlflowClient(tracking_uri=uri)
        # Left to itself, MLflow puts a database's artifacts into the current directory; a server
        # knows its own place.
        self.experiment_id = experiment_id(
            self.client, experiment, artifacts if is_database(uri) else None
        )
        self.cells: dict[str, Held] = {}
        self.parents: dict[str, Held] = {}

    def _search(self, tag: str, value: str) -> Iterator[Run]:
        return runs_that(self.client, self.experiment_id, f"tags.`{tag}` = '{value}'")

    def parent(
        self, name: str, identity: str, params: dict[str, Any], tags: dict[str, str]
    ) -> Parent:
        """Find the run of a sweep or study by its identity, or make it, and mark it as running."""
        run = next(self._search("identity", identity), None)
        if run is None:
            run = self.client.create_run(self.experiment_id, tags=as_tags(tags), run_name=name)
        else:
            # a resumed sweep asks for thousands: one search
            for child in self._search(PARENT, run.info.run_id):
                self.cells.setdefault(child.data.tags.get("cell_key", ""), Held.of(child))
        held = self.parents[run.info.run_id] = Held.of(run)
        self._write(held, params=params, tags=tags)
        if held.status != "RUNNING":
            self.client.update_run(held.run_id, status="RUNNING")
        return Parent(held.run_id, self.experiment_id)

    def cell(
        self,
        outcome: Outcome,
        parent: Parent | None,
        ended: float,
        name: str,
        uses: dict[str, str],
        origin: dict[str, str],
    ) -> None:
        """Find the run of a cell or make it, and write what is missing in it.

        ended: when it was computed, in seconds since the epoch. uses: tags that are joined over
        studies, and params that tell the first. origin: who computed it.
        """
        facts, below = facts_of(outcome), {PARENT: parent.run_id} if parent else {}
        held = self.cells.get(outcome.cell) or self._find(outcome.cell)
        if held is None:
            held = self._create(outcome, name, origin | below | uses | facts, ended)
        self.cells[outcome.cell] = held
        tags = {name: joined(held.tags.get(name), value) for name, value in uses.items()}
        if below and PARENT not in held.tags:  # computed alone: named as its siblings are
            self.client.update_run(held.run_id, name=name)
            tags |= below
        if outcome.step < held.step:  # pruned long ago, finished by another driver since
            self._write(held, tags=tags)
            return
        datasets = datasets_of(outcome)
        self._inputs(held, datasets)
        if parent is not None:
            self._inputs(self._parent(parent), datasets)
        done = {"state": outcome.state, "step": str(outcome.step)}
        params = params_of(outcome, uses)
        self._write(held, metrics_of(outcome, held, ended), params, tags | facts | done)
        status = STATUS[outcome.state]
        if held.status != status:
            self.client.set_terminated(held.run_id, status, int(1000 * ended))
            held.status = status

    def _create(self, outcome: Outcome, name: str, tags: dict[str, str], ended: float) -> Held:
        start = int(1000 * (ended - outcome.seconds))
        return Held.of(self.client.create_run(self.experiment_id, start, as_tags(tags), name))

    def _find(self, cell: str) -> Held | None:
        """Find the run of a cell of another study, or one made by another driver a moment ago."""
        run = next(self._search("cell_key", cell), None)
        return Held.of(run) if run is not None else None

    def _parent(self, parent: Parent) -> Held:
        if parent.run_id not in self.parents:
            self.parents[parent.run_id] = Held.of(self.client.get_run(parent.run_id))
        return self.parents[parent.run_id]

    def _inputs(self, held: Held, datasets: list[DatasetInput]) -> None:
        new = [entry for entry in datasets if entry.dataset.digest not in held.datasets]
        if new:
            self.client.log_inputs(held.run_id, new)
            held.datasets |= {entry.dataset.digest for entry in new}

    def student(
        self, run_id: str, outcome: Outcome, experiment: Experiment, weights: dict[str, Tensor]
    ) -> None:
        """Log the student of this cell as a model, once. The run's tags name the newest."""
        from dfkd.tracking.student import log_student

        held = Held.of(self.client.get_run(run_id))
        if held.tags.get("student_cell") == outcome.cell:
            return
        tags = _of_cell(outcome)
        uri = log_student(self.client, self.experiment_id, run_id, experiment, weights, tags)
        self._write(held, tags={"student_model": uri, "student_cell": outcome.cell})

    def register(self, run_id: str, outcome: Outcome, name: str) -> None:
        """Register the student that the run holds of this cell under a name."""
        tags = self.client.get_run(run_id).data.tags
        if tags.get("student_cell") == outcome.cell:  # logged, which it was not if it cannot be
            register(self.client, name, run_id, tags["student_model"], _of_cell(outcome))

    def finish(
        self,
        run_id: str,
        metrics: dict[str, float],
        tables: dict[str, str | DataFrame],
        files: dict[str, Path | str],
        description: str,
    ) -> None:
        """Write the results of a study or sweep to its run, and mark it as finished.

        description: Markdown, which the UI shows on the run's page. The run is finished also where
        files are not taken; what the artifact store raises passes.
        """
        from mlflow.entities import Metric

        held = Held.of(self.client.get_run(run_id))
        now = int(1000 * time.time())
        named = {as_metric_name(name): value for name, value in metrics.items()}
        new = [
            Metric(n, v, now, 0)
            for n, v in named.items()
            if math.isfinite(v) and held.metrics.get(n) != v
        ]
        if description and REPORT in files:
            page = f"#/experiments/{self.experiment_id}/runs/{run_id}/artifacts/{REPORT}"
            description = f"[The report, with its figures]({page})\n\n{description}"
        self._write(held, new, tags={NOTE: cut(description)} if description else {})
        try:
            for name, table in tables.items():
                self._table(held, name, table)
            for name, file in files.items():
                self._file(run_id, PurePosixPath(name), Path(file))
        finally:  # files may go to another place, which may be away
            self.client.set_terminated(run_id, "FINISHED")

    def _table(self, held: Held, name: str, table: str | DataFrame) -> None:
        """Write a text, or a data frame as MLflow's `log_table` does.

        `log_table` itself would append to what was written the last time.
        """
        if isinstance(table, str):
            self.client.log_text(held.run_id, table, name)
            return
        path = name if name.endswith(".json") else f"{name}.json"
        text = table.to_json(orient="split", index=False, date_format="iso")
        self.client.log_text(held.run_id, text, path)
        entries = json.loads(held.tags.get(LOGGED_TABLES, "[]"))
        entry = {"path": path, "type": "table"}
        if entry not in entries:
            self._write(held, tags={LOGGED_TABLES: json.dumps([*entries, entry])})

    def _file(self, run_id: str, name: PurePosixPath, file: Path) -> None:
        folder = None if name.parent == PurePosixPath(".") else str(name.parent)
        with tempfile.TemporaryDirectory() as temporary:
            # MLflow takes an artifact's name from its file
            named = shutil.copyfile(file, Path(temporary) / name.name)
            self.client.log_artifact(run_id, named, folder)

    def stop(self, run_id: str) -> None:
        """Mark the run of a study or sweep as stopped."""
        self.client.set_terminated(run_id, "KILLED")

    def _write(
        self,
        held: Held,
        metrics: list[Metric] | None = None,
        params: dict[str, Any] | None = None,
        tags: dict[str, str] | None = None,
    ) -> None:
        """Write what is not there yet, in batches that MLflow takes.

        Params can be written only once. The tags come last: they say what was written.
        """
        from mlflow.entities import Param, RunTag

        metrics = metrics or []
        new = [
            Param(n, str(v)[:PARAM_LENGTH])
            for n, v in (params or {}).items()
            if n not in held.params
        ]
        changed = {n: v for n, v in as_tags(tags or {}).items() if held.tags.get(n) != v}
        marks = [RunTag(name, value) for name, value in changed.items()]
        batches = max(
            math.ceil(len(metrics) / METRICS), math.ceil(len(new) / PARAMS), int(bool(marks))
        )
        for i in range(batches):
            part = metrics[METRICS * i : METRICS * (i + 1)], new[PARAMS * i : PARAMS * (i + 1)]
            self._log_batch(held, *part, marks if i == batches - 1 else [])
        held.params |= {param.key for param in new}
        held.tags |= changed
        held.metrics |= {metric.key: metric.value for metric in metrics}

    def _log_batch(
        self, held: Held, metrics: list[Metric], params: list[Param], tags: list[RunTag]
    ) -> None:
        """Write a batch. Params that another driver has written since stay as that one has them."""
        from mlflow.exceptions import MlflowException

        try:
            self.client.log_batch(held.run_id, metrics, params, tags)
        except MlflowException as error:
            known = self.client.get_run(held.run_id).data.params if is_refusal(error) else {}
            left = [param for param in params if param.key not in known]
            if len(left) == len(params):
                raise
            self.client.log_batch(held.run_id, metrics, left, tags)


def _of_cell(outcome: Outcome) -> dict[str, str]:
    """Return the tags of a model that say which cell its weights are from."""
    return {"cell_key": outcome.cell, "block": facts_of(outcome)["block"]}
