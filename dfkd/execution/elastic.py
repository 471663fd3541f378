"""A range of workers: the same number for every cell, on as many CPUs as the cluster holds.

How many workers share a batch decides a cell's last bits, and with BatchNorm on CPUs more than
these. So a smaller cluster gets no fewer workers, but gives each a smaller share of a CPU.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from threading import Event
from typing import Any

import ray
from ray.exceptions import RayError

from dfkd.execution.checks.capacity import cpus_each, holds, machines_later, machines_now
from dfkd.execution.compute import Compute
from dfkd.execution.group import Group
from dfkd.execution.watchdog import in_thread
from dfkd.storage.lease import Say

LOOK_S = 1.0
# Ray Train's patience with one start. Short: for some seconds after a power cut Ray still counts
# the machine in, and a start with too large a share would be waited for
START_S = 15
IN_VAIN = 20  # starts one after the other in which no worker begins: 5 minutes, as without a range
GROWTH = 16  # of these, what a cluster that grows is asked for all in
Start = Callable[[float, int], "ray.ObjectRef[None]"]  # CPUs of each worker, number of the start


def keep_running(start: Start, where: Compute, groups: int, board: Any) -> None:
    """Run one of so many groups to its end, anew whenever its workers are lost or told to pause.

    Each time they get the share of the CPUs that the cluster holds by then. start: starts Ray
    Train's driver, which ends with the first lost worker: what it starts anew by itself would wait
    for the old share, and take it from any node that comes. Raises RayError where it starts in
    vain.
    """
    vain = 0
    for number in count():
        begun = ray.get(board.begun_starts.remote())
        cpus = share(where, groups, vain)
        ray.get(board.tell.remote(said(where, cpus)))
        run = start(cpus, number)
        while not ray.wait([run], timeout=LOOK_S)[0]:
            if should_pause(where, groups, cpus):
                ray.get(board.pause.remote())
        try:
            ray.get(run)
        except RayError:
            vain = 0 if ray.get(board.begun_starts.remote()) > begun else vain + 1
            if vain == IN_VAIN:
                raise
        else:
            if not ray.get(board.paused.remote()):
                return


def share(where: Compute, groups: int, vain: int) -> float:
    """Return how many CPUs each worker is to have now. vain: starts that came to nothing.

    A cluster that grows brings what it is asked for and no more, so it is asked for all at first.
    """
    later = machines_later()
    grows = later is None or holds(later, where, groups, where.cpus)
    if grows and vain < GROWTH:
        return float(where.cpus)
    return cpus_each(machines_now(), where, groups)


def should_pause(where: Compute, groups: int, cpus: float) -> bool:
    """Return whether a group whose workers have so many CPUs is to start anew after its cell.

    To make room for another group where the cluster no longer holds all; or for a larger share,
    if that is worth the 20 s of a start: whole CPUs, or twice as much as now.
    """
    machines = machines_now()
    best = cpus_each(machines, where, groups)
    if not holds(machines, where, groups, cpus):
        return best < cpus
    return best > cpus and (best == where.cpus or best >= 2 * cpus)


def said(where: Compute, cpus: float) -> str:
    """Return what the workers of a cell run on."""
    return f"the {where.workers} workers of a cell run on {round(where.workers * cpus, 2):g} CPU"


@contextmanager
def told(groups: Sequence[Group], where: Compute, say: Say) -> Iterator[None]:
    """Say what a cell's workers run on whenever that changes, from a thread."""

    def listen(over: Event) -> None:
        last = said(where, where.cpus)  # goes without saying
        hearing = {group.board.hear.remote(): group for group in groups}
        with suppress(RayError):  # a board that is gone has nothing to say
            while not over.is_set():
                for line in ray.wait(list(hearing), timeout=LOOK_S)[0]:
                    group = hearing.pop(line)
                    hearing[group.board.hear.remote()] = group
                    if (text := ray.get(line)) != last:
                        say(text)
                        last = text

    with in_thread(listen):
        yield
