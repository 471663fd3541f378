"""A tracker with what stands in its MLflow, and outcomes of cells to write there."""

import socket
from pathlib import Path
from typing import Any

from dfkd.storage import FolderStorage
from dfkd.storage.outcome import Outcome
from dfkd.tracking import Parent, Tracker


class Record:
    """A tracker of an experiment in the database of a storage, and what stands there."""

    def __init__(self, storage: Path, experiment: str) -> None:
        self.storage, self.experiment, self.lines = storage, experiment, list[str]()
        self.tracker = self.another()

    def another(self, **options: Any) -> Tracker:
        """Return a tracker as the next run of a command has it."""
        return Tracker(
            FolderStorage(self.storage),
            experiment=self.experiment,
            warn=self.lines.append,
            **options,
        )

    @property
    def client(self) -> Any:
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=f"sqlite:///{self.storage}/mlflow.db")

    def runs(self, **tags: str) -> list[Any]:
        experiment = self.client.get_experiment_by_name(self.experiment).experiment_id
        runs = self.client.search_runs([experiment], order_by=["attributes.start_time ASC"])
        return [run for run in runs if tags.items() <= run.data.tags.items()]

    def run(self, cell: Outcome) -> Any:
        [run] = self.runs(cell_key=cell.cell)
        return run

    def curve(self, cell: Outcome, metric: str) -> list[tuple[int, float]]:
        history = self.client.get_metric_history(self.run(cell).info.run_id, metric)
        return [(point.step, point.value) for point in history]

    def parent(self, name: str = "digits", identity: str = "a1") -> Parent:
        parent = self.tracker.parent(
            kind="sweep", name=name, identity=identity, params={"trials": 3}, tags={"task": "d"}
        )
        assert parent is not None
        return parent

    def cell(
        self, outcome: Outcome, parent: Parent | None = None, role: str = "trial", **tags: str
    ) -> None:
        self.tracker.cell(outcome, parent, role=role, name=f"cell {outcome.cell}", tags=tags)


def outcome(cell: str = "c1", state: str = "finished", steps: int = 3, **metrics: float) -> Outcome:
    """Return a cell with a curve of `steps` points, 100 steps apart, in 30 seconds."""
    points = [
        {"step": 100.0 * i, "probe": 0.1 * i, "validation": 0.2 * i} for i in range(1, steps + 1)
    ]
    return Outcome(
        cell=cell,
        state=state,
        step=100 * steps,
        metrics={"probe": 0.1 * steps, "validation": 0.2 * steps, **metrics},
        params={
            "selection": "balanced",
            "selection.ratio": 0.2,
            "schedule.steps": 300,
            "views": "none",
            "flag": True,
        },
        block={"seed": 4, "draw": 1, "teacher": 0},
        tags={"teacher": "t0", "pool": "p0", "git_commit": "abc"},
        environment={
            "device": "cpu AVX2",
            "workers": 1,
            "threads": 1,
            "torch": "2",
            "precision": "float32",
        },
        seconds=30.0,
        points=points,
    )


def closed_port() -> int:
    """Return a port of this machine at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
