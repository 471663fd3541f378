"""Hosts on one machine: each with its own network address, processes, disk and /dev/shm.

They are namespaces of the kernel, joined by a bridge that no other network reaches. What one host
writes below /disk, where its home and its temporary files are, no other one sees; all else of the
file system is that of this machine. Needs root and iproute2.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

NET = "10.78.0"
DISK = "/disk"
BOOT = f"""
mkdir -p {DISK}
mount -t tmpfs -o size=8g none {DISK}
mount -t tmpfs -o size=2g none /dev/shm
mkdir -p {DISK}/home {DISK}/tmp
echo ready
exec sleep infinity
"""


@dataclass
class Host:
    """One host. init: the process with which it lives and dies."""

    name: str
    address: str
    init: subprocess.Popen[bytes]
    inside: int  # the number of that process's child, whose namespaces it has
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def command(self, *words: str, environment: Mapping[str, str]) -> list[str]:
        """Return the words that run a command in the host, with these variables set."""
        own = {"HOME": f"{DISK}/home", "TMPDIR": f"{DISK}/tmp", **environment}
        settings = [f"{name}={value}" for name, value in own.items()]
        enter = ["nsenter", "-t", str(self.inside), "-m", "-n", "-p", f"--wd={os.getcwd()}"]
        return [*enter, "env", *settings, *words]

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end and return what it wrote."""
        return subprocess.run(
            self.command(*words, environment=environment), text=True, capture_output=True
        )

    def serve(self, *words: str, log: Path, **environment: str) -> None:
        """Start a command that runs until the host is off."""
        command = self.command(*words, environment=environment)
        with log.open("wb") as file:
            pipe = subprocess.PIPE  # kept open: some servers end with their input
            server = subprocess.Popen(command, stdin=pipe, stdout=file, stderr=file)
        self.started.append(server)

    def power_off(self) -> None:
        """Kill all that runs there, at once; what lay on its disk is gone."""
        if self.init.poll() is None:
            os.kill(self.init.pid, signal.SIGKILL)
        self.init.wait()
        for server in self.started:
            server.kill()
            server.wait()
        self.started.clear()

    def power_on(self) -> None:
        """Boot it again, with an empty disk."""
        self.init = _booted(self.name)
        self.inside = _child_of(self.init.pid)

    def plug(self, cable: bool) -> None:
        """Put the network's cable in, or pull it."""
        _ip("-n", self.name, "link", "set", "eth0", "up" if cable else "down")

    def processes(self) -> dict[int, str]:
        """Return the host's processes: their numbers there, and what they are called."""
        listed = self.run("ps", "-eo", "pid,args", "--no-headers").stdout.splitlines()
        pairs = [line.split(maxsplit=1) for line in listed]
        return {int(number): title for number, title in pairs}

    def kill(self, number: int, how: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a process, by its number there."""
        self.run("kill", f"-{how.value}", str(number))


@contextmanager
def hosts(count: int) -> Iterator[Sequence[Host]]:
    """Give so many hosts, which see one another; at the end all of them are off."""
    made: list[Host] = []
    prefix = f"dfkd-{os.getpid()}"  # several scripts may run at once
    switch = f"{prefix}-switch"
    _ip("netns", "add", switch)
    try:
        _ip("-n", switch, "link", "set", "lo", "up")
        _ip("-n", switch, "link", "add", "sw", "type", "bridge")
        _ip("-n", switch, "link", "set", "sw", "up")
        for number in range(count):
            made.append(_boot(f"{prefix}-h{number}", f"{NET}.{10 + number}", f"h{number}", switch))
        yield made
    finally:
        for host in made:
            host.power_off()
            _ip("netns", "del", host.name)
        _ip("netns", "del", switch)


def _boot(name: str, address: str, port: str, switch: str) -> Host:
    _ip("netns", "add", name)
    _ip("-n", name, "link", "set", "lo", "up")
    _ip("-n", switch, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
    _ip("-n", switch, "link", "set", port, "master", "sw", "up")
    _ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
    _ip("-n", name, "link", "set", "eth0", "up")
    init = _booted(name)
    return Host(name, address, init, _child_of(init.pid))


def _booted(name: str) -> subprocess.Popen[bytes]:
    """Start a host's first process, in the network that has its name."""
    own = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
    init = subprocess.Popen(
        ["ip", "netns", "exec", name, *own, "bash", "-c", BOOT], stdout=subprocess.PIPE
    )
    assert init.stdout is not None
    if init.stdout.readline() != b"ready\n":
        raise RuntimeError(f"the host {name} did not start: are you root, is iproute2 installed?")
    return init


def _child_of(pid: int) -> int:
    """Return the number of the only child of a process, which may take a moment to be there."""
    while not (children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        time.sleep(0.01)
    return int(children[0])


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
