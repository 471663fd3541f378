"""Groups of workers that stay: one Ray Train run each, in which they take cell after cell.

To start a group costs 20 s and more, a further cell in it a tenth of a second. Ray Train starts a
group anew when one of its workers is lost or raises; the cell goes on from its last checkpoint.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import ray
from ray.exceptions import RayError
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from dfkd.execution.board import Answer, Board, Held, SharedCell
from dfkd.execution.compute import Compute
from dfkd.execution.elastic import START_S, keep_running, told
from dfkd.execution.group import CellFailed, CellInGroup, Group
from dfkd.execution.group_worker import work
from dfkd.execution.session import slots
from dfkd.execution.waits import for_cells
from dfkd.execution.watchdog import Watchdog
from dfkd.reporting.console import Console
from dfkd.storage import layout
from dfkd.storage.lease import Say
from dfkd.storage.outcome import Outcome
from dfkd.storage.scratch import scratch_folder
from dfkd.training.jobs import Job

END_S = 30.0


@contextmanager
def worker_groups(where: Compute, say: Say) -> Iterator[list[Group]]:
    """Start as many groups as fit on the cluster side by side.

    At the end they are told to end; after an error they are stopped. say: told how many CPUs the
    workers of a range have, each time that it changes.
    """
    with scratch_folder(where.storage, layout.TRAIN_SCRATCH) as scratch:
        count = slots(where)
        groups = [_start(where, str(scratch), f"group-{n}", count) for n in range(count)]
        try:
            with told(groups, where, say) if where.elastic else nullcontext():
                yield groups
            for group in groups:
                group.board.end.remote()
            ray.wait([group.run for group in groups], num_returns=len(groups), timeout=END_S)
        finally:
            for group in groups:
                ray.cancel(group.run, force=True)  # without effect on one that is over
                ray.kill(group.board)


def _start(where: Compute, scratch: str, name: str, count: int) -> Group:
    board = ray.remote(num_cpus=0)(Board).options(scheduling_strategy=_here()).remote()
    if where.elastic:
        keep = _keep.options(scheduling_strategy=_here())
        return Group(board, keep.remote(where, board, scratch, name, count))
    fit = _fit.options(scheduling_strategy=_here())
    return Group(board, fit.remote(where, board, scratch, name, where.cpus))


def _here() -> NodeAffinitySchedulingStrategy:
    """Keep it on the driver's node, which cannot be lost without the driver.

    There is the scratch folder, too: beside an object store no other node has it.
    """
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


@ray.remote(num_cpus=0, max_retries=0)
def _keep(where: Compute, board: Any, scratch: str, name: str, count: int) -> None:
    """Keep one of so many groups running, whatever the cluster holds."""

    def start(cpus: float, number: int) -> ray.ObjectRef[None]:
        fit = _fit.options(scheduling_strategy=_here())
        return fit.remote(where, board, scratch, f"{name}-{number}", cpus)

    keep_running(start, where, count, board)


@ray.remote(num_cpus=0, max_retries=0)
def _fit(where: Compute, board: Any, scratch: str, name: str, cpus: float) -> None:
    """Run Ray Train's driver in a task: it can be stopped, and its log does not mix with ours."""
    # The board ends a group that starts in vain. -1, the default of the second limit, would try to
    # start workers for ever on a cluster that cannot hold them. Of a range `_keep` starts them
    anew, starts, preempted = (0, 0, 0) if where.elastic else (-1, 5, -1)
    if where.elastic:
        os.environ["RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"] = str(START_S)
    failures = FailureConfig(
        max_failures=anew,
        controller_failure_limit=starts,  # type: ignore[call-arg]
        max_preemption_failures=preempted,
    )
    trainer(work, {"where": where, "board": board}, where, cpus, scratch, name, failures).fit()


def trainer(
    loop: Callable[[dict[str, Any]], None],
    config: dict[str, Any],
    where: Compute,
    cpus: float,
    scratch: str,
    name: str,
    failures: FailureConfig,
) -> TorchTrainer:
    """Return Ray Train's trainer of a loop on as many workers as a cell has, with these CPUs."""
    gpus = {"GPU": where.gpus} if where.gpus else {}
    return TorchTrainer(
        loop,
        train_loop_config=config,
        torch_config=TorchConfig(backend="nccl" if gpus else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=where.workers,
            use_gpu=bool(gpus),
            resources_per_worker={"CPU": cpus, **gpus},
        ),
        run_config=RunConfig(name=name, storage_path=scratch, failure_config=failures),
    )


def compute_in(
    groups: Sequence[Group], cells: Iterable[SharedCell], where: Compute, console: Console
) -> Iterator[Outcome | tuple[Job, str]]:
    """Yield the outcomes of the cells as they end; a job and its log where that failed.

    console: told of cells that other commands hold, and of long waits.
    """
    waiting = deque(CellInGroup(cell.job, ray.put(cell)) for cell in cells)
    free = deque(groups)
    asked = dict["ray.ObjectRef[Answer]", tuple[Group, CellInGroup]]()
    since, log = dict[str, float](), ""  # when each cell was given to its group
    watchdog = Watchdog(console.line, lambda: for_cells(since, where))
    while asked or (waiting and free):
        while waiting and free:
            group, cell = free.popleft(), waiting.popleft()
            since[cell.job.name] = time.monotonic()
            asked[group.ask(cell.order)] = group, cell
        ended = watchdog.first([*asked, *(group.run for group, _ in asked.values())])
        ref = next(r for r, (g, _) in asked.items() if ended in (r, g.run))
        group, cell = asked.pop(ref)
        began = since.pop(cell.job.name)
        if ref != ended:  # Ray Train has given up; the group takes no further cell
            log = group.last_words()
            yield cell.job, log
            continue
        try:
            answer = ray.get(ref)
            cell.hear(answer)
        except (CellFailed, RayError) as error:
            yield cell.job, str(error)
            free.append(group)
            continue
        if cell.outcome is not None:
            yield cell.outcome
            free.append(group)
        elif isinstance(answer, Held):
            if answer.line:
                console.warn(answer.line)
            waiting.append(cell)  # the others first
            free.append(group)
        else:
            since[cell.job.name] = began
            asked[group.ask(cell.order)] = group, cell
    yield from ((cell.job, log) for cell in waiting)
