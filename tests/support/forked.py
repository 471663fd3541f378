"""Runs commands one after the other, in forks of a process that has imported what is heavy.

Reads a line of JSON per command from standard input, writes one per result to standard output.
"""

import gc
import json
import os
import runpy
import sys
import traceback
from importlib import import_module
from pathlib import Path

from dfkd.reporting.command import SELDOM

# what most commands import: seconds
HEAVY = ("torch", "dfkd.execution.ray_executor", "dfkd.tracking.tracker", "dfkd.sweeps.sweep")


def in_fork(command: str, arguments: list[str], folder: str, environment: dict[str, str]) -> int:
    """The command's exit code; its output lies in `out` and `err` beside the folder."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.chdir(folder)
    os.environ.update(environment)
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{folder}.{name}", os.O_CREAT | os.O_WRONLY | os.O_TRUNC), descriptor)
    sys.argv = [command, *arguments]
    try:
        runpy.run_module(f"platform.{command}", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        os._exit(end.code if isinstance(end.code, int) else 0)
    except BaseException:  # noqa: BLE001 - as the interpreter itself ends a command
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def main() -> None:
    gc.set_threshold(SELDOM)  # as commands do
    for module in HEAVY:
        import_module(module)
    for line in sys.stdin:
        case = json.loads(line)
        code = in_fork(**case)
        folder = case["folder"]
        said = {
            name: Path(f"{folder}.{file}").read_text()
            for name, file in (("stdout", "out"), ("stderr", "err"))
        }
        print(json.dumps({"returncode": code} | said), flush=True)


if __name__ == "__main__":
    main()
