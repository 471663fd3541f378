"""How long a command takes before it does anything: `--help` of each, and `import dfkd`.

Each is a process of its own; Python that runs an empty line is the least that there is.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.measuring.figures import Bench, Check, Figure, Found, seconds_of
from benchmarks.measuring.machine import CHECKOUT

ROUNDS = 7
PYTHON, PACKAGE = "python -c ''", "import dfkd"


def measure(bench: Bench) -> Found:
    commands = sorted(p.stem for p in (CHECKOUT / "platform").glob("[a-z]*.py"))
    lines = {PYTHON: ["-c", ""], PACKAGE: ["-c", PACKAGE]}
    lines |= {f"{name} --help": ["-m", f"platform.{name}", "--help"] for name in commands}
    codes = dict[str, int]()
    taken = bench.in_turn(ROUNDS, {name: _run(name, line, codes) for name, line in lines.items()})
    figures = [
        Figure(name=name, unit="ms", values=[1000 * s for s in values])
        for name, values in taken.items()
    ]
    worst = {name for name, code in codes.items() if code}
    return Found(
        figures=figures,
        checks=[Check(claim="all answered", holds=not worst, seen=f"{len(codes)} calls")],
    )


def _run(name: str, arguments: list[str], codes: dict[str, int]) -> Callable[[], float]:
    command, here = [sys.executable, *arguments], Path(CHECKOUT)

    def run() -> None:
        codes[name] = subprocess.run(command, cwd=here, capture_output=True).returncode

    return lambda: seconds_of(run)
