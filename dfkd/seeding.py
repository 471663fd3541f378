"""Randomness: one stream per block and purpose; a new consumer never moves another's numbers."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch


@dataclass(frozen=True, order=True, kw_only=True)
class Block:
    """What all variants of a comparison share, so that differences are paired in it.

    seed: of the student's start, batches, masks and random selection. draw: of a pool that can be
    drawn anew (glyphs). teacher: the seed that the teacher is trained with.
    """

    seed: int
    draw: int = 0
    teacher: int = 0

    def __str__(self) -> str:
        extra = f".d{self.draw}" * (self.draw != 0) + f".t{self.teacher}" * (self.teacher != 0)
        return f"{self.seed}{extra}"

    @classmethod
    def parse(cls, text: str) -> Block:
        """Return the block that `str` has written."""
        seed, *others = text.split(".")
        found = {part[0]: int(part[1:]) for part in others}
        return cls(seed=int(seed), draw=found.get("d", 0), teacher=found.get("t", 0))


def stream(seed: int, purpose: str, *counters: int) -> int:
    """Return a seed in [0, 2**63) for a purpose of a block: `stream(block.seed, "batches", 3)`."""
    text = ":".join(map(str, (seed, purpose, *counters)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, purpose: str, *counters: int) -> torch.Generator:
    """Return a generator on that stream, on the CPU: a mask is the same on every device."""
    return torch.Generator().manual_seed(stream(seed, purpose, *counters))


@contextmanager
def drawing_from(seed: int, device: str) -> Iterator[None]:
    """Let what PyTorch draws by itself inside come from `seed`, on the CPU and this device.

    Outside nothing moves. Not `torch.manual_seed`, which takes half a millisecond for all the
    devices that there might be.
    """
    generators = [torch.default_generator]
    if torch.device(device).type == "cuda":
        index = torch.device(device).index
        generators.append(
            torch.cuda.default_generators[torch.cuda.current_device() if index is None else index]
        )
    states = [generator.get_state() for generator in generators]
    try:
        for generator in generators:
            generator.manual_seed(seed)
        yield
    finally:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)


def use_deterministic(threads: int) -> None:
    """Fix the threads and allow only deterministic kernels, in each process that computes cells."""
    # without it cuBLAS refuses to be deterministic
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    # As torch.use_deterministic_algorithms(True), which also loads PyTorch's compiler: a second and
    # more in each process. What is compiled would have to be told by itself
    torch.set_deterministic_debug_mode("error")
    # PyTorch would also fill whatever it allocates; no kernel of ours reads before it writes
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
