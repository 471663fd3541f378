"""What a step reads of its rows: the student's views of their images, and the teacher's answers.

B batch, N selected rows, K classes, D feature width. The cached answer is the one to the clean
image. Where it will not do, the teacher is asked: in every step, or once for each view where there
are only so many of a row.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from dfkd.data.images.transforms import BaseView, View, normalised
from dfkd.data.tasks import Task
from dfkd.method.defaults import with_defaults
from dfkd.method.losses import Outputs
from dfkd.models.networks import Tapped
from dfkd.models.teachers import TrainedNetwork
from dfkd.seeding import stream
from dfkd.training.cuda_graph import record_pass
from dfkd.training.pool_rows import PoolRows, Rows
from dfkd.training.precision import autocast, laid_out

TOGETHER = 64  # neighbours in the selection that are asked about in one batch


class Views:
    """The student's images of some rows, as tensors.

    They are drawn for the whole batch from (block, purpose, step).
    """

    def __init__(self, rows: PoolRows, task: Task, view: View | None, seed: int) -> None:
        self.rows, self.task, self.seed = rows, task, seed
        self.view = None if view is None else with_defaults(view, BaseView)

    def of(self, rows_B: Rows, step: int, purpose: str = "views") -> Tensor:
        """Return one view of each row; another one for another purpose."""
        if self.view is not None and self.view.per_row:
            return self.numbered(rows_B, self.numbers(len(rows_B), step, purpose))
        images_BHWC = self.rows.images(rows_B)
        if self.view is not None:
            images_BHWC = self.view.augment_tensor(images_BHWC, stream(self.seed, purpose, step))
        return normalised(images_BHWC, self.task)

    def numbers(self, count: int, step: int, purpose: str = "views") -> Rows:
        """Return which of its fixed views each row of a step shows.

        A second view is never the first one again.
        """
        assert self.view is not None
        rng = np.random.default_rng(stream(self.seed, purpose, step))
        drawn_B: Rows = rng.integers(self.view.per_row, size=count)
        return drawn_B if purpose == "views" else drawn_B + self.view.per_row

    def numbered(self, rows_B: Rows, numbers_B: Rows) -> Tensor:
        """Return fixed views: the same for a row and a number, whenever they are asked for."""
        assert self.view is not None
        images_BHWC = self.rows.images(rows_B)
        seeds = [
            stream(self.seed, "view", row, number)
            for row, number in zip(rows_B.tolist(), numbers_B.tolist(), strict=True)
        ]
        views = [self.view.augment_tensor(images_BHWC[[i]], seed) for i, seed in enumerate(seeds)]
        return normalised(torch.cat(views), self.task)


class LiveTeacher:
    """The teacher itself, in eval mode and without gradient, with the maps of these stages."""

    def __init__(
        self,
        teacher: TrainedNetwork,
        task: Task,
        stages: Sequence[str],
        device: str,
        precision: str = "float32",
    ) -> None:
        network = laid_out(Tapped(teacher.build(task), stages).to(device), precision)
        self.network = network.eval().requires_grad_(False)
        self.precision = precision
        self._recorded: Callable[[Tensor], tuple[Tensor, ...]] | None = None
        self._shape: torch.Size | None = None

    def __call__(self, images_BCHW: Tensor) -> Outputs:
        with torch.no_grad():
            if self._recorded is not None and images_BCHW.shape == self._shape:
                logits_BK, features_BD, *maps = self._recorded(images_BCHW)
            else:
                logits_BK, features_BD, *maps = self._pass(images_BCHW)
        return Outputs(logits_BK, features_BD, tuple(maps)).each(Tensor.float)

    def _pass(self, images_BCHW: Tensor) -> tuple[Tensor, ...]:
        with autocast(images_BCHW.device, self.precision):
            answers: tuple[Tensor, ...] = self.network(images_BCHW)
        return answers

    def record(self, example_BCHW: Tensor) -> None:
        """Answer batches of this shape by a CUDA graph from now on, where it can be one.

        An answer then holds until the next one.
        """
        self._recorded, self._shape = record_pass(self._pass, example_BCHW), example_BCHW.shape


class PerView:
    """The teacher's answers to numbered views, each computed when it is first asked for and kept.

    Rows are asked about in fixed groups of neighbours in the selection: the last bits of an answer
    depend on the batch in which it is computed, and a run that is resumed must not depend on which
    rows it has seen before.
    """

    def __init__(
        self, ask: Callable[[Tensor], Outputs], views: Views, rows_N: Rows, device: str
    ) -> None:
        self.ask, self.views, self.rows_N, self.device = ask, views, rows_N, device
        self._known: dict[tuple[int, int], Outputs] = {}

    def __call__(self, rows_B: Rows, numbers_B: Rows) -> Outputs:
        group_B, place_B = np.divmod(np.searchsorted(self.rows_N, rows_B), TOGETHER)
        known = [
            self._group(group, number)
            for group, number in zip(group_B.tolist(), numbers_B.tolist(), strict=True)
        ]
        return Outputs(
            torch.stack(
                [answers.logits_BK[place] for answers, place in zip(known, place_B, strict=True)]
            ),
            torch.stack(
                [answers.features_BD[place] for answers, place in zip(known, place_B, strict=True)]
            ),
        ).each(lambda tensor: tensor.to(self.device))

    def _group(self, group: int, number: int) -> Outputs:
        if (group, number) not in self._known:
            rows = self.rows_N[group * TOGETHER : (group + 1) * TOGETHER]
            answers = self.ask(self.views.numbered(rows, np.full(len(rows), number)))
            self._known[group, number] = answers.each(lambda tensor: tensor.cpu())
        return self._known[group, number]
