"""The checks, one after the other; what a broken one makes senseless is left out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from dfkd.execution.checks.finding import Finding, broken, ok, skipped
from dfkd.execution.checks.nodes import alive_nodes, findings, versions
from dfkd.execution.compute import Compute
from dfkd.execution.session import joined
from dfkd.execution.starting import token_source
from dfkd.experiment import Cell, Experiment
from dfkd.experiment.recipes import digits
from dfkd.planning.timing import noise
from dfkd.reporting.failures import in_a_line, outside
from dfkd.seeding import Block
from dfkd.storage import Storage, layout
from dfkd.storage.lease import using
from dfkd.storage.variables import variable
from dfkd.tracking.round_trip import round_trip

STORAGE, MLFLOW, RAY, TOKEN = "storage", "MLflow", "Ray", "token"


def examine(compute: Compute, tracking_uri: str | None) -> Iterator[Finding]:
    """Yield what is found, each as it is known."""
    here = versions()
    yield ok(
        "versions", "this process has " + ", ".join(f"{name} {text}" for name, text in here.items())
    )
    yield token()
    with _left_as_it_was(compute.storage):
        stored = _tried(STORAGE, lambda: _stored(compute.storage), "name another with --storage")
        yield stored
        mend = "start the server, or correct MLFLOW_TRACKING_URI or --tracking-uri"
        yield _tried(MLFLOW, lambda: round_trip(compute.storage, tracking_uri), mend)
        if stored.mend:
            yield skipped(RAY, "all else needs a storage: skipped")
        else:
            yield from _on_ray(compute)


def token() -> Finding:
    """Return whether Ray has the key to a cluster that asks for one. The key is never said."""
    mode, source = variable("RAY_AUTH_MODE"), token_source()
    where = "no token" if source is None else f"a token by {source}"
    said = f"RAY_AUTH_MODE is {mode or 'not set'}, and there is {where}"
    if mode == "token" and source is None:
        mend = "`ray get-auth-token --generate`, and put the file on every node"
        return broken(TOKEN, said, mend)
    return ok(TOKEN, said)


def _stored(storage: Storage) -> str:
    storage.check_round_trip()
    return f"this process writes once, reads and deletes in {storage}"


def _tried(check: str, look: Callable[[], str], mend: str) -> Finding:
    try:
        return ok(check, look())
    except ValueError as error:
        return broken(check, str(error), mend)
    except outside() as error:
        return broken(check, in_a_line(error), mend)


def _on_ray(compute: Compute) -> Iterator[Finding]:
    from dfkd.execution.checks import work

    compute = replace(compute, workers=2)  # a Ray of our own then has what Ray Train asks for
    try:
        with joined(compute):
            nodes = alive_nodes()
            address = variable("RAY_ADDRESS")
            place = f"the cluster at {address}" if address else "a Ray of its own on this machine"
            yield ok(RAY, f"{place}, nodes: {len(nodes)}")
            with using(compute.storage) as written:
                yield from findings(compute.storage, written, nodes)
            cell = Cell(experiment=_experiment(), block=Block(seed=0))
            inputs = noise(cell.experiment, 2 * work.ROWS)
            yield work.check_scoring(cell, inputs)
            yield work.check_workers(cell, inputs, compute)
            yield from work.check_gpus()
            if work.two_gpus():
                yield work.check_workers(cell, inputs, replace(compute, gpus=1.0))
    except ValueError as error:
        yield broken(RAY, str(error), "the other checks need it")


def _experiment() -> Experiment:
    """Return a small recipe whose student computes the same on any number of workers."""
    recipe = digits()
    return replace(recipe, student=replace(recipe.student, norm="group"))  # type: ignore[type-var]


@contextmanager
def _left_as_it_was(storage: Storage) -> Iterator[None]:
    """Remove the folders of the storage that were not there before, where they are empty."""
    path = storage.path(layout.ROOT)
    absent = [] if path is None else [p for p in (path, *path.parents) if not p.exists()]
    try:
        yield
    finally:
        with suppress(OSError):
            for folder in absent:
                folder.rmdir()
