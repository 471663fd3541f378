"""The training loop, plain PyTorch: one run of one cell, deterministic and resumable at any step.

B batch, K classes, D feature width, N selected rows, P probe rows. Everything random in a step is
drawn for the whole batch from (block, purpose, step), so a run that is resumed, or spread over
workers, draws the same numbers. No generator's state has to be saved for it.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfkd.experiment import Cell, Experiment
from dfkd.method.defaults import with_defaults
from dfkd.method.losses import BaseAnswerLoss, Outputs
from dfkd.method.selection import BaseSelection, Redraw
from dfkd.method.selection.selecting import rows_taken
from dfkd.models.networks import stages_of
from dfkd.models.teachers import accuracy, answers
from dfkd.seeding import drawing_from, generator, stream
from dfkd.training.ahead import apart, steps_together
from dfkd.training.batches import Batches, order_of
from dfkd.training.compiled import compile_passes
from dfkd.training.cuda_graph import RecordedStep, record_step
from dfkd.training.inputs import Inputs, teacher_accuracy, teacher_head, with_labels
from dfkd.training.kept import Kept
from dfkd.training.means import RunningMeans
from dfkd.training.objective import Objective, StepInputs
from dfkd.training.optimizer import own_optimizer, student_optimizer
from dfkd.training.pool_rows import pool_rows
from dfkd.training.redraw import draw_again
from dfkd.training.teacher_outputs import LiveTeacher, PerView, Views

STATE = 3  # raised when the state of a run holds something else


class Diverged(ArithmeticError):
    """The loss is no longer finite."""


class Run:
    """One cell being computed, from its first step or from a saved state.

    `advance` to a step, `evaluate`, `state` and `restore` in between as often as wanted.
    """

    def __init__(
        self,
        cell: Cell,
        inputs: Inputs,
        device: str = "cpu",
        precision: str = "float32",
        compiled: bool = False,
    ) -> None:
        self.cell, self.inputs, self.device, self.precision = cell, inputs, device, precision
        self.experiment: Experiment = cell.experiment.canonical()
        self.rows_N = self._select()
        self.inputs = inputs.gathered(self.rows_N)
        if self.experiment.reads_labels:
            self.inputs = with_labels(self.inputs, self.experiment.task)
        self.needs = self.experiment.needs()
        self.pool_rows = pool_rows(self.inputs, self.rows_N, device)
        self.look = Views(
            self.pool_rows, self.experiment.task, self.experiment.views, cell.block.seed
        )
        self.teacher = self._live_teacher() if self.experiment.asks_teacher else None
        self.per_view = self._per_view()
        self.batches = self._batches()
        self.objective = self._objective().to(device)
        if compiled:
            compile_passes(self.objective.student)
            if self.teacher is not None:
                compile_passes(self.teacher.network)
        self.optimizer = student_optimizer(self.objective.together(), self.experiment.schedule)
        self.own_optimizer = own_optimizer(self.objective)
        self.redraw = with_defaults(self.experiment.selection, BaseSelection).redraw
        self.kept = Kept(cell, self.objective.student.network, self.pool_rows, self.rows_N)
        self.step = 0
        self.together = steps_together(self.experiment, device)
        self.ahead: dict[int, StepInputs] = {}  # of steps to come
        self.means = RunningMeans(device)
        self.recorded = self.record()

    def record(self) -> RecordedStep | None:
        """Return the step as a CUDA graph; None where there is no GPU, or it cannot be one."""
        if torch.device(self.device).type != "cuda":
            return None
        if self.teacher is not None:
            self.teacher.record(self.views(self.batch(0), 0)[0])
        last = self.experiment.schedule.steps - 1
        recorded = record_step(self.objective.train(), self.read(0), self.read(last))
        self.means = RunningMeans(self.device)
        return recorded

    def _select(self) -> NDArray[np.int64]:
        """Return the rows of the pool that the run takes, never one of the probe's."""
        selection, task = self.experiment.selection, self.experiment.task
        return rows_taken(
            selection,
            self.experiment.dropping,
            self.inputs.scores_for(selection, task, self.device),
            self.inputs.probe.rows_P,
            self.cell.block.seed,
            self.inputs.selections,
        )

    def _batches(self) -> Batches:
        experiment, scores = self.experiment, self.inputs.scores
        order = order_of(experiment.sampling, scores.pseudo_label_N, scores.classes)
        return Batches(self.rows_N, experiment.schedule.batch, self.cell.block.seed, order)

    def _live_teacher(self) -> LiveTeacher:
        if self.inputs.teacher is None:
            raise ValueError(
                "the experiment asks the teacher in every step, but its inputs hold answers only"
            )
        stages = stages_of(self.inputs.teacher.network) if "maps" in self.needs else ()
        task = self.experiment.task
        return LiveTeacher(self.inputs.teacher, task, stages, self.device, self.precision)

    def _per_view(self) -> PerView | None:
        """Keep answers where a row has only so many views; maps are too large for that."""
        views = self.experiment.views
        if self.teacher is None or views is None or not views.per_row or "maps" in self.needs:
            return None
        return PerView(self.teacher, self.look, self.rows_N, self.device)

    def _objective(self) -> Objective:
        task, inputs, live = self.experiment.task, self.inputs, self.teacher
        return Objective(
            self.cell,
            teacher_width=inputs.scores.features_ND.shape[1],
            rows=len(self.rows_N),
            teacher_accuracy=(
                teacher_accuracy(inputs, task, self.device)
                if "teacher_accuracy" in self.needs
                else None
            ),
            teacher_head=teacher_head(inputs, task) if "teacher_head" in self.needs else None,
            teacher_maps=() if live is None else live.network.map_shapes(task.image_shape),
            precision=self.precision,
        )

    def advance(self, until: int) -> None:
        """Train up to step `until`.

        Diverged if the loss was not finite on the way, or the weights are not now. Looked at here
        and not in each step: reading a number back stalls a GPU.
        """
        self.objective.train()
        while self.step < until:
            self._train_step()
        finite = torch.stack([torch.isfinite(p).all() for p in self.objective.parameters()]).all()
        if not (torch.isfinite(self.means.sums["train.total"]) and finite):
            raise Diverged(f"the loss is not finite any more at step {self.step}")

    def _train_step(self) -> None:
        if self.redraw is not None and self.step >= self.batches.end_of(self.redraw.every):
            self.batches.narrow(self.rows_N[self.drawn(self.redraw)], self.step)
        terms = self._gradients(self.step)
        self.optimizer.step()
        if self.own_optimizer is not None:
            self.own_optimizer.step()
        self.step += 1
        self.kept.follow(self.step)
        self.means.add({f"train.{name}": value for name, value in terms.items()})

    def _gradients(self, step: int) -> dict[str, Tensor]:
        """Leave the step's gradients in the parameters, and return its loss terms."""
        if self.recorded is not None:
            with drawing_from(self.seed_of_draws(step), self.device):
                return self.recorded(self.read(step))
        terms = self.loss(step)
        self.optimizer.zero_grad()
        if self.own_optimizer is not None:
            self.own_optimizer.zero_grad()
        terms["total"].backward()
        return terms

    def drawn(self, redraw: Redraw) -> NDArray[np.int64]:
        """Return positions in the selection from which the student has most to learn now."""
        student = self.objective.student.network.eval()
        places = draw_again(
            redraw, self.rows_N, student, self.inputs, self.experiment.task, self.device
        )
        self.objective.train()
        return places

    def loss(self, step: int) -> dict[str, Tensor]:
        """Return the loss terms of one step's batch."""
        given = self.read(step)
        with drawing_from(self.seed_of_draws(step), self.device):
            return self.terms(given)

    def read(self, step: int) -> StepInputs:
        """Return what a step computes with, for the whole batch."""
        if step not in self.ahead:
            steps = range(step, step + self.together)
            given = self._read(np.concatenate([self.batch(one) for one in steps]), step)
            self.ahead = dict(zip(steps, apart(given, len(steps)), strict=True))
        given = self.ahead.pop(step)
        if given.kept_classes is not None:
            self.means.add({"kept_classes": given.kept_classes})
        weights = self.objective.weights(step / self.experiment.schedule.steps)
        return replace(given, weights=weights)

    def _read(self, rows_B: NDArray[np.int64], step: int) -> StepInputs:
        """Return the inputs of a step's rows, or of those of several from this one on."""
        views = self.views(rows_B, step)
        teacher = self.addressed(self.answers(rows_B, step, views[0]), rows_B, step)
        return StepInputs(tuple(views), teacher, self.keep(teacher, step), weights={})

    def seed_of_draws(self, step: int) -> int:
        """Return the seed of what a network draws by itself in a step, such as dropout."""
        return stream(self.cell.block.seed, "student's draws", step)

    def terms(self, given: StepInputs) -> dict[str, Tensor]:
        """Do the student's part of a step, for the whole batch in this process."""
        terms: dict[str, Tensor] = self.objective(given)
        return terms

    def batch(self, step: int) -> NDArray[np.int64]:
        """Return the pool rows of a step [B]."""
        return self.batches.at(step)

    def answers(self, rows_B: NDArray[np.int64], step: int, images_BCHW: Tensor) -> Outputs:
        """Return the teacher's answers to these rows: cached, or to the views of this step."""
        if self.teacher is None:
            return self.pool_rows.answers(rows_B)
        if self.per_view is not None:
            return self.per_view(rows_B, self.look.numbers(len(rows_B), step))
        return self.ask(self.teacher, images_BCHW)

    def ask(self, teacher: LiveTeacher, images_BCHW: Tensor) -> Outputs:
        """Return the teacher's answers to these images."""
        return teacher(images_BCHW)

    def addressed(self, teacher: Outputs, rows_B: NDArray[np.int64], step: int) -> Outputs:
        """Add the places of the rows, where a loss remembers something of each selected row."""
        if "rows" not in self.needs:
            return teacher
        places_B = torch.from_numpy(np.searchsorted(self.rows_N, rows_B)).to(self.device)
        return replace(teacher, rows_B=places_B, seed=stream(self.cell.block.seed, "losses", step))

    def keep(self, teacher: Outputs, step: int) -> Tensor | None:
        """Return the classes that stay in this step's target [B, K]; None where none is dropped."""
        if self.experiment.dropping is None:
            return None
        drawn_from = generator(self.cell.block.seed, "dropping", step)
        temperature = with_defaults(self.experiment.kd, BaseAnswerLoss).temperature
        return self.experiment.dropping.keep(teacher.logits_BK, drawn_from, temperature)

    def views(self, rows_B: NDArray[np.int64], step: int) -> list[Tensor]:
        """Return the student's views of these rows, and second views where a loss compares two."""
        second = ["second views"] if "second_view" in self.needs else []
        return [self.look.of(rows_B, step, purpose) for purpose in ("views", *second)]

    def evaluate(self) -> dict[str, float]:
        """Return a point of the curve: what holds now, and mean loss terms since the last point.

        "step", "probe" (agreement with the teacher), its strata and "probe.soft", "validation"
        (accuracy, where there are labels), "train.<term>" and "kept_classes".
        """
        task, point = self.experiment.task, {"step": float(self.step)}
        probe, validation = self.inputs.probe, self.inputs.validation
        with self.kept.now() as student:
            images_PHWC = self.inputs.images_NHWC[probe.rows_P]
            point |= probe.agreement(answers(student, images_PHWC, task, self.device))
            if validation is not None:
                point["validation"] = accuracy(student, validation, task, self.device)
        return point | self.means.take(self.step)

    def state(self) -> dict[str, Any]:
        """Return all that is needed to go on bit for bit.

        Weights, optimizers, schedule, step, current rows and running sums.
        """
        own = (
            {} if self.own_optimizer is None else {"own_optimizer": self.own_optimizer.state_dict()}
        )
        return {
            "version": STATE,
            "step": self.step,
            "batches": self.batches.state(),
            **own,
            **self.kept.state(),
            "objective": self.objective.state_dict(),
            "optimizer": self.optimizer.state(),
            **self.means.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.step = state["step"]
        self.objective.load_state_dict(state["objective"])
        self.optimizer.restore(state["optimizer"])
        self.batches.restore(state["batches"])
        if self.own_optimizer is not None:
            self.own_optimizer.load_state_dict(state["own_optimizer"])
        self.kept.restore(state)
        self.means.restore(state)
