"""The model card: README.md of an exported student, in the form of Hugging Face's hub."""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from typing import Any

from dfkd.data.pools import TrainingImages
from dfkd.experiment import Experiment
from dfkd.experiment.rebuild import module_options
from dfkd.export.folder import Checked, Student
from dfkd.identity import is_piece, name_of
from dfkd.reporting.markdown import as_text
from dfkd.seeding import Block
from dfkd.storage.outcome import Outcome

PERCENT = {
    "test": "accuracy on the task's test set",
    "validation": "accuracy on the task's validation set",
    "probe": "agreement with the teacher on held-out rows of the pool, mean over classes",
}
WEAKEST = 3  # classes that are named


def card(
    student: Student,
    outcome: Outcome,
    checked: Sequence[Checked],
    images_are: str,
    measured_on: str,
) -> str:
    """Return the card as Markdown.

    images_are: on what the formats were compared. measured_on: machine and threads of the timings.
    """
    experiment = student.experiment
    parts = [
        _front(student, outcome),
        f"# {_title(experiment)}",
        _what(experiment, student),
        "## Load it",
        _loading(experiment, checked),
        "## Accuracy",
        _accuracy(outcome),
        "## Formats",
        _formats(checked, images_are, measured_on),
        "## How it was made",
        _recipe(experiment, outcome),
        "## Limits",
        _limits(experiment, outcome),
    ]
    return "\n\n".join(parts) + "\n"


def _title(experiment: Experiment) -> str:
    pieces = (experiment.student, experiment.task, experiment.teacher.network)
    student, task, teacher = (name_of(piece) for piece in pieces)
    return f"{student} for {task}, distilled from {teacher}"


def _front(student: Student, outcome: Outcome) -> str:
    """Return the front matter as YAML; JSON is YAML, and quotes what has to be quoted."""
    lines = ["library_name: pytorch", "pipeline_tag: image-classification"]
    lines += ["tags:", "- knowledge-distillation", "- data-free", "- onnx", "- safetensors"]
    measured = [name for name in ("test", "validation") if name in outcome.metrics]
    if measured:
        task = name_of(student.experiment.task)
        results = [
            {
                "task": {"type": "image-classification"},
                "dataset": {"name": task, "type": task, "split": name},
                "metrics": [{"type": "accuracy", "value": round(outcome.metrics[name], 6)}],
            }
            for name in measured
        ]
        lines.append("model-index: " + json.dumps([{"name": outcome.cell, "results": results}]))
    return "\n".join(["---", *lines, "---"])


def _what(experiment: Experiment, student: Student) -> str:
    classes, (height, width, channels) = experiment.task.classes, experiment.task.image_shape
    return (
        f"An image classifier with {student.parameters:,} parameters and {classes} classes. "
        f"It learned from {_source(experiment)}.\n\n"
        f"In: `images`, float32 [batch, {channels}, {height}, {width}], scaled to 0..1; the "
        f"normalisation is inside. Out: `logits`, float32 [batch, {classes}]; softmax makes "
        "probabilities of them."
    )


def _source(experiment: Experiment) -> str:
    if experiment.pool != TrainingImages(task=experiment.task):
        return (
            "a teacher's answers to unlabelled images, without the data that the teacher was "
            "trained on"
        )
    original = "the task's own training images, which a data-free method does not have: a baseline"
    if experiment.reads_labels:
        return f"the labels of {original}"
    return f"a teacher's answers to {original}"


def _loading(experiment: Experiment, checked: Iterable[Checked]) -> str:
    height, width, channels = experiment.task.image_shape
    shape = f"4, {channels}, {height}, {width}"
    blocks = [
        f"{one.format.name}, "
        f"`{one.format.file}`:\n\n```python\n{one.format.use.format(shape=shape)}\n```"
        for one in checked
    ]
    last = (
        "The first two need no code of the project that made this; the last is for going on with "
        "it, with `dfkd`."
    )
    return "\n\n".join([*blocks, last])


def _accuracy(outcome: Outcome) -> str:
    known = [
        (outcome.metrics[name], what) for name, what in PERCENT.items() if name in outcome.metrics
    ]
    rows = [f"- {100 * value:.1f} %: {what}" for value, what in known]
    by_class = {
        n.removeprefix("test.class."): v
        for n, v in outcome.metrics.items()
        if n.startswith("test.class.")
    }
    if by_class:
        weakest = sorted(by_class, key=lambda label: by_class[label])[:WEAKEST]
        rows.append(
            f"- weakest classes: {', '.join(f'{k} ({100 * by_class[k]:.1f} %)' for k in weakest)}"
        )
    return "As recorded when it was trained:\n\n" + "\n".join(rows)


def _formats(checked: Iterable[Checked], images_are: str, measured_on: str) -> str:
    header = (
        "| file | bytes | largest difference of a logit | same answer | latency, batch 1 | "
        "images/s, batch 64 |"
    )
    lines = [header, "|---|---|---|---|---|---|", *(_row(one) for one in checked)]
    return (
        "\n".join(lines)
        + f"\n\nCompared with the student as it was trained, on {images_are}, one by one and in "
        "batches. "
        f"Latency: median and, in brackets, the range of the middle 80 % of the runs. Measured on "
        f"{measured_on}; "
        "`model.safetensors` as plain PyTorch."
    )


def _row(one: Checked) -> str:
    agreed, speed = one.agreement, one.speed
    return (
        f"| {one.format.file} | {one.bytes:,} | {agreed.difference:.1e} of {agreed.largest:.1f} | "
        f"{agreed.same} of {agreed.images} | {speed.median_ms:.3g} ms ({speed.low_ms:.3g} to "
        f"{speed.high_ms:.3g}), n {speed.runs} | {speed.images_per_s:,.0f}, n {speed.batches} |"
    )


def _recipe(experiment: Experiment, outcome: Outcome) -> str:
    """List teacher, pool and recipe, without the places of files on the machine that trained it."""
    hidden = _locations(experiment, "")
    rows = [
        f"| {as_text(name)} | {as_text(str(value))} |"
        for name, value in experiment.params().items()
        if name not in hidden
    ]
    facts = {
        "cell": outcome.cell,
        "block": str(Block(**outcome.block)),
        "steps": str(outcome.step),
        "digest of the teacher": outcome.tags.get("teacher", "not recorded"),
        "digest of the pool": outcome.tags.get("pool", "not recorded"),
        "commit": outcome.tags.get("git_commit") or "not recorded",
        **{str(name): str(value) for name, value in outcome.environment.items()},
    }
    rows += [f"| {name} | {as_text(value)} |" for name, value in facts.items()]
    where = (
        "From a storage that holds it: `python -m platform.distill --run "
        f"{outcome.cell}{module_options(outcome.params)}` computes the same again."
    )
    return "\n".join(["| what | value |", "|---|---|", *rows, "", where])


def _locations(piece: Any, prefix: str) -> set[str]:
    """Return the names of the parameters below this piece that say where something lies."""
    found = set()
    for field in dataclasses.fields(piece):
        value, name = getattr(piece, field.name), f"{prefix}{field.name}"
        if is_piece(value):
            found |= _locations(value, f"{name}.")
        elif field.metadata.get("location"):
            found.add(name)
    return found


def _limits(experiment: Experiment, outcome: Outcome) -> str:
    height, width, _ = experiment.task.image_shape
    lines = [
        f"It is one student of one seed (block {Block(**outcome.block)}), one teacher and one draw "
        "of the pool; another seed would be a little better or worse.",
        f"It takes images of {height}x{width} pixels of the kind that the task "
        f"{name_of(experiment.task)} has, and answers with one of its classes to anything else as "
        "well. Its probabilities were not calibrated.",
    ]
    if not experiment.reads_labels:
        lines.append("It saw no original label: what the teacher gets wrong it may have learned.")
    if "test" not in outcome.metrics:
        lines.append(
            "The test set was not read for it: choose by the numbers above, then test it once."
        )
    lines.append("The licence follows from the teacher's and the images'; it is not stated here.")
    return "\n".join(f"- {line}" for line in lines)
