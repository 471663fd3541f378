"""State dicts from files of others: safetensors, or what `torch.save` wrote.

Nothing in them is executed.
"""

from __future__ import annotations

import pickle
import re
import struct
import warnings
from pathlib import Path
from typing import Any, TypeGuard

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

# What a checkpoint calls it
WRAPPINGS = ("state_dict", "model_state_dict", "model", "net", "network", "weights")
# What torch.load was seen to raise for damaged files, beside its own error
DAMAGED = (
    RuntimeError,
    OSError,
    EOFError,
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    AssertionError,
    MemoryError,
    struct.error,
    SafetensorError,  # torch.load asks safetensors about a file that is only called so
)


def read_state_dict(path: Path) -> tuple[dict[str, Tensor], list[str]]:
    """Return names and tensors, and in words what was taken off to get at them.

    Raises ValueError in one line for a file that is missing, damaged, of another format, or would
    have to run code.
    """
    if not path.is_file():
        raise ValueError(
            f"the teacher file {path} does not exist: name a .safetensors file with the teacher's "
            "weights, or a .pt file with its state dict"
        )
    content = _read_safetensors(path) if _is_safetensors(path) else _read_pytorch(path)
    taken_off: list[str] = []
    while isinstance(content, dict) and not _is_state_dict(content):
        inside = next((name for name in WRAPPINGS if isinstance(content.get(name), dict)), None)
        if inside is None:
            break
        content = content[inside]
        taken_off.append(f"its {inside!r}")
    if not _is_state_dict(content):
        names = (
            f" with {', '.join(map(repr, list(content)[:5]))}" if isinstance(content, dict) else ""
        )
        raise ValueError(
            f"the teacher file {path} holds a {type(content).__name__}{names}, where a state dict "
            "was expected: save one with torch.save(net.state_dict(), path)"
        )
    return {str(name): value.detach() for name, value in content.items()}, taken_off


def _is_state_dict(content: Any) -> TypeGuard[dict[str, Tensor]]:
    return isinstance(content, dict) and all(_is_plain(value) for value in content.values())


def _is_plain(value: Any) -> bool:
    """Return whether it is a tensor, not quantised, sparse or without data as a file can hold."""
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and not (value.is_quantized or value.is_meta)
    )


def _is_safetensors(path: Path) -> bool:
    """Return whether the file begins with the eight bytes of a length and then JSON."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _read_safetensors(path: Path) -> Any:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"the teacher file {path} is no readable safetensors file ({error}): save it again"
        ) from error


def _read_pytorch(path: Path) -> Any:
    """Return tensors in dicts and lists.

    What else a pickle may hold could run code when it is read: it is refused.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd files: they are read, or refused below
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(_refusal(path, str(error))) from error
    except DAMAGED as error:
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise ValueError(
            f"the teacher file {path} is neither safetensors nor a readable state dict ({reason}): "
            "save it again"
        ) from error


def _refusal(path: Path, reason: str) -> str:
    named = re.search(r"GLOBAL ([\w.]+)", reason)
    if named is None:
        return (
            f"the teacher file {path} is neither safetensors nor a readable state dict: save it "
            "again"
        )
    return (
        f"the teacher file {path} holds a pickled object of {named[1]}, and reading such a file "
        "can run any code: if you trust it, load it where that class is known and save its weights "
        "alone with torch.save(net.state_dict(), path)"
    )
