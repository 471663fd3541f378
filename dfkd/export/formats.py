"""The formats of an exported student: how each is written, and opened again without the original.

B batch, C channels, H height, W width, K classes. Every format takes float32 images [B, C, H, W] in
0..1, whatever B.
"""

import io
import json
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from dfkd.data.tasks import Task
from dfkd.experiment.rebuild import piece
from dfkd.export.standalone import Standalone, assembled
from dfkd.identity import Scalar
from dfkd.storage.files import write_json

# from images [B, C, H, W] to logits [B, K]
Answer = Callable[[NDArray[np.float32]], NDArray[np.float32]]
CONFIG = "config.json"
INPUT, OUTPUT = "images", "logits"


@dataclass(frozen=True)
class Format:
    """How a student is written into a folder and opened from there.

    use: three lines of Python for the card, with {shape} for the shape of the images.
    """

    name: str
    file: str
    write: Callable[[Standalone, tuple[int, int, int], Path], None]
    open: Callable[[Path], Answer]
    use: str


class NotExported(ValueError):
    """This student does not fit into a format; the message says into which, and why."""


def load(folder: str | Path, modules: Iterable[str] = ()) -> Standalone:
    """Return the student of an exported folder in eval mode.

    It is read from model.safetensors and config.json. modules: names of yours with the class of the
    network, where it is one of yours.
    """
    config: dict[str, Any] = json.loads((Path(folder) / CONFIG).read_text(encoding="utf-8"))
    network = piece(config["network"], "student", modules)
    weights = load_file(Path(folder) / "model.safetensors")
    return assembled(
        network, config["classes"], tuple(config["mean"]), tuple(config["std"]), weights
    )


def write_config(folder: Path, cell: str, network: dict[str, Scalar], task: Task) -> None:
    """Write what `load` reads. network: the student's parameters, as `flat(network, "student")`."""
    height, width, channels = task.image_shape
    value = {
        "cell": cell,
        "network": network,
        "classes": task.classes,
        "image": [channels, height, width],
        "mean": list(task.mean),
        "std": list(task.std),
    }
    write_json(folder / CONFIG, value)


def _write_pt2(student: Standalone, image_shape: tuple[int, int, int], path: Path) -> None:
    shapes = ({0: torch.export.Dim("batch", min=1)},)
    torch.export.save(
        torch.export.export(student, (_example(image_shape),), dynamic_shapes=shapes), path
    )


def _open_pt2(folder: Path) -> Answer:
    return _answer(torch.export.load(folder / "model.pt2").module())


def _write_onnx(student: Standalone, image_shape: tuple[int, int, int], path: Path) -> None:
    program = torch.onnx.export(
        student,
        (_example(image_shape),),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
        input_names=[INPUT],
        output_names=[OUTPUT],
        verbose=False,
    )
    assert program is not None  # it was not given a file to write
    program.save(path)


def _open_onnx(folder: Path) -> Answer:
    """Open the model in ONNX Runtime, with as many threads as PyTorch has here."""
    import onnxruntime  # a tenth of a second, and only here

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(
        folder / "model.onnx", options, providers=["CPUExecutionProvider"]
    )

    def answer(images_BCHW: NDArray[np.float32]) -> NDArray[np.float32]:
        (logits_BK,) = session.run([OUTPUT], {INPUT: images_BCHW})
        return np.asarray(logits_BK)

    return answer


def _write_safetensors(student: Standalone, image_shape: tuple[int, int, int], path: Path) -> None:
    save_file(
        {name: value.contiguous() for name, value in student.network.state_dict().items()}, path
    )


def _example(image_shape: tuple[int, int, int]) -> torch.Tensor:
    """Return two images: of one, the size of the batch would be taken for fixed."""
    height, width, channels = image_shape
    return torch.zeros(2, channels, height, width)


def _answer(model: torch.nn.Module) -> Answer:
    def answer(images_BCHW: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            logits_BK: torch.Tensor = model(torch.from_numpy(images_BCHW))
        return logits_BK.numpy()

    return answer


def formats(modules: Iterable[str] = ()) -> tuple[Format, ...]:
    """Return all formats. modules: as for `load`."""
    return (
        Format("torch.export", "model.pt2", _write_pt2, _open_pt2, _USE_PT2),
        Format("ONNX", "model.onnx", _write_onnx, _open_onnx, _USE_ONNX),
        Format(
            "safetensors",
            "model.safetensors",
            _write_safetensors,
            lambda folder: _answer(load(folder, modules)),
            _use_safetensors(modules),
        ),
    )


def write(
    how: Format, student: Standalone, image_shape: tuple[int, int, int], folder: Path
) -> None:
    """Write the student in one format; what the exporter prints is kept from the terminal.

    Raises NotExported with the first line of what the exporter raises.
    """
    silence = io.StringIO()
    try:
        with redirect_stderr(silence), redirect_stdout(silence):
            how.write(student, image_shape, folder / how.file)
    except (RuntimeError, ValueError, TypeError, AttributeError) as error:
        # what exporters raise for a network that does not fit
        line = next(
            (line for line in str(error).splitlines() if line.strip()), type(error).__name__
        )
        raise NotExported(f"the student does not fit into {how.name}: {line[:300]}") from error


_USE_PT2 = """\
import torch
model = torch.export.load("model.pt2").module()
logits = model(torch.rand({shape}))"""

_USE_ONNX = """\
import numpy, onnxruntime
session = onnxruntime.InferenceSession("model.onnx")
logits = session.run(["logits"], {{"images": numpy.random.rand({shape}).astype("float32")}})[0]"""


def _use_safetensors(modules: Iterable[str]) -> str:
    where = ", ".join(['"."', *([f"modules={list(modules)}"] if list(modules) else [])])
    return f"""\
import torch, dfkd.export
model = dfkd.export.load({where})
logits = model(torch.rand({{shape}}))"""
