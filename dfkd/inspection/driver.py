"""Inspecting on Ray: one task computes part after part and writes the files, the driver prints."""

from collections.abc import Iterator
from typing import Any

import ray

from dfkd.execution.compute import Compute
from dfkd.execution.preparing import PreparedInputs
from dfkd.experiment import Cell
from dfkd.inspection import page as fitness_page
from dfkd.inspection import tables as fitness_tables
from dfkd.inspection.advice import advice
from dfkd.inspection.fitness import Fitness
from dfkd.inspection.inspecting import Found, Subject, inspect_parts, inspection_key
from dfkd.inspection.verdict import verdict
from dfkd.reporting.console import Console
from dfkd.reporting.report_files import write_report_files
from dfkd.seeding import use_deterministic
from dfkd.storage import Storage, layout
from dfkd.storage.layout import Key
from dfkd.training.inputs import InputSource, MappedInputs

TERMINAL_CLASSES = 20  # rows of the table in the terminal


def inspect(
    cell: Cell, recipe: str, prepared: PreparedInputs, compute: Compute, console: Console
) -> str:
    """Inspect unless the same was inspected before, print it, and return where its page lies."""
    folder = layout.inspection(inspection_key(cell, recipe, prepared.source))
    if not compute.storage.exists(folder / layout.INSPECTION_SUMMARY):
        _compute(cell, recipe, prepared, compute, folder, console)
    found = compute.storage.read_json(folder / layout.INSPECTION_SUMMARY)
    console.document.put("inspection", found)
    print_summary(found, console)
    return compute.storage.address(folder / layout.PAGE)


def _compute(
    cell: Cell,
    recipe: str,
    prepared: PreparedInputs,
    compute: Compute,
    folder: Key,
    console: Console,
) -> None:
    task = _inspect.options(num_cpus=compute.cpus, num_gpus=compute.gpus)
    messages: Any = task.remote(cell, recipe, prepared.source, prepared.mapped, compute, folder)
    total: int = ray.get(next(messages))
    with console.progress("inspecting", total, "parts") as advance:
        for message in messages:
            advance(1, ray.get(message))


@ray.remote
def _inspect(
    cell: Cell,
    recipe: str,
    source: InputSource,
    mapped: MappedInputs,
    compute: Compute,
    folder: Key,
) -> Iterator[int | str]:
    """Yield the number of parts, then, as each is done, what comes next."""
    use_deterministic(compute.cpus)
    subject = Subject(
        cell=cell, recipe=recipe, source=source, inputs=mapped.open(), device=compute.device
    )
    yield subject.parts
    parts = inspect_parts(subject)
    next(parts)  # the first begins at once: nothing is done yet
    found = yield from parts
    write(found, compute.storage, folder)
    yield "written"


def write(found: Found, storage: Storage, folder: Key) -> None:
    """Write all files, each whole or not at all, the summary last."""
    texts = fitness_page.written(found.fitness) | {"duplicates.csv": found.copies_csv}
    write_report_files(storage, folder, texts)
    storage.write_json(folder / layout.INSPECTION_SUMMARY, summary(found.fitness))


def summary(fitness: Fitness) -> dict[str, Any]:
    """Return what the terminal shows, as JSON."""
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


def print_summary(said: dict[str, Any], console: Console) -> None:
    """Print what `summary` returned: tables, facts, the verdict and what to do."""
    for table in said["tables"]:
        console.table(table["title"], table["header"], table["rows"])
    for line in (said["left_out"], *said["facts"]):
        if line:
            console.line(line)
    console.line("")
    console.line(said["verdict"])
    for number, line in enumerate(said["todo"], 1):
        console.line(f"{number}. {line}")
