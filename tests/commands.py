"""Runs the project's commands as a user does: in a process of their own, from a folder that is not the checkout."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECTS = Path(__file__).parent / "projects"


def environment(**extra: str) -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]).rstrip(os.pathsep)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "MLFLOW_", "DFKD_"))}
    return kept | {"PYTHONPATH": path, "RAY_AUTH_MODE": "disabled"} | extra


def start(command: str, *arguments: str, folder: Path, **extra: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", f"platform.{command}", *arguments],
        cwd=folder,
        env=environment(**extra),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def run(command: str, *arguments: str, folder: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    process = start(command, *arguments, folder=folder, **extra)
    out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(command, process.returncode, out, err)
