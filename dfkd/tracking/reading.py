"""What MLflow holds, read back: cells as outcomes, the records of studies and sweeps as text.

Nothing is written to it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dfkd.reporting.nearest import nearest
from dfkd.seeding import Block
from dfkd.storage.ledger import MEASURES
from dfkd.storage.outcome import ENDED, SYNTHESIS, Outcome
from dfkd.tracking import is_database, knock, settle
from dfkd.tracking.address import database_file, shown_uri
from dfkd.tracking.entries import CURVE, finals_in, recipe_of
from dfkd.tracking.failures import failures, reason
from dfkd.tracking.runs import runs_that

if TYPE_CHECKING:
    from mlflow.entities import Run

KEPT_TAGS = ("git_commit", "project_commit", "computed_by", ENDED, SYNTHESIS)


class Tracked:
    """An MLflow experiment to read from.

    Its methods raise ValueError where the server does not answer, or has not what is asked for.
    """

    def __init__(self, uri: str, experiment: str = "dfkd") -> None:
        settle()
        from mlflow import MlflowClient

        self.uri, self.experiment = uri, experiment
        if is_database(uri):
            self._check_database()
        try:
            self._client = MlflowClient(tracking_uri=uri)
        except failures() as error:  # an address of a kind that MLflow does not know
            raise self._unreadable(error) from error
        self._id: str | None = None

    def _check_database(self) -> None:
        """Refuse a database that cannot be opened.

        Otherwise MLflow makes one that is not there, or tries for 100 seconds to reach it.
        """
        file = database_file(self.uri)
        if file is not None and not file.exists():
            raise ValueError(f"there is no database {file}")
        try:
            knock(self.uri)
        except failures() as error:
            raise self._unreadable(error) from error

    @property
    def where(self) -> str:
        """The experiment and its address, without credentials, as error lines name them."""
        return f"the MLflow experiment {self.experiment} at {shown_uri(self.uri)}"

    def record(self, kind: str, name: str, file: str, needed: bool = True) -> str:
        """Return the text of a file beside the run of a study or sweep (kind "study" or "sweep").

        "" where the file is not there and not `needed`; otherwise that is a ValueError.
        """
        identity = f"study {name}" if kind == "study" else name
        run = next(self._search(f"tags.identity = '{identity}'"), None)
        if run is None:
            raise ValueError(
                f"there is no {kind} {name!r} in {self.where}: {nearest(name, self.names(kind))}"
            )
        if not any(found.path == file for found in self._client.list_artifacts(run.info.run_id)):
            if needed:
                raise ValueError(
                    f"the {kind} {name} in {self.where} was never finished: run it again"
                )
            return ""
        with tempfile.TemporaryDirectory() as folder:
            return Path(self._client.download_artifacts(run.info.run_id, file, folder)).read_text(
                encoding="utf-8"
            )

    def runs_of_study(self, name: str) -> dict[str, Run]:
        """Return every run of the study's cells by the cell's name."""
        runs = self._search(f"tags.study LIKE '%{name}%'")
        return {cell: run for run in runs if (cell := run.data.tags.get("cell_key"))}

    def names(self, kind: str, condition: str = "") -> list[str]:
        """Return the names of all studies or sweeps that meet the condition.

        kind: "study" or "sweep". condition: what MLflow's filter goes on with, " AND ...".
        """
        runs = self._search(f"tags.kind = '{kind}'{condition}")
        return [run.data.tags.get("identity", "").removeprefix("study ") for run in runs]

    def finished(self) -> Iterator[Run]:
        """Yield every finished run of the experiment, whoever made it."""
        return self._search("attributes.status = 'FINISHED'")

    def run(self, id_or_cell: str) -> Run:
        """Return a run by MLflow's id of it, or by the cell's name."""
        run = next(self._search(f"tags.cell_key = '{id_or_cell}'"), None)
        if run is not None:
            return run
        from mlflow.exceptions import MlflowException

        try:
            return self._client.get_run(id_or_cell)
        except MlflowException as error:
            raise ValueError(
                f"there is no run and no cell {id_or_cell!r} in {self.where}"
            ) from error

    def outcome(self, run: Run, points: list[dict[str, float]] | None = None) -> Outcome | None:
        """Return the cell as the ledger would, its curve reduced to MEASURES.

        None while it is under way. points: the curve, where it is known already.
        """
        tags, metrics = run.data.tags, run.data.metrics
        if "state" not in tags or "seconds" not in metrics:
            return None
        renamed = {"teacher_digest": "teacher", "pool_digest": "pool"}
        kept = {name: name for name in KEPT_TAGS}
        kept |= {name: name for name in tags if name.startswith("code.")}
        block = Block.parse(tags["block"])
        return Outcome(
            cell=tags["cell_key"],
            state=tags["state"],
            step=int(tags["step"]),
            metrics=finals_in(metrics),
            params=dict(recipe_of(run.data.params)),
            block={"seed": block.seed, "draw": block.draw, "teacher": block.teacher},
            tags={
                ours: tags[theirs] for theirs, ours in (renamed | kept).items() if theirs in tags
            },
            environment={
                n.removeprefix("environment."): v
                for n, v in tags.items()
                if n.startswith("environment.")
            },
            seconds=metrics["seconds"],
            points=self._points(run) if points is None else points,
        )

    def _points(self, run: Run) -> list[dict[str, float]]:
        points: dict[int, dict[str, float]] = {}
        prefix = CURVE if any(name.startswith(CURVE) for name in run.data.metrics) else ""
        for name in MEASURES:
            for metric in self._client.get_metric_history(run.info.run_id, prefix + name):
                points.setdefault(metric.step, {"step": float(metric.step)})[name] = metric.value
        return [points[step] for step in sorted(points)]

    def _search(self, condition: str) -> Iterator[Run]:
        """Yield the runs that meet the condition, the oldest first."""
        try:
            yield from runs_that(self._client, self._experiment_id(), condition)
        except failures() as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: BaseException) -> ValueError:
        return ValueError(f"{self.where} cannot be read: {reason(error, self.uri)}")

    def _experiment_id(self) -> str:
        if self._id is None:
            found = self._client.get_experiment_by_name(self.experiment)
            if found is None or not found.experiment_id:  # of a server that is no MLflow
                raise ValueError(f"{self.where} does not exist")
            self._id = found.experiment_id
        return self._id
