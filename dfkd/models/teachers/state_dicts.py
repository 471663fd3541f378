"""State dicts from files of others: safetensors, or what `torch.save` wrote.

Nothing in them is executed.
"""

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

from dfkd.data.images.formats import HEAD, LFS_POINTER, other_kind

# What a checkpoint calls it
WRAPPINGS = (
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "network",
    "weights",
    "module",
    "params",
)
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


def read_state_dict(path: Path, inside: str = "") -> tuple[dict[str, Tensor], list[str]]:
    """Return names and tensors, and in words what was taken off to get at them.

    inside: which part is taken where there are several, by its name; "" for the raw weights. Raises
    ValueError in one line for a file that is missing, damaged, of another format, or would have to
    run code, and where no part has that name.
    """
    if not path.is_file():
        what = "is no file, but a folder or a pipe" if path.exists() else "does not exist"
        raise ValueError(
            f"the teacher file {path} {what}: name a .safetensors file with the teacher's "
            "weights, or a .pt file with its state dict"
        )
    _check_is_here(path)
    content = _read_safetensors(path) if _is_safetensors(path) else _read_pytorch(path)
    taken_off: list[str] = []
    while isinstance(content, dict) and not _is_state_dict(content):
        name = inside if isinstance(content.get(inside), dict) else _part(path, content)
        if name is None:
            break
        others = [other for other in _with_weights(content) if other != name]
        taken_off.append(f"its {name!r}")
        taken_off += [f"not its {other!r} (inside={other!r} takes it)" for other in others]
        content = content[name]
        inside = "" if name == inside else inside
    content, left = _without_plain_values(content)
    taken_off += left
    if not _is_state_dict(content):
        names = (
            f" with {', '.join(map(repr, list(content)[:5]))}" if isinstance(content, dict) else ""
        )
        raise ValueError(
            f"the teacher file {path} holds a {type(content).__name__}{names}, where a state dict "
            "was expected: save one with torch.save(net.state_dict(), path)"
        )
    weights = {str(name): value.detach() for name, value in content.items()}
    if inside:
        weights, taken_off = _below(path, weights, inside, taken_off)
    _check_plain(path, weights)
    return weights, taken_off


def _without_plain_values(content: Any) -> tuple[Any, list[str]]:
    """Return a dict's tensors alone, and in words what stood beside them, such as an epoch."""
    if not isinstance(content, dict) or not any(isinstance(p, Tensor) for p in content.values()):
        return content, []
    beside = [name for name, part in content.items() if not isinstance(part, Tensor)]
    if not beside:
        return content, []
    tensors = {name: part for name, part in content.items() if isinstance(part, Tensor)}
    return tensors, [f"without {len(beside)} values that are no tensors, such as {beside[0]!r}"]


def _part(path: Path, content: dict[Any, Any]) -> str | None:
    """Return the name of the part with the weights; None where there is none.

    Raises ValueError where several parts have some and none has a usual name.
    """
    usual = next((name for name in WRAPPINGS if isinstance(content.get(name), dict)), None)
    if usual is not None:
        return usual
    names = _with_weights(content)
    if len(names) > 1:
        raise ValueError(
            f"the teacher file {path} holds several sets of weights, "
            f"{', '.join(map(repr, names))}: choose one with inside={names[0]!r}"
        )
    return names[0] if names else None


def _with_weights(content: dict[Any, Any]) -> list[str]:
    """Return the names of the parts that are state dicts, or dicts around one."""
    return [str(name) for name, part in content.items() if _has_weights(part)]


def _has_weights(part: Any) -> bool:
    if not isinstance(part, dict) or not part:
        return False
    return _is_state_dict(part) or any(_has_weights(part.get(name)) for name in WRAPPINGS)


def _below(
    path: Path, weights: dict[str, Tensor], inside: str, taken_off: list[str]
) -> tuple[dict[str, Tensor], list[str]]:
    """Return the weights whose names begin with `inside`, without it."""
    begin = f"{inside}."
    found = {n.removeprefix(begin): value for n, value in weights.items() if n.startswith(begin)}
    if not found:
        there = ", ".join(repr(name) for name in sorted({n.partition(".")[0] for n in weights})[:5])
        raise ValueError(
            f"the teacher file {path} holds nothing called inside={inside!r}, but {there}: mend "
            "inside, or leave it out"
        )
    return found, [*taken_off, f"its {inside!r}"]


def _check_is_here(path: Path) -> None:
    """Raise ValueError for what stands in the place of the weights, by the file's first bytes."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head.startswith(LFS_POINTER):
        raise ValueError(
            f"the teacher file {path} is a git-lfs pointer, not the weights: run git lfs pull in "
            "its folder"
        )
    what = other_kind(head)
    if what.startswith("a web page"):
        raise ValueError(f"the teacher file {path} is {what}; fetch it again")
    if what == "a gzip archive":
        raise ValueError(f"the teacher file {path} is {what}: unpack it, and name what is in it")


def _is_state_dict(content: Any) -> TypeGuard[dict[str, Tensor]]:
    return isinstance(content, dict) and all(isinstance(v, Tensor) for v in content.values())


def _check_plain(path: Path, weights: dict[str, Tensor]) -> None:
    """Raise ValueError for a tensor that is quantised, sparse or without values."""
    for name, value in weights.items():
        if value.is_meta:
            what, way = "no values, only a shape,", "load the weights before you save them"
        elif value.is_quantized:
            what, way = "quantised numbers", "save value.dequantize() in its place"
        elif value.layout != torch.strided or value.is_nested:
            kind = "nested" if value.is_nested else str(value.layout)
            what, way = f"a tensor of layout {kind}", "save a dense one in its place"
        else:
            continue
        raise ValueError(
            f"the teacher file {path} has {what} in {name!r}, where a plain tensor was expected: "
            f"{way}"
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
        if "TorchScript" in str(error):
            raise ValueError(
                f"the teacher file {path} is a program of TorchScript, and reading it can run any "
                "code: if you trust it, save the weights alone with "
                "torch.save(torch.jit.load(path).state_dict(), other_path)"
            ) from error
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
