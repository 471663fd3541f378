"""What a node has of disk and open files: where it runs out of either, Ray stops in odd ways."""

import resource
import shutil
import tempfile
from dataclasses import dataclass

from dfkd.execution.checks.finding import Finding, broken, ok
from dfkd.storage.files import size

FULL = 0.95  # of a disk: from here on Ray writes no objects to it
FEWEST_FILES = 1024  # Ray's own least

DISK, FILES = "disk", "open files"


@dataclass(frozen=True)
class Limits:
    """The disk of the temporary folder, in bytes, and how many files a process may have open."""

    folder: str
    free: int
    total: int
    files: int


def limits_here() -> Limits:
    """Return those of this process."""
    folder = tempfile.gettempdir()
    disk = shutil.disk_usage(folder)
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Limits(folder=folder, free=disk.free, total=disk.total, files=files)


def limits_of(name: str, found: Limits) -> list[Finding]:
    """Return what is to be said of a node's limits."""
    disk = f"{name} has {size(found.free)} free in {found.folder}"
    few = found.files != resource.RLIM_INFINITY and found.files < FEWEST_FILES
    files = f"{name} lets a process open {found.files:,} files"
    return [
        broken(DISK, disk, f"make room: Ray stops writing at {100 * FULL:.0f} % of a disk")
        if found.free < (1 - FULL) * found.total
        else ok(DISK, disk),
        broken(FILES, files, "raise it with `ulimit -n 65536` before Ray is started there")
        if few
        else ok(FILES, files),
    ]
