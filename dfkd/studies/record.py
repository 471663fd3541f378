"""Studies as records: what a study asked and which cells answer it, so that it can be compared
without its module.

`studies/<name>/study.json` is written by the driver and logged to the study's run in MLflow. The
cells themselves are
read from a ledger or from MLflow: `data_of` takes either, and what it returns is the same.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import pandas as pd

from dfkd.reporting.nearest import nearest
from dfkd.seeding import Block
from dfkd.storage import Storage, layout
from dfkd.storage.files import write_json
from dfkd.storage.ledger import MEASURES, Ledger, Outcome
from dfkd.studies import Study
from dfkd.studies.findings import StudyData
from dfkd.tracking.reading import Tracked

RECORD, CURVES = layout.STUDY, "curves.json"  # artifacts of the study's run in MLflow


@dataclass(frozen=True, kw_only=True)
class Retuned:
    """That each variant was tuned. settings: variant -> what its search changed. twins: left out ->
    the same as.
    """

    space: str
    trials: int
    settings: dict[str, dict[str, Any]]
    twins: dict[str, str]

    def lines(self) -> list[str]:
        """For reports."""
        found = [
            f"tuned, {label} has {_changes(settings)}" for label, settings in self.settings.items()
        ]
        twins = [
            f"{twin} is left out: tuned, it is the same experiment as {same}"
            for twin, same in self.twins.items()
        ]
        how = (
            f"each variant was tuned by a search of its own, label-free, {self.trials} trials "
            f"in {self.space}"
        )
        return [how, *found, *twins]


def _changes(settings: Mapping[str, Any]) -> str:
    shown = [f"{n} {v:.3g}" if isinstance(v, float) else f"{n} {v}" for n, v in settings.items()]
    return ", ".join(shown) or "the settings that it had"


@dataclass(frozen=True, kw_only=True)
class StudyRecord:
    """The file. cells: variant -> the cell's name for each of `blocks`. looks: of a race. looked:
    after how many blocks
    results were shown. errors: cell -> why it has no outcome. check: what recomputing one reused
    cell gave.
    """

    name: str
    question: str
    baseline: str
    params: dict[str, dict[str, Any]]
    changes: dict[str, dict[str, list[Any]]]
    blocks: list[dict[str, int]]
    cells: dict[str, list[str]]
    test_images: int | None = None
    looks: list[int] | None = None
    looked: list[int] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    check: dict[str, Any] | None = None
    retuned: Retuned | None = None

    @classmethod
    def of(
        cls, name: str, study: Study, cells: Mapping[tuple[str, int], str], test_images: int | None
    ) -> StudyRecord:
        """A new record. `cells`: the cells' names, by variant and block as in `study.cells()`."""
        baseline = study.variants[study.baseline]
        blocks = {at: cell.block for (_, at), cell in study.cells().items()}
        return cls(
            name=name,
            question=study.question,
            baseline=study.baseline,
            params={variant: experiment.params() for variant, experiment in study.variants.items()},
            changes={
                variant: {param: list(pair) for param, pair in experiment.diff(baseline).items()}
                for variant, experiment in study.variants.items()
            },
            blocks=[asdict(block) for block in blocks.values()],
            cells={variant: [cells[variant, at] for at in blocks] for variant in study.variants},
            test_images=test_images,
        )

    def continued(self, earlier: StudyRecord | None) -> StudyRecord:
        """With what earlier calls on this study have seen."""
        return (
            self if earlier is None else replace(self, looked=earlier.looked, check=earlier.check)
        )

    def names(self) -> list[str]:
        """All cells, block by block."""
        return [self.cells[variant][i] for i in range(len(self.blocks)) for variant in self.cells]

    def text(self) -> str:
        return json.dumps(self.facts(), indent=1) + "\n"

    def facts(self) -> dict[str, Any]:
        """As it is written. A study that was not retuned has the bytes that it had before there was
        retuning.
        """
        facts = asdict(self)
        return (
            facts
            if self.retuned
            else {name: value for name, value in facts.items() if name != "retuned"}
        )

    @classmethod
    def parse(cls, text: str) -> StudyRecord:
        facts = json.loads(text)
        retuned = facts.pop("retuned", None)
        return cls(**facts, retuned=retuned and Retuned(**retuned))


def curves_text(outcomes: Iterable[Outcome]) -> str:
    """The curves of cells by name, as MLflow would tell them: one file instead of calls for every
    cell.
    """
    return (
        json.dumps(
            {outcome.cell: [_point(point) for point in outcome.points] for outcome in outcomes}
        )
        + "\n"
    )


def write(storage: Storage, record: StudyRecord) -> None:
    write_json(storage / layout.study(record.name) / layout.STUDY, record.facts())


def read(storage: Storage, name: str) -> StudyRecord | None:
    path = storage / layout.study(name) / layout.STUDY
    return StudyRecord.parse(path.read_text()) if path.exists() else None


def recorded(storage: Storage) -> list[str]:
    """The names of all studies that have a record, in order."""
    return sorted(path.parent.name for path in (storage / layout.STUDIES).glob(f"*/{layout.STUDY}"))


def from_ledger(storage: Storage, name: str) -> StudyData:
    """ValueError where the storage has no such study."""
    record, ledger = read(storage, name), Ledger(storage)
    if record is None:
        raise ValueError(
            f"there is no study {name!r} in {storage}: {nearest(name, recorded(storage))}"
        )
    return data_of(record, ledger.read)


def from_mlflow(tracked: Tracked, name: str) -> StudyData:
    """As `from_ledger`, and equal to it. ValueError where MLflow has no such study."""
    record = StudyRecord.parse(tracked.record("study", name, RECORD))
    text = tracked.record(
        "study", name, CURVES, needed=False
    )  # tracked before there was this file: none
    curves: dict[str, list[dict[str, float]]] = json.loads(text) if text else {}
    runs = tracked.runs_of_study(name)
    return data_of(
        record, lambda cell: tracked.outcome(runs[cell], curves.get(cell)) if cell in runs else None
    )


def data_of(record: StudyRecord, read_cell: Callable[[str], Outcome | None]) -> StudyData:
    """The study with its cells. A cell without an outcome is errored if the record says why, else
    not there yet.
    """
    blocks = [Block(**block) for block in record.blocks]
    labels = _labels(blocks)
    outcomes = {cell: read_cell(cell) for cell in record.names()}
    rows, points = [], []
    for i, (block, label) in enumerate(zip(blocks, labels, strict=True)):
        for variant, cells in record.cells.items():
            at = {"variant": variant, "block": label, **asdict(block), "cell": cells[i]}
            outcome = outcomes[cells[i]]
            if outcome is not None and outcome.final and "test" in outcome.metrics:
                rows.append(at | _row(outcome, reused=is_reused(outcome, record.name)))
                points += [
                    {"variant": variant, "block": label, **_point(point)}
                    for point in outcome.points
                ]
            elif cells[i] in record.errors:
                rows.append(
                    at
                    | {
                        "state": "errored",
                        "value": float("nan"),
                        "seconds": float("nan"),
                        "reused": False,
                    }
                )
    return StudyData(
        name=record.name,
        question=record.question,
        baseline=record.baseline,
        params={
            variant: {n: str(v) for n, v in params.items()}
            for variant, params in record.params.items()
        },
        changes={
            v: {n: (str(a), str(b)) for n, (a, b) in c.items()} for v, c in record.changes.items()
        },
        blocks=tuple(labels),
        cells=_frame(rows, [*ROW], list(record.cells)),
        curves=_frame(points, ["variant", "block", "step", *MEASURES], list(record.cells)),
        provenance=_provenance([o for o in outcomes.values() if o is not None]),
        test_images=record.test_images,
        looks=None if record.looks is None else tuple(record.looks),
        looked=tuple(record.looked),
        errors=record.errors,
        check=check_line(record),
        remarks=tuple(record.retuned.lines()) if record.retuned else (),
    )


ROW = ("variant", "block", "seed", "draw", "teacher", "cell", "state", "value", "seconds", "reused")


def _labels(blocks: list[Block]) -> list[str | int]:
    """Numbers where blocks are seeds alone, so that they sort as numbers."""
    plain = all(str(block) == str(block.seed) for block in blocks)
    return [block.seed if plain else str(block) for block in blocks]


def author(name: str) -> str:
    """What the cells that this study computes are tagged with."""
    return f"study {name}"


def is_reused(outcome: Outcome, name: str) -> bool:
    """Whether the study found the cell in the ledger, computed by other work."""
    return outcome.tags.get("computed_by") != author(name)


def _row(outcome: Outcome, reused: bool) -> dict[str, Any]:
    value = outcome.metrics["test"]
    first = {"state": outcome.state, "value": value, "seconds": outcome.seconds, "reused": reused}
    return first | {name: value for name, value in outcome.metrics.items() if math.isfinite(value)}


def _point(point: dict[str, float]) -> dict[str, float]:
    """MLflow is not told what is not finite, so nothing of that kind is read from a ledger
    either.
    """
    seen = {name: point[name] for name in MEASURES if math.isfinite(point.get(name, math.nan))}
    return {"step": int(point["step"])} | seen


def _frame(rows: list[dict[str, Any]], first: list[str], variants: list[str]) -> pd.DataFrame:
    others = sorted({name for row in rows for name in row} - set(first))
    frame = pd.DataFrame(rows, columns=[*first, *others])
    frame["variant"] = pd.Categorical(frame["variant"], categories=variants)
    return frame


def _provenance(outcomes: list[Outcome]) -> dict[str, tuple[str, ...]]:
    """Facts about the cells, each with all the values that occur; more than one deserves a look."""
    facts: dict[str, set[str]] = {"teacher": set(), "pool": set(), "commit": set()}
    for outcome in outcomes:
        for name, tag in {"teacher": "teacher", "pool": "pool", "commit": "git_commit"}.items():
            facts[name].add(outcome.tags.get(tag) or "not recorded")
        for name, value in outcome.environment.items():
            facts.setdefault(name, set()).add(str(value))
    return {name: tuple(sorted(values)) for name, values in facts.items()}


def check_line(record: StudyRecord) -> str:
    if record.check is None:
        return ""
    cell, equal = record.check["cell"], record.check["equal"]
    verdict = (
        "its metrics are equal to the last bit"
        if equal
        else "ITS METRICS DIFFER: do not trust the reused cells"
    )
    return f"one reused cell was computed again ({cell}): {verdict}"
