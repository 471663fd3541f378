"""The workloads of gpu.py, and a step of each in a loop that is written for speed alone.

N rows, B batch, K classes, D feature width.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dfkd import recipes
from dfkd.data.images.transforms import View, normalised
from dfkd.data.tasks import Split
from dfkd.data.tasks.task import BaseTask
from dfkd.experiment import Cell, Experiment, Schedule
from dfkd.method.selection import Random
from dfkd.models.networks import CifarResNet, Network, SmallResNet, Tapped
from dfkd.models.teachers import SupervisedTeacher, TrainedNetwork
from dfkd.scores import scores_of
from dfkd.seeding import Block
from dfkd.training.distill import Run
from dfkd.training.inputs import Inputs
from dfkd.training.probe import draw_probe

CLASSES = 10


@dataclass(frozen=True, kw_only=True)
class Noise(BaseTask):
    """Stands for a task of this size; it has no images."""

    side: int
    channels: int
    classes: ClassVar[int] = CLASSES
    version: ClassVar[int] = 1

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.side, self.side, self.channels

    @property
    def mean(self) -> tuple[float, ...]:
        return (0.5,) * self.channels

    @property
    def std(self) -> tuple[float, ...]:
        return (0.25,) * self.channels

    def train(self) -> Split:
        raise NotImplementedError

    def validation(self) -> Split | None:
        return None

    test = train


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A teacher and a student on a pool of noise."""

    teacher: Network
    student: Network
    task: Noise
    rows: int
    batch: int

    def experiment(self, views: View | None) -> Experiment:
        """Return the full method: dropping, features and relations."""
        schedule = Schedule(steps=10**6, batch=self.batch, optimizer="sgd", decay="cosine")
        return replace(
            recipes.digits(),
            task=self.task,
            student=self.student,
            teacher=SupervisedTeacher(network=self.teacher, steps=1),
            selection=Random(ratio=0.9),
            views=views,
            schedule=schedule,
        )

    def inputs(self) -> Inputs:
        """Return random images and answers, and a teacher with random weights."""
        rng, rows = np.random.default_rng(0), self.rows
        images_NHWC = rng.integers(0, 256, (rows, *self.task.image_shape), dtype=np.uint8)
        network = self.teacher.build(CLASSES, self.task.channels)
        width = Tapped(network).width
        scores = scores_of(
            np.arange(rows),
            rng.normal(0, 3, (rows, CLASSES)).astype(np.float32),
            np.abs(rng.normal(0, 1, (rows, width))).astype(np.float32),
        )
        weights = dict(network.state_dict())
        teacher = TrainedNetwork(network=self.teacher, weights=weights, digest="noise")
        return Inputs(
            images_NHWC=images_NHWC,
            scores=scores,
            probe=draw_probe(scores),
            validation=None,
            teacher=teacher,
        )

    def run(self, inputs: Inputs, device: str, precision: str, views: View | None) -> Run:
        cell = Cell(experiment=self.experiment(views), block=Block(seed=1))
        return Run(cell, inputs, device, precision)


def pair(small: bool) -> Workload:
    """Return the pair of CIFAR, or small networks in its place."""
    teacher: Network = SmallResNet(width=16) if small else CifarResNet(depth=34)
    student: Network = SmallResNet(width=8) if small else CifarResNet(depth=18)
    task = Noise(side=32, channels=3)
    rows, batch = (600, 32) if small else (20_000, 256)
    return Workload(teacher=teacher, student=student, task=task, rows=rows, batch=batch)


def digits(small: bool) -> Workload:
    """Return the networks of the recipe `digits`."""
    full, task = recipes.digits(), Noise(side=16, channels=1)
    rows = 600 if small else 20_000
    teacher = SmallResNet(width=16, stem_stride=2)
    return Workload(teacher=teacher, student=full.student, task=task, rows=rows, batch=64)


def bare_step(
    workload: Workload, inputs: Inputs, device: str, precision: str, live: bool
) -> Callable[[], object]:
    """Return a step of a loop written for speed; on a GPU it is one recorded graph.

    live: the teacher is asked in each step.
    """
    rows = torch.arange(workload.batch, device=device)
    images_NHWC = torch.from_numpy(inputs.images_NHWC).to(device)
    logits_NK = torch.from_numpy(np.asarray(inputs.scores.logits_NK)).to(device)
    features_ND = torch.from_numpy(inputs.scores.features_ND).to(device)
    network = Tapped(workload.student.build(CLASSES, workload.task.channels)).to(device)
    network = network.to(memory_format=torch.channels_last)
    projector = torch.nn.Identity()
    if network.width != features_ND.shape[1]:
        projector = torch.nn.Linear(network.width, features_ND.shape[1]).to(device)
    trained = [*network.parameters(), *projector.parameters()]
    optimizer = torch.optim.SGD(trained, lr=0.05, momentum=0.9, weight_decay=5e-4, fused=True)
    kind, reduced = torch.device(device).type, precision == "bfloat16"
    assert inputs.teacher is not None
    teacher = Tapped(inputs.teacher.build(workload.task)).to(device).eval()
    teacher = teacher.to(memory_format=torch.channels_last)

    def step() -> None:
        images_BCHW = normalised(images_NHWC[rows], workload.task)
        taught = logits_NK[rows], features_ND[rows]
        with torch.autocast(kind, torch.bfloat16, enabled=reduced, cache_enabled=False):
            logits_BK, features_BD = network(images_BCHW)
            if live:
                with torch.no_grad():
                    answer_BK, answer_BD = teacher(images_BCHW)
                taught = answer_BK.float(), answer_BD.float()
        optimizer.zero_grad(set_to_none=kind == "cpu")
        features_BD = features_BD.float()
        loss = _loss(logits_BK.float(), features_BD, projector(features_BD), *taught)
        loss.backward()
        optimizer.step()

    return _recorded(step) if kind == "cuda" else step


def _loss(
    logits_BK: Tensor,
    features_BD: Tensor,
    projected_BD: Tensor,
    teacher_BK: Tensor,
    wide_BD: Tensor,
) -> Tensor:
    """KD at temperature 4, normalised features and relations, weighted 1, 3 and 1."""
    soft_BK, target_BK = F.log_softmax(logits_BK / 4, 1), F.log_softmax(teacher_BK / 4, 1)
    kd = F.kl_div(soft_BK, target_BK, reduction="batchmean", log_target=True) * 16
    taught_BD = F.normalize(wide_BD, dim=1)
    explicit = (F.normalize(projected_BD, dim=1) - taught_BD).square().sum(1).mean()
    own_BD = F.normalize(features_BD, dim=1)
    itself = torch.eye(len(own_BD), dtype=torch.bool, device=own_BD.device)
    student_BB, teacher_BB = (
        F.log_softmax((f @ f.T / 0.1).masked_fill(itself, -1e4), 1) for f in (own_BD, taught_BD)
    )
    implicit = F.kl_div(student_BB, teacher_BB, reduction="batchmean", log_target=True)
    return kd + 3 * explicit + implicit


def _recorded(step: Callable[[], object]) -> Callable[[], object]:
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(5):
            step()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay
