"""One study, given at the same time on two hosts that share an S3 storage and nothing else.

    python benchmarks/two_drivers.py      # as root, in the checkout; minutes

Each host has a Ray of its own; neither knows of the other. Printed: how many cells each has
computed, what is equal to the same study on one machine with a folder, and how often the S3 server
took the files of each cell.
"""

import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.cluster import PYTHON, Cluster, alone, compare
from benchmarks.hosts import hosts
from benchmarks.traces import puts_of_cells, tables
from dfkd.storage import FolderStorage

STUDY = ("ablate", "ablations.components", "--blocks", "4")


def main() -> None:
    with TemporaryDirectory() as scratch, hosts(4) as (one, other, s3, mlflow):
        logs = Path(scratch)
        cluster = Cluster(one, [other], s3, mlflow, logs)
        cluster.start_servers()
        words = [PYTHON, "-m", f"platform.{STUDY[0]}", *STUDY[1:]]
        drivers = [
            subprocess.Popen(
                host.command(*words, environment=cluster.environment),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for host in (one, other)
        ]
        for host, driver in zip((one, other), drivers, strict=True):
            said = driver.communicate()[0]
            found = re.search(r"(\d+) cells computed.*", said)
            ended = found[0] if found else said[-2000:]
            print(f"{host.name}: exit code {driver.returncode}, {ended}", flush=True)
        here = FolderStorage(logs / "here")
        alone(STUDY, here, logs)
        cluster.copy_bucket(logs / "there")
        compare(FolderStorage(logs / "there"), here)
        print(f"same tables: {tables(logs / 'there') == tables(here.root)}")
        print(f"puts of a cell's files: {puts_of_cells(logs / 's3')}")


if __name__ == "__main__":
    main()
