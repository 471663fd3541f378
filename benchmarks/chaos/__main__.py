"""A study and a sweep while hosts, processes and servers are lost, compared with a calm run.

    python -m benchmarks.chaos [--events 40] [--seed 1] [--logs FOLDER]     # as root; half an hour

Five hosts that share nothing (benchmarks/cluster.py). A driver on the head computes 40 cells of
`components`, then a sweep of 12 trials, in an S3 storage; at random moments something is lost
(events.py) and put right by whoever runs the cluster. Where the driver ends otherwise than with
exit code 0, the same command is given again. With events left, both begin anew in another place of
the storage. At the end each place is compared with what one machine computes in calm, in a folder.
"""

import argparse
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.chaos.events import KINDS, NOBODY, mend
from benchmarks.cluster import PYTHON, Cluster, alone, compare
from benchmarks.hosts import hosts
from benchmarks.traces import puts_of_cells, scratch, tables
from dfkd.storage import FolderStorage

JOBS = (
    ("ablate", "ablations.components", "--blocks", "8"),
    ("sweep", "search_spaces.digits", "--trials", "12", "--blocks", "2", "--deterministic"),
)
BETWEEN_S = (4.0, 20.0)  # two events
PATIENCE_S = 600.0  # with a driver that nothing happens to


class Chaos:
    """Runs jobs while events happen, and counts."""

    def __init__(self, cluster: Cluster, events: Sequence[str], seed: int) -> None:
        self.cluster, self.left, self.draw = cluster, list(events), random.Random(seed)
        self.began, self.happened, self.ends = time.monotonic(), Counter[str](), Counter[str]()
        self.rewritten = self.again = self.tracebacks = 0
        self.keep = 0  # events for the jobs that come

    def round(self, number: int) -> str:
        """Compute both jobs in a place of their own, whatever happens; return the place."""
        place = f"s3://demonstration/round-{number}"
        for job, keep in zip(JOBS, (len(self.left) // 2, 0), strict=True):
            self.keep = keep
            while not self._call(place, job):
                self.again += 1
                mend(self.cluster)
        return place

    def _call(self, place: str, job: Sequence[str]) -> bool:
        """Give a command once; return whether it ended well."""
        known = self._records(place)
        said = self.cluster.logs / "driver"
        with said.open("wb") as file:
            driver = subprocess.Popen(
                self.cluster.head.command(
                    *(PYTHON, "-m", f"platform.{job[0]}", *job[1:]),
                    environment={
                        **self.cluster.environment,
                        "DFKD_STORAGE": place,
                        "RAY_ADDRESS": f"{self.cluster.head.address}:6379",
                    },
                ),
                stdout=file,
                stderr=file,
            )
            self._disturb(driver)
        self._look_at(said.read_text(errors="replace"), driver.returncode, job[0])
        later = self._records(place)
        self.rewritten += sum(later.get(name) != etag for name, etag in known.items())
        return driver.returncode == 0

    def _disturb(self, driver: subprocess.Popen[bytes]) -> None:
        """Let events happen until the driver ends."""
        while len(self.left) > self.keep:
            try:
                driver.wait(self.draw.uniform(*BETWEEN_S))
                return
            except subprocess.TimeoutExpired:
                self._lose(self.left[-1])
        try:
            driver.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._line("the driver has hung")
            driver.kill()
            driver.wait()

    def _lose(self, kind: str) -> None:
        """Let the next event happen; where there is nothing to lose yet, it stays the next."""
        where = KINDS[kind](self.cluster, self.draw)
        if where != NOBODY:
            self.left.pop()
            self.happened[kind] += 1
            self._line(f"{kind}: {where}")
        mend(self.cluster)

    def _look_at(self, text: str, code: int, command: str) -> None:
        end = "exit code 0" if code == 0 else f"exit code {code}" if code > 0 else "killed"
        self.ends[end] += 1
        self.tracebacks += "Traceback (most recent call last)" in text
        last = [line for line in text.splitlines() if line.strip()][-1:]
        self._line(f"{command} ended: {end}" + ("" if code == 0 else f": {' '.join(last)[:150]}"))
        log = self.cluster.logs / f"driver-{sum(self.ends.values())}"
        log.write_text(text)

    def _records(self, place: str) -> dict[str, str]:
        """Return the records that are there, each with what changes when it is written again."""
        done = self.cluster.head.run(
            *(PYTHON, "-c", _RECORDS), **{**self.cluster.environment, "DFKD_STORAGE": place}
        )
        return dict(json.loads(done.stdout or "{}"))

    def _line(self, text: str) -> None:
        print(f"{time.monotonic() - self.began:6.0f} s  {text}", flush=True)


_RECORDS = """
import hashlib, json, os
from dfkd.storage import layout, open_storage
storage = open_storage(os.environ["DFKD_STORAGE"])
keys = [layout.cell(name) / layout.RECORD for name in storage.list(layout.CELLS)]
there = {str(key): storage.get(key) for key in keys if storage.exists(key)}
final = {key: text for key, text in there.items() if b'"pruned"' not in text}
print(json.dumps({key: hashlib.sha256(text).hexdigest() for key, text in final.items()}))
"""


def deck(count: int, seed: int) -> list[str]:
    """Return kinds of events in a random order, each as often as the others."""
    draw, found = random.Random(seed), list[str]()
    while len(found) < count:
        found += draw.sample(list(KINDS), len(KINDS))
    return found[:count]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--logs", type=Path, help="folder to keep what was said and computed")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder, hosts(5) as (head, *workers, s3, mlflow):
        logs = arguments.logs or Path(folder)
        logs.mkdir(parents=True, exist_ok=True)
        cluster = Cluster(head, workers, s3, mlflow, logs)
        cluster.start()
        chaos = Chaos(cluster, deck(arguments.events, arguments.seed), arguments.seed)
        places = list(_rounds(chaos))
        here = FolderStorage(logs / "calm")
        for job in JOBS:
            alone(job, here, logs)
        for place in places:
            there = logs / place.rsplit("/")[-1]
            cluster.copy_bucket(there, DFKD_STORAGE=place)
            print(place)
            compare(FolderStorage(there), here)
            print(f"scratch left: {scratch(FolderStorage(there)) or 'none'}")
            print(f"puts of a cell's files: {puts_of_cells(logs / 's3', place[5:])}")
            print(f"same tables: {tables(there) == tables(here.root)}")
        _print(chaos, arguments.seed)


def _rounds(chaos: Chaos) -> Iterator[str]:
    number = 0
    while chaos.left or not number:
        number += 1
        yield chaos.round(number)


def _print(chaos: Chaos, seed: int) -> None:
    print(f"\nseed {seed}, {sum(chaos.happened.values())} events:")
    for kind in KINDS:
        print(f"  {kind:<32}{chaos.happened[kind]:>4}")
    print("how commands ended:")
    for end, count in chaos.ends.items():
        print(f"  {end:<32}{count:>4}")
    print(f"with a traceback: {chaos.tracebacks}")
    print(f"the same command given again: {chaos.again}")
    print(f"records written again by a later call: {chaos.rewritten}")
    cluster = chaos.cluster
    workers = [t for h in (cluster.head, *cluster.workers) for t in h.processes().values()]
    left = [t for t in workers if "-m platform." in t or (t.startswith("ray::") and "dfkd" in t)]
    print(f"processes left: {len(left)}")


if __name__ == "__main__":
    sys.exit(main())
