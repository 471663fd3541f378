"""One run over several processes, each of which works on its part of every batch.

Every worker draws the whole batch's rows and masks, trains on its part of the images and puts the
student's outputs together again, with gradients, before the losses: relations see the whole batch,
and the loss is the one of a single worker. On GPUs BatchNorm in the student sees the whole batch as
well. On CPUs PyTorch has no such layer: there it normalises with its worker's part only, and
students with BatchNorm agree between numbers of workers in distribution, not in numbers.
"""

from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributed.nn.functional import all_gather
from torch.nn.parallel import DistributedDataParallel

from dfkd.execution.compute import check_batch
from dfkd.experiment import Cell
from dfkd.method.losses import Outputs
from dfkd.method.selection import Redraw
from dfkd.training.distill import Run
from dfkd.training.inputs import Inputs
from dfkd.training.objective import Objective, StepInputs
from dfkd.training.teacher_outputs import LiveTeacher

M = TypeVar("M", bound=nn.Module)


class Refused(ValueError):
    """A run that no worker has begun; they are all ready for another one."""


class SharedRun(Run):
    """A run of which this worker does its part.

    Raises Refused, in all workers, where one of them cannot begin: for a batch that cannot be split
    evenly, or whatever else `Run` raises ValueError for.
    """

    def __init__(
        self,
        cell: Cell,
        inputs: Inputs,
        device: str,
        precision: str = "float32",
        compiled: bool = False,
    ) -> None:
        self.rank, self.workers = torch.distributed.get_rank(), torch.distributed.get_world_size()
        why: ValueError | None = None
        try:
            check_batch(cell.experiment.schedule.batch, self.workers)
            super().__init__(cell, inputs, device, precision, compiled)
        except ValueError as error:
            why = error
        _begin_together(why, device)
        # what is no parameter need not be sent round: statistics are those of the first worker,
        # which writes the student; what a loss remembers of each row is equal everywhere, because
        # losses see the whole batch
        self.shared = DistributedDataParallel(self.objective, broadcast_buffers=False)

    def _objective(self) -> Objective:
        objective = super()._objective()
        if torch.device(self.device).type == "cuda":
            objective.student = with_shared_statistics(objective.student)
        return objective

    def record(self) -> None:
        """Record nothing: DistributedDataParallel exchanges gradients between the kernels."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved state.

        DistributedDataParallel puts the gradients of its first step together otherwise than those
        of all later ones. With three workers or more a sum's order, and so its last bits, follow
        from where a gradient lies: a step is computed first of which nothing stays.
        """
        super().restore(state)
        if self.workers > 2:
            self.objective.train()
            self._gradients(self.step)
            super().restore(state)

    def terms(self, given: StepInputs) -> dict[str, Tensor]:
        """Return the losses of the whole batch; the student sees this worker's part only."""
        part = replace(given, views=tuple(map(self.part, given.views)))
        terms: dict[str, Tensor] = self.shared(part, gather=_gather)
        return terms

    def drawn(self, redraw: Redraw) -> NDArray[np.int64]:
        """Return the first worker's draw.

        Statistics of BatchNorm differ between workers, and so might what they draw.
        """
        places = torch.from_numpy(super().drawn(redraw)).to(self.device)
        torch.distributed.broadcast(places, 0)
        return places.cpu().numpy()

    def ask(self, teacher: LiveTeacher, images_BCHW: Tensor) -> Outputs:
        """Return what the teacher says of the batch, each worker having asked about its part.

        What a teacher in eval mode says of an image depends on that image alone.
        """
        with torch.no_grad():
            return super().ask(teacher, self.part(images_BCHW)).each(_gather)

    def seed_of_draws(self, step: int) -> int:
        """Return a seed that differs between workers, which draw for different images."""
        return super().seed_of_draws(step) + self.rank

    def part(self, whole: Tensor) -> Tensor:
        """Return this worker's part of a batch."""
        size = len(whole) // self.workers
        return whole[self.rank * size : (self.rank + 1) * size]


def with_shared_statistics(network: M) -> M:
    """Return the network with each BatchNorm over the parts of all workers; same weights."""
    shared: M = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    return shared


def _gather(part: Tensor) -> Tensor:
    return torch.cat(all_gather(part))


def _begin_together(why: ValueError | None, device: str) -> None:
    """Raise Refused where a worker cannot begin: alone, the others would wait for it for ever."""
    refused = torch.tensor(float(why is not None), device=device)
    torch.distributed.all_reduce(refused)
    if refused:
        raise Refused(str(why or "another worker cannot begin the cell")) from why
