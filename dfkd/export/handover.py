"""Handing a student over: found in a storage, exported into a whole folder or none, printed.

N images, H height, W width, C channels.
"""

from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np
import torch
from numpy.typing import NDArray

from dfkd.experiment import Experiment, rebuild
from dfkd.export.card import card
from dfkd.export.folder import Checked, Student, is_export_of, write_formats
from dfkd.reporting.console import Console
from dfkd.reporting.numbers import counted
from dfkd.reporting.shell import option
from dfkd.seeding import Block
from dfkd.storage import Storage, layout
from dfkd.storage.ledger import Ledger
from dfkd.storage.outcome import Outcome
from dfkd.training.environment import this_environment
from dfkd.training.recorded_inputs import probe_images

MOST_IMAGES = 1000  # on which formats are compared


def student_of(outcome: Outcome, storage: Storage, modules: Sequence[str]) -> Student:
    """Return the student of a recorded cell.

    Raises ValueError in one line for a cell that has no student, or whose weights are not here.
    """
    options = f"{rebuild.module_options(outcome.params)} {option('storage', storage)}"
    again = f"python -m platform.distill --run {outcome.cell}{options}"
    if outcome.state == "diverged":
        raise ValueError(
            f"the cell {outcome.cell} diverged at step {outcome.step}: it has no student to export"
        )
    if outcome.state != "finished":
        raise ValueError(
            f"the cell {outcome.cell} was {outcome.state} at step {outcome.step}: finish it with "
            f"{again}"
        )
    try:
        weights = Ledger(storage).weights(outcome.cell)
    except FileNotFoundError as error:
        raise ValueError(
            f"the weights of {outcome.cell} are not in {storage}: name the storage that has them "
            f"with --storage, or compute it again with {again}"
        ) from error
    experiment = rebuild.experiment(outcome.params, {}, modules)
    return Student(cell=outcome.cell, experiment=experiment, weights=weights)


def export(
    student: Student, outcome: Outcome, storage: Storage, target: Storage, console: Console
) -> None:
    """Write the student into `target`, a storage of its own, unless it is there; print what it is.

    Raises ValueError where the student cannot be exported: nothing is left then.
    """
    if is_export_of(target, student.cell):
        console.document.put(
            "export", {"cell": student.cell, "folder": str(target), "formats": None}
        )
        console.line(f"it is there: {target}; delete it to have it written again")
        return
    _check_packages()
    images_NHWC, images_are = images_to_compare(student.experiment, outcome, storage)
    threads = counted(torch.get_num_threads(), "thread")
    machine = f"{this_environment('cpu').device}, {threads}"
    try:
        with (
            target.writing_folder(layout.ROOT) as half,
            console.step("written, opened again, compared and measured"),
        ):
            checked = write_formats(student, images_NHWC, half)
            (half / "README.md").write_text(
                card(student, outcome, checked, images_are, machine), encoding="utf-8"
            )
    except OSError as error:
        raise ValueError(
            f"{target} cannot be written ({error.strerror or error}): name another folder with "
            "--out"
        ) from error
    _print_formats(student, checked, images_are, machine, console)
    said = [
        {
            "file": one.format.file,
            "bytes": one.bytes,
            "agreement": one.agreement,
            "speed": one.speed,
        }
        for one in checked
    ]
    console.document.put("export", {"cell": student.cell, "folder": str(target), "formats": said})
    console.document.wrote(target)
    console.line(f"written to {target}: {', '.join(target.list(layout.ROOT))}")
    console.line(f"next:  read {target}/README.md, which says how to load each file")


def _check_packages() -> None:
    """Raise ValueError unless what writes and opens ONNX is installed."""
    missing = [name for name in ("onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise ValueError(
            f"an export needs {' and '.join(missing)}: pip install 'dfkd-platform[export]'"
        )


def images_to_compare(
    experiment: Experiment, outcome: Outcome, storage: Storage
) -> tuple[NDArray[np.uint8], str]:
    """Return at most 1,000 images, evenly spaced, and what they are.

    Validation images where the task has some, else the probe's, else noise.
    """
    images_NHWC, what = _images(experiment, outcome, storage)
    kept = np.unique(np.linspace(0, len(images_NHWC) - 1, MOST_IMAGES).astype(int))
    return np.ascontiguousarray(images_NHWC[kept]), f"{len(kept)} {what}"


def _images(
    experiment: Experiment, outcome: Outcome, storage: Storage
) -> tuple[NDArray[np.uint8], str]:
    try:
        validation = experiment.task.validation()
        if validation is not None:
            return validation.images, "validation images of the task"
        return probe_images(
            experiment, Block(**outcome.block), outcome.tags, storage
        ), "held-out images of the pool"
    except ValueError:  # of a task or pool whose files are elsewhere
        return np.random.default_rng(0).integers(
            0, 256, (256, *experiment.task.image_shape), np.uint8
        ), "images of noise"


def _print_formats(
    student: Student, checked: Sequence[Checked], images_are: str, machine: str, console: Console
) -> None:
    header = [
        "format",
        "bytes",
        "difference",
        "same answers",
        "ms, batch 1",
        "10-90 %",
        "images/s, batch 64",
    ]
    rows = [
        [
            one.format.name,
            f"{one.bytes:,}",
            f"{one.agreement.difference:.1e}",
            f"{one.agreement.same} of {one.agreement.images}",
            f"{one.speed.median_ms:.3g}",
            f"{one.speed.low_ms:.3g}-{one.speed.high_ms:.3g}",
            f"{one.speed.images_per_s:,.0f}",
        ]
        for one in checked
    ]
    console.table(f"Student of {student.cell}, {student.parameters:,} parameters", header, rows)
    speed = checked[0].speed
    console.line(
        f"compared on {images_are}; measured in {speed.runs} and {speed.batches} runs on {machine}"
    )
