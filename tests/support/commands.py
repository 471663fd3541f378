"""Runs the project's commands as a user does: each in a process, from outside the checkout."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECTS = Path(__file__).parents[1] / "projects"


def environment(**extra: str) -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]).rstrip(
        os.pathsep
    )
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RAY_", "MLFLOW_", "DFKD_"))
    }
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


def run(
    command: str, *arguments: str, folder: Path, **extra: str
) -> subprocess.CompletedProcess[str]:
    process = start(command, *arguments, folder=folder, **extra)
    out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


@contextmanager
def in_forks() -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Run commands as `run` does, in forks: a process of its own would import for seconds."""
    script = [sys.executable, str(Path(__file__).with_name("forked.py"))]
    pipe = subprocess.PIPE
    with subprocess.Popen(script, stdin=pipe, stdout=pipe, text=True, env=environment()) as process:
        assert process.stdin is not None and process.stdout is not None
        tell, listen = process.stdin, process.stdout

        def one(
            command: str, *arguments: str, folder: Path, **extra: str
        ) -> subprocess.CompletedProcess[str]:
            case = {
                "command": command,
                "arguments": arguments,
                "folder": str(folder),
                "environment": extra,
            }
            print(json.dumps(case), file=tell, flush=True)
            return subprocess.CompletedProcess(command, **json.loads(listen.readline()))

        yield one
        tell.close()
