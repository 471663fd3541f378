"""What MLflow is told of a cell: its facts as tags, its curve and final values as metrics, each
thing once.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # MLflow takes seconds to import
    from mlflow.entities import DatasetInput, Metric, Run

    from dfkd.storage.ledger import Outcome

TAG_LENGTH, DIGEST_LENGTH = 5000, 32  # MLflow takes digests of 36
DATASETS = ("pool", "teacher")


@dataclass
class Held:
    """What MLflow holds of one run, so that only what is missing is written."""

    run_id: str
    status: str
    tags: dict[str, str]
    params: set[str]
    metrics: dict[str, float]
    datasets: set[str]  # their digests

    @classmethod
    def of(cls, run: Run) -> Held:
        data = run.data
        datasets = (
            {entry.dataset.digest for entry in run.inputs.dataset_inputs} if run.inputs else set()
        )
        return cls(
            run.info.run_id,
            run.info.status,
            dict(data.tags),
            set(data.params),
            dict(data.metrics),
            datasets,
        )

    @property
    def step(self) -> int:
        """Up to where the curve was written; the tag is the last thing that is."""
        return int(self.tags.get("step", -1))


def as_tags(tags: dict[str, str]) -> dict[str, str]:
    return {name: str(value)[:TAG_LENGTH] for name, value in tags.items()}


def as_metric_name(name: str) -> str:
    """MLflow refuses all other characters, and variants are named "selection+dropping" or
    "ratio=0.1".
    """
    return re.sub(r"[^\w\-. :/]+", "_", name, flags=re.ASCII)


def joined(old: str | None, new: str) -> str:
    if old is None or old == new:
        return new
    return old if f", {new}, " in f", {old}, " else f"{old}, {new}"


def facts_of(outcome: Outcome) -> dict[str, str]:
    """Tags that follow from the outcome alone."""
    from dfkd.seeding import Block

    renamed = {"teacher": "teacher_digest", "pool": "pool_digest"}
    facts = {renamed.get(name, name): value for name, value in outcome.tags.items()}
    facts |= {f"environment.{name}": str(value) for name, value in outcome.environment.items()}
    facts |= {"cell_key": outcome.cell, "block": str(Block(**outcome.block))}
    if facts.get("git_commit"):
        facts["mlflow.source.git.commit"] = facts["git_commit"]  # the UI has a column for it
    return facts


def metrics_of(outcome: Outcome, held: Held, ended: float) -> list[Metric]:
    """The curve from where it was left, and the final values that are not there.

    The times are spread evenly and are the same in every attempt: MLflow keeps one of two equal
    entries.
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
    final = {
        f"final/{name}": value for name, value in outcome.metrics.items() if math.isfinite(value)
    }
    final["seconds"] = (
        outcome.seconds
    )  # MLflow's own times are rounded, and those of the process that wrote them
    changed = {name: value for name, value in final.items() if held.metrics.get(name) != value}
    return curve + [
        Metric(name, value, at(outcome.step), outcome.step) for name, value in changed.items()
    ]


def datasets_of(outcome: Outcome) -> list[DatasetInput]:
    """What a cell was computed from, as MLflow's datasets: the pool and the teacher, by content.

    The source says how they were made: their parameters. Where they lie is nobody's identity.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    inputs = []
    for part in DATASETS:
        if outcome.tags.get(part):
            name = str(outcome.params.get(part, part))
            made = {n: str(v) for n, v in outcome.params.items() if n.split(".")[0] == part}
            source = json.dumps({"tags": made | {"digest": outcome.tags[part]}})
            dataset = Dataset(name, outcome.tags[part][:DIGEST_LENGTH], "code", source)
            inputs.append(DatasetInput(dataset, [InputTag("mlflow.data.context", part)]))
    return inputs
