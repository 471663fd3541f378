"""What the platform costs beside other ways to do the same work, in one run on one machine.

    make bench                                  all workloads, about 12 minutes on two cores
    make bench ARGS="cell startup"              some of them
    make bench ARGS=--quick                     one round of tiny sizes: does everything work?

Each file of benchmarks/side_by_side is a workload: it does the same work by the platform and by
other means, in turn and repeatedly, and checks that all did the same. Figures are medians. They go
to benchmarks/results/<machine>.json and, as a Markdown table, to the terminal, each beside what the
last committed file says. Figures of a quick call go nowhere.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where the package is not installed

from benchmarks.measuring.figures import Bench, say
from benchmarks.measuring.machine import conditions, machine_name
from benchmarks.measuring.report import Record, Results, table

HERE = Path(__file__).resolve().parent
WORKLOADS = sorted(path.stem for path in (HERE / "side_by_side").glob("[a-z]*.py"))


def main() -> int:
    arguments = _arguments()
    if arguments.alone is not None:
        return _measure(arguments.workloads[0], arguments.alone, arguments.quick)
    path = arguments.out or HERE / "results" / f"{machine_name()}.json"
    before = Results() if arguments.quick else Results.committed(path)
    results = Results.read(path)
    measured, failed = list[str](), list[str]()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        for workload in arguments.workloads or WORKLOADS:
            say(f"{workload}:")
            if not _in_a_process(workload, Path(name), arguments.quick):
                failed.append(workload)
                continue
            results.records[workload] = Record.read(Path(name) / f"{workload}.json")
            measured.append(workload)
            if not arguments.quick or arguments.out:
                results.write(path)
    print(table(results, before, measured))
    failed += [w for w in measured if not all(c.holds for c in results.records[w].checks)]
    if failed:
        print(f"failed, or its sides differ: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=", ".join(WORKLOADS))
    parser.add_argument("--quick", action="store_true", help="one round of tiny sizes")
    parser.add_argument("--out", type=Path, help="another JSON file for the figures")
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if unknown := set(arguments.workloads) - set(WORKLOADS):
        parser.error(f"there is no workload {unknown.pop()!r}: choose from {', '.join(WORKLOADS)}")
    return arguments


def _in_a_process(workload: str, folder: Path, quick: bool) -> bool:
    """Measure in a process of its own: no workload inherits threads, memory or Ray from another."""
    command = [sys.executable, __file__, workload, "--alone", str(folder)]
    with subprocess.Popen([*command, *(["--quick"] if quick else [])]) as process:
        try:
            return process.wait() == 0
        except KeyboardInterrupt:
            process.wait()  # it was interrupted as well, and ends what it has started
            raise


def _measure(workload: str, folder: Path, quick: bool) -> int:
    """Measure one workload in this process, and write its record into the folder."""
    under, start = conditions(), time.perf_counter()
    bench = Bench(quick=quick, folder=folder)
    found = import_module(f"benchmarks.side_by_side.{workload}").measure(bench)
    record = Record.of(found, under, time.perf_counter() - start)
    record.write(folder / f"{workload}.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
