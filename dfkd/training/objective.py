"""What is trained, and the one line in which all losses meet.

B batch, K classes; B, C, H, W of images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from dfkd.experiment import Cell
from dfkd.method.defaults import with_defaults
from dfkd.method.losses import BaseAnswerLoss, BaseLoss, Loss, Outputs, Sizes
from dfkd.models.networks import Tapped, stages_of
from dfkd.models.networks.broken_kernels import avoid_broken_kernels
from dfkd.seeding import stream
from dfkd.training.precision import autocast, laid_out


@dataclass(frozen=True)
class StepInputs:
    """What a step computes with.

    views: the student's images [B, C, H, W], and a second view of them where a loss needs it.
    keep_BK: the classes that stay in the target; None for all. kept_classes: how many, on average.
    weights: of the losses now, numbers or scalar tensors.
    """

    views: tuple[Tensor, ...]
    teacher: Outputs
    keep_BK: Tensor | None
    weights: Mapping[str, float | Tensor]
    kept_classes: Tensor | None = None


class Objective(nn.Module):
    """The student, what the losses train beside it, and the total loss.

    It is the module that distributed training wraps.
    """

    def __init__(
        self,
        cell: Cell,
        teacher_width: int,
        rows: int = 0,
        teacher_accuracy: float | None = None,
        teacher_maps: tuple[tuple[int, int, int], ...] = (),
        teacher_head: tuple[Tensor, Tensor | None] | None = None,
        precision: str = "float32",
    ) -> None:
        """Build the student and the losses, each from a seed of its own.

        rows: how many are selected; teacher_accuracy, teacher_maps, teacher_head: where a loss
        needs them.
        precision: of the student's passes; its outputs are float32.
        """
        super().__init__()
        self.precision = precision
        self.experiment = experiment = cell.experiment.canonical()
        seed, task = cell.block.seed, experiment.task
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream(seed, "student"))
            network = avoid_broken_kernels(
                experiment.student.build(task.classes, task.image_shape[2])
            )
            maps = "maps" in experiment.needs()
            stages = stages_of(experiment.student) if maps else ()
            self.student = laid_out(Tapped(network, stages), precision)
            sizes = Sizes(
                classes=task.classes,
                student_width=self.student.width,
                teacher_width=teacher_width,
                rows=rows,
                student_maps=self.student.map_shapes(task.image_shape) if maps else (),
                teacher_maps=teacher_maps,
                teacher_accuracy=teacher_accuracy,
                teacher_head=teacher_head,
            )
            self.losses, self.parts = nn.ModuleDict(), experiment.losses()
            # each from its own seed: a loss moves neither the student's start nor another's
            for name, loss in self.parts.items():
                torch.manual_seed(stream(seed, "losses" if name == "explicit" else f"{name} loss"))
                self.losses[name] = loss.module(sizes)

    def forward(self, given: StepInputs, gather: Any = None) -> dict[str, Tensor]:
        """Return the loss terms and their weighted "total".

        With several workers the views are this worker's part; `gather` puts the students' outputs
        together again, so that relations see the whole batch.
        """
        student = self.look(given.views)
        if gather is not None:
            student = student.each(gather)
        terms = {name: self.term(name, student, given) for name in ("kd", *self.losses)}
        for name, term in terms.items():
            self.check(name, term)
        terms["total"] = terms["kd"] + sum(
            given.weights[name] * terms[name] for name in self.losses
        )
        return terms

    def term(self, name: str, student: Outputs, given: StepInputs) -> Tensor:
        """Return what one loss gives, "kd" or one of `losses`."""
        if name != "kd":
            found: Tensor = self.losses[name](student, given.teacher)
            return found
        dropping = self.experiment.dropping
        masks_student = dropping is not None and dropping.masks_student
        answers = student.logits_BK, given.teacher.logits_BK
        return self.experiment.kd(*answers, given.keep_BK, masks_student)

    def check(self, name: str, term: object) -> None:
        """Raise ValueError unless what a loss gave is one number, as a tensor."""
        if isinstance(term, Tensor) and not term.ndim:
            return
        got = f"shape {tuple(term.shape)}" if isinstance(term, Tensor) else repr(term)
        raise ValueError(
            "the loss of a batch must be one number, a tensor of shape (), but "
            f"{self.called(name)} gave {got}"
        )

    def called(self, name: str) -> str:
        """Return how messages call one of the losses."""
        return f"{name} ({type(self.parts.get(name, self.experiment.kd)).__qualname__})"

    def look(self, views: Sequence[Tensor]) -> Outputs:
        """Return the student's outputs; views go through it side by side, in one batch."""
        with autocast(views[0].device, self.precision):
            logits, features, *maps = self.student(
                views[0] if len(views) == 1 else torch.cat(list(views))
            )
        both = Outputs(logits, features, tuple(maps)).each(Tensor.float)
        batch = len(views[0])
        if len(views) == 1:
            return both
        return replace(
            both.each(lambda tensor: tensor[:batch]),
            second=both.each(lambda tensor: tensor[batch:]),
        )

    def apart(self) -> dict[str, Loss]:
        """Return the losses whose modules are trained by an Adam of their own, by name."""
        return {n: loss for n, loss in self.parts.items() if loss.own_learning_rate is not None}

    def together(self) -> list[nn.Parameter]:
        """Return the parameters that the student's optimizer trains: all others."""
        apart = tuple(f"losses.{name}." for name in self.apart())
        return [p for name, p in self.named_parameters() if not name.startswith(apart)]

    def weights(self, progress: float) -> dict[str, float]:
        """Return each loss's weight at this share of the steps, rising linearly over its ramp."""
        return {
            name: loss.weight * (min(1.0, progress / loss.ramp) if loss.ramp else 1.0)
            for name, loss in self.parts.items()
        }

    @property
    def capturable(self) -> bool:
        """Whether all losses compute with tensors alone, so that a CUDA graph may replay them."""
        losses = [with_defaults(loss, BaseLoss) for loss in self.parts.values()]
        return with_defaults(self.experiment.kd, BaseAnswerLoss).capturable and all(
            loss.capturable for loss in losses
        )
