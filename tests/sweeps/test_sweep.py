"""A real sweep.

Ray, Tune, Optuna, MLflow - of a user's own space: seconds long, interrupted, resumed, repeated.
"""

import importlib
import json
import os
import shutil
import signal
import time
from pathlib import Path

import optuna
import pandas as pd
import pytest
from commands import PROJECTS, run, start
from mlflow import MlflowClient
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from dfkd.comparison.comparing import compare
from dfkd.experiment import Cell
from dfkd.reporting.console import Console
from dfkd.seeding import Block, use_deterministic
from dfkd.storage import FolderStorage
from dfkd.sweeps.sweep import SEARCH, Sweep
from dfkd.training.cells import compute
from dfkd.training.environment import this_environment
from dfkd.training.inputs import inputs_key, load, obtain, score_here
from dfkd.training.jobs import RunContext

SWEEP = ("tiny_space", "--trials", "6", "--blocks", "2", "--deterministic")
SAME = Sweep(space="tiny_space", trials=6, confirmation_blocks=2, deterministic=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    for file in PROJECTS.glob("*.py"):
        shutil.copy(file, folder)
    return folder


@pytest.fixture(scope="module")
def calm(project: Path) -> Path:
    """The storage of a sweep that nothing disturbed."""
    done = run("sweep", *SWEEP, "--storage", "calm", folder=project)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "winner" in done.stdout or "not beaten" in done.stdout
    return project / "calm"


def trials(storage: Path) -> list[dict[str, object]]:
    return [json.loads(file.read_text()) for file in sorted(storage.glob("sweeps/*/trials/*.json"))]


def finished(storage: Path) -> dict[str, bytes]:
    """Weights by cell, of the cells that are finished."""
    records = [
        f
        for f in storage.glob("cells/*/record.json")
        if json.loads(f.read_text())["state"] == "finished"
    ]
    return {
        record.parent.name: (record.parent / "student.safetensors").read_bytes()
        for record in records
    }


def states(storage: Path) -> dict[Path, str]:
    """How each recorded cell ended."""
    return {
        file: json.loads(file.read_text())["state"] for file in storage.glob("cells/*/record.json")
    }


def runs(storage: Path) -> pd.DataFrame:
    client = MlflowClient(f"sqlite:///{storage}/mlflow.db")
    experiment = client.get_experiment_by_name("dfkd")
    found = client.search_runs([experiment.experiment_id], max_results=1000)
    facts = [{"run": run.info.run_id, "status": run.info.status} for run in found]
    return pd.DataFrame([{**run.data.tags, **run.data.metrics} for run in found]).join(
        pd.DataFrame(facts)
    )


def test_every_trial_ends_and_search_trials_never_read_the_test_set(calm: Path) -> None:
    assert len(trials(calm)) == 6
    assert {trial["state"] for trial in trials(calm)} <= {"finished", "pruned", "diverged"}
    searched = {trial["cell"] for trial in trials(calm)}
    read = {file.parent.name for file in calm.glob("cells/*/test.json")}
    assert read and not read & searched


def test_a_diverging_trial_is_recorded_as_such_and_the_sweep_goes_on(calm: Path) -> None:
    absurd = [trial for trial in trials(calm) if trial["params"]["schedule.learning_rate"] > 1]
    assert absurd and {trial["state"] for trial in absurd} == {"diverged"}
    assert {trial["value"] for trial in absurd} == {0.1}  # chance
    assert any(trial["state"] == "finished" for trial in trials(calm))


def test_optuna_is_told_stopped_trials_as_pruned(calm: Path) -> None:
    (log,) = calm.glob("sweeps/*/optuna.log")
    (name,) = optuna.get_all_study_names(JournalStorage(JournalFileBackend(str(log))))
    study = optuna.load_study(study_name=name, storage=JournalStorage(JournalFileBackend(str(log))))
    states = {trial.user_attrs["number"]: trial.state.name for trial in study.trials}
    expected = {"finished": "COMPLETE", "pruned": "PRUNED", "diverged": "COMPLETE"}
    assert states == {trial["number"]: expected[str(trial["state"])] for trial in trials(calm)}


def test_every_cell_stands_once_in_mlflow_below_its_sweep(calm: Path) -> None:
    table = runs(calm)
    cells = table[table["cell_key"].notna()]
    assert sorted(cells["cell_key"]) == sorted(
        file.parent.name for file in calm.glob("cells/*/record.json")
    )
    assert cells["mlflow.parentRunId"].nunique() == 1
    assert (table[table["cell_key"].isna()]["status"] == "FINISHED").all()
    names = cells.set_index("role")["mlflow.runName"]
    assert names["confirmation"].str.fullmatch(r"(winner|default), block 3\d+").all()
    assert set(cells["variant"].dropna()) <= {"winner", "default"}
    assert names["candidate"].str.fullmatch(r"trial \d, block 2\d+").all()


def test_the_report_of_a_sweep_is_an_artifact_of_its_run(calm: Path) -> None:
    client = MlflowClient(f"sqlite:///{calm}/mlflow.db")
    table = runs(calm)
    parent = table[table["cell_key"].isna()]["run"].item()
    (page,) = calm.glob("sweeps/*/report/index.html")
    assert (
        Path(client.download_artifacts(parent, "report/index.html")).read_text() == page.read_text()
    )
    asked = "python -m platform.sweep tiny_space --trials 6 --blocks 2 --deterministic<"
    assert asked in page.read_text() and "UTC</td>" in page.read_text()


def test_mlflow_alone_gives_the_same_page_byte_for_byte(calm: Path, tmp_path: Path) -> None:
    (report,) = calm.glob("sweeps/*/report")
    name = report.parent.name
    compare(
        [name],
        FolderStorage(tmp_path),
        f"sqlite:///{calm}/mlflow.db",
        log=False,
        console=Console(quiet=True),
    )
    for file in report.iterdir():
        assert (tmp_path / "sweeps" / name / "report" / file.name).read_bytes() == file.read_bytes()
    with pytest.raises(
        ValueError,
        match=f"there is no study 'tiny' in the MLflow .*, nor a sweep: there are {name}",
    ):
        compare(
            ["tiny"],
            FolderStorage(tmp_path),
            f"sqlite:///{calm}/mlflow.db",
            log=False,
            console=Console(quiet=True),
        )


def test_a_second_call_computes_nothing_and_shows_the_same_table(project: Path, calm: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in calm.rglob("*") if file.is_file()}
    again = run("sweep", *SWEEP, "--storage", "calm", folder=project)
    assert again.returncode == 0, again.stderr
    assert "done already" in again.stdout
    assert {file: file.stat().st_mtime_ns for file in calm.rglob("*") if file.is_file()} == before


def test_the_same_from_a_notebook(
    project: Path, calm: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from dfkd.notebook import run_sweep

    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(str(project))
    monkeypatch.setenv("DFKD_STORAGE", str(calm))
    found = run_sweep(SAME)
    page = calm / "sweeps" / found.data.name / "report" / "index.html"
    assert found.page == page and page.exists() and f"report:  {page}" in capsys.readouterr().out
    assert sorted(found.trials["trial"]) == list(range(6))
    assert found.trials["probe"].is_monotonic_decreasing
    assert set(found.trials["cell"]) == {trial["cell"] for trial in trials(calm)}
    assert len(repr(found)) < 300 and "(default)" in found._repr_html_()
    assert found.figures()["history"]._repr_svg_().startswith("<svg")


def test_an_mlflow_that_was_away_is_told_the_whole_sweep_by_the_same_call(
    project: Path,
    calm: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from dfkd.notebook import run_sweep

    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(str(project))
    late = tmp_path / "late"
    late.touch()  # a file where the database's folder shall be
    cells = {file: file.stat().st_mtime_ns for file in calm.glob("cells/*/*")}

    def call() -> str:
        run_sweep(SAME, storage=calm, tracking_uri=f"sqlite:///{late}/mlflow.db")
        return capsys.readouterr().out

    assert call().count("MLflow cannot be reached") == 1
    late.unlink()
    assert "MLflow" not in call()
    written = (late / "mlflow.db").stat().st_mtime_ns
    assert "MLflow" not in call() and (late / "mlflow.db").stat().st_mtime_ns == written
    told, direct = runs(late), runs(calm)
    facts = ["cell_key", "role", "state", "probe", "test", "mlflow.runName"]
    pd.testing.assert_frame_equal(
        *(table[facts].sort_values(facts, ignore_index=True) for table in (told, direct)),
        check_exact=True,
    )
    assert {file: file.stat().st_mtime_ns for file in cells} == cells


def test_the_winner_is_a_model_below_its_sweep(calm: Path) -> None:
    table = runs(calm)
    [sweep] = table[table["cell_key"].isna()].to_dict("records")
    assert str(sweep["student_cell"]) in finished(calm)
    assert str(sweep["student_model"]).startswith("models:/")


def result(storage: Path) -> dict[str, object]:
    (file,) = storage.glob("sweeps/*/result-*.json")
    return {
        name: value
        for name, value in json.loads(file.read_text())["result"].items()
        if name != "seconds"
    }


def test_a_plain_loop_in_an_empty_storage_gives_the_bits_of_a_warm_worker(
    calm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last trial that finished in the sweep: its worker had computed other cells before."""
    monkeypatch.syspath_prepend(str(PROJECTS))
    use_deterministic(1)
    space = importlib.import_module("tiny_space").space
    trial = [trial for trial in trials(calm) if trial["state"] == "finished"][-1]
    cell = Cell(
        experiment=space(optuna.trial.FixedTrial(trial["params"])), block=Block(seed=SEARCH)
    )
    source = obtain(cell, FolderStorage(tmp_path))
    score_here(source, FolderStorage(tmp_path))
    run_context = RunContext(
        environment=this_environment("cpu"),
        digests={inputs_key(cell): (source.teacher.digest, source.pool.digest)},
    )
    outcome = compute(
        run_context.job(cell, read_test=False),
        load(source, FolderStorage(tmp_path)),
        FolderStorage(tmp_path),
    )
    assert outcome.cell == trial["cell"]
    assert finished(tmp_path)[outcome.cell] == finished(calm)[outcome.cell]


@pytest.mark.slow  # two more sweeps; CI has test_cells_interrupted
def test_killed_in_mid_sweep_it_finishes_with_the_same_bits_and_the_same_trials(
    project: Path, calm: Path
) -> None:
    storage = project / "killed"
    for shared in ("teachers", "pools", "scores"):
        shutil.copytree(calm / shared, storage / shared)
    process = start("sweep", *SWEEP, "--storage", "killed", folder=project)
    deadline = time.monotonic() + 200
    while set(states(storage).values()) <= {"pruned"} and time.monotonic() < deadline:
        # the last trials of a batch end together: kill at the first that ended by itself
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    records = states(storage)
    done_before = {
        file: file.stat().st_mtime_ns for file, state in records.items() if state != "pruned"
    }
    assert done_before and len(records) < 6  # in mid-search
    resumed = run("sweep", *SWEEP, "--storage", "killed", folder=project)
    assert resumed.returncode == 0, resumed.stderr
    # none was computed again
    assert {file: file.stat().st_mtime_ns for file in done_before} == done_before
    assert finished(storage) == finished(calm)
    assert trials(storage) == trials(calm)
    assert result(storage) == result(calm)  # the table and the confirmed difference
    cells = runs(storage)["cell_key"].dropna()
    assert sorted(cells) == sorted(file.parent.name for file in storage.glob("cells/*/record.json"))
