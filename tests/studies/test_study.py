"""A real, tiny study of a user's own, on Ray and MLflow, from its command and from Python."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import PROJECTS, run
from mlflow.entities import Run
from mlflow_server import Gate, Server, serving

from ablations.components import study as components
from dfkd.comparison.reports import read_study
from dfkd.execution.compute import Compute
from dfkd.experiment.recipes import digits
from dfkd.storage import FolderStorage
from dfkd.storage.ledger import Ledger
from dfkd.studies import Study
from dfkd.studies.forecast import forecast
from dfkd.training.cells import compute
from dfkd.training.environment import this_environment
from dfkd.training.inputs import inputs_key
from dfkd.training.jobs import RunContext


def test_two_equal_variants_are_an_error() -> None:
    with pytest.raises(ValueError, match="the study changes nothing"):
        Study(question="?", variants={"a": digits(), "b": digits()}, baseline="a")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def gate() -> Gate:
    return Gate()


@pytest.fixture(scope="module")
def project(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder; its storage `s` has teacher, pool, scores and one cell of the study.

    The server starts beside it.
    """
    from dfkd.seeding import use_deterministic
    from dfkd.training.inputs import load, obtain, score_here

    folder = tmp_path_factory.mktemp("project")
    for file in PROJECTS.glob("*.py"):
        shutil.copy(file, folder)
    sys.path.insert(0, str(folder))
    try:
        from tiny_study import study
    finally:
        sys.path.remove(str(folder))
    use_deterministic(1)
    cell = study.cells()["full", 1]
    source = obtain(cell, FolderStorage(folder / "s"))
    score_here(source, FolderStorage(folder / "s"))
    digests = {inputs_key(cell): (source.teacher.digest, source.pool.digest)}
    job = RunContext(environment=this_environment("cpu"), digests=digests).job(cell, read_test=True)
    compute(job, load(source, FolderStorage(folder / "s")), FolderStorage(folder / "s"))
    return folder


def rows(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(("full", "no dropping"))]


@pytest.fixture(scope="module")
def first(project: Path, server: Server, gate: Gate) -> str:
    """What the first call says.

    The server to which it tracks is away; the second finds it there.
    """
    command = ("ablate", "tiny_study", "--storage", "s", "--tracking-uri", gate.uri)
    done = run(*command, folder=project)
    assert done.returncode == 0 and rows(done.stdout), done.stderr
    assert done.stdout.count("MLflow cannot be reached") == 1 and "Traceback" not in done.stderr
    before = mtimes(project)
    with gate.open(server.ready()):
        second = run(*command, folder=project)
    assert second.returncode == 0 and "MLflow cannot" not in second.stdout, second.stderr
    assert "done already" in second.stdout and rows(second.stdout) == rows(done.stdout)
    assert mtimes(project) == before  # nothing was computed again
    return done.stdout


def mtimes(project: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in project.glob("s/cells/*/*")}


def test_a_study_runs_once_and_reuses_what_is_there(project: Path, gate: Gate, first: str) -> None:
    assert "3 cells computed, 1 from the ledger, 1 of these computed by other work" in first
    assert "computed again" in first and "equal to the last bit" in first
    report = project / "s" / "studies" / "tiny_study" / "report"
    assert list(json.loads((report.parent / "tracked.json").read_text())) == [gate.uri]
    before = {
        path: path.stat().st_mtime_ns for path in [*report.iterdir(), report.parent / "study.json"]
    }
    again = run(
        "ablate", "tiny_study", "--storage", "s", "--tracking-uri", gate.uri, folder=project
    )
    assert "done already" in again.stdout, again.stderr
    assert "MLflow cannot" not in again.stdout  # it is away again, but has been told everything
    assert rows(again.stdout) == rows(first)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    tests = [json.loads(file.read_text())["test"] for file in project.glob("s/cells/*/test.json")]
    assert len(tests) == 4 and all(0 < value < 1 for value in tests)
    assert not (project / "s" / "studies" / "tiny_study" / "check").exists()


@pytest.mark.slow  # another start of Ray; test_study_driver.py has it without
def test_a_study_grows_by_blocks(project: Path, server: Server, first: str) -> None:
    options = ("--storage", "s", "--blocks", "3", "--tracking-uri", server.uri)
    grown = run("ablate", "tiny_study", *options, folder=project)
    assert "2 cells computed, 4 from the ledger" in grown.stdout, grown.stderr
    assert "results were seen after 2 and 3 blocks" in grown.stdout


def runs_of(server: Server, condition: str) -> list[Run]:
    client = server.client()
    experiment = client.get_experiment_by_name("dfkd").experiment_id
    return list(client.search_runs([experiment], condition, order_by=["attributes.run_name ASC"]))


def test_a_study_is_found_filtered_and_compared_on_a_server(server: Server, first: str) -> None:
    """As its users do, through MLflow's own client.

    The cells are those of the first call, or more.
    """
    [parent] = runs_of(server, "tags.identity = 'study tiny_study'")
    assert parent.info.status == "FINISHED" and parent.info.run_name == "study/tiny_study"
    assert {"test_percent/full", "difference_points/no dropping"} <= parent.data.metrics.keys()
    assert "| full | " in parent.data.tags["mlflow.note.content"]
    cells = runs_of(server, "tags.study = 'tiny_study' AND tags.role != ''")
    assert {cell.data.tags["mlflow.parentRunId"] for cell in cells} == {parent.info.run_id}
    full = runs_of(server, "params.variant = 'full' AND params.block = '0' AND metrics.test > 0")
    plain = runs_of(
        server, "tags.variant = 'no dropping' AND tags.block = '0' AND params.dropping = 'none'"
    )
    here, there = full[0].data, plain[0].data
    assert len(full) == len(plain) == 1
    # of the dropping
    assert here.metrics.keys() - there.metrics.keys() == {"kept_classes", "training/kept_classes"}
    assert there.metrics.keys() < here.metrics.keys() and "test" in there.metrics
    both = here.params.keys() | there.params.keys()
    differing = {name for name in both if here.params.get(name) != there.params.get(name)}
    assert differing == {"dropping", "dropping.rate", "variant"}


def test_pool_and_teacher_are_datasets_on_the_server(server: Server, first: str) -> None:
    for found in runs_of(server, "tags.study = 'tiny_study'"):
        used = {entry.tags[0].value: entry.dataset for entry in found.inputs.dataset_inputs}
        assert {part: dataset.name for part, dataset in used.items()} == {
            "pool": "glyphs",
            "teacher": "supervised_teacher",
        }
        assert json.loads(used["pool"].source)["tags"]["pool.rows"] == "800"
        if "cell_key" in found.data.tags:
            assert found.data.tags["pool_digest"].startswith(used["pool"].digest)
    assert len(runs_of(server, f"dataset.digest = '{used['teacher'].digest}'")) >= 5


def test_table_and_page_come_back_from_the_server(
    server: Server, first: str, project: Path, tmp_path: Path
) -> None:
    [parent] = runs_of(server, "tags.identity = 'study tiny_study'")
    folder = Path(server.client().download_artifacts(parent.info.run_id, "", str(tmp_path)))
    assert json.loads((folder / "effects.json").read_text())["columns"][0] == "variant"
    assert (folder / "report" / "index.html").read_text().startswith("<!")
    tracked, kept = (
        read_study("tiny_study", FolderStorage(project / "s"), where)
        for where in (server.uri, None)
    )
    pd.testing.assert_frame_equal(tracked.cells, kept.cells)
    pd.testing.assert_frame_equal(tracked.curves, kept.curves, check_exact=True)
    assert set(json.loads((folder / "curves.json").read_text())) == set(kept.cells["cell"])


LOAD = """
import sys
import mlflow, numpy as np, torch
images = torch.from_numpy(np.load("images.npy"))
model = mlflow.pytorch.load_model(sys.argv[1])
served = mlflow.pyfunc.load_model(sys.argv[1]).predict(images.numpy())
assert "dfkd" not in sys.modules
assert np.allclose(model(images).numpy(), served)
np.save("answers.npy", served.argmax(1))
"""


def test_the_best_student_loads_in_a_process_that_has_never_heard_of_us(
    server: Server, first: str, project: Path, tmp_path: Path
) -> None:
    [parent] = runs_of(server, "tags.identity = 'study tiny_study'")
    tags, ledger = parent.data.tags, Ledger(FolderStorage(project / "s"))
    outcome = ledger.read(tags["student_cell"])
    assert outcome is not None and outcome.state == "finished"
    test = digits().task.test()
    np.save(tmp_path / "images.npy", test.images.transpose(0, 3, 1, 2).astype(np.float32) / 255)
    environment = {
        "MLFLOW_TRACKING_URI": server.uri,
        "PATH": os.environ["PATH"],
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    subprocess.run(
        [sys.executable, "-P", "-c", LOAD, tags["student_model"]],
        cwd=tmp_path,
        env=environment,
        check=True,
    )
    right = np.load(tmp_path / "answers.npy") == test.labels
    assert right.mean() == pytest.approx(outcome.metrics["test"], abs=0.002)  # one image of 600


def test_a_forecast_goes_by_what_is_finished(project: Path, first: str) -> None:
    """Cells of the tiny study are recognised, under another name too, and give the time."""
    study = replace(sys.modules["tiny_study"].study, blocks=5)
    where = Compute(storage=FolderStorage(project / "s"))
    done = {
        json.loads(path.read_text())["cell"] for path in (project / "s").glob("cells/*/record.json")
    }
    told = forecast("another name", study, where)
    assert told.prepared and told.done == len(done) >= 4
    assert (
        told.seconds is not None
        and told.seconds > 0
        and told.hours == pytest.approx(told.seconds / 3600)
    )
    assert told.sd is not None and told.sd_from == "seen so far"


def test_the_same_from_python_in_five_lines(
    project: Path,
    server: Server,
    first: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from dfkd.notebook import run_study

    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(str(project))
    monkeypatch.setenv("DFKD_STORAGE", str(project / "s"))
    result = run_study("tiny_study", blocks=2, tracking_uri=server.uri)
    assert f"report:  {project}/s/studies/tiny_study/report/index.html" in capsys.readouterr().out
    assert len(repr(result)) < 300 and "95 % interval" in result._repr_html_()
    assert result.computed == 0 and result.effects["variant"].tolist() == ["no dropping"]
    assert len(result.outcomes) == 4 and result.figures()["effects"]._repr_svg_().startswith("<svg")
    with pytest.raises(ValueError, match="needs a name"):
        run_study(replace(components, blocks=2))
    with pytest.raises(ValueError, match=r"there is no argument 'steps': .* storage, tracking_uri"):
        run_study("tiny_study", steps=9)


def test_a_study_is_asked_of_another_recipe(project: Path) -> None:
    command = ("ablate", "ablations.components", "--recipe", "own_loss", "--dry-run")
    asked = run(*command, "--storage", "none", folder=project)
    assert asked.returncode == 0 and "25 cells, 0 done already" in asked.stdout, asked.stderr
    assert "standard deviations of the paired differences; in points, where you" in asked.stdout
    assert not (project / "none").exists()
