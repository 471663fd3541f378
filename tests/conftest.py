"""Shared by all tests.

One thread, Ray without tokens, and a tiny experiment whose teacher and pool are made once.

What is heavy is imported by the fixtures that need it, so that light tests start at once.
"""

from __future__ import annotations

import gc
import importlib
import os

os.environ["RAY_AUTH_MODE"] = "disabled"
os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is imported
os.environ.pop("COLUMNS", None)  # pytest-xdist sets it: tables would wrap as in a terminal

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pytest

from dfkd.reporting.command import SELDOM
from dfkd.storage import FolderStorage

if TYPE_CHECKING:
    from object_server import ObjectServer

    from dfkd.experiment import Experiment
    from dfkd.storage.object_store import ObjectStorage
    from dfkd.training.distill import Inputs
    from dfkd.training.inputs import InputSource
    from dfkd.training.jobs import Job


# on Ray: they wait a lot
LONGEST = ("test_sweep.py", "test_study.py", "test_train_group.py", "test_bad_input.py")


def pytest_configure() -> None:
    gc.set_threshold(SELDOM)  # as commands do


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: with two processes, none of them is left over at the end."""
    items.sort(
        key=lambda item: (
            LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST)
        )
    )


@pytest.fixture(scope="session")
def run_command() -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Return `run_command("show", "3f9a1c", folder=tmp_path)`.

    It runs a command in a fork of a process that is started once.
    """
    from commands import in_forks

    with in_forks() as run:
        yield run


@pytest.fixture(scope="session")
def object_server() -> Iterator[ObjectServer]:
    """Return an object store that speaks S3, on loopback."""
    from object_server import object_server

    with object_server() as server:
        yield server


@pytest.fixture
def object_storage(
    object_server: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ObjectStorage:
    """Return an empty storage in a bucket of its own; the node's cache is `tmp_path / "cache"`."""
    from dfkd.storage.object_store import ObjectStorage

    for name, value in object_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DFKD_CACHE", str(tmp_path / "cache"))
    return ObjectStorage(f"s3://{object_server.bucket()}", PurePosixPath("some/runs"))


@pytest.fixture
def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """`write_module(name, text)`: a module in `tmp_path`, which is on the path.

    All that are written there are imported anew after that, as in a new process.
    """
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # of two versions within one second
    names = set[str]()

    def forget() -> None:
        for name in names:
            sys.modules.pop(name, None)
        importlib.invalidate_caches()

    def write(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        names.add(name)
        forget()

    yield write
    forget()


@pytest.fixture(scope="session")
def tiny() -> Experiment:
    """The full method in 20 steps, about half a second, evaluated after 5, 10, 15 and 20."""
    from dfkd import recipes
    from dfkd.data.pools.glyphs import Glyphs
    from dfkd.experiment import Schedule
    from dfkd.method.selection import Balanced
    from dfkd.models.networks import SmallResNet
    from dfkd.models.teachers import SupervisedTeacher

    small = SmallResNet(width=8, stem_stride=2)
    return replace(
        recipes.digits(),
        pool=Glyphs(rows=600),
        teacher=SupervisedTeacher(network=small, steps=30, batch=32),
        student=small,
        selection=Balanced(ratio=0.3),
        schedule=Schedule(steps=20, batch=16, evaluations=4),
    )


@pytest.fixture(scope="session")
def source_storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tiny teacher, pool and scores lie.

    Read only: cells are computed in storages of their own.
    """
    return tmp_path_factory.mktemp("sources")


@pytest.fixture(scope="session")
def source(tiny: Experiment, source_storage: Path) -> InputSource:
    from dfkd.experiment import Cell
    from dfkd.seeding import Block, use_deterministic
    from dfkd.training.inputs import obtain

    use_deterministic(1)
    return obtain(Cell(experiment=tiny, block=Block(seed=0)), FolderStorage(source_storage))


@pytest.fixture(scope="session")
def inputs(source: InputSource, source_storage: Path) -> Inputs:
    from dfkd.training.inputs import load, score_here

    score_here(source, FolderStorage(source_storage))
    return load(source, FolderStorage(source_storage))


@pytest.fixture(scope="session")
def job_of(source: InputSource) -> Callable[..., Job]:
    """`job_of(experiment, seed=0, read_test=False)`: a job on the tiny teacher and pool."""
    from dfkd.experiment import Cell
    from dfkd.seeding import Block
    from dfkd.training.environment import this_environment
    from dfkd.training.jobs import Job

    def job(experiment: Experiment, seed: int = 0, read_test: bool = False) -> Job:
        return Job(
            cell=Cell(experiment=experiment, block=Block(seed=seed)),
            environment=this_environment("cpu"),
            teacher_digest=source.teacher.digest,
            pool_digest=source.pool.digest,
            read_test=read_test,
        )

    return job
