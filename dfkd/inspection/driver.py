"""Inspecting on the cluster: one task computes part after part and writes the files; the driver
says what was found.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray

from dfkd.execution.preparing import PreparedInputs
from dfkd.execution.session import Compute
from dfkd.experiment import Cell
from dfkd.inspection import page as fitness_page
from dfkd.inspection import tables as fitness_tables
from dfkd.inspection.fitness import Fitness
from dfkd.inspection.inspecting import Inspection, inspection_key
from dfkd.inspection.verdict import advice, verdict
from dfkd.reporting.console import Console
from dfkd.seeding import use_deterministic
from dfkd.storage.files import replace_file, write_json
from dfkd.training.inputs import InputSource, MappedInputs

SUMMARY = "summary.json"  # written last: an inspection that has it is complete
TERMINAL_CLASSES = 20  # rows of the table in the terminal


def inspect(
    cell: Cell, recipe: str, prepared: PreparedInputs, compute: Compute, console: Console
) -> Path:
    """Inspect, unless the same was inspected before; say what was found; the folder with the
    page.
    """
    folder = compute.storage / "inspections" / inspection_key(cell, recipe, prepared.source)
    if not (folder / SUMMARY).exists():
        _compute(cell, recipe, prepared, compute, folder, console)
    _show(json.loads((folder / SUMMARY).read_text()), console)
    return folder


def _compute(
    cell: Cell,
    recipe: str,
    prepared: PreparedInputs,
    compute: Compute,
    folder: Path,
    console: Console,
) -> None:
    task = _inspect.options(num_cpus=compute.cpus, num_gpus=compute.gpus)
    parts: Any = task.remote(cell, recipe, prepared.source, prepared.mapped, compute, folder)
    total: int = ray.get(next(parts))
    with console.progress("inspecting", total, "parts") as advance:
        for part in parts:
            advance(1, ray.get(part))


@ray.remote
def _inspect(
    cell: Cell,
    recipe: str,
    source: InputSource,
    mapped: MappedInputs,
    compute: Compute,
    folder: Path,
) -> Iterator[int | str]:
    """The number of parts, then the name of what comes next after each."""
    use_deterministic(compute.cpus)
    inspection = Inspection(cell, recipe, source, mapped.open(), compute.device)
    yield inspection.count
    names = inspection.parts()
    next(names)
    yield from names
    write(inspection.fitness(), inspection.copies_csv(), folder)
    yield "written"


def write(fitness: Fitness, copies_csv: str, folder: Path) -> None:
    """All files, each whole or not at all, the summary last."""
    for name, text in {**fitness_page.written(fitness), "duplicates.csv": copies_csv}.items():
        replace_file(folder / name, lambda half, text=text: half.write_text(text))  # type: ignore[misc]
    write_json(folder / SUMMARY, summary(fitness))


def summary(fitness: Fitness) -> dict[str, Any]:
    """What the terminal shows, as JSON."""
    title = f"Classes: {fitness_tables.uncovered(fitness)}"
    tables = [
        (title, *fitness_tables.classes(fitness, TERMINAL_CLASSES)),
        ("What rules would take (* the recipe's budget)", *fitness_tables.own_choices(fitness)),
    ]
    return {
        "verdict": verdict(fitness),
        "facts": fitness_tables.facts(fitness),
        "todo": advice(fitness),
        "tables": [{"title": t, "header": header, "rows": rows} for t, header, rows in tables],
        "left_out": fitness_tables.which(fitness, TERMINAL_CLASSES),
    }


def _show(said: dict[str, Any], console: Console) -> None:
    for table in said["tables"]:
        console.table(table["title"], table["header"], table["rows"])
    for line in (said["left_out"], *said["facts"]):
        if line:
            console.line(line)
    console.line("")
    console.line(said["verdict"])
    for number, line in enumerate(said["todo"], 1):
        console.line(f"{number}. {line}")
