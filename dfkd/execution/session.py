"""A Ray session: the cluster that submitted us, or a local one that ends with this process."""

import errno
import logging
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import ray

from dfkd.execution.checks.capacity import (
    cells_on,
    check_capacity,
    check_this_machine,
    machines_now,
)
from dfkd.execution.checks.nodes import check_nodes
from dfkd.execution.compute import Compute, check_batch
from dfkd.execution.starting import check_address, check_folders
from dfkd.storage.lease import using
from dfkd.storage.variables import variable

# Private to Ray, which has no public way to say so; a test fails when one is gone
SYSTEM = {
    # a worker that has imported torch waits for the next phase, and no cold one replaces it
    "idle_worker_killing_time_threshold_ms": 600_000,
    # none is started beforehand: it would lack `worker_environment`, and never be used
    "prestart_worker_first_driver": False,
}
LOCAL = "local"  # an address of Ray's: a cluster of this process's own


@contextmanager
def session(compute: Compute, batches: Collection[int] = ()) -> Iterator[None]:
    """Start or join Ray, and look before anything is scheduled.

    batches: images per step of the cells. Raises ValueError if that cannot be, if the cluster can
    never hold one cell, if its workers cannot share a batch, or if one of the nodes sees another
    storage or has other versions.
    """
    if _address() == LOCAL:
        check_this_machine(compute)
    for batch in sorted(batches):
        check_batch(batch, compute.workers)
    with joined(compute):
        check_capacity(compute)
        with using(compute.storage) as written:
            check_nodes(compute.storage, written)
            yield


@contextmanager
def joined(compute: Compute) -> Iterator[None]:
    """Start or join Ray. ValueError if that cannot be, OSError if it did not start in time.

    `ray.init()` alone would join any cluster that it finds on the host; only RAY_ADDRESS, which
    `ray job submit` sets, makes us join one.
    """
    if ray.is_initialized():  # in a notebook, by a cell before
        raise ValueError(
            "Ray runs in this process already, without the settings that cells need: call "
            "ray.shutdown() first; each study or sweep starts Ray for itself"
        )
    address = _address()
    local = address == LOCAL
    check_address(address)
    if local:
        check_folders()
    # the coming default; silences Ray's warning
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        _init(address, local, compute)
    except ConnectionError as error:
        raise ValueError(
            f"no cluster was found at RAY_ADDRESS={address!r} "
            f"({str(error).splitlines()[0].rstrip('.')}): start one, or unset RAY_ADDRESS to "
            "compute on this machine"
        ) from error
    except Exception as error:
        if type(error) is not Exception:  # which Ray raises itself where a node does not start
            raise
        why = str(error).splitlines()[0] if str(error) else "no reason is given"
        raise OSError(
            errno.ETIMEDOUT,
            f"Ray did not start ({why[:120]}): this machine may be busy or short of memory; the "
            "same command tries again",
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _address() -> str:
    return variable("RAY_ADDRESS") or LOCAL


def _init(address: str, local: bool, compute: Compute) -> None:
    ray.init(
        address=address,
        include_dashboard=compute.workers > 1 if local else None,  # Tune + Train need its State API
        log_to_driver=False,
        logging_level=logging.ERROR,
        _system_config=SYSTEM if local else None,
        runtime_env={"env_vars": worker_environment(compute)},
    )


def worker_environment(compute: Compute) -> dict[str, str]:
    """Return the environment variables of workers: above all how many threads each may use.

    OpenMP must know that before torch is imported: one stray thread pool makes two trials seven
    times slower.
    """
    threads = str(compute.cpus)
    variables = {
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    }
    if variable("RAY_ADDRESS") is None:
        # the same sources as the driver's, from whichever directory it was started
        given = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
        variables["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[2]), *given])
    return variables


def slots(compute: Compute) -> int:
    """Return how many cells run side by side."""
    return cells_on(machines_now(), compute)
