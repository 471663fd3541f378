"""Every node is asked: does it see the storage, and does it have the same programs?

Where two nodes see different folders under one name, work succeeds and half of its records lie on
the other node's disk; with other versions, records are not those of their environment.
"""

import hashlib
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import dfkd
from dfkd.execution.checks.finding import Finding, broken, ok, skipped
from dfkd.execution.checks.limits import Limits, limits_here, limits_of
from dfkd.reporting.failures import in_a_line
from dfkd.reporting.shell import option
from dfkd.storage import Storage
from dfkd.storage.layout import Key

SEEN_S = 2.0  # how long a node looks for what the driver has written
ANSWER_S = 60.0  # a busy node takes seconds to start a process
PACKAGES = ("torch", "ray", "numpy")  # besides Python and dfkd: what results depend on
SEND_ALONG = "send the checkout along with `ray job submit --working-dir .`"
STORAGE, VERSIONS, ANSWER = "storage", "versions", "nodes"


@dataclass(frozen=True, kw_only=True)
class NodeReport:
    """What a node said. seconds: its writing, reading and deleting. refused: why it could not.

    limits: its disk and open files, for `platform.doctor`.
    """

    versions: Mapping[str, str]
    sees: bool
    seconds: float
    refused: str = ""
    limits: Limits | None = None


def check_nodes(storage: Storage, written: Key) -> None:
    """Raise ValueError in one line for the first node that cannot do its part.

    written: what this process has written to the storage. A cluster of one node is not asked.
    """
    nodes = alive_nodes()
    if len(nodes) < 2:
        return
    found = [one for one in findings(storage, written, nodes) if one.mend]
    if found:
        look = f"python -m platform.doctor {option('storage', storage)}"
        more = f" ({len(found) - 1} further findings:  {look})"
        raise ValueError(found[0].line() + (more if len(found) > 1 else ""))


def alive_nodes() -> list[dict[str, Any]]:
    """Return the nodes of the cluster that are alive, as Ray has them."""
    return [node for node in ray.nodes() if node["Alive"]]


def findings(storage: Storage, written: Key, nodes: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Ask these nodes, all at a time, and return what was found on each."""
    here = versions()
    tasks = [
        look.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote(storage, written)
        for node in nodes
    ]
    answered, _ = ray.wait(tasks, num_returns=len(tasks), timeout=ANSWER_S)
    alive, found = {node["NodeID"] for node in alive_nodes()}, list[Finding]()
    for node, task in zip(nodes, tasks, strict=True):
        name = name_of(node)
        try:
            report = ray.get(task, timeout=0)
        except RayError as error:
            if node["NodeID"] not in alive:  # no cell will be computed there
                found.append(skipped(ANSWER, f"{name} was lost while it was asked"))
            else:
                found.append(_silent(name) if task not in answered else _failed(name, error))
            ray.cancel(task)
            continue
        found += [_of_versions(name, report.versions, here), _of_storage(name, report, storage)]
        found += limits_of(name, report.limits) if report.limits else []
    return found


def name_of(node: Mapping[str, Any]) -> str:
    """Return how messages call a node: by its address, and its host's name."""
    return f"the node {node['NodeManagerAddress']} (host {node['NodeManagerHostname']})"


@ray.remote(num_cpus=0, max_retries=2)  # a process may be lost, and then starts again
def look(storage: Storage, written: Key) -> NodeReport:
    """Look from this node for what the driver has written, then write something, and delete it."""
    began = time.monotonic()
    refused, sees = "", False
    try:
        while not (sees := storage.exists(written)) and time.monotonic() - began < SEEN_S:
            time.sleep(0.1)
        began = time.monotonic()
        if sees:  # else it is another folder, in which nothing of ours has to be
            storage.check_round_trip()
    except (OSError, ValueError) as error:
        refused = in_a_line(error)
    seconds = time.monotonic() - began
    return NodeReport(
        versions=versions(), sees=sees, seconds=seconds, refused=refused, limits=limits_here()
    )


def versions() -> dict[str, str]:
    """Return the versions of what results depend on, in this process. Nothing is imported."""
    python = ".".join(map(str, sys.version_info[:3]))
    own = f"{dfkd.__version__} (its sources {sources()})"
    return {"dfkd": own, "python": python, **{name: _version(name) for name in PACKAGES}}


def sources() -> str:
    """Return a digest of the package's sources: two checkouts may have one version."""
    folder, digest = Path(dfkd.__file__).parent, hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:8]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _silent(name: str) -> Finding:
    return broken(
        ANSWER,
        f"{name} gives no answer within {ANSWER_S:g} s",
        "look at it with `ray status`, and start Ray there again or take it out of the cluster",
    )


def _failed(name: str, error: RayError) -> Finding:
    return broken(
        ANSWER,
        f"{name} cannot run a task of dfkd ({in_a_line(error)})",
        f"install the package there, or {SEND_ALONG}",
    )


def _of_versions(name: str, there: Mapping[str, str], here: Mapping[str, str]) -> Finding:
    differing = [what for what in here if there.get(what) != here[what]]
    if not differing:
        return ok(VERSIONS, f"{name} has the versions of this process")
    said = ", ".join(f"{what} {there.get(what)} (here {here[what]})" for what in differing)
    mend = "install the same on all nodes"
    mend += f", or {SEND_ALONG}" if differing == ["dfkd"] else "; constraints.txt has our versions"
    return broken(VERSIONS, f"{name} has {said}", mend)


def _of_storage(name: str, report: NodeReport, storage: Storage) -> Finding:
    if report.refused:
        return broken(
            STORAGE,
            f"{name} cannot use {storage} ({report.refused})",
            "give it what this machine has: the mount, the permissions, the variables with keys",
        )
    if not report.sees:
        return broken(
            STORAGE,
            f"{name} does not see what was just written to {storage}",
            "the storage has to be one that all nodes see: mount the same folder there, or name "
            "s3://BUCKET/PREFIX with --storage or DFKD_STORAGE",
        )
    ms = 1000 * report.seconds
    return ok(STORAGE, f"{name} writes once, reads and deletes in {ms:.0f} ms")
