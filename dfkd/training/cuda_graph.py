"""CUDA graphs: a student's pass on a GPU as one launch, not hundreds.

Small students leave a GPU waiting for Python, which launches kernel after kernel. A graph records
the kernels of the forward and of the backward pass once and replays them: the same kernels, so the
same bits. Losses, dropping and optimizer stay outside, as they may compute in Python.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dfkd.models.networks import Tapped
from dfkd.seeding import drawing_from
from dfkd.training.precision import autocast


def capture(student: Tapped, example_BCHW: Tensor, precision: str) -> bool:
    """Let the student's passes in train mode replay a graph; return whether that can be.

    Images must then have the example's shape. A network that reads numbers back to Python, or does
    not repeat its answer to the last bit, is left as it is.
    """
    state = {name: value.clone() for name, value in student.state_dict().items()}
    plain = student.forward
    try:
        with drawing_from(0, str(example_BCHW.device)):
            with autocast(example_BCHW.device, precision):
                torch.cuda.make_graphed_callables(student, (example_BCHW.clone(),))
            repeats = _repeats(student, plain, example_BCHW, precision)
    except RuntimeError:  # what capturing raises where a kernel cannot be recorded
        repeats = False
    if not repeats:
        student.forward = plain  # type: ignore[method-assign]
    _restore(student, state)
    return repeats


def _repeats(student: Tapped, plain: object, example_BCHW: Tensor, precision: str) -> bool:
    """Return whether graph and plain pass agree on other images than the captured ones."""
    assert callable(plain)
    images_BCHW, device = example_BCHW.flip(0), str(example_BCHW.device)
    with drawing_from(1, device), autocast(example_BCHW.device, precision):
        expected = [part.detach().clone() for part in plain(images_BCHW)]
    with drawing_from(1, device):
        found = [part.detach() for part in student(images_BCHW)]
    return all(map(torch.equal, expected, found))


def _restore(module: nn.Module, state: dict[str, Tensor]) -> None:
    """Put the statistics back that warming up has moved, where the graph reads them."""
    with torch.no_grad():
        for name, value in module.state_dict().items():
            value.copy_(state[name])
