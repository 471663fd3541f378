"""Inputs: what many cells share, a task, a teacher, a draw of the pool and its scores."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dfkd.data.pools import PoolFiles, TrainingImages
from dfkd.data.pools.pool_images import PoolImages, gathered
from dfkd.data.tasks import Split, Task
from dfkd.experiment import Cell
from dfkd.identity import digest, location_of, spec
from dfkd.method.defaults import with_defaults
from dfkd.method.selection import BaseSelection, Selection
from dfkd.models.networks.network import classifier_head
from dfkd.models.teachers import TrainedNetwork, accuracy
from dfkd.scores import Scorer, Scores, missing_shards, score_shard
from dfkd.scores.bn_distance import BN_DISTANCES, bn_distances, check_has_statistics
from dfkd.scores.disk_space import Need, need
from dfkd.scores.memory_map import memory_map_here, open_memory_map, write_memory_map
from dfkd.scores.not_finite import NotFinite, together
from dfkd.scores.top_k import TopK
from dfkd.storage import Storage, layout
from dfkd.storage.layout import Key
from dfkd.synthesis import Synthesised
from dfkd.synthesis.pool import builder_of
from dfkd.training.own_losses import check_own_losses
from dfkd.training.probe import Probe, draw_probe


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a run reads: the pool's images, the teacher's answers to them, and the probe's rows.

    Arrays may be memory maps of what is larger than memory. validation: only looked at, nothing is
    chosen by it. teacher: for what asks it more than its cached answers. selections: the storage
    where choices from these scores are kept.
    """

    images_NHWC: PoolImages
    scores: Scores
    probe: Probe
    validation: Split | None
    teacher: TrainedNetwork | None = None
    selections: Storage | None = None

    def gathered(self, rows_N: NDArray[np.int64]) -> Inputs:
        """Return inputs that read the images of these rows and the probe's at once.

        Only these are read where the pool's images stay in its shards.
        """
        rows_M = np.union1d(rows_N, self.probe.rows_P)
        return replace(self, images_NHWC=gathered(self.images_NHWC, rows_M))

    def scores_for(self, selection: Selection, task: Task, device: str = "cpu") -> Scores:
        """Return the scores with what the rule reads beside the teacher's answers.

        The distances to the BatchNorm statistics are computed where a rule first asks for them, and
        kept beside the choices. Raises ValueError for a teacher without such statistics.
        """
        if not reads_bn_distances(selection):
            return self.scores
        return replace(self.scores, bn_distance_N=self._bn_distances(task, device))

    def _bn_distances(self, task: Task, device: str) -> NDArray[np.float32]:
        """Read them, or put them there: where two processes compute them, both read the first's."""
        if self.selections is None:
            return bn_distances(self._present_teacher(), self.images_NHWC, task, device)
        kept, key = self.selections, Key(BN_DISTANCES)
        if not kept.exists(key):
            file = io.BytesIO()
            np.save(file, bn_distances(self._present_teacher(), self.images_NHWC, task, device))
            kept.put_if_absent(key, file.getvalue())
        distance_N: NDArray[np.float32] = np.load(kept.local(key), "r", allow_pickle=False)
        return distance_N

    def _present_teacher(self) -> TrainedNetwork:
        if self.teacher is None:
            raise ValueError("the rule needs the teacher itself, but its inputs hold answers only")
        return self.teacher


def reads_bn_distances(selection: Selection) -> bool:
    """Return whether a rule reads the rows' distances to the teacher's BatchNorm statistics."""
    return "bn_distance" in (with_defaults(selection, BaseSelection).columns or ())


def with_labels(inputs: Inputs, task: Task) -> Inputs:
    """Return the inputs with one-hot original labels in the place of the teacher's logits.

    The pool must be the task's own training images.
    """
    scores = inputs.scores
    one_hot_NK = np.eye(scores.classes, dtype=np.float32)
    label_N = TrainingImages(task=task).labels(scores.row_id_N)
    return replace(inputs, scores=replace(scores, logits_NK=one_hot_NK[label_N]))


def teacher_accuracy(inputs: Inputs, task: Task, device: str) -> float | None:
    """Return the teacher's accuracy on validation labels, in [0, 1]; None without labels."""
    if inputs.teacher is None or inputs.validation is None:
        return None
    return accuracy(inputs.teacher.build(task).to(device), inputs.validation, task, device)


def teacher_head(inputs: Inputs, task: Task) -> tuple[Tensor, Tensor | None]:
    """Return weight [K, D] and bias [K] of the teacher's last layer.

    ValueError where the inputs hold answers only.
    """
    if inputs.teacher is None:
        raise ValueError("a loss needs the teacher's last layer, but its inputs hold answers only")
    head = classifier_head(inputs.teacher.build(task))
    return head.weight, head.bias


@dataclass(frozen=True, kw_only=True)
class InputSource:
    """A teacher that is trained or read, and a pool that lies on disk."""

    task: Task
    teacher: TrainedNetwork
    pool: PoolFiles
    cache: TopK | None = None  # what is kept of the teacher's logits; None is all


def inputs_key(cell: Cell) -> str:
    """Return what is equal for cells that share a source, known before anything is made."""
    e, block = cell.experiment, cell.block
    places = [location_of(part) for part in (e.task, e.pool, e.teacher)]
    kept = [] if e.cache is None else [spec(e.cache)]
    return digest(
        [spec(e.task), spec(e.pool), spec(e.teacher), *places, block.draw, block.teacher, *kept]
    )


def check(cell: Cell, storage: Storage, read_test: bool = False) -> None:
    """Raise ValueError with one line if the teacher or the pool cannot serve.

    Nothing is computed or written for it. read_test: whether the test set will be read; a task may
    have none.
    """
    e = cell.experiment
    if read_test:
        e.task.require("test")
    e.task.check()
    e.teacher.check(e.task)
    if reads_bn_distances(e.selection):
        check_has_statistics(e.teacher.network, e.task)
    check_own_losses(e)
    storage.check_writable()
    e.pool.check(e.task.image_shape)
    if isinstance(e.pool, Synthesised):
        e.pool.check_teacher(e.teacher.network, e.task)


def obtain(cell: Cell, storage: Storage, device: str = "cpu") -> InputSource:
    """Train or read the teacher and put the pool in place, in this process.

    The second time both are found.
    """
    e, block = cell.experiment, cell.block
    teacher = e.teacher.obtain(e.task, storage, block.teacher)
    pool = builder_of(e.pool, e.task, lambda: teacher, storage, block.draw, device).files()
    return InputSource(task=e.task, teacher=teacher, pool=pool, cache=e.cache)


def score_here(source: InputSource, storage: Storage, device: str = "cpu") -> None:
    """Score the shards that have no scores yet, one after the other in this process.

    NotFinite, with the counts of all of them, where the teacher's answers are NaN or infinite.
    """
    check_space(source, storage)
    missing = missing_shards(storage, source.teacher.digest, source.pool, source.task, source.cache)
    if not missing:
        return
    scorer, refused = Scorer(source.teacher, source.task, device), list[NotFinite]()
    for shard in missing:
        try:
            score_shard(storage, scorer, shard, source.cache)
        except NotFinite as why:
            refused.append(why)
    if refused:
        raise together(refused, sum(shard.rows for shard in missing))


def check_space(source: InputSource, storage: Storage) -> Need:
    """Return what scores and memory map will take. ValueError where the disk has not so much."""
    found = need(source.teacher, source.pool, source.task, source.cache, storage)
    found.check(storage)
    return found


@dataclass(frozen=True, kw_only=True)
class MappedInputs:
    """Inputs as they travel to a worker: by what the arrays are known, and what is small."""

    key: Key
    storage: Storage
    source: InputSource
    validation: Split | None

    def open(self) -> Inputs:
        """Map the arrays, which are made on this node where they are not here yet."""
        source = self.source
        folder = memory_map_here(
            self.key, self.storage, source.teacher.digest, source.pool, source.task, source.cache
        )
        images_NHWC, scores = open_memory_map(folder, source.pool, source.task)
        return Inputs(
            images_NHWC=images_NHWC,
            scores=scores,
            probe=draw_probe(scores),
            validation=self.validation,
            teacher=source.teacher,
            selections=self.storage.below(self.key / layout.SELECTIONS),
        )


def memory_map_of(source: InputSource, storage: Storage) -> MappedInputs:
    """Put images and scores side by side on disk, so that they can be mapped.

    The scores must be there.
    """
    folder = write_memory_map(
        storage, source.teacher.digest, source.pool, source.task, source.cache
    )
    return MappedInputs(
        key=layout.pack(folder.name),
        storage=storage,
        source=source,
        validation=source.task.validation(),
    )


def load(source: InputSource, storage: Storage) -> Inputs:
    """Return the inputs in this process."""
    return memory_map_of(source, storage).open()
