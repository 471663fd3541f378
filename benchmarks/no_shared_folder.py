"""A sweep and a study on three hosts without a shared folder, compared with one machine's.

    python benchmarks/no_shared_folder.py      # as root, in the checkout; minutes

Five hosts (hosts.py): a Ray cluster on three, an S3 server (moto) on the fourth, an MLflow server
on the fifth. Each job is submitted from the checkout (`--working-dir .`) and, as `ray job submit`
without it, from the installed package, which finds all done. Then the same commands run on this
machine with a folder. Printed: how many records, curves and weights are equal, bit for bit, and
which leases are left in the bucket.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.cluster import Cluster, alone, compare
from benchmarks.hosts import hosts
from dfkd.storage import FolderStorage

JOBS = {  # --working-dir: the checkout is sent along
    "sweep": ("sweep", "search_spaces.digits", "--trials", "6", "--blocks", "2", "--deterministic"),
    "study": ("ablate", "ablations.components", "--blocks", "2"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", nargs="+", default=list(JOBS), choices=JOBS)
    arguments = parser.parse_args()
    with TemporaryDirectory() as scratch, hosts(5) as (head, *workers, s3, mlflow):
        logs = Path(scratch)
        cluster = Cluster(head, workers, s3, mlflow, logs)
        cluster.start()
        for name in arguments.jobs:
            for form in (["--working-dir", "."], []):
                cluster.submit(form, JOBS[name])
        here = FolderStorage(logs / "here")
        for name in arguments.jobs:
            alone(JOBS[name], here, logs)
        cluster.copy_bucket(logs / "there")
        compare(FolderStorage(logs / "there"), here)


if __name__ == "__main__":
    main()
