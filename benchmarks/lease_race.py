"""Several contenders at once for the leases that a killed process left: who gets them?

    python benchmarks/lease_race.py [--tries 200] [--contenders 4]     # as root; a minute or two

A process takes as many leases as there are tries and is killed (`kill -9`), once on this host, and
once in process and host names of its own, as on another machine, which cannot be seen to be gone:
there the contenders watch the leases for the lease time, here 3 s instead of 60. Then all try for
one lease after the other at the same moment, and keep what they got until all have tried. Done in a
folder and in a bucket of the tests' S3 server (moto). Printed: how often how many got it.
"""

import argparse
import base64
import multiprocessing
import os
import pickle
import queue
import subprocess
import sys
import time
from collections import Counter
from multiprocessing.synchronize import Barrier
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))  # the tests' S3 server

from object_server import object_server

from dfkd.storage import FolderStorage, Storage, file_lease, object_lease, open_storage
from dfkd.storage.layout import Key

ROOT = Path(__file__).parents[1]
SHORT_S = 3.0  # the contenders' lease time
ELSEWHERE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--uts")
HOLDER = """
import base64, pickle, sys, time
from benchmarks.lease_race import shorten
shorten()
storage, keys = pickle.loads(base64.b64decode(sys.argv[1]))
leases = [storage.lease(key) for key in keys]
print(all(lease.acquire() for lease in leases), flush=True)
time.sleep(600)
"""


def shorten() -> None:
    """Make this process's leases short."""
    for kind in (file_lease, object_lease):
        kind.LEASE_S, kind.HEARTBEAT_S = SHORT_S, SHORT_S / 6


def leave_behind(storage: Storage, keys: list[Key], where: tuple[str, ...]) -> None:
    """Let a process take all leases, then kill it."""
    sent = base64.b64encode(pickle.dumps((storage, keys))).decode()
    holder = subprocess.Popen(
        [*where, sys.executable, "-c", HOLDER, sent], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert holder.stdout is not None
    took_all = holder.stdout.readline() == "True\n"
    holder.kill()
    holder.communicate()
    if not took_all:
        raise RuntimeError("the holder did not get the leases")


def contend(
    storage: Storage, keys: list[Key], watch: bool, start: Barrier, won: multiprocessing.Queue
) -> None:
    """Try for each lease at the same moment as all others, after watching them where need be."""
    shorten()
    leases = [storage.lease(key) for key in keys]
    if watch:
        assert not any(lease.acquire() for lease in leases)  # seen for the first time
        time.sleep(SHORT_S + 0.5)
    for number, lease in enumerate(leases):
        start.wait()
        got_it = lease.acquire()
        won.put((number, got_it))
        start.wait()  # all have tried
        lease.release()


def race(storage: Storage, where: tuple[str, ...], tries: int, contenders: int) -> Counter[int]:
    """Return for how many leases none, one, two, ... got it."""
    keys = [Key(f"lease-{number}") for number in range(tries)]
    leave_behind(storage, keys, where)
    spawn = multiprocessing.get_context("spawn")
    start, won = spawn.Barrier(contenders), spawn.Queue()
    processes = [
        spawn.Process(target=contend, args=(storage, keys, bool(where), start, won), daemon=True)
        for _ in range(contenders)
    ]
    for process in processes:
        process.start()
    winners = Counter[int]()
    for _ in range(tries * contenders):
        try:
            number, got_it = won.get(timeout=600)
        except queue.Empty:
            raise SystemExit("error: a contender has said nothing for 600 s") from None
        winners[number] += got_it
    for process in processes:
        process.join()
    if left := storage.list(Key(".")):
        print(f"  left behind: {len(left)}")
    return Counter(winners[number] for number in range(tries))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=200)
    parser.add_argument("--contenders", type=int, default=4)
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder, object_server() as server:
        os.environ.update(server.environment)
        for storage in (FolderStorage(Path(folder)), open_storage(f"s3://{server.bucket()}")):
            for name, where in (("this host", ()), ("another host", ELSEWHERE)):
                holders = race(storage, where, arguments.tries, arguments.contenders)
                said = ", ".join(f"{n} holders: {holders[n]}" for n in sorted({0, 1, 2, *holders}))
                print(f"{type(storage).__name__}, killed on {name}: {said}", flush=True)


if __name__ == "__main__":
    main()
