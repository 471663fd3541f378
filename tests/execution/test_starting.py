"""Starts that cannot work: each is one line that names the variable, and none waits for minutes."""

import socket
from pathlib import Path

import pytest
import torch

from dfkd.execution.compute import Compute, check_machine
from dfkd.execution.session import session
from dfkd.execution.starting import check_address, check_folders
from dfkd.storage import FolderStorage


def nobody() -> str:
    """An address of this machine at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("ray://10.0.0.1:10001", "`ray job submit --address http://HOST:8265"),
        ("http://10.0.0.1:8265", "`ray job submit --address http://HOST:8265"),
        ("10.0.0.1", "must be HOST:PORT"),
        ("127.0.0.1:70000", "nobody answers"),
        ("no-such-host.invalid:6379", "nobody answers"),
    ],
)
def test_an_address_that_is_none_of_a_cluster(address: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected) as told:
        check_address(address)
    assert f"RAY_ADDRESS='{address}'" in str(told.value) and "\n" not in str(told.value)


def test_a_session_where_nobody_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAY_ADDRESS", nobody())
    with (
        pytest.raises(ValueError, match="nobody answers at RAY_ADDRESS="),
        session(Compute(storage=FolderStorage(tmp_path))),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_somebody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        check_address(f"127.0.0.1:{server.getsockname()[1]}")
    check_address("local")


@pytest.mark.parametrize("name", ["TMPDIR", "RAY_TMPDIR"])
def test_a_folder_too_long_for_sockets(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(name, str(tmp_path / ("x" * 75)))
    with pytest.raises(ValueError, match=f"^{name}=.* is too long: .*107"):
        check_folders()
    assert not list(tmp_path.iterdir())


def test_a_temporary_folder_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/proc/none")  # where not even root can write
    with pytest.raises(ValueError, match=r"cannot write to /proc/none .*: set RAY_TMPDIR to"):
        check_folders()


def test_a_home_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/proc/none")
    check_folders()  # no token is needed in these tests
    monkeypatch.delenv("RAY_AUTH_MODE")
    with pytest.raises(ValueError, match=r"cannot write to /proc/none .*: set HOME to"):
        check_folders()
    monkeypatch.setenv("RAY_AUTH_TOKEN", "given")
    check_folders()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there(tmp_path: Path) -> None:
    check_machine(Compute(storage=FolderStorage(tmp_path)))
    with pytest.raises(ValueError, match="--gpus 1 asks for more than the 0 GPUs that PyTorch"):
        check_machine(Compute(storage=FolderStorage(tmp_path), gpus=1))
