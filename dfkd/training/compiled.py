"""Compiled passes: torch.compile for networks in training steps.

It makes few large kernels of many small ones, which round otherwise: whether passes are compiled is
part of a cell's environment. Weights and their names stay, and a student is judged uncompiled.
"""

from __future__ import annotations

import os
import shutil

from torch import nn


def compile_passes(network: nn.Module) -> None:
    """Compile what the network computes when it is called, for each shape of a batch.

    The first pass then takes half a minute, or some seconds where PyTorch has kept the kernels:
    below $TORCHINDUCTOR_CACHE_DIR, the machine's temporary folder as a rule.
    """
    network.compile(dynamic=False)


def check_compiler(device: str) -> None:
    """Raise ValueError where this machine has no C++ compiler, which kernels for CPUs need."""
    named = os.environ.get("CXX")
    if device == "cpu" and not any(map(shutil.which, [named] if named else ["g++", "clang++"])):
        raise ValueError(
            f"--compile needs a C++ compiler on each node, but {named or 'g++ or clang++'} was not "
            "found: install one (apt-get install g++), or leave --compile out"
        )
