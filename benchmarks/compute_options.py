"""Sixty combinations of where cells are computed: each runs, or is refused in one line.

    python benchmarks/compute_options.py [--cases 60] [--seed 1]      # a quarter of an hour

Commands of a few tiny cells (tests/projects) with --workers, --cpus, --gpus and --concurrency, on
this machine. Every pair of values of two options is in one case at least; other cases are drawn.
"""

import argparse
import itertools
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from signal import SIGKILL
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
PROJECTS = ROOT / "tests" / "projects"
LIMIT_S = 180.0
OPTIONS: dict[str, Sequence[str]] = {
    "command": ("distill own_loss", "sweep tiny_space --trials 2 --blocks 2", "ablate tiny_study"),
    "--workers": ("1", "2", "3"),
    "--cpus": ("1", "2", "8"),
    "--gpus": ("0", "0.5", "1"),
    "--concurrency": ("", "1", "2", "9"),
}
Case = tuple[str, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    ends, longest = Counter[str](), dict[str, float]()
    with TemporaryDirectory() as folder:
        for file in PROJECTS.glob("*.py"):
            shutil.copy(file, folder)
        for number, case in enumerate(cases(arguments.cases, arguments.seed)):
            end, seconds, said = tried(case, Path(folder), f"storage-{number}")
            ends[end] += 1
            longest[end] = max(seconds, longest.get(end, 0.0))
            print(f"{seconds:5.0f} s  {end:<8} {shown(case)}{said}", flush=True)
    for end, count in ends.items():
        print(f"{end}: {count}, the longest in {longest[end]:.0f} s")


def cases(count: int, seed: int) -> list[Case]:
    """Return so many cases in which every pair of values is: greedily, then at random."""
    draw, every = random.Random(seed), list(itertools.product(*OPTIONS.values()))
    draw.shuffle(every)
    left = set().union(*map(pairs, every))
    found: list[Case] = []
    while left:
        best = max(every, key=lambda case: len(pairs(case) & left))
        found.append(best)
        left -= pairs(best)
    others = [case for case in every if case not in found]
    return [*found, *others[: max(0, count - len(found))]]


def pairs(case: Case) -> set[tuple[tuple[int, str], ...]]:
    return set(itertools.combinations(enumerate(case), 2))


def tried(case: Case, folder: Path, storage: str) -> tuple[str, float, str]:
    """Run a case; return how it ended, how long it took, and what was said where it was refused."""
    command, *values = case
    module, *rest = command.split()
    options = [(n, v) for n, v in zip(list(OPTIONS)[1:], values, strict=True) if v]
    words = [sys.executable, "-m", f"platform.{module}", *rest, "--storage", storage]
    words += [word for pair in options for word in pair]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "disabled"}
    began = time.monotonic()
    with subprocess.Popen(
        words,
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            _, errors = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, SIGKILL)  # its Ray with it
            return "HUNG", LIMIT_S, ""
    seconds, lines = time.monotonic() - began, errors.splitlines()
    if process.returncode == 0:
        return "ran", seconds, ""
    one_line = process.returncode == 2 and len([x for x in lines if x.startswith("error: ")]) == 1
    refused = one_line and "Traceback" not in errors and not (folder / storage / "cells").exists()
    return (("refused" if refused else "FAILED"), seconds, f"\n       {(lines or [''])[-1][:150]}")


def shown(case: Case) -> str:
    named = zip(list(OPTIONS)[1:], case[1:], strict=True)
    return f"{case[0].split()[0]} " + " ".join(f"{name} {value or '-'}" for name, value in named)


if __name__ == "__main__":
    main()
