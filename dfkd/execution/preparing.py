"""Preparing on the cluster: the teachers, pools and scores of many cells, each made once."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import ray

from dfkd.data.importing.builder import PoolBuilder
from dfkd.data.pools import PoolFiles
from dfkd.execution.compute import Compute, check_machine
from dfkd.execution.scoring import needs_pipeline, score
from dfkd.execution.session import session
from dfkd.execution.waits import for_one
from dfkd.execution.watchdog import Watchdog
from dfkd.experiment import Cell
from dfkd.models.teachers import TrainedNetwork
from dfkd.reporting.console import Console
from dfkd.scores import missing_shards
from dfkd.seeding import use_deterministic
from dfkd.storage import Storage
from dfkd.synthesis import Synthesised
from dfkd.synthesis.pool import builder_of
from dfkd.training.environment import Environment, this_environment
from dfkd.training.inputs import InputSource, MappedInputs, check, check_space, inputs_key
from dfkd.training.prepared import mapped_and_noted


@dataclass(frozen=True, kw_only=True)
class PreparedInputs:
    """A teacher and a pool whose scores and memory maps lie in the storage.

    Workers map what `mapped` names, so that each node holds one copy in its memory.
    """

    source: InputSource
    mapped: ray.ObjectRef[MappedInputs]


@contextmanager
def prepared_cell(cell: Cell, compute: Compute, console: Console) -> Iterator[PreparedInputs]:
    """Open a session in which all that one cell reads is in place.

    Raises ValueError before anything is written if that cannot be.
    """
    check(cell, compute.storage)
    with session(compute):
        yield prepare([cell], compute, console)[inputs_key(cell)]


def prepare(cells: Iterable[Cell], compute: Compute, console: Console) -> dict[str, PreparedInputs]:
    """Return what these cells read, by `inputs_key`. What the storage has is not made again."""
    distinct = {inputs_key(cell): cell for cell in cells}
    return {key: _prepare(cell, compute, console) for key, cell in distinct.items()}


def _prepare(cell: Cell, compute: Compute, console: Console) -> PreparedInputs:
    source = _obtain(cell, compute, console)
    missing = missing_shards(
        compute.storage, source.teacher.digest, source.pool, source.task, source.cache
    )
    if missing:
        console.line(check_space(source, compute.storage).line())
        with console.progress(
            "scoring the pool with the teacher", sum(s.rows for s in missing), "rows"
        ) as advance:
            for rows in score(cell, source, compute, console.line):
                advance(rows)
    mapped = _pack.remote(cell, source, compute.storage)
    # what goes wrong in it is raised where it is used
    _watchdog("the memory map", compute, console).first([mapped])
    return PreparedInputs(source=source, mapped=mapped)


def _obtain(cell: Cell, compute: Compute, console: Console) -> InputSource:
    """Train or read the teacher in a task, and make the pool beside it, or from it."""
    experiment, task, storage = cell.experiment, cell.experiment.task, compute.storage
    trained = _teacher.remote(cell, storage)
    of_teacher = _watchdog("the teacher's training", compute, console)
    with console.step("teacher and pool") as say:
        builder = builder_of(
            experiment.pool,
            task,
            lambda: of_teacher.get(trained),
            storage,
            cell.block.draw,
            compute.device,
        )
        gpus = compute.gpus if isinstance(experiment.pool, Synthesised) else 0
        pool = _pool(builder, gpus, say, _watchdog("the pool", compute, console))
        still_training = not ray.wait([trained], timeout=0)[0]
        if still_training and needs_pipeline(pool.shards, compute):
            from dfkd.execution.scoring_pipeline import rehearse  # Ray Data takes seconds to import

            rehearse()
        teacher = of_teacher.get(trained)
        source = InputSource(task=task, teacher=teacher, pool=pool, cache=experiment.cache)
    if pool.set_aside is not None:
        console.line(pool.set_aside.line(pool.rows))
    return source


def _pool(
    builder: PoolBuilder, gpus: float, say: Callable[[str], None], watchdog: Watchdog
) -> PoolFiles:
    """Return the pool, made by tasks, one round of its steps after the other."""
    sent, make = ray.put(builder), _make.options(num_gpus=gpus)
    for steps in builder.rounds():
        tasks = [make.remote(sent, step) for step in steps]
        while tasks:
            ended = watchdog.first(tasks)
            tasks.remove(ended)
            ray.get(ended)  # raises what went wrong
            say(f"{len(steps) - len(tasks)} of {len(steps)} parts of the pool")
    return builder.finish()


def _watchdog(what: str, compute: Compute, console: Console) -> Watchdog:
    """Return what watches a task with one CPU."""
    one = replace(compute, cpus=1, gpus=0.0)
    return Watchdog(console.line, lambda: for_one(what, one))


@ray.remote(num_cpus=1)
def _teacher(cell: Cell, storage: Storage) -> TrainedNetwork:
    use_deterministic(1)
    return cell.experiment.teacher.obtain(cell.experiment.task, storage, cell.block.teacher)


@ray.remote(num_cpus=1)
def _make(builder, step) -> None:  # type: ignore[no-untyped-def]
    use_deterministic(1)  # a pool that is synthesised
    builder.make(step)


@ray.remote(num_cpus=1)
def _pack(cell: Cell, source: InputSource, storage: Storage) -> MappedInputs:
    return mapped_and_noted(cell, source, storage)


def environment_of_workers(compute: Compute, console: Console) -> Environment:
    """Return on what workers compute. A worker is asked: the driver may have no GPU.

    Raises ValueError where PyTorch makes no use of the GPU that Ray has given it.
    """
    task = _environment.options(num_cpus=compute.cpus, num_gpus=compute.gpus)
    watchdog = Watchdog(console.line, lambda: for_one("a first worker", compute))
    # Two start at once, where they are to stay: the teacher and the pool will need them
    asked = [task.remote(compute) for _ in range(1 if compute.gpus else 2)]
    environment: Environment = ray.get(watchdog.first(asked))
    return environment


@ray.remote
def _environment(compute: Compute) -> Environment:
    check_machine(compute)
    return this_environment(
        compute.device, compute.workers, compute.cpus, compute.precision, compute.compiled
    )
