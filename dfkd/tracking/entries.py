"""What is written to MLflow of a cell: facts as tags, curve and final values as metrics."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # MLflow takes seconds to import
    from mlflow.entities import DatasetInput, Metric, Run

    from dfkd.storage.outcome import Outcome

TAG_LENGTH, DIGEST_LENGTH = 5000, 32  # MLflow takes digests of 36
DATASETS = ("pool", "teacher")
TEST = "test"
# Tags for which MLflow's UI has columns: the commit of a run, and what a data set was used for.
COMMIT, CONTEXT = "mlflow.source.git.commit", "mlflow.data.context"
# The curve has a name of its own: MLflow draws a line of it, and a bar of the final value. It comes
# after `probe` and `test` in the alphabet, in which MLflow offers the metrics for an axis.
CURVE = "training/"
# How final values were named before; runs that were begun so are gone on with so.
OLD_FINAL = "final/"
# Params of a run that are no part of its recipe: what the cell is to a study or sweep.
BLOCK, ROLE, FACTOR = "block", "role", "factor."
USES = (BLOCK, "study", "variant", "sweep", "trial")


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

    @property
    def is_old(self) -> bool:
        """Whether the run was begun when curves had plain names and final values OLD_FINAL."""
        return any(name.startswith(OLD_FINAL) for name in self.metrics)


def as_tags(tags: dict[str, str]) -> dict[str, str]:
    """Return the tags as text of a length that MLflow takes."""
    return {name: str(value)[:TAG_LENGTH] for name, value in tags.items()}


def cut(text: str) -> str:
    """Return a text of several lines, at a line's end at the latest where MLflow's limit is."""
    if len(text) <= TAG_LENGTH:
        return text
    return text[:TAG_LENGTH].rsplit("\n", 1)[0]


def as_metric_name(name: str) -> str:
    """Replace the characters that MLflow refuses in a metric's name by "_".

    Variants are named "selection+dropping" or "ratio=0.1".
    """
    return re.sub(r"[^\w\-. :/]+", "_", name, flags=re.ASCII)


def in_points(fraction: float) -> float:
    """Return a fraction in per cent, or a difference of two in points, without noise of floats."""
    return round(100 * fraction, 6) + 0.0  # -0.0 + 0.0 is 0.0


def joined(old: str | None, new: str) -> str:
    """Add a value to those that a tag holds, separated by commas, unless it is among them."""
    if old is None or old == new:
        return new
    return old if f", {new}, " in f", {old}, " else f"{old}, {new}"


def params_of(outcome: Outcome, uses: dict[str, str]) -> dict[str, Any]:
    """Return the params of a cell's run: its recipe, its block and what it is to a study or sweep.

    MLflow's charts and its compare page have params on their axes, no tags. A param is written
    once: of a cell of several studies it tells the first use, while the tag joins them all.
    """
    apart = {name: value for name, value in uses.items() if name != ROLE}
    return {**apart, BLOCK: facts_of(outcome)[BLOCK], **outcome.params}


def recipe_of(params: dict[str, str]) -> dict[str, str]:
    """Return those of a run's params that are its recipe; `params_of` has added the others."""
    return {n: v for n, v in params.items() if n not in USES and not n.startswith(FACTOR)}


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
    """Return the final values that are not there, and the curve from where it was left.

    Final values stand at step 0 under plain names: MLflow draws a bar of these. They come first,
    and `test` before all: the compare page begins with the first metric of a run. ended: when the
    cell was computed, in seconds since the epoch. The times are spread evenly and are the same in
    every attempt: MLflow keeps one of two equal entries.
    """
    from mlflow.entities import Metric

    def at(step: int) -> int:
        return int(1000 * (ended - outcome.seconds * (1 - step / max(outcome.step, 1))))

    prefix = "" if held.is_old else CURVE
    curve = [
        Metric(prefix + name, value, at(int(point["step"])), int(point["step"]))
        for point in outcome.points
        for name, value in point.items()
        if name != "step" and int(point["step"]) > held.step and math.isfinite(value)
    ]
    changed = {
        name: value
        for name, value in _final_values(outcome, held).items()
        if math.isfinite(value) and held.metrics.get(name) != value
    }
    # the newest value of a metric is that of the latest step: an old run's stand at the last one
    steps = {name: outcome.step if name in held.metrics and held.is_old else 0 for name in changed}
    names = sorted(changed, key=lambda name: name != TEST)
    final = [Metric(name, changed[name], at(outcome.step), steps[name]) for name in names]
    return [*final, *curve]


def _final_values(outcome: Outcome, held: Held) -> dict[str, float]:
    """Return the final values by their names in this run."""
    # MLflow's own times are rounded, and those of the process that wrote them
    seconds = {"seconds": outcome.seconds}
    if not held.is_old:
        return outcome.metrics | seconds
    curves = {name for point in outcome.points for name in point}
    plain = {name: value for name, value in outcome.metrics.items() if name not in curves}
    return {f"{OLD_FINAL}{n}": v for n, v in outcome.metrics.items()} | plain | seconds


def finals_in(metrics: dict[str, float]) -> dict[str, float]:
    """Return the final values among a run's metrics, under their plain names."""
    old = {n.removeprefix(OLD_FINAL): v for n, v in metrics.items() if n.startswith(OLD_FINAL)}
    own = {n: v for n, v in metrics.items() if n != "seconds" and not n.startswith(CURVE)}
    return old or own


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
