"""What a study asked and which cells answer it, kept so that it can be read without its module.

The file `study.json` is written by the driver and logged to the study's run in MLflow.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from dfkd.storage import Storage, layout
from dfkd.studies.study import Study


@dataclass(frozen=True, kw_only=True)
class Retuned:
    """How the variants of a study were tuned before they were compared.

    settings: variant -> the parameters that its search changed. twins: a variant that is left out
    -> the one that it became equal to.
    """

    space: str
    trials: int
    settings: dict[str, dict[str, Any]]
    twins: dict[str, str]

    def lines(self) -> list[str]:
        """Return what a report says of it, a line each."""
        found = [
            f"tuned, {label} has {_changes(settings)}" for label, settings in self.settings.items()
        ]
        how = (
            f"each variant was tuned by a search of its own, label-free, {self.trials} trials in "
            f"{self.space}"
        )
        return [how, *found, *self.twin_lines()]

    def twin_lines(self) -> list[str]:
        """Return which variants are left out and why, a line each."""
        return [
            f"{twin} is left out: tuned, it is the same experiment as {same}"
            for twin, same in self.twins.items()
        ]


def _changes(settings: Mapping[str, Any]) -> str:
    shown = [f"{n} {v:.3g}" if isinstance(v, float) else f"{n} {v}" for n, v in settings.items()]
    return ", ".join(shown) or "the settings that it had"


@dataclass(frozen=True, kw_only=True)
class Check:
    """A reused cell that was computed again, and whether it gave the same bits."""

    cell: str
    equal: bool

    def line(self) -> str:
        """Return the result in a line for readers."""
        verdict = (
            "its metrics are equal to the last bit"
            if self.equal
            else "ITS METRICS DIFFER: do not trust the reused cells"
        )
        return f"one reused cell was computed again ({self.cell}): {verdict}"


@dataclass(frozen=True, kw_only=True)
class StudyRecord:
    """What a study is and which cells it has: the content of its file.

    params: variant -> flat parameters. changes: variant -> parameter -> [here, in the baseline].
    cells: variant -> a cell's name for each of `blocks`. looks: after how many blocks a race looks.
    looked: after how many blocks results were shown. errors: cell -> why it has no outcome.
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
    check: Check | None = None
    retuned: Retuned | None = None
    command: str = ""  # that asks for the study; "" for one that a program makes

    @classmethod
    def of(
        cls, name: str, study: Study, cells: Mapping[tuple[str, int], str], test_images: int | None
    ) -> StudyRecord:
        """Return a new record. cells: their names, by variant and block as in `study.cells()`."""
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
        """Return the record with what earlier calls have seen.

        The check of a cell that the study no longer has says nothing of those that it has now.
        """
        if earlier is None:
            return self
        check = earlier.check
        if check is not None and check.cell not in self.names():
            check = None
        return replace(self, looked=earlier.looked, check=check)

    def names(self) -> list[str]:
        """Return the names of all cells, block by block."""
        return [self.cells[variant][i] for i in range(len(self.blocks)) for variant in self.cells]

    def text(self) -> str:
        """Return what `parse` reads; an artifact of the study's run in MLflow."""
        return json.dumps(self.facts(), indent=1) + "\n"

    def facts(self) -> dict[str, Any]:
        """Return what is written.

        What a study does not have is left out, as in records from before there was such a thing.
        """
        left_out = [name for name in ("retuned", "command") if not getattr(self, name)]
        return {name: value for name, value in asdict(self).items() if name not in left_out}

    @classmethod
    def parse(cls, text: str) -> StudyRecord:
        """Return the record that `text` gave."""
        return cls.of_facts(json.loads(text))

    @classmethod
    def of_facts(cls, facts: dict[str, Any]) -> StudyRecord:
        """Return the record that `facts` gave, by way of JSON."""
        check, retuned = facts.pop("check", None), facts.pop("retuned", None)
        return cls(**facts, check=check and Check(**check), retuned=retuned and Retuned(**retuned))


def author(name: str) -> str:
    """Return what the cells that this study computes are tagged with."""
    return f"study {name}"


def write(storage: Storage, record: StudyRecord) -> None:
    """Write the study's file."""
    storage.write_json(layout.study(record.name) / layout.STUDY, record.facts())


def read(storage: Storage, name: str) -> StudyRecord | None:
    """Return the record of a study, or None where the storage has no such study."""
    key = layout.study(name) / layout.STUDY
    return StudyRecord.of_facts(storage.read_json(key)) if storage.exists(key) else None


def recorded(storage: Storage) -> list[str]:
    """Return the names of all studies that have a record, in order."""
    names = storage.list(layout.STUDIES)
    return [name for name in names if storage.exists(layout.study(name) / layout.STUDY)]
