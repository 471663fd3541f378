"""A teacher that is trained here, on labelled images that a data-free method does not have.

B batch, K classes.
"""

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import nn

from dfkd.data.images.transforms import Crop, to_tensor
from dfkd.data.tasks import Task
from dfkd.identity import digest, spec
from dfkd.models.networks import Network, SmallResNet
from dfkd.models.networks.broken_kernels import avoid_broken_kernels
from dfkd.models.optimizing import Optimizer, one_cycle
from dfkd.models.teachers.teacher import BaseTeacher, TrainedNetwork, digest_by_spec, network_digest
from dfkd.models.teachers.teacher_file import TeacherFile
from dfkd.seeding import stream
from dfkd.storage import Storage, layout
from dfkd.storage.layout import Key


@dataclass(frozen=True, kw_only=True)
class SupervisedTeacher(BaseTeacher):
    """Trains on the task's training split with cross-entropy.

    AdamW, a one-cycle learning rate, shifted copies.
    steps, batch: optimizer steps and images per step.
    learning_rate: the cycle's peak.
    shift: the largest shift in pixels.
    smoothing: label smoothing in [0, 1).
    """

    network: Network
    steps: int = 500
    batch: int = 128
    learning_rate: float = 5e-3
    weight_decay: float = 1e-2
    shift: int = 1
    smoothing: float = 0.0
    version: ClassVar[int] = 1
    trained_here: ClassVar[bool] = True

    @classmethod
    def example(cls) -> Self:
        return cls(network=SmallResNet(width=16, stem_stride=2), steps=400)

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 2:
            raise ValueError(
                f"a teacher needs 1 step and a batch of 2 or more, but got steps={self.steps!r}, "
                f"batch={self.batch!r}"
            )
        if not 0 < self.learning_rate < math.inf or not 0 <= self.weight_decay < math.inf:
            raise ValueError(
                "a teacher's learning_rate must be above 0 and its weight_decay 0 or more, but got "
                f"learning_rate={self.learning_rate!r}, weight_decay={self.weight_decay!r}"
            )
        if self.shift < 0 or not 0 <= self.smoothing < 1:
            raise ValueError(
                "a teacher's shift must be 0 pixels or more and its smoothing lie in [0, 1), but "
                f"got shift={self.shift!r}, smoothing={self.smoothing!r}"
            )

    def check(self, task: Task) -> None:
        """Raise NoSplit for a task without images to train on; any other will do."""
        task.require("train")

    def obtain(self, task: Task, storage: Storage, seed: int = 0) -> TrainedNetwork:
        """Return the teacher, trained unless the same was trained in this storage before."""
        folder = layout.teacher(digest([spec(self), spec(task), seed]))
        found = self._stored(folder, task, storage)
        if found is None:
            weights = self._train(task, seed).state_dict()
            tensors = {name: value.contiguous() for name, value in weights.items()}
            storage.replace(folder / layout.TEACHER_WEIGHTS, lambda half: save_file(tensors, half))
            note = {"teacher": spec(self), "task": spec(task), "seed": seed}
            note |= {"digest": network_digest(self.network, tensors)}
            storage.write_json(folder / layout.TEACHER_NOTE, note)  # last: it is complete
            found = self._stored(folder, task, storage)
        assert found is not None  # it was just written
        return found

    def _stored(self, folder: Key, task: Task, storage: Storage) -> TrainedNetwork | None:
        """Return the teacher that lies in the storage, None where there is none or a damaged one.

        Teachers of earlier versions have no digest in their note.
        """
        try:
            note = storage.read_json(folder / layout.TEACHER_NOTE)
            path = storage.local(folder / layout.TEACHER_WEIGHTS)
            found = TeacherFile(path=str(path), network=self.network).obtain(task, storage)
        except (FileNotFoundError, ValueError):
            return None
        if note.get("digest") not in (None, found.digest):
            return None
        return replace(found, origin="trained here")

    def _train(self, task: Task, seed: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream(seed, "teacher"))
            module = avoid_broken_kernels(self.network.build(task.classes, task.image_shape[2]))
        rates = one_cycle(self.learning_rate, self.steps, total=self.steps)
        optimizer = Optimizer(module.parameters(), "adamw", rates, self.weight_decay)
        train = task.train()
        for step in range(self.steps):
            rng = np.random.default_rng(stream(seed, "teacher batches", step))
            rows_B = rng.integers(0, len(train.labels), self.batch)
            views = Crop(padding=self.shift, flip=False).augment(
                train.images[rows_B], stream(seed, "shifts", step)
            )
            logits_BK = module(to_tensor(views, task))
            loss = F.cross_entropy(
                logits_BK, torch.from_numpy(train.labels[rows_B]), label_smoothing=self.smoothing
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return module


def stored_digest(folder: Storage) -> str | None:
    """Return the digest of the teacher that was trained into a folder.

    None where there is no complete one, or anything else beside it.
    """
    ours = {layout.TEACHER_NOTE, layout.TEACHER_WEIGHTS}
    if set(folder.list(layout.ROOT)) != ours:
        return None
    try:
        note = folder.read_json(Key(layout.TEACHER_NOTE))
        weights = load(folder.get(Key(layout.TEACHER_WEIGHTS)))
        return digest_by_spec(note["teacher"]["network"], weights)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None
