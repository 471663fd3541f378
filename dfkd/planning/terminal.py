"""Prints a plan: every line says what it rests on."""

import shutil
from collections.abc import Iterator

from dfkd.execution.compute import Compute
from dfkd.planning.cluster import described
from dfkd.planning.plan import LEDGER, NOTHING, Plan
from dfkd.reporting.console import Console, duration
from dfkd.reporting.numbers import counted
from dfkd.storage import layout
from dfkd.storage.files import size


def print_plan(plan: Plan, compute: Compute, console: Console) -> None:
    """Print what a study or sweep would take."""
    console.document.put("plan", plan)
    console.line(f"{plan.kind} {plan.name}, on {described(plan.cluster)}")
    for name, text in _lines(plan):
        console.line(f"{name:<8} {text}")
    console.line("not counted: start-up, the teacher's training, making the pool, MLflow's record")
    for line in _assumed(plan):
        console.line(f"assumed: {line}")
    if (free := _free(compute)) is not None and free < plan.volume.together:
        console.warn(f"{compute.storage} has {size(free)} free, which is less than that")


def _lines(plan: Plan) -> Iterator[tuple[str, str]]:
    v, left = plan.volume, plan.cells - plan.done
    most = " at most" if plan.kind == "sweep" else ""
    yield "cells", f"{plan.cells:,}, of which the storage has {plan.done:,}; {left:,} left{most}"
    yield "images", f"{plan.shown:,} trained on{most}, {v.rows:,} to be scored"
    if not left and not v.rows:
        yield "time", "nothing is left to compute"
        return
    parts = {"pool": v.pool, "scores": v.scores, "memory map": v.memory_map, "cells": v.cells}
    said = [f"{name} {size(count)}" for name, count in parts.items() if count]
    yield "bytes", f"about {size(v.together)}: {', '.join(said)}"
    yield from _speed(plan)
    if plan.hours is None or plan.wall_seconds is None or plan.scoring_hours is None:
        yield "time", f"not known; compute one cell on such a {plan.device}, and ask again"
        return
    share = f", of which scoring {plan.scoring_hours:.2g}" if plan.scoring_hours else ""
    yield "devices", f"{plan.hours:.2g} {plan.device} hours{share}"
    together = counted(plan.side_by_side, "cell")
    yield "time", f"about {duration(plan.wall_seconds)}, {together} at a time"
    if plan.price is not None:
        until = "from start to end" if plan.price.per == "machine" else "while it computes"
        price = f"{plan.price.an_hour:g} an hour of a {plan.price.per}"
        yield "money", f"{plan.money:.2f}, at {price}, paid {until}"


def _speed(plan: Plan) -> Iterator[tuple[str, str]]:
    cell, images = plan.speed.cell_seconds, plan.speed.images_a_second
    if cell is not None:
        known = plan.speed.source == LEDGER
        how = "the median of finished ones" if known else "steps on noise, tried on this machine"
        yield "cell", f"{cell:.2g} s: {how}"
    elif plan.speed.source == NOTHING:
        yield "cell", f"none of this size was finished on such a {plan.device}"
    if images is not None:
        yield "scoring", f"{images:,.0f} images a second on one worker: tried on this machine"


def _assumed(plan: Plan) -> Iterator[str]:
    if plan.kind == "sweep" and plan.cells > plan.done:
        yield "trials cost what the default does; those that are stopped early cost less"
    if plan.speed.source not in (LEDGER, NOTHING):
        yield "the others take as long as the cell that was tried, on one worker"
    if plan.rows is not None:
        yield f"the pool has {counted(plan.rows, 'row')}, and nothing of it is done; a cell trains"
        yield "as many steps as on a small pool; choosing its rows, and reading them, take no time"
    if plan.hours is not None and (plan.cluster.count > 1 or plan.rows is not None):
        yield f"equally fast machines, and a storage that keeps up{_rate(plan)}"


def _rate(plan: Plan) -> str:
    """Return what the storage has to give while the pool is scored."""
    images, v = plan.speed.images_a_second, plan.volume
    if not images or not v.rows:
        return ""
    return f": {size(images * plan.side_by_side * v.pool / v.rows)} a second"


def _free(compute: Compute) -> int | None:
    """Return the bytes that are free where the storage is a folder."""
    path = compute.storage.path(layout.CELLS)
    if path is None:
        return None
    return shutil.disk_usage(next(one for one in path.parents if one.exists())).free
