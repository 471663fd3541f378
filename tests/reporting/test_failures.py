"""Errors of the outside world: one line, and exit code 1; bad input has 2, mistakes a traceback."""

import errno
import os

import numpy as np
import optuna
import pyarrow
import pytest
import ray
import torch
from mlflow.exceptions import MlflowException
from ray.exceptions import RayTaskError, WorkerCrashedError
from ray.tune import TuneError
from safetensors import SafetensorError
from sqlalchemy.exc import OperationalError

from dfkd import cli

TRACEBACK = 'Traceback (most recent call last):\n  File "a.py", line 3, in f\n'


def in_worker(error: Exception) -> Exception:
    """Return the error as Ray passes it on, with the traceback as its text."""
    text = f"{TRACEBACK}{type(error).__name__}: {error}"
    return RayTaskError("f", text, error).as_instanceof_cause()


def full(path: str = "/disk/x") -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


WORLD = {
    "full disk": (full(), "the disk is full (/disk/x): make room; what was finished is kept"),
    "quota": (OSError(errno.EDQUOT, "Disk quota exceeded"), "the disk is full: make room"),
    "full disk in a worker": (in_worker(full()), "the disk is full (/disk/x): make room"),
    "safetensors": (
        SafetensorError("Error while serializing: No space left on device (os error 28)"),
        "the disk is full: make room",
    ),
    "other safetensors": (SafetensorError("header too large"), "SafetensorError: header too large"),
    "forbidden": (PermissionError(errno.EACCES, "Not permitted", "/x"), "Not permitted (/x)"),
    "memory": (MemoryError(), "out of memory: ask for less at a time (--concurrency 1)"),
    "memory of a GPU": (torch.OutOfMemoryError("CUDA\nmore"), "OutOfMemoryError: CUDA"),
    "worker died": (WorkerCrashedError(), "WorkerCrashedError: "),
    "mistake in a worker": (
        in_worker(AttributeError("no ramp")),
        "AttributeError: no ramp (a.py, line 3)",
    ),
    "tune": (TuneError(f"{TRACEBACK}KeyError: 'x'"), "TuneError: KeyError: 'x'"),
    "mlflow": (MlflowException("no such run\nat all"), "MlflowException: no such run"),
    "database": (OperationalError("SELECT 1", {}, Exception("locked")), "OperationalError: "),
    "arrow": (pyarrow.ArrowNotImplementedError("no type"), "ArrowNotImplementedError: no type"),
    "optuna": (optuna.exceptions.StorageInternalError("gone"), "StorageInternalError: gone"),
}


@pytest.mark.parametrize("case", WORLD)
def test_what_the_world_does_is_one_line(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    error, expected = WORLD[case]
    assert ended_by(error) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {expected}") and said.count("\n") == 1


@pytest.mark.parametrize(
    "error", [ValueError("rows must be 1"), in_worker(ValueError("rows must be 1"))]
)
def test_bad_input_also_of_a_worker_has_code_2(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended_by(error) == 2
    assert capsys.readouterr().err == "error: rows must be 1\n"


@pytest.mark.parametrize("kind", [AttributeError, IndexError, RuntimeError, TypeError])
def test_a_mistake_in_a_program_keeps_its_traceback(kind: type[Exception]) -> None:
    with pytest.raises(kind):
        ended_by(kind("a mistake"))


def test_numpy_tells_how_much_memory_it_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.run(lambda _: np.empty(10**18, dtype=np.uint8))
    assert ended.value.code == 1 and "out of memory (Unable to allocate" in capsys.readouterr().err


def ended_by(error: BaseException) -> object:
    def main(_: cli.Output) -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        cli.run(main)
    return ended.value.code


def test_ray_still_wraps_errors_as_we_read_them() -> None:
    assert issubclass(RayTaskError, ray.exceptions.RayError)
    assert in_worker(ValueError("x")).cause.args == ("x",)
