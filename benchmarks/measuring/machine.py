"""On what was measured: the machine, the versions, and how busy it was."""

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "ray", "optuna", "mlflow", "numpy")
CHECKOUT = Path(__file__).resolve().parents[2]


def machine_name() -> str:
    """Return the kind of machine, as a file's name: "2-cores-amd-epyc"."""
    return re.sub(r"[^a-z0-9]+", "-", f"{cores()} cores {_processor()}".lower()).strip("-")


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


def conditions() -> dict[str, Any]:
    """Return what figures depend on beside the code, and which code that was."""
    import torch  # takes seconds, and whoever only starts workloads needs none

    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": git("describe", "--always", "--dirty"),
        "processor": f"{_processor()}, {torch.backends.cpu.get_cpu_capability()}",
        "cores": cores(),
        "load at start": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def git(*arguments: str) -> str:
    """Return what git says, "" outside a checkout."""
    command = ["git", "-C", str(CHECKOUT), *arguments]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except FileNotFoundError:
        return str(platform.machine())
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else str(platform.machine())
