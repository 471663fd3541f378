"""What can be lost of a cluster, and how it is put right again, as an operator would."""

import random
import time
from collections.abc import Callable, Mapping
from signal import SIGCONT, SIGSTOP

from benchmarks.cluster import Cluster
from benchmarks.hosts import Host

CUT_S = 20.0  # for which a cable is pulled
AWAY_S = 10.0  # for which a server does not answer
NOBODY = "nobody"  # was there to be lost

RAYS_OWN = ("ray::IDLE", "ray::DashboardAgent", "ray::RuntimeEnvAgent")

Event = Callable[[Cluster, random.Random], str]


def cut_power(cluster: Cluster, draw: random.Random) -> str:
    host = draw.choice(cluster.workers)
    host.power_off()
    host.power_on()
    return host.name


def cut_power_of_the_head(cluster: Cluster, draw: random.Random) -> str:
    cluster.head.power_off()
    cluster.head.power_on()
    return cluster.head.name


def pull_a_cable(cluster: Cluster, draw: random.Random) -> str:
    host = draw.choice(cluster.workers)
    host.plug(False)
    time.sleep(CUT_S)
    host.plug(True)
    return host.name


def kill_the_driver(cluster: Cluster, draw: random.Random) -> str:
    return _kill(cluster.head, "-m platform.", draw)


def kill_a_worker(cluster: Cluster, draw: random.Random) -> str:
    hosts = [cluster.head, *cluster.workers]
    draw.shuffle(hosts)
    busy = [h for h in hosts if any(_is_worker(title) for title in h.processes().values())]
    if not busy:
        return NOBODY
    host = busy[0]
    numbers = [n for n, title in host.processes().items() if _is_worker(title)]
    host.kill(draw.choice(numbers))
    return host.name


def kill_a_raylet(cluster: Cluster, draw: random.Random) -> str:
    return _kill(draw.choice(cluster.workers), "raylet/raylet", draw)


def kill_the_gcs(cluster: Cluster, draw: random.Random) -> str:
    return _kill(cluster.head, "gcs/gcs_server", draw)


def kill_mlflow(cluster: Cluster, draw: random.Random) -> str:
    for number in [n for n in cluster.mlflow.processes() if n > 2]:
        cluster.mlflow.kill(number)  # the server and its own processes
    time.sleep(AWAY_S)
    return cluster.mlflow.name


def stop_s3(cluster: Cluster, draw: random.Random) -> str:
    """Stop the S3 server for a while: moto keeps its objects in memory, so it cannot be killed."""
    numbers = [n for n, title in cluster.s3.processes().items() if "moto" in title]
    for how in (SIGSTOP, SIGCONT):
        for number in numbers:
            cluster.s3.kill(number, how)
        time.sleep(AWAY_S if how is SIGSTOP else 0)
    return cluster.s3.name


KINDS: Mapping[str, Event] = {
    "power cut of a host": cut_power,
    "power cut of the head": cut_power_of_the_head,
    f"cable pulled for {CUT_S:.0f} s": pull_a_cable,
    "kill -9 of the driver": kill_the_driver,
    "kill -9 of a worker process": kill_a_worker,
    "kill -9 of a raylet": kill_a_raylet,
    "kill -9 of the GCS": kill_the_gcs,
    "kill -9 of MLflow's server": kill_mlflow,
    f"S3 stopped for {AWAY_S:.0f} s": stop_s3,
}


def mend(cluster: Cluster) -> None:
    """Start again what is not there any more."""
    if not any("mlflow" in title for title in cluster.mlflow.processes().values()):
        cluster.start_mlflow()
    if not _runs(cluster.head, "gcs/gcs_server") or not _runs(cluster.head, "raylet/raylet"):
        cluster.start_ray()
    for host in cluster.workers:
        if not _runs(host, "raylet/raylet"):
            host.run("ray", "stop", "--force")
            cluster.join(host)


def _is_worker(title: str) -> bool:
    """Return whether a process computes something; who waits for work is called IDLE."""
    return title.startswith("ray::") and not title.startswith(RAYS_OWN)


def _runs(host: Host, part: str) -> bool:
    return any(part in title for title in host.processes().values())


def _kill(host: Host, part: str, draw: random.Random) -> str:
    numbers = [n for n, title in host.processes().items() if part in title]
    if not numbers:
        return NOBODY
    host.kill(draw.choice(numbers))
    return host.name
