"""What is written to MLflow of a cell: facts as tags, curve and final values as metrics."""

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
# Tags for which MLflow's UI has columns: the commit of a run, and what a data set was used for.
COMMIT, CONTEXT = "mlflow.source.git.commit", "mlflow.data.context"


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
        """Read from a run of MLflow what it holds."""
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
        """The step up to which the curve was written; its tag is the last thing that is written."""
        return int(self.tags.get("step", -1))


def as_tags(tags: dict[str, str]) -> dict[str, str]:
    """Return the tags as text of a length that MLflow takes."""
    return {name: str(value)[:TAG_LENGTH] for name, value in tags.items()}


def as_metric_name(name: str) -> str:
    """Replace the characters that MLflow refuses in a metric's name by "_".

    Variants are named "selection+dropping" or "ratio=0.1".
    """
    return re.sub(r"[^\w\-. :/]+", "_", name, flags=re.ASCII)


def joined(old: str | None, new: str) -> str:
    """Add a value to those that a tag holds, separated by commas, unless it is among them."""
    if old is None or old == new:
        return new
    return old if f", {new}, " in f", {old}, " else f"{old}, {new}"


def facts_of(outcome: Outcome) -> dict[str, str]:
    """Return the tags that follow from the outcome alone."""
    from dfkd.seeding import Block

    renamed = {"teacher": "teacher_digest", "pool": "pool_digest"}
    facts = {renamed.get(name, name): value for name, value in outcome.tags.items()}
    facts |= {f"environment.{name}": str(value) for name, value in outcome.environment.items()}
    facts |= {"cell_key": outcome.cell, "block": str(Block(**outcome.block))}
    if facts.get("git_commit"):
        facts[COMMIT] = facts["git_commit"]
    return facts


def metrics_of(outcome: Outcome, held: Held, ended: float) -> list[Metric]:
    """Return the curve from where it was left, and the final values that are not there.

    ended: when the cell was computed, in seconds since the epoch. The times are spread evenly and
    are the same in every attempt: MLflow keeps one of two equal entries.
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
    # MLflow's own times are rounded, and those of the process that wrote them
    final["seconds"] = outcome.seconds
    changed = {name: value for name, value in final.items() if held.metrics.get(name) != value}
    return curve + [
        Metric(name, value, at(outcome.step), outcome.step) for name, value in changed.items()
    ]


def datasets_of(outcome: Outcome) -> list[DatasetInput]:
    """Return what a cell was computed from, pool and teacher, as MLflow's datasets by content.

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
            inputs.append(DatasetInput(dataset, [InputTag(CONTEXT, part)]))
    return inputs
