"""The training loop, plain PyTorch: one run of one cell. Deterministic, resumable bit for bit at
any step.

B batch, K classes, D feature width, N selected rows, P probe rows. Everything random in a step is
drawn for the whole batch from (block, purpose, step), so a run that is resumed, or spread over
workers, draws the same numbers. No generator's state has to be saved for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dfkd.data.images.transforms import to_tensor
from dfkd.data.pools import TrainingImages
from dfkd.data.tasks import Split
from dfkd.experiment import Cell, Experiment, Schedule
from dfkd.method.dropping import FiltersRows, NoiseMatrix
from dfkd.method.dropping.noise_matrix import LEARNING_RATE
from dfkd.method.labels import OriginalLabels
from dfkd.method.losses import Outputs
from dfkd.method.selection import Dynamic
from dfkd.method.selection.dynamic import efficiency
from dfkd.method.selection.selecting import select
from dfkd.models.networks import stages_of
from dfkd.models.teachers import TrainedNetwork, accuracy, predict
from dfkd.scores import Scores
from dfkd.seeding import drawing_from, generator, stream
from dfkd.training.batches import Batches
from dfkd.training.objective import Objective
from dfkd.training.probe import Probe
from dfkd.training.teacher_outputs import LiveTeacher, PerView, Views, cached

SCORED_TOGETHER = 512  # rows, for a dynamic selection


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a run reads: the pool's images, the teacher's answers to them, and which rows are the
    probe.

    Arrays may be memory maps of what is larger than memory. `validation` is only looked at, nothing
    is chosen by it.
    `teacher`: for what asks it more than its cached answers. `selections`: where choices from these
    scores are kept.
    """

    images_NHWC: NDArray[np.uint8]
    scores: Scores
    probe: Probe
    validation: Split | None
    teacher: TrainedNetwork | None = None
    selections: Path | None = None


class Diverged(ArithmeticError):
    """The loss is no longer finite."""


class Run:
    """One cell being computed: `advance` to a step, `evaluate`, `state` and `restore` in between as
    often as wanted.
    """

    def __init__(self, cell: Cell, inputs: Inputs, device: str = "cpu") -> None:
        self.cell, self.inputs, self.device = cell, inputs, device
        self.experiment: Experiment = cell.experiment.canonical()
        self.rows_N = self._select()
        if isinstance(self.experiment.kd, OriginalLabels):
            self.inputs = _labelled(inputs, self.experiment)
        self.needs = self.experiment.needs()
        self.look = Views(
            inputs.images_NHWC,
            self.experiment.task,
            self.experiment.views,
            cell.block.seed,
            self.device,
        )
        self.teacher = self._live_teacher() if self.experiment.asks_teacher else None
        self.per_view = self._per_view()
        self.batches = Batches(self.rows_N, self.experiment.schedule.batch, cell.block.seed)
        width = inputs.scores.features_ND.shape[1]
        maps = (
            ()
            if self.teacher is None
            else self.teacher.network.map_shapes(self.experiment.task.image_shape)
        )
        self.objective = Objective(
            cell, width, len(self.rows_N), self._teacher_accuracy(), maps
        ).to(device)
        apart = self.objective.apart()
        together = [p for name, p in self.objective.named_parameters() if name not in apart]
        self.optimizer, self.decay = _optimizer(together, self.experiment.schedule)
        self.own_optimizer = torch.optim.Adam(apart.values(), lr=LEARNING_RATE) if apart else None
        self.step = 0
        self._sums: defaultdict[str, Tensor] = defaultdict(lambda: torch.zeros((), device=device))
        self._summed_from = 0

    def _select(self) -> NDArray[np.int64]:
        """Rows of the pool, never one of the probe's."""
        scores, probe_P = self.inputs.scores, self.inputs.probe.rows_P
        seed = stream(self.cell.block.seed, "selection")
        rows_N = select(self.experiment.selection, scores, probe_P, seed, self.inputs.selections)
        dropping = self.experiment.dropping
        return dropping.filter(scores, rows_N) if isinstance(dropping, FiltersRows) else rows_N

    def _live_teacher(self) -> LiveTeacher:
        if self.inputs.teacher is None:
            raise ValueError(
                "the experiment asks the teacher in every step, but its material holds only its "
                "answers"
            )
        stages = stages_of(self.inputs.teacher.network) if "maps" in self.needs else ()
        return LiveTeacher(self.inputs.teacher, self.experiment.task, stages, self.device)

    def _per_view(self) -> PerView | None:
        """Where there are only so many views of a row, an answer is kept. Maps are too large for
        that.
        """
        views = self.experiment.views
        if self.teacher is None or views is None or not views.per_row or "maps" in self.needs:
            return None
        return PerView(self.teacher, self.look, self.rows_N)

    def _teacher_accuracy(self) -> float | None:
        """On validation labels, only for a noise matrix that is not told; None where there are
        none.
        """
        dropping, teacher, validation = (
            self.experiment.dropping,
            self.inputs.teacher,
            self.inputs.validation,
        )
        asked = isinstance(dropping, NoiseMatrix) and dropping.accuracy is None
        if not asked or teacher is None or validation is None:
            return None
        task = self.experiment.task
        return accuracy(teacher.build(task).to(self.device), validation, task, self.device)

    def advance(self, until: int) -> None:
        """Train up to step `until`. Raises Diverged if the loss was not finite on the way, or the
        weights are not now.

        Looked at here and not in each step: reading a number back stalls a GPU.
        """
        self.objective.train()
        while self.step < until:
            self._train_step()
        finite = torch.stack([torch.isfinite(p).all() for p in self.objective.parameters()]).all()
        if not (torch.isfinite(self._sums["train.total"]) and finite):
            raise Diverged(f"the loss is not finite any more at step {self.step}")

    def _train_step(self) -> None:
        dynamic = self.experiment.selection
        if isinstance(dynamic, Dynamic) and self.step >= self.batches.end_of(dynamic.every):
            self.batches.narrow(self.rows_N[self.drawn(dynamic)], self.step)
        terms = self.loss(self.step)
        self.objective.zero_grad()
        terms["total"].backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        if self.own_optimizer is not None:
            self.own_optimizer.step()
        self.decay.step()
        self.step += 1
        for name, value in terms.items():
            self._sums[f"train.{name}"] += value.detach()

    def drawn(self, dynamic: Dynamic) -> NDArray[np.int64]:
        """Positions in the selection from which the student has most to learn now, on their clean
        images.
        """
        scores, task = self.inputs.scores, self.experiment.task
        student = self.objective.student.network.eval()
        parts = []
        with torch.inference_mode():
            for start in range(0, len(self.rows_N), SCORED_TOGETHER):
                rows_B = self.rows_N[start : start + SCORED_TOGETHER]
                teacher_BK = torch.from_numpy(scores.logits_NK[rows_B]).to(self.device)
                student_BK = student(to_tensor(self.inputs.images_NHWC[rows_B], task, self.device))
                parts.append(efficiency(teacher_BK, student_BK).cpu().numpy())
        self.objective.train()
        efficiency_N = np.nan_to_num(
            np.concatenate(parts)
        )  # of a student that has diverged: `advance` tells
        return dynamic.draw(efficiency_N, scores.pseudo_label_N[self.rows_N], scores.classes)

    def loss(self, step: int) -> dict[str, Tensor]:
        """The loss terms of one step's batch."""
        rows_B = self.batch(step)
        views = self.views(rows_B, step)
        teacher = self.addressed(self.answers(rows_B, step, views[0]), rows_B, step)
        keep_BK = self.keep(teacher, step)
        with drawing_from(self.seed_of_draws(step), self.device):
            return self.terms(views, teacher, keep_BK, step / self.experiment.schedule.steps)

    def seed_of_draws(self, step: int) -> int:
        """For what a network draws by itself, such as dropout."""
        return stream(self.cell.block.seed, "student's draws", step)

    def terms(
        self, views: Sequence[Tensor], teacher: Outputs, keep_BK: Tensor | None, progress: float
    ) -> dict[str, Tensor]:
        """The student's part of a step, for the whole batch in this process."""
        terms: dict[str, Tensor] = self.objective(views, teacher, keep_BK, progress)
        return terms

    def batch(self, step: int) -> NDArray[np.int64]:
        """The pool rows of a step."""
        return self.batches.at(step)

    def answers(self, rows_B: NDArray[np.int64], step: int, images_BCHW: Tensor) -> Outputs:
        """The teacher's answers to these rows: cached, or to the views that the student sees in
        this step.
        """
        if self.teacher is None:
            return cached(self.inputs.scores, rows_B, self.device)
        if self.per_view is not None:
            return self.per_view(rows_B, self.look.numbers(len(rows_B), step))
        return self.ask(self.teacher, images_BCHW)

    def ask(self, teacher: LiveTeacher, images_BCHW: Tensor) -> Outputs:
        return teacher(images_BCHW)

    def addressed(self, teacher: Outputs, rows_B: NDArray[np.int64], step: int) -> Outputs:
        """The answers with the places of their rows, where a loss remembers something of each
        selected row.
        """
        if "rows" not in self.needs:
            return teacher
        places_B = torch.from_numpy(np.searchsorted(self.rows_N, rows_B)).to(self.device)
        return replace(teacher, rows_B=places_B, seed=stream(self.cell.block.seed, "losses", step))

    def keep(self, teacher: Outputs, step: int) -> Tensor | None:
        """The classes that stay in this step's target, or None where nothing is dropped."""
        if self.experiment.dropping is None:
            return None
        drawn_from = generator(self.cell.block.seed, "dropping", step)
        temperature = getattr(self.experiment.kd, "temperature", 1.0)
        keep_BK = self.experiment.dropping.keep(teacher.logits_BK, drawn_from, temperature)
        self._sums["kept_classes"] += keep_BK.sum(1).float().mean()
        return keep_BK

    def views(self, rows_B: NDArray[np.int64], step: int) -> list[Tensor]:
        """What the student sees: the images, and other views of the same where a loss compares
        two.
        """
        second = ["second views"] if "second_view" in self.needs else []
        return [self.look.of(rows_B, step, purpose) for purpose in ("views", *second)]

    def evaluate(self) -> dict[str, float]:
        """A point of the curve: step, probe agreement, validation accuracy, mean loss terms since
        the last point.
        """
        task, student = self.experiment.task, self.objective.student.network
        probe, validation = self.inputs.probe, self.inputs.validation
        answer_P = predict(student, self.inputs.images_NHWC[probe.rows_P], task, self.device)
        point = {"step": float(self.step), **probe.agreement(answer_P)}
        if validation is not None:
            point["validation"] = accuracy(student, validation, task, self.device)
        steps = self.step - self._summed_from
        point |= {name: value.item() / steps for name, value in self._sums.items()}
        self._sums.clear()
        self._summed_from = self.step
        return point

    def state(self) -> dict[str, Any]:
        """All that is needed to go on bit for bit: weights, optimizers, schedule, step, current
        rows, running sums.
        """
        own = (
            {} if self.own_optimizer is None else {"own_optimizer": self.own_optimizer.state_dict()}
        )
        return {
            "step": self.step,
            "batches": self.batches.state(),
            **own,
            "objective": self.objective.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "decay": self.decay.state_dict(),
            "sums": dict(self._sums),
            "summed_from": self._summed_from,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.step = state["step"]
        self.objective.load_state_dict(state["objective"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.batches.restore(state["batches"])
        if self.own_optimizer is not None:
            self.own_optimizer.load_state_dict(state["own_optimizer"])
        self.decay.load_state_dict(state["decay"])
        self._sums.update(state["sums"])
        self._summed_from = state["summed_from"]


def _labelled(inputs: Inputs, experiment: Experiment) -> Inputs:
    """With one-hot labels in the place of the teacher's logits."""
    scores = inputs.scores
    assert isinstance(experiment.pool, TrainingImages)
    label_N = experiment.pool.labels(scores.row_id_N)
    return replace(
        inputs, scores=replace(scores, logits_NK=np.eye(scores.classes, dtype=np.float32)[label_N])
    )


def _optimizer(
    parameters: list[nn.Parameter], schedule: Schedule
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    optimizer: torch.optim.Optimizer
    if schedule.optimizer == "adamw":
        optimizer = torch.optim.AdamW(
            parameters, lr=schedule.learning_rate, weight_decay=schedule.weight_decay
        )
    else:
        optimizer = torch.optim.SGD(
            parameters, lr=schedule.learning_rate, momentum=0.9, weight_decay=schedule.weight_decay
        )
    if schedule.decay == "one_cycle":
        # one step more than are taken: the last step then still learns, and step() after it is
        # defined
        return optimizer, torch.optim.lr_scheduler.OneCycleLR(
            optimizer, schedule.learning_rate, total_steps=schedule.steps + 1
        )
    if schedule.decay == "steps":
        milestones = [round(share * schedule.steps) for share in (0.4, 0.8)]
        return optimizer, torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, gamma=0.1)
    return optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, schedule.steps)
