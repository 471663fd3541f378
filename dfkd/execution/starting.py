"""What Ray needs of addresses and folders, checked before it starts.

Without that it waits for minutes where nobody answers, and its errors are tracebacks that name no
variable.
"""

import os
import socket
import sys
import tempfile
from pathlib import Path

from dfkd.storage.variables import variable

ANSWER_S = 5.0
# of a path in the file system, in bytes; Linux has 108 with the null byte at the end
LONGEST_SOCKET = 103 if sys.platform == "darwin" else 107
SOCKET = "ray/session_2026-01-01_00-00-00_000000_1234567/sockets/plasma_store"


def check_address(address: str) -> None:
    """Raise ValueError where RAY_ADDRESS names no cluster, or nobody answers there."""
    if address in ("local", "auto"):
        return
    said = f"RAY_ADDRESS={address!r}"
    if "://" in address:
        raise ValueError(
            f"{said} is an address for `ray job submit` or Ray Client, but a program joins a "
            "cluster from within: send it there with `ray job submit --address http://HOST:8265 "
            "-- python -m ...`, or give HOST:6379 on a machine of the cluster"
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"{said} must be HOST:PORT, such as 10.0.0.1:6379")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_S).close()
    except (OSError, OverflowError) as error:
        raise ValueError(
            f"nobody answers at {said} ({error}): start the cluster, correct RAY_ADDRESS, or unset "
            "it to compute on this machine"
        ) from error


def check_folders() -> None:
    """Raise ValueError where a Ray of our own could not write its sockets, logs or token."""
    name = "RAY_TMPDIR" if "RAY_TMPDIR" in os.environ else "TMPDIR"
    folder = os.environ.get(name, "/tmp")
    length = len(os.fsencode(os.path.join(folder, SOCKET)))
    if length > LONGEST_SOCKET:
        raise ValueError(
            f"{name}={folder!r} is too long: Ray's sockets below it would have paths of {length} "
            f"bytes, and {LONGEST_SOCKET} is the limit: set {name} to a shorter folder, such as "
            "/tmp"
        )
    _check_writable(Path(folder), f"{name} to a folder that can be written, such as /tmp")
    if _writes_token():
        advice = "HOME to a folder that can be written, or RAY_AUTH_MODE=disabled"
        try:
            _check_writable(Path.home(), advice)
        except RuntimeError as error:  # a user without a home
            raise ValueError(f"Ray keeps its token at home ({error}): set {advice}") from error


def _writes_token() -> bool:
    """Return whether Ray makes a token for its new cluster."""
    return variable("RAY_AUTH_MODE") != "disabled" and token_source() is None


def token_source() -> str | None:
    """Return where Ray finds its token, None where there is none; never the token."""
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        if variable(name):
            return name
    try:
        return "~/.ray/auth_token" if (Path.home() / ".ray" / "auth_token").exists() else None
    except (OSError, RuntimeError):
        return None


def _check_writable(folder: Path, advice: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(
            f"Ray cannot write to {folder} ({error.strerror}): set {advice}"
        ) from error
