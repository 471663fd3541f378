"""Reads a study with its cells, from a ledger or from MLflow: what comes out is the same."""

import json
import math
from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd

from dfkd.reporting.nearest import nearest
from dfkd.seeding import Block
from dfkd.storage import Storage, layout
from dfkd.storage.ledger import MEASURES, Ledger
from dfkd.storage.notes import NO_NOTE, Note, parsed, read_note
from dfkd.storage.outcome import ENDED, SYNTHESIS, Outcome, period
from dfkd.studies.findings import StudyData
from dfkd.studies.record import StudyRecord, author, read, recorded
from dfkd.tracking.reading import Tracked
from dfkd.training.provenance import CODE

RECORD, CURVES = layout.STUDY, "curves.json"  # artifacts of the study's run in MLflow


def from_ledger(storage: Storage, name: str) -> StudyData:
    """Return the study of this name with its cells. ValueError where the storage has none."""
    record, ledger = read(storage, name), Ledger(storage)
    if record is None:
        raise ValueError(
            f"there is no study {name!r} in {storage}: {nearest(name, recorded(storage))}"
        )
    return data_of(record, ledger.read, read_note(storage, layout.study(name)))


def from_mlflow(tracked: Tracked, name: str) -> StudyData:
    """Return the same as `from_ledger`. Raises ValueError where MLflow has no such study."""
    record = StudyRecord.parse(tracked.record("study", name, RECORD))
    text = tracked.record("study", name, CURVES, needed=False)  # older runs have no such file
    curves: dict[str, list[dict[str, float]]] = json.loads(text) if text else {}
    runs = tracked.runs_of_study(name)

    def read_cell(cell: str) -> Outcome | None:
        return tracked.outcome(runs[cell], curves.get(cell)) if cell in runs else None

    note = parsed(tracked.record("study", name, layout.NOTE, needed=False))
    return data_of(record, read_cell, note)


def data_of(
    record: StudyRecord, read_cell: Callable[[str], Outcome | None], note: Note = NO_NOTE
) -> StudyData:
    """Return the study with its cells as `read_cell` gives them.

    A cell without an outcome is errored if the record says why; otherwise it is left out.
    """
    labels = _labels([Block(**block) for block in record.blocks])
    outcomes = {cell: read_cell(cell) for cell in record.names()}
    rows, points = [], []
    for i, label in enumerate(labels):
        for variant, cells in record.cells.items():
            at = {"variant": variant, "block": label}
            place = at | record.blocks[i] | {"cell": cells[i]}
            outcome = outcomes[cells[i]]
            if outcome is not None and is_complete(outcome):
                rows.append(place | _row(outcome, reused=is_reused(outcome, record.name)))
                points += [at | _point(point) for point in outcome.points]
            elif cells[i] in record.errors:
                rows.append(place | ERRORED)
    variants = list(record.cells)
    return StudyData(
        name=record.name,
        question=record.question,
        baseline=record.baseline,
        params={v: {n: str(value) for n, value in p.items()} for v, p in record.params.items()},
        changes={
            v: {n: (str(a), str(b)) for n, (a, b) in c.items()} for v, c in record.changes.items()
        },
        blocks=tuple(labels),
        cells=_frame(rows, [*ROW], variants),
        curves=_frame(points, ["variant", "block", "step", *MEASURES], variants),
        provenance=_provenance([o for o in outcomes.values() if o is not None], record.command),
        test_images=record.test_images,
        looks=None if record.looks is None else tuple(record.looks),
        looked=tuple(record.looked),
        errors=record.errors,
        check=record.check.line() if record.check else "",
        remarks=tuple(record.retuned.lines()) if record.retuned else (),
        note=note,
    )


ROW = ("variant", "block", "seed", "draw", "teacher", "cell", "state", "value", "seconds", "reused")
ERRORED = {"state": "errored", "value": math.nan, "seconds": math.nan, "reused": False}


def _labels(blocks: list[Block]) -> list[str | int]:
    """Return numbers where blocks are seeds alone, so that they sort as numbers."""
    plain = all(str(block) == str(block.seed) for block in blocks)
    return [block.seed if plain else str(block) for block in blocks]


def is_reused(outcome: Outcome, name: str) -> bool:
    """Return whether other work than the study of this name has computed the cell."""
    return outcome.tags.get("computed_by") != author(name)


def is_complete(outcome: Outcome) -> bool:
    """Return whether a study can use the outcome: it has ended and the test set was read."""
    return outcome.final and "test" in outcome.metrics


def _row(outcome: Outcome, reused: bool) -> dict[str, Any]:
    value = outcome.metrics["test"]
    seconds, synthesis = outcome.seconds, outcome.synthesis
    cost = {"seconds": seconds + synthesis} | ({SYNTHESIS: synthesis} if synthesis else {})
    first = {"state": outcome.state, "value": value, **cost, "reused": reused}
    return first | {name: value for name, value in outcome.metrics.items() if math.isfinite(value)}


def _point(point: dict[str, float]) -> dict[str, float]:
    """Leave out what is not finite: MLflow is not told of it, so a ledger may not give it."""
    seen = {name: point[name] for name in MEASURES if math.isfinite(point.get(name, math.nan))}
    return {"step": int(point["step"])} | seen


def _frame(rows: list[dict[str, Any]], first: list[str], variants: list[str]) -> pd.DataFrame:
    others = sorted({name for row in rows for name in row} - set(first))
    frame = pd.DataFrame(rows, columns=[*first, *others])
    frame["variant"] = pd.Categorical(frame["variant"], categories=variants)
    return frame


def _provenance(outcomes: list[Outcome], command: str) -> dict[str, tuple[str, ...]]:
    """Return facts about the cells, each with all values that occur; readers see several."""
    first = {"command": command, "computed": period(o.tags.get(ENDED) for o in outcomes)}
    facts: dict[str, set[str]] = {"teacher": set(), "pool": set(), "commit": set()}
    for outcome in outcomes:
        for name, tag in {"teacher": "teacher", "pool": "pool", "commit": "git_commit"}.items():
            facts[name].add(outcome.tags.get(tag) or "not recorded")
        own = {
            n.replace(CODE, "code of "): v for n, v in outcome.tags.items() if n.startswith(CODE)
        }
        if "project_commit" in outcome.tags:
            own["commit of the project"] = outcome.tags["project_commit"]
        for name, value in {**own, **outcome.environment}.items():
            facts.setdefault(name, set()).add(str(value))
    said = {name: (fact,) for name, fact in first.items() if fact}
    return said | {name: tuple(sorted(values)) for name, values in facts.items()}


def curves_text(outcomes: Iterable[Outcome]) -> str:
    """Return the cells' curves as one file for MLflow, which saves calls for every cell."""
    curves = {outcome.cell: [_point(point) for point in outcome.points] for outcome in outcomes}
    return json.dumps(curves) + "\n"
