"""What waits for what, in the words of the watchdog."""

import time
from collections.abc import Mapping

from dfkd.execution.checks.capacity import amount, free, needed
from dfkd.execution.compute import Compute
from dfkd.reporting.numbers import counted
from dfkd.storage.ledger import Ledger


def for_cells(asked: Mapping[str, float], compute: Compute) -> str:
    """Return what cells wait for. asked: when each was handed to Ray, by its name.

    A cell that is computed holds its lease, whoever computes it.
    """
    ledger = Ledger(compute.storage)
    begun = [at for name, at in asked.items() if ledger.lease(name).holder() is not None]
    others = len(asked) - len(begun)
    parts = []
    if begun:
        verb, longest = "is" if len(begun) == 1 else "are", time.monotonic() - min(begun)
        parts.append(f"{counted(len(begun), 'cell')} {verb} computed (longest {longest:.0f} s)")
    if others:
        has, each = ("has", "it needs") if others == 1 else ("have", "each needs")
        parts.append(f"{counted(others, 'cell')} {has} not begun; {each} {_needs(compute)}")
    return ", ".join(parts) or f"no cell can be handed to Ray; one needs {_needs(compute)}"


def for_one(what: str, compute: Compute) -> str:
    """Return what is said of one task, of which Ray does not tell whether it has begun."""
    each = amount(compute.cpus, compute.gpus, compute)
    return f"{what} runs or waits for {each}; the cluster has {free(compute)}"


def _needs(compute: Compute) -> str:
    each = amount(compute.cpus, compute.gpus, compute)
    workers = f"{compute.workers} workers with {each} each" if compute.workers > 1 else each
    if compute.elastic:
        workers = f"{compute.workers} workers on {needed(compute)} or more"
    return f"{workers}, the cluster has {free(compute)}"
