"""Computes a table: its studies one after the other, in one session, and then its report."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from dfkd.execution.compute import Compute
from dfkd.execution.executor import Executor, OpenExecutor
from dfkd.execution.ray_executor import ray_executor
from dfkd.experiment import Cell
from dfkd.reporting.console import Console
from dfkd.reporting.report_files import write_report_files
from dfkd.reporting.shell import command
from dfkd.reproduction.results import written
from dfkd.reproduction.table import SMOKE, Files, Table
from dfkd.storage import Storage, layout
from dfkd.studies import Study
from dfkd.studies.driver import StudyOptions, run_study
from dfkd.studies.result import StudyResult


def files_for(table: Table, scale: str, named: Files, storage: Storage) -> Files:
    """Return where the table's files lie; those of a smoke are written first.

    Raises ValueError in one line for named files that a scale does not read, or that are not there.
    """
    if scale == SMOKE:
        if named != Files():
            raise ValueError("a smoke makes its own files: leave out --data, --pool and --teachers")
        return table.write_smoke_files(storage.cache_path(layout.SMOKE_FILES / table.name))
    missing = [line for column in table.columns for line in table.missing(column, named)]
    if missing:
        needs = "; ".join(dict.fromkeys(missing))
        raise ValueError(f"{table.name} at --scale {scale} also needs {needs}")
    return named


def reproduce(
    table: Table, scale: str, studies: dict[str, Study], compute: Compute, console: Console
) -> list[StudyResult]:
    """Compute what is missing of a table's studies, and write its report.

    studies: as `Table.studies` gives them.
    """
    cells = [cell for study in studies.values() for cell in study.cells().values()]
    blocks = max(study.blocks for study in studies.values())
    again = command("reproduce", table.name, {"scale": scale, "blocks": blocks}, {})
    options = StudyOptions(command=again)
    with shared_executor(cells) as open_executor:
        results = [
            run_study(name, study, compute, console, options, open_executor=open_executor)
            for name, study in studies.items()
        ]
    folder = layout.overview(f"{table.name}-{scale}")
    write_report_files(compute.storage, folder, written([(table, scale)], compute.storage))
    return results


@contextmanager
def shared_executor(cells: Iterable[Cell]) -> Iterator[OpenExecutor]:
    """Give what opens Ray's executor for all of these cells, where one is asked for, and once."""
    with ExitStack() as stack:
        opened = list[Executor]()

        @contextmanager
        def open_once(_: Iterable[Cell], where: Compute, console: Console) -> Iterator[Executor]:
            if not opened:
                opened.append(stack.enter_context(ray_executor(cells, where, console)))
            yield opened[0]

        yield open_once
