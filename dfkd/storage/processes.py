"""What has become of a process, as its own host can tell, and names that tell hosts apart."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import SoftFileLease

from dfkd.storage import layout

GONE = ("gone", "zombie")  # states of a process that computes no more


def process_state(pid: int, start: int, boot: str) -> str:
    """Say what has become of a process of this host that began at a tick after a boot."""
    if not start or not int(boot or "0", 16) or boot_of_this_host() is None:
        return "unknown"
    if boot != boot_of_this_host():
        return "gone"
    try:
        state, *fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        )
    except (FileNotFoundError, ProcessLookupError):
        return "gone"
    if int(fields[18]) != start:
        return "gone"  # and its number is that of a later process
    return "zombie" if state in ("Z", "X") else "alive"


@cache
def boot_of_this_host() -> str | None:
    """Return the identity of the boot; None where the system cannot be asked for processes."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8")
    except OSError:
        return None
    return boot.strip().replace("-", "")


@cache
def name_of_this_host() -> str:
    """Return what filelock calls this host: its name, and the namespace of its processes."""
    with TemporaryDirectory() as folder, SoftFileLease(Path(folder) / layout.LEASE) as lease:
        assert lease.owner is not None
        return lease.owner.hostname


def start_of(pid: int) -> int:
    """Return the tick after the boot at which a process began; 0 where that cannot be told."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return int(fields[19])
