"""What was measured, as JSON and as a Markdown table beside what the last commit says."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from benchmarks.measuring.figures import Check, Figure, Found
from benchmarks.measuring.machine import CHECKOUT, git

ALIKE = 0.03  # a share by which two runs differ without any reason
HEADER = (
    "| workload | figure | median | all rounds | n | last committed |\n|---|---|--:|---|--:|---|"
)


@dataclass(frozen=True, kw_only=True)
class Record:
    """A workload as it was measured once. conditions: see machine.py; seconds: in all."""

    conditions: dict[str, Any]
    seconds: float
    figures: list[Figure]
    checks: list[Check]

    @classmethod
    def of(cls, found: Found, conditions: dict[str, Any], seconds: float) -> Self:
        """Return what a workload found, with the circumstances."""
        return cls(
            conditions=conditions,
            seconds=seconds,
            figures=list(found.figures),
            checks=list(found.checks),
        )

    @classmethod
    def of_json(cls, value: dict[str, Any]) -> Self:
        """Return what `to_json` wrote."""
        return cls(
            conditions=value["conditions"],
            seconds=value["seconds"],
            figures=[
                Figure(**{name: v for name, v in figure.items() if name != "median"})
                for figure in value["figures"]
            ],
            checks=[Check(**check) for check in value["checks"]],
        )

    def to_json(self) -> dict[str, Any]:
        """Return it for JSON, with medians for whoever reads the file."""
        value = asdict(self)
        for written, figure in zip(value["figures"], self.figures, strict=True):
            written["values"] = [_rounded(v) for v in figure.values]
            written["median"] = _rounded(figure.median)
        return value | {"seconds": round(self.seconds, 1)}

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the record in this file."""
        return cls.of_json(json.loads(path.read_text(encoding="utf-8")))

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(self.to_json(), indent=1) + "\n", encoding="utf-8")


@dataclass
class Results:
    """The last record of each workload on one kind of machine."""

    records: dict[str, Record] = field(default_factory=dict)

    @classmethod
    def of_text(cls, text: str) -> Self:
        """Return what a file of this text holds; nothing of an empty one."""
        return cls({n: Record.of_json(v) for n, v in json.loads(text or "{}").items()})

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return what the file holds now."""
        return cls.of_text(path.read_text(encoding="utf-8") if path.exists() else "")

    @classmethod
    def committed(cls, path: Path) -> Self:
        """Return what the file holds in the last commit."""
        if not path.resolve().is_relative_to(CHECKOUT):
            return cls()
        return cls.of_text(git("show", f"HEAD:{path.resolve().relative_to(CHECKOUT)}"))

    def write(self, path: Path) -> None:
        """Write it as JSON, workloads in the order of their names."""
        path.parent.mkdir(parents=True, exist_ok=True)
        value = {name: self.records[name].to_json() for name in sorted(self.records)}
        path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def table(now: Results, before: Results, workloads: Iterable[str]) -> str:
    """Return the figures of these workloads in Markdown, with their checks below."""
    rows, notes = [HEADER], list[str]()
    for workload in workloads:
        record = now.records[workload]
        old = before.records.get(workload)
        known = {figure.name: figure for figure in old.figures} if old else {}
        for index, figure in enumerate(record.figures):
            cells = (_number(figure.median) + _unit(figure), _range(figure), len(figure.values))
            told = change(figure, known.get(figure.name))
            name = "" if index else workload
            rows.append(f"| {name} | {figure.name} | {' | '.join(map(str, cells))} | {told} |")
        notes += [f"{workload}: {_said(check)}" for check in record.checks]
        notes.append(f"{workload}: {_circumstances(record)}")
    return "\n".join([*rows, "", *notes])


def change(figure: Figure, before: Figure | None) -> str:
    """Return how a figure differs from an earlier one: "slower by 12 %"; "" without one."""
    if before is None:
        return ""
    quotient = figure.median / before.median
    costs = 1 / quotient if figure.more_is_better else quotient
    if abs(costs - 1) < ALIKE:
        return "as fast"
    return f"slower by {costs - 1:.0%}" if costs > 1 else f"faster by {1 / costs - 1:.0%}"


def _said(check: Check) -> str:
    return f"{'' if check.holds else 'NOT '}{check.claim} ({check.seen})"


def _circumstances(record: Record) -> str:
    said = ", ".join(f"{name} {value}" for name, value in record.conditions.items())
    return f"{record.seconds:.0f} s; {said}"


def _unit(figure: Figure) -> str:
    return "" if figure.unit == "ratio" else f" {figure.unit}"


def _range(figure: Figure) -> str:
    return f"{_number(min(figure.values))} to {_number(max(figure.values))}"


def _number(value: float) -> str:
    """Return three digits that count: "0.912", "12.3", "45,600"."""
    rounded = _rounded(value, 3)
    return f"{rounded:,.0f}" if abs(rounded) >= 100 else f"{rounded:.3g}"


def _rounded(value: float, digits: int = 6) -> float:
    return float(f"{value:.{digits}g}")
