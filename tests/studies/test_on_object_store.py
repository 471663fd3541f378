"""A study or sweep in an object store is, bit for bit, that in a folder."""

import json
import pickle
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands import PROJECTS, run
from object_server import SECRET, ObjectServer

from dfkd.comparison.comparing import compare
from dfkd.execution.compute import Compute
from dfkd.execution.local_executor import local_executor
from dfkd.experiment import Cell, Experiment
from dfkd.reporting.console import Console
from dfkd.seeding import Block
from dfkd.storage import FolderStorage, Storage, layout, open_storage
from dfkd.storage.object_store import ObjectStorage
from dfkd.storage.outcome import ENDED
from dfkd.studies.driver import run_study
from dfkd.studies.study import Study
from dfkd.training.cells import compute
from dfkd.training.inputs import memory_map_of, obtain, score_here
from dfkd.training.jobs import Job

QUIET = Console(quiet=True)
DIFFERS = ("seconds", ENDED)  # between two runs of one cell


@pytest.fixture
def study(tiny: Experiment) -> Study:
    variants = {"full": tiny, "kept": replace(tiny, dropping=None)}
    return Study(question="?", variants=variants, baseline="full", blocks=2)


def cells(storage: Storage) -> dict[str, dict[str, Any]]:
    """The records of all cells, with their curve and weights as bytes."""
    found = {}
    for name in storage.list(layout.CELLS):
        folder = layout.cell(name)
        record = storage.read_json(folder / layout.RECORD)
        content = [storage.get(folder / file) for file in (layout.CURVE, layout.WEIGHTS)]
        facts = record | record.pop("tags")
        plain = {field: value for field, value in facts.items() if field not in DIFFERS}
        found[name] = {**plain, "files": content}
    return found


def names_in(storage: Storage) -> set[str]:
    return {name.split("/")[0] for name, _ in everything(storage)}


def everything(storage: Storage) -> Iterator[tuple[str, bytes]]:
    for entry in storage.walk(layout.ROOT):
        if (path := storage.path(entry.key)) is None or path.is_file():
            yield str(entry.key), storage.get(entry.key)


def test_a_cell_is_the_same_in_a_bucket(
    tiny: Experiment, job_of: Callable[..., Job], object_storage: ObjectStorage, tmp_path: Path
) -> None:
    storages = (FolderStorage(tmp_path / "runs"), object_storage)
    for storage in storages:
        source = obtain(Cell(experiment=tiny, block=Block(seed=0)), storage)
        score_here(source, storage)
        compute(job_of(tiny), memory_map_of(source, storage).open(), storage)
    here, there = (cells(storage) for storage in storages)
    assert here == there and len(here) == 1
    assert names_in(object_storage) == {"cells", "packs", "pools", "scores", "teachers"}

    shutil.rmtree(tmp_path / "cache")  # another node: it has nothing yet, and makes nothing new
    stored = dict(everything(object_storage))
    source = obtain(Cell(experiment=tiny, block=Block(seed=0)), object_storage)
    again = memory_map_of(source, object_storage)
    inputs = pickle.loads(pickle.dumps(again)).open()
    assert len(inputs.scores) == 600 and dict(everything(object_storage)) == stored


@pytest.mark.slow  # MLflow, and figures of a report
def test_a_study_is_the_same_in_a_bucket(
    study: Study, object_storage: ObjectStorage, tmp_path: Path, source_storage: Path
) -> None:
    folder = FolderStorage(shutil.copytree(source_storage, tmp_path / "runs"))
    runs = f"sqlite:///{tmp_path}/runs.db"
    for storage, uri in ((folder, None), (object_storage, runs)):
        compute = Compute(storage=storage, tracking_uri=uri)
        result = run_study("mine", study, compute, QUIET, open_executor=local_executor)
        assert result.computed == 4
    assert cells(object_storage) == cells(folder) and len(cells(folder)) == 4
    compute = Compute(storage=object_storage, tracking_uri=runs)
    shutil.rmtree(tmp_path / "cache")
    assert run_study("mine", study, compute, QUIET, open_executor=local_executor).computed == 0
    compare(["mine"], object_storage, None, log=False, console=QUIET)

    expected = {"cells", "packs", "pools", "prepared", "scores", "studies", "teachers"}  # no lease
    assert names_in(object_storage) == expected
    assert not [name for name, content in everything(object_storage) if SECRET.encode() in content]


def test_without_a_place_for_mlflow_nothing_is_begun(
    study: Study, object_storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(ValueError, match="MLflow needs a server beside s3://") as raised:
        run_study("mine", study, Compute(storage=object_storage), QUIET)
    assert "\n" not in str(raised.value) and not list(everything(object_storage))


@pytest.mark.slow  # two sweeps on Ray
def test_a_sweep_is_the_same_in_a_bucket(object_server: ObjectServer, tmp_path: Path) -> None:
    for file in PROJECTS.glob("*.py"):
        shutil.copy(file, tmp_path)
    uri = f"s3://{object_server.bucket()}/runs"
    told = {
        **object_server.environment,
        "DFKD_CACHE": str(tmp_path / "cache"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/runs.db",
    }
    options = ("tiny_space", "--trials", "6", "--blocks", "2", "--deterministic")
    for place, extra in ((str(tmp_path / "runs"), {}), (uri, told)):
        done = run("sweep", *options, "--storage", place, folder=tmp_path, **extra)
        assert done.returncode == 0, done.stderr
        assert SECRET not in done.stdout + done.stderr
    again = run("sweep", *options, "--storage", uri, folder=tmp_path, **told)
    assert again.returncode == 0 and f"{uri}/sweeps/" in again.stdout

    with pytest.MonkeyPatch.context() as patch:
        for name, value in told.items():
            patch.setenv(name, value)
        here, there = FolderStorage(tmp_path / "runs"), open_storage(uri)
        assert trials(here) == trials(there) and len(trials(here)) == 6
        assert finished(here) == finished(there)
        assert {key.split("/")[0] for key, _ in everything(there)} >= {"cells", "sweeps"}
        assert not [key for key, _ in everything(there) if "lease" in key or ".in-use" in key]


def trials(storage: Storage) -> list[Any]:
    [sweep] = storage.list(layout.SWEEPS)
    folder = layout.sweep(sweep) / layout.TRIALS
    assert storage.exists(layout.sweep(sweep) / layout.OPTUNA_LOG)
    return [json.loads(storage.get(folder / name)) for name in storage.list(folder)]


def finished(storage: Storage) -> dict[str, bytes]:
    weights = {name: layout.cell(name) / layout.WEIGHTS for name in storage.list(layout.CELLS)}
    return {name: storage.get(key) for name, key in weights.items() if storage.exists(key)}
