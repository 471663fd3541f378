"""Compiled passes: torch.compile for networks in training steps.

It makes few large kernels of many small ones, which round otherwise: whether passes are compiled is
part of a cell's environment. Weights and their names stay, and a student is judged uncompiled.
"""

import os
import shutil

from torch import nn

MOST_SHAPES = 200  # networks and shapes of batches in one process


def compile_passes(network: nn.Module) -> None:
    """Compile what the network computes when it is called, for each shape of a batch.

    The first pass then takes half a minute, or some seconds where PyTorch has kept the kernels:
    below $TORCHINDUCTOR_CACHE_DIR, the machine's temporary folder as a rule. Another network of the
    same architecture takes over what this process has compiled.
    """
    from torch._dynamo import config as tracing  # a second to import
    from torch._inductor import config as kernels

    # PyTorch would let the ninth network or shape of a process run uncompiled, and round otherwise
    tracing.recompile_limit, tracing.fail_on_recompile_limit_hit = MOST_SHAPES, True
    kernels.deterministic = True  # no kernel is chosen by its timing
    network.compile(dynamic=False)


def check_compiler(device: str) -> None:
    """Raise ValueError where this machine has no C++ compiler, which kernels for CPUs need."""
    named = os.environ.get("CXX")
    if device == "cpu" and not any(map(shutil.which, [named] if named else ["g++", "clang++"])):
        raise ValueError(
            f"--compile needs a C++ compiler on each node, but {named or 'g++ or clang++'} was not "
            "found: install one (apt-get install g++), or leave --compile out"
        )
