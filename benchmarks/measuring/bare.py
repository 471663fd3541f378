"""The bare loop: what a cell computes, written for speed alone, with everything in memory.

Nothing is recorded, nothing can be resumed, no step is looked at, and one recipe is all it knows:
KD on cached answers with tail dropping, pooled features and similarities, each or none, by AdamW
with one cycle. What a batch needs of the teacher is computed once for all rows beforehand. Its
batches, start and formulas are those of `dfkd.training`, so its students equal the platform's to
the last bit. N selected rows, B batch, K classes, D feature width, S steps.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.measuring.figures import seconds_of
from benchmarks.measuring.machine import cores
from dfkd.data.images.transforms import to_tensor
from dfkd.experiment import Cell
from dfkd.method.losses.loss import projector
from dfkd.method.selection.selecting import rows_taken
from dfkd.models.networks.network import classifier_head
from dfkd.models.teachers import accuracy, answers, weights_digest
from dfkd.seeding import generator, stream, use_deterministic
from dfkd.training.batches import Batches
from dfkd.training.inputs import Inputs, MappedInputs

FLOOR = -1e9  # a logit of what is left out


class BareLoop:
    """One student in training, by PyTorch's fastest AdamW."""

    def __init__(self, cell: Cell, inputs: Inputs) -> None:
        self.experiment, seed = cell.experiment.canonical(), cell.block.seed
        self.inputs, self.step = inputs, 0
        e, schedule = self.experiment, self.experiment.schedule
        rows_N = rows_taken(e.selection, e.dropping, inputs.scores, inputs.probe.rows_P, seed)
        batches = Batches(rows_N, schedule.batch, seed)
        rows_SB = np.stack([batches.at(step) for step in range(schedule.steps)])
        self.places_SB = torch.from_numpy(np.searchsorted(rows_N, rows_SB))
        self.images_NCHW = to_tensor(np.asarray(inputs.images_NHWC[rows_N]), e.task)
        self._teach(torch.from_numpy(np.asarray(inputs.scores.logits_NK[rows_N])), seed)
        features_ND = torch.from_numpy(np.asarray(inputs.scores.features_ND[rows_N]))
        self.teacher_ND = F.normalize(features_ND, dim=1)
        self.itself_BB = torch.eye(schedule.batch, dtype=torch.bool)
        self._build(features_ND.shape[1], seed)
        trained = [*self.network.parameters(), *self.projector.parameters()]
        self.optimizer = torch.optim.AdamW(
            trained, schedule.learning_rate, weight_decay=schedule.weight_decay, fused=True
        )
        self.decay = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, schedule.learning_rate, total_steps=schedule.steps + 1
        )

    def _teach(self, logits_NK: Tensor, seed: int) -> None:
        """Soften the teacher's answers to all rows, without the classes that are dropped."""
        e = self.experiment
        self.temperature = float(e.kd.temperature)
        softened_NK = logits_NK
        if e.dropping is not None:
            keep_NK = e.dropping.keep(logits_NK, generator(seed, "no draw"), self.temperature)
            softened_NK = logits_NK / self.temperature
            softened_NK = softened_NK.masked_fill(~keep_NK, FLOOR)
        else:
            softened_NK = logits_NK / self.temperature
        self.log_teacher_NK = F.log_softmax(softened_NK, dim=1)
        self.teacher_NK = self.log_teacher_NK.exp()

    def _build(self, teacher_width: int, seed: int) -> None:
        e = self.experiment
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream(seed, "student"))
            network = e.student.build(e.task.classes, e.task.image_shape[2])
            assert isinstance(network, nn.Sequential)
            self.network, self.body, self.head = network, network[:-1], classifier_head(network)
            self.projector: nn.Module = nn.Identity()
            if e.explicit is not None:
                torch.manual_seed(stream(seed, "losses"))
                self.projector = projector(self.head.in_features, teacher_width)

    def advance(self, until: int) -> None:
        """Train up to this step."""
        self.network.train()
        for step in range(self.step, until):
            self._train_step(step)
        self.step = until

    def _train_step(self, step: int) -> None:
        places_B = self.places_SB[step]
        features_BD = self.body(self.images_NCHW[places_B])
        log_student_BK = F.log_softmax(self.head(features_BD) / self.temperature, dim=1)
        terms_BK = self.teacher_NK[places_B] * (self.log_teacher_NK[places_B] - log_student_BK)
        kd = terms_BK.sum(dim=1).mean() * self.temperature**2
        loss = kd + sum(self._beside(features_BD, self.teacher_ND[places_B], step))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.decay.step()

    def _beside(self, features_BD: Tensor, teacher_BD: Tensor, step: int) -> list[Tensor]:
        """Return the losses beside KD, weighted."""
        e, found = self.experiment, list[Tensor]()
        progress = step / e.schedule.steps
        if e.explicit is not None:
            projected_BD = F.normalize(self.projector(features_BD), dim=1)
            distance = (projected_BD - teacher_BD).square().sum(dim=1).mean()
            found.append(_weight(e.explicit, progress) * distance)
        if e.implicit is not None:
            tau = float(e.implicit.tau)
            log_student_BB = self._relations(F.normalize(features_BD, dim=1), tau)
            log_teacher_BB = self._relations(teacher_BD, tau)
            terms_BB = log_teacher_BB.exp() * (log_teacher_BB - log_student_BB)
            found.append(_weight(e.implicit, progress) * terms_BB.sum(dim=1).mean())
        return found

    def _relations(self, unit_BD: Tensor, tau: float) -> Tensor:
        cosine_BB = (unit_BD @ unit_BD.T / tau).masked_fill(self.itself_BB, FLOOR)
        return F.log_softmax(cosine_BB, dim=1)

    def probe(self) -> float:
        """Return the student's agreement with the teacher on the probe, in [0, 1]."""
        probe, task = self.inputs.probe, self.experiment.task
        logits_PK = answers(self.network, self.inputs.images_NHWC[probe.rows_P], task)
        return probe.agreement(logits_PK)["probe"]

    def train(self, evaluate: bool) -> None:
        """Train to the last step. evaluate: on the way as often, and with as much, as the platform.

        That is the probe and the validation images at each point of the curve.
        """
        schedule, validation = self.experiment.schedule, self.inputs.validation
        for step in schedule.evaluation_steps() if evaluate else [schedule.steps]:
            self.advance(step)
            if evaluate:
                self.probe()
            if evaluate and validation is not None:
                accuracy(self.network, validation, self.experiment.task)

    def digest(self) -> str:
        """Return a digest of the student's weights, equal for equal bits."""
        return weights_digest(self.network.state_dict())


def _weight(loss: Any, progress: float) -> float:
    """Return the loss's weight at this share of the steps, rising over its ramp."""
    return float(loss.weight) * (min(1.0, progress / loss.ramp) if loss.ramp else 1.0)


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What the bare loop made of a cell. seconds: of its training alone."""

    seconds: float
    digest: str


class BareProcesses:
    """A process for each core, in which bare loops run on one thread each."""

    def __init__(self, mapped: MappedInputs) -> None:
        self.count, self.mapped = cores(), mapped
        self._pool = ProcessPoolExecutor(self.count, get_context("spawn"), use_deterministic, (1,))

    def __enter__(self) -> BareProcesses:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def train(self, cells: list[Cell], evaluate: bool = False) -> list[Trained]:
        """Train the students of all cells, side by side, and return them in this order."""
        asked = [self._pool.submit(_trained, self.mapped, cell, evaluate) for cell in cells]
        return [one.result() for one in asked]

    def seconds(self, cells: list[Cell], evaluate: bool = False) -> float:
        """Return the seconds that these cells take on all cores together."""
        done = self.train(cells, evaluate=evaluate)
        return sum(trained.seconds for trained in done) / self.count


def _trained(mapped: MappedInputs, cell: Cell, evaluate: bool) -> Trained:
    loop = BareLoop(cell, mapped.open())
    seconds = seconds_of(lambda: loop.train(evaluate))
    return Trained(seconds=seconds, digest=loop.digest())
