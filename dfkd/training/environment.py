"""Environment: on what a cell was computed. The same cell in the same one gives the same bits."""

from dataclasses import asdict, dataclass

import torch

from dfkd.identity import digest
from dfkd.training.precision import resolved

KERNELS = 2  # raised when the same steps round otherwise than before: 2 since AdamW is fused


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Kind of device, workers, threads and PyTorch, shared by all cells of a comparison."""

    device: str  # "cpu AVX2", "NVIDIA H100 80GB HBM3"
    workers: int
    threads: int  # per worker; they split sums, so their number changes the last bits
    torch: str
    precision: str = "float32"  # or "bfloat16", see precision.py
    compiled: bool = False  # see compiled.py
    kernels: int = 1  # of a record that does not say

    def __str__(self) -> str:
        facts = asdict(self)
        if not self.compiled:  # as it was before there was a choice
            del facts["compiled"]
        if self.kernels == 1:  # and before there were others
            del facts["kernels"]
        return digest(facts, 8)


def this_environment(
    device: str,
    workers: int = 1,
    threads: int = 1,
    precision: str = "float32",
    compiled: bool = False,
) -> Environment:
    """Return the environment of this process, or of workers on machines like it."""
    cpu = f"cpu {torch.backends.cpu.get_cpu_capability()}"
    return Environment(
        device=torch.cuda.get_device_name(device) if device.startswith("cuda") else cpu,
        workers=workers,
        threads=threads,
        torch=torch.__version__,
        precision=resolved(precision, device),
        compiled=compiled,
        kernels=KERNELS,
    )
