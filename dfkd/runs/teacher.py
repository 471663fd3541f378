"""Prints how good a teacher is before anything is spent, and what it says of a pool.

With labels that is its accuracy, without labels its confidence. N images, K classes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfkd.data.tasks.task import NoSplit, Split, Task
from dfkd.experiment import Cell
from dfkd.models.teachers import TrainedNetwork, predict
from dfkd.reporting.console import Console
from dfkd.scores import Scores, read_scores, score_images, score_path, scores_of
from dfkd.storage import Storage, layout
from dfkd.synthesis.pool import builder_of
from dfkd.training.inputs import InputSource

LEVELS = (0.5, 0.9, 0.99)  # of the teacher's confidence
ADVICE = "ask whoever trained it for mean and std, and for the order of channels and classes"
CLEAR = 3.0  # standard errors by which another numbering of the classes has to be better
SAMPLED = 1000  # images of the pool, for a first look
MOST_CLASSES = 20  # in a table; of more the largest and the smallest ones are shown


def print_teacher(teacher: TrainedNetwork, cell: Cell, storage: Storage, console: Console) -> None:
    """Print the accuracy on each split that the task has.

    Without a validation split, print also what the teacher says of some images of the pool. Raises
    ValueError where no image of the pool can be read.
    """
    task = cell.experiment.task
    module = teacher.build(task)
    parameters = sum(p.numel() for p in module.parameters())
    said: dict[str, Any] = {"digest": teacher.digest, "network": str(teacher.network)}
    said |= {"parameters": parameters, "origin": teacher.origin, "accuracy": {}}
    console.line(f"teacher: {teacher.network}, {parameters:,} parameters, {teacher.origin}")
    console.line(f"images: {wanted(task)}, {task.classes} classes")
    for name, split in (("validation", task.validation()), ("test", _test(task))):
        if split is not None:
            answer_N = predict(module, split.images, task)
            right = float((answer_N == split.labels).mean())
            said["accuracy"][name] = {"value": right, "images": len(split)}
            console.line(f"{name} accuracy: {100 * right:.1f} %, n {len(split)}")
            if (other := other_order(answer_N, split, task)) is not None:
                console.warn(other)
            elif right < 2 / task.classes and task.classes > 4:
                console.warn(f"that is hardly better than a guess: {ADVICE}")
    console.document.put("teacher", said)
    if task.validation() is None:
        console.line(
            "the task has no validation split: recipes are compared without labels, by the probe"
        )
        _show_confidence(teacher, cell, storage, console)


def print_scores(source: InputSource, storage: Storage, console: Console) -> None:
    """Print what the teacher says of all rows of a scored pool, and where the scores lie."""
    digest, cache = source.teacher.digest, source.cache
    paths = [score_path(storage, digest, shard, source.task, cache) for shard in source.pool.shards]
    scores = read_scores(paths)
    print_by_class(f"Pool of {len(scores)} rows by pseudo-class", scores, source.task, console)
    console.line(profile(scores))
    where = storage.address(layout.scores_of_teacher(digest))
    console.document.wrote(where)
    console.line(f"written to {where}")


def wanted(task: Task) -> str:
    """Return in a few words which images the task's teacher is given."""
    height, width, channels = task.image_shape
    mean, std = (", ".join(f"{value:.4g}" for value in values) for values in (task.mean, task.std))
    return f"{height}x{width}, channels {channels}, normalised with mean {mean} and std {std}"


def other_order(answer_N: NDArray[np.int64], split: Split, task: Task) -> str | None:
    """Return a warning where the answers fit another numbering of the classes clearly better."""
    if (found := task.renumbered()) is None:
        return None
    field, numbers = found
    other_N = answer_N == np.array(numbers)[split.labels]
    gain_N = other_N.astype(float) - (answer_N == split.labels)
    if gain_N.mean() <= CLEAR * gain_N.std() / np.sqrt(len(gain_N)):
        return None
    return (
        f"with {field} that would be {100 * other_N.mean():.1f} %: the teacher seems to number the "
        f"classes so; give the task {field}"
    )


def _test(task: Task) -> Split | None:
    try:
        return task.test()
    except NoSplit:
        return None


def _show_confidence(
    teacher: TrainedNetwork, cell: Cell, storage: Storage, console: Console
) -> None:
    e = cell.experiment
    builder = builder_of(e.pool, e.task, lambda: teacher, storage, cell.block.draw)
    images_NHWC = builder.sample(SAMPLED)
    if not len(images_NHWC):
        raise ValueError(f"nothing in the pool {e.pool} can be read: name another one")
    scores = scores_of(
        np.arange(len(images_NHWC)), *score_images(teacher, images_NHWC, e.task, "cpu")
    )
    print_by_class(
        f"What the teacher says of {len(scores)} images of the pool", scores, e.task, console
    )
    console.line(profile(scores))
    if (doubt := doubtful(scores)) is not None:
        console.warn(doubt)


def profile(scores: Scores) -> str:
    """Return a line with the confidence over all N rows and the share of the largest class."""
    seen = np.bincount(scores.pseudo_label_N, minlength=scores.classes)
    share = [(scores.confidence_N >= level).mean() for level in LEVELS]
    sure = ", ".join(
        f"{100 * level:.0f} % on {100 * s:.0f} % of them"
        for s, level in zip(share, LEVELS, strict=True)
    )
    classes = (
        f"{(seen > 0).sum()} of {scores.classes}, the largest {100 * seen.max() / len(scores):.0f} "
        "%"
    )
    return (
        f"confidence: median {100 * np.median(scores.confidence_N):.0f} %, at least {sure}; "
        f"classes: {classes}"
    )


def doubtful(scores: Scores) -> str | None:
    """Return a warning if the scores look like those of no useful teacher, else None."""
    if len(np.unique(scores.pseudo_label_N)) == 1:
        return (
            f"the teacher says class {scores.pseudo_label_N[0]} of every image: {ADVICE}, and look "
            "at the pool"
        )
    if np.median(scores.confidence_N) < 2 / scores.classes and scores.classes > 4:
        return (
            f"the teacher is hardly surer than a guess among {scores.classes}: {ADVICE}, and look "
            "at the pool"
        )
    return None


def print_by_class(title: str, scores: Scores, task: Task, console: Console) -> None:
    """Print for each pseudo-class its rows and how many of them the teacher is sure of.

    Classes stand by name where the task names them; of many only the largest and smallest stand.
    """
    names = task.class_names
    rows_K = np.bincount(scores.pseudo_label_N, minlength=scores.classes)
    shown = np.arange(scores.classes)
    if scores.classes > MOST_CLASSES:
        shown = np.argsort(-rows_K, kind="stable")
        shown = np.delete(shown, np.s_[MOST_CLASSES // 2 : -(MOST_CLASSES // 2)])
        title += f", the largest and smallest {MOST_CLASSES // 2} of {scores.classes} classes"
    console.document.put(
        "scores", {"rows": len(scores), "rows_by_class": dict(zip(names, rows_K, strict=True))}
    )
    header = ["class", "rows", *(f"conf >= {100 * level:.0f} %" for level in LEVELS)]
    console.table(
        title, header, [[str(names[label]), *_row(scores, label)] for label in shown.tolist()]
    )


def _row(scores: Scores, label: int) -> list[str]:
    confidence_N = scores.confidence_N[scores.pseudo_label_N == label]
    sure = [
        f"{100 * (confidence_N >= level).sum() / max(len(confidence_N), 1):.0f} %"
        for level in LEVELS
    ]
    return [str(len(confidence_N)), *sure]
