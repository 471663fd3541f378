"""Precision: in which numbers the networks of a training step compute.

Weights, losses, optimizer, evaluation and the teacher's scores are in float32 always, so that a
student is judged and exported as it is recorded.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


def resolved(precision: str, device: str) -> str:
    """Return "float32" or "bfloat16"; "auto" is bfloat16 where this machine multiplies in it."""
    if precision != "auto":
        return precision
    if device.startswith("cuda"):
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        processor = torch.cpu.get_capabilities()
        fast = bool(processor.get("amx_bf16") or processor.get("avx512_bf16"))
    return "bfloat16" if fast else "float32"


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """Return the context in which a network's forward pass runs.

    float32 is what PyTorch does by itself; on recent GPUs its convolutions then use TF32.
    """
    if precision == "float32":
        return nullcontext()
    # without its cache of casted weights, which a CUDA graph cannot hold
    return torch.autocast(device.type, torch.bfloat16, cache_enabled=False)


def laid_out(network: M, precision: str) -> M:
    """Return the network with its weights in the memory format that is fast in this precision."""
    return network.to(memory_format=torch.channels_last) if precision == "bfloat16" else network
