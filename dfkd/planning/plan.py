"""A plan: cells, images, device hours, bytes, wall time and money, each with what it rests on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dfkd.execution.checks.capacity import Machines, cpus_each
from dfkd.execution.compute import Compute
from dfkd.experiment import Experiment
from dfkd.planning import timing
from dfkd.planning.cluster import Price, side_by_side
from dfkd.planning.demand import Demand
from dfkd.planning.volume import Volume, volume
from dfkd.studies.computing import device_hours
from dfkd.studies.forecast import seconds_of

LEDGER, TRIAL, NOTHING = "ledger", "trial", "nothing"


@dataclass(frozen=True, kw_only=True)
class Speed:
    """How fast it goes. source: LEDGER, TRIAL on this machine, or NOTHING to go by.

    cell_seconds: of a missing cell, on average. images_a_second: of the teacher, on one worker;
    None where nothing has to be scored, or nothing is known.
    """

    source: str
    cell_seconds: float | None
    images_a_second: float | None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a study or sweep would take. None: there is nothing to judge by.

    shown: images that are trained on, each as often as it is shown. hours: device hours, of which
    scoring_hours are the teacher's. device: "CPU" or "GPU". money: in the currency of the price.
    """

    name: str
    kind: str
    cells: int
    done: int
    shown: int
    volume: Volume
    speed: Speed
    device: str
    scoring_hours: float | None
    hours: float | None
    cluster: Machines
    side_by_side: int
    wall_seconds: float | None
    price: Price | None
    money: float | None
    rows: int | None  # that were assumed


def plan(
    demand: Demand, compute: Compute, cluster: Machines, price: Price | None, rows: int | None
) -> Plan:
    """Return the plan. rows: of the pool, instead of its own number. Nothing is written."""
    together, left = side_by_side(cluster, compute), demand.left
    found = volume(demand.inputs, left, compute.storage, rows)
    speed = _speed(left, found.rows, demand.inputs[0].experiment, compute)
    scoring = _scoring_seconds(found.rows, speed)
    hours = scoring_hours = wall = None
    if scoring is not None and (speed.cell_seconds is not None or not left):
        each = speed.cell_seconds or 0.0
        alone = compute.of_one_worker()
        scoring_hours = device_hours(scoring, alone)
        hours = scoring_hours + device_hours(len(left) * each, compute)
        rounds = sum(math.ceil(len(phase.left) / together) for phase in demand.phases)
        slower = compute.cpus / cpus_each([cluster], compute)  # where workers share CPUs
        wall = scoring / side_by_side(cluster, alone) + rounds * each * slower
    return Plan(
        name=demand.name,
        kind=demand.kind,
        cells=demand.cells,
        done=demand.cells - len(left),
        shown=sum(e.schedule.steps * e.schedule.batch for e in left),
        volume=found,
        speed=speed,
        device="GPU" if compute.gpus else "CPU",
        scoring_hours=scoring_hours,
        hours=hours,
        cluster=cluster,
        side_by_side=together,
        wall_seconds=wall,
        price=price,
        money=_money(price, hours, wall, cluster, compute),
        rows=rows,
    )


def _speed(left: Sequence[Experiment], rows: int, first: Experiment, compute: Compute) -> Speed:
    known = seconds_of(left, compute) if left else 0.0
    measurable, images = timing.measurable(compute), None
    if rows and measurable:
        images = timing.images_a_second(first, compute)
    if known is not None:
        each = known / len(left) if left else None
        return Speed(source=LEDGER, cell_seconds=each, images_a_second=images)
    tried = timing.seconds_of_cell(left[0], compute) if measurable else None
    source = NOTHING if tried is None else TRIAL
    # Workers share a batch: a cell on two takes half as long at best
    return Speed(source=source, cell_seconds=tried, images_a_second=images)


def _scoring_seconds(rows: int, speed: Speed) -> float | None:
    """Return the seconds of one worker that has to score all of it."""
    if not rows:
        return 0.0
    return None if speed.images_a_second is None else rows / speed.images_a_second


def _money(
    price: Price | None,
    hours: float | None,
    wall: float | None,
    cluster: Machines,
    compute: Compute,
) -> float | None:
    """Return what it costs: machines for as long as it takes, devices for as long as they work."""
    if price is None or hours is None or wall is None:
        return None
    if price.per == "machine":
        return price.an_hour * cluster.count * wall / 3600
    if price.per == "CPU":  # also of cells on GPUs
        on_cpus = hours * compute.cpus / compute.gpus if compute.gpus else hours
        return price.an_hour * on_cpus
    return price.an_hour * hours if compute.gpus else 0.0
