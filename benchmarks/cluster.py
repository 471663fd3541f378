"""A Ray cluster on hosts that share nothing, and the comparison with one machine.

Three hosts or so with Ray, one with an S3 server (moto), one with an MLflow server. Whatever is
lost of it can be started again.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))  # the tests' S3 server

from object_server import SERVE

from benchmarks.hosts import Host
from dfkd.storage import FolderStorage, Storage, layout

PYTHON = sys.executable
RAY = str(Path(PYTHON).with_name("ray"))
DIFFERS = ("seconds", "tags")  # how long it took; of the tags only the commits may differ


class Cluster:
    """Three hosts with Ray, and what they use."""

    def __init__(self, head: Host, workers: Sequence[Host], s3: Host, mlflow: Host, logs: Path):
        self.head, self.workers, self.s3, self.mlflow, self.logs = head, workers, s3, mlflow, logs
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://{s3.address}:9000",
            "AWS_ACCESS_KEY_ID": "demonstration",
            "AWS_SECRET_ACCESS_KEY": "demonstration",
            "AWS_REGION": "us-east-1",
            "DFKD_STORAGE": "s3://demonstration/runs",
            "MLFLOW_TRACKING_URI": f"http://{mlflow.address}:5000",
            "RAY_AUTH_MODE": "disabled",
            "OMP_NUM_THREADS": "1",
        }

    def start(self) -> None:
        """Start the servers, then Ray on each host with one CPU."""
        self.start_servers()
        self.start_ray()

    def start_servers(self) -> None:
        """Start S3 and MLflow, and wait until they answer."""
        self.s3.serve(PYTHON, "-c", SERVE, self.s3.address, "9000", log=self.logs / "s3")
        self.start_mlflow()
        put = [PYTHON, "-c", _PUT_BUCKET, f"http://{self.s3.address}:9000/demonstration"]
        _patiently(self.head, put)
        _patiently(self.head, [PYTHON, "-c", _GET, f"http://{self.mlflow.address}:5000/health"])

    def start_mlflow(self) -> None:
        """Start MLflow's server on what lies on its host's disk."""
        places = ["--backend-store-uri", "sqlite:////disk/runs.db", "--artifacts-destination"]
        self.mlflow.serve(
            *(PYTHON, "-m", "mlflow", "server", "--host", self.mlflow.address, "--workers", "1"),
            *("--allowed-hosts", "*", *places, "/disk/files"),
            log=self.logs / "mlflow",
            MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",
        )

    def start_ray(self) -> None:
        """Start Ray on the head and join it from the others, whatever was there before."""
        for host in (self.head, *self.workers):
            host.run(RAY, "stop", "--force")
        first = ["--head", f"--node-ip-address={self.head.address}", "--port=6379"]
        self._ray(self.head, [*first, f"--dashboard-host={self.head.address}"])
        for worker in self.workers:
            self.join(worker)

    def join(self, worker: Host) -> None:
        """Start Ray on a host that is to belong to the cluster."""
        joined = [f"--address={self.head.address}:6379", f"--node-ip-address={worker.address}"]
        self._ray(worker, joined)

    def _ray(self, host: Host, options: list[str]) -> None:
        memory = ["--object-store-memory=300000000", "--num-cpus=1", "--disable-usage-stats"]
        done = host.run(RAY, "start", *options, *memory, **self.environment)
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)

    def submit(self, form: list[str], job: Sequence[str]) -> None:
        """Submit a job from the head and wait for its end."""
        address = f"http://{self.head.address}:8265"
        began = time.monotonic()
        done = self.head.run(
            *(RAY, "job", "submit", "--address", address, *form, "--", PYTHON, "-m"),
            *(f"platform.{job[0]}", *job[1:]),
            **self.environment,
        )
        (self.logs / "job").write_text(done.stdout + done.stderr)
        how = "a checkout" if form else "the installed package"
        print(f"{' '.join(job)} from {how}: exit code {done.returncode}, ", end="")
        print(f"{time.monotonic() - began:.0f} s", flush=True)
        if done.returncode:
            raise RuntimeError((done.stdout + done.stderr)[-4000:])

    def copy_bucket(self, folder: Path, **environment: str) -> None:
        """Copy all objects to a folder, from within a host: no other network sees the bucket."""
        done = self.head.run(
            PYTHON, "-c", _COPY, str(folder), **{**self.environment, **environment}
        )
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])


_PUT_BUCKET = """
import sys, urllib.request
urllib.request.urlopen(urllib.request.Request(sys.argv[1], method="PUT"), timeout=5)
"""
_GET = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5)"
_COPY = """
import os, sys
from pathlib import Path
from dfkd.storage import layout, open_storage
storage = open_storage(os.environ["DFKD_STORAGE"])
for entry in storage.walk(layout.ROOT):
    path = Path(sys.argv[1]) / entry.key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(storage.get(entry.key))
"""


def _patiently(host: Host, words: Sequence[str], seconds: float = 600) -> None:
    """Run a command until it succeeds."""
    until = time.monotonic() + seconds
    while (done := host.run(*words)).returncode:
        if time.monotonic() > until:
            raise RuntimeError(done.stderr[-2000:])
        time.sleep(0.5)


def alone(job: Sequence[str], storage: FolderStorage, logs: Path) -> None:
    """Run a job on this machine, with a folder."""
    command = [PYTHON, "-m", f"platform.{job[0]}", *job[1:], "--storage", str(storage)]
    cleared = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "DFKD_", "MLFLOW"))}
    subprocess.run(
        command,
        check=True,
        env={**cleared, "RAY_AUTH_MODE": "disabled", "OMP_NUM_THREADS": "1"},
        stdout=(logs / "alone").open("wb"),
    )


def compare(there: Storage, here: Storage) -> None:
    """Print how many records and weights are equal, and what else lies in the bucket."""
    cells = [storage.list(layout.CELLS) for storage in (there, here)]
    print(f"cells: {len(cells[0])} in the bucket, {len(cells[1])} in the folder")
    both = sorted(set(cells[0]) & set(cells[1]))
    records = sum(_record(there, name) == _record(here, name) for name in both)
    weights = [layout.cell(name) / layout.WEIGHTS for name in both]
    finished = [key for key in weights if here.exists(key)]
    equal = sum(there.exists(key) and there.get(key) == here.get(key) for key in finished)
    print(f"equal records: {records} of {len(both)}; weights: {equal} of {len(finished)}")
    leases = [str(e.key) for e in there.walk(layout.ROOT) if e.key.name == layout.LEASE]
    in_use = [name for name in there.list(layout.ROOT) if name.startswith(layout.IN_USE)]
    print(f"leases left: {len(leases) + len(in_use)}")


def _record(storage: Storage, name: str) -> dict[str, Any]:
    record = storage.read_json(layout.cell(name) / layout.RECORD)
    curve = storage.get(layout.cell(name) / layout.CURVE)
    tags = {k: v for k, v in record["tags"].items() if "commit" not in k}
    return {k: v for k, v in record.items() if k not in DIFFERS} | {"curve": curve, "tags": tags}
