"""The teacher on the task's validation images, and the grey levels of pool and task.

N images, H height, W width, C channels, K classes.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dfkd.data.pools.pool_images import PoolImages
from dfkd.data.tasks import Split, Task
from dfkd.inspection.candidates import histogram
from dfkd.inspection.fitness import BINS, CONFIDENT, Profile
from dfkd.models.teachers import TrainedNetwork
from dfkd.scores import score_images, scores_of
from dfkd.training.inputs import Inputs

BRIGHTNESS_OF = 10_000  # rows, evenly spaced


@dataclass(frozen=True, kw_only=True)
class TeacherOnTask:
    """The teacher's profile and its recall of each class, None where there are no images of it."""

    profile: Profile
    recall_K: tuple[float | None, ...]


def teacher_on_task(
    teacher: TrainedNetwork, task: Task, inputs: Inputs, device: str
) -> TeacherOnTask:
    """Ask the teacher about the validation images; without any, only grey levels are compared."""
    profile = Profile(
        accuracy=None,
        images=0,
        confident=None,
        histogram=(0,) * BINS,
        pool_mean=mean_levels(inputs.images_NHWC),
        task_mean=task.mean,
        task_std=task.std,
    )
    split = inputs.validation
    if split is None or not len(split):
        return TeacherOnTask(profile=profile, recall_K=(None,) * task.classes)
    logits_NK, features_ND = score_images(teacher, split.images, task, device)
    answers = scores_of(np.arange(len(split)), logits_NK, features_ND)
    right_N = answers.pseudo_label_N == split.labels
    asked = replace(
        profile,
        accuracy=float(right_N.mean()),
        images=len(split),
        confident=float((answers.confidence_N >= np.float32(CONFIDENT)).mean()),
        histogram=histogram(answers.confidence_N),
    )
    return TeacherOnTask(profile=asked, recall_K=_recall(right_N, split, task.classes))


def _recall(right_N: NDArray[np.bool_], split: Split, classes: int) -> tuple[float | None, ...]:
    return tuple(
        float(right_N[split.labels == k].mean()) if (split.labels == k).any() else None
        for k in range(classes)
    )


def mean_levels(images_NHWC: PoolImages) -> tuple[float, ...]:
    """Return the mean grey level of each channel in 0..1, over BRIGHTNESS_OF rows at the most."""
    count = min(len(images_NHWC), BRIGHTNESS_OF)
    spaced = np.unique(np.linspace(0, len(images_NHWC) - 1, count).round().astype(np.int64))
    means = np.asarray(images_NHWC[spaced]).mean(axis=(0, 1, 2), dtype=np.float64) / 255
    return tuple(means.tolist())
