"""A real, tiny study of a user's own, on Ray and MLflow; what a study does with its blocks, on a
crew that pretends.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from commands import PROJECTS, run
from mlflow.entities import Run
from mlflow_server import Gate, Server, serving
from synthetic import ENVIRONMENT, jobs_of, write_cell

from ablations.components import study as components
from dfkd.comparison.reports import read_study
from dfkd.execution.compute import Compute
from dfkd.execution.executor import Failure, OpenExecutor
from dfkd.experiment import Cell
from dfkd.experiment.recipes import digits
from dfkd.reporting.console import Console
from dfkd.storage.ledger import Ledger, Outcome
from dfkd.studies import Study
from dfkd.studies import driver as cluster_study
from dfkd.studies.driver import StudyOptions, run_study
from dfkd.studies.forecast import forecast
from dfkd.studies.record import read
from dfkd.studies.result import StudyResult
from dfkd.training.cells import Job, RunContext, compute
from dfkd.training.environment import this_environment
from dfkd.training.inputs import MappedInputs, inputs_key


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
def project(
    server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Path:  # the server starts beside it
    """The user's folder, with a storage `s` in which teacher, pool and scores are, and one cell of
    the study.
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
    source = obtain(cell, folder / "s")
    score_here(source, folder / "s")
    digests = {inputs_key(cell): (source.teacher.digest, source.pool.digest)}
    job = RunContext(environment=this_environment("cpu"), digests=digests).job(cell, read_test=True)
    compute(job, load(source, folder / "s"), folder / "s")
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


def test_a_study_runs_once_reuses_what_is_there_and_grows_by_blocks(
    project: Path, server: Server, gate: Gate, first: str
) -> None:
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
    options = ("--storage", "s", "--blocks", "3", "--tracking-uri", server.uri)
    grown = run("ablate", "tiny_study", *options, folder=project)
    assert "2 cells computed, 4 from the ledger" in grown.stdout, grown.stderr
    assert "results were seen after 2 and 3 blocks" in grown.stdout
    tests = [json.loads(file.read_text())["test"] for file in project.glob("s/cells/*/test.json")]
    assert len(tests) == 6 and all(0 < value < 1 for value in tests)
    assert not (project / "s" / "studies" / "tiny_study" / "check").exists()


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
    cells = runs_of(server, "tags.study = 'tiny_study' AND tags.role != ''")
    assert {cell.data.tags["mlflow.parentRunId"] for cell in cells} == {parent.info.run_id}
    full = runs_of(
        server, "tags.variant = 'full' AND tags.block = '0' AND metrics.`final/test` > 0"
    )
    plain = runs_of(
        server, "tags.variant = 'no dropping' AND tags.block = '0' AND params.dropping = 'none'"
    )
    here, there = full[0].data, plain[0].data
    assert len(full) == len(plain) == 1
    assert here.metrics.keys() - there.metrics.keys() == {
        "kept_classes",
        "final/kept_classes",
    }  # of the dropping
    assert there.metrics.keys() < here.metrics.keys() and "final/test" in there.metrics
    both = here.params.keys() | there.params.keys()
    differing = {name for name in both if here.params.get(name) != there.params.get(name)}
    assert differing == {"dropping", "dropping.rate"}


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
    tracked, kept = (read_study("tiny_study", project / "s", where) for where in (server.uri, None))
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
    tags, ledger = parent.data.tags, Ledger(project / "s")
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


GAINS = {"without selection": -0.08, "without explicit": 0.05}
HOUR = 3600.0


@dataclass(frozen=True, kw_only=True)
class PretendedExecutor:
    """An `Executor` that computes nothing: a cell's outcome follows from its name.

    failing: cells that fail. again: the accuracy of a cell that is computed apart.
    """

    storage: Path
    run_context: RunContext
    failing: frozenset[str] = frozenset()
    again: float | None = None
    is_apart: bool = False

    def compute(
        self, title: str, jobs: Iterable[Job], on_outcome: Callable[[Outcome], None]
    ) -> tuple[dict[str, Outcome], list[Failure]]:
        done, failures = dict[str, Outcome](), list[Failure]()
        for job in jobs:
            if job.name in self.failing:
                failures.append(Failure(job=job, reason="killed"))
                continue
            test = self.again if self.is_apart and self.again is not None else accuracy(job)
            done[job.name] = write_cell(self.storage, job, test, seconds=HOUR)
            on_outcome(done[job.name])
        return done, failures

    def inputs(self, cell: Cell) -> MappedInputs:
        raise NotImplementedError

    def apart(self, storage: Path) -> "PretendedExecutor":
        return replace(self, storage=storage, is_apart=True)


def pretended(**options: Any) -> OpenExecutor:
    @contextmanager
    def opened(
        cells: Iterable[Cell], compute: Compute, console: Console
    ) -> Iterator[PretendedExecutor]:
        digests = {inputs_key(cell): ("teacher0", "pool0") for cell in cells}
        run_context = RunContext(
            environment=ENVIRONMENT, digests=digests, tags={"git_commit": "abc"}
        )
        yield PretendedExecutor(storage=compute.storage, run_context=run_context, **options)

    return opened


def accuracy(job: Job) -> float:
    variant = next(
        v
        for v, e in components.variants.items()
        if e.fingerprint() == job.cell.experiment.fingerprint()
    )
    noise = int(job.name[:6], 16) / 0xFFFFFF
    return round(0.9 + GAINS.get(variant, 0.0) + 0.005 * noise + 0.001 * job.cell.block.seed, 6)


class SilentTracker:
    shown_uri = "nowhere"

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...
    def parent(self, **kwargs: Any) -> None: ...
    def cell(self, *args: Any, **kwargs: Any) -> None: ...
    def student(self, *args: Any) -> None: ...
    def finish(self, *args: Any, **kwargs: Any) -> None: ...
    def close(self) -> None: ...


@pytest.fixture
def pretend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., StudyResult]]:
    """`pretend(blocks=..., race=...)`: the components study without Ray, MLflow and report."""
    monkeypatch.setattr(cluster_study, "Tracker", SilentTracker)
    monkeypatch.setattr(cluster_study, "write_report", lambda findings, storage: ({}, True))
    monkeypatch.setattr(cluster_study, "known_run_context", lambda path, sources: None)

    def call(
        blocks: int = 5,
        failing: frozenset[str] = frozenset(),
        again: float | None = None,
        **options: Any,
    ) -> StudyResult:
        return run_study(
            "made",
            replace(components, blocks=blocks),
            Compute(storage=tmp_path),
            Console(quiet=True),
            StudyOptions(**options),
            open_executor=pretended(failing=failing, again=again),
        )

    yield call


def test_a_race_stops_what_is_decided_and_computes_no_more_for_it(
    pretend: Callable[..., StudyResult],
) -> None:
    result = pretend(blocks=10, race=True)
    counts = result.outcomes["variant"].value_counts()
    assert counts["without selection"] == counts["without explicit"] == 5 and counts["full"] == 10
    verdicts = {c.variant: (c.verdict, c.n) for c in result.comparisons}
    assert verdicts["without selection"] == ("worse", 5) and verdicts["without explicit"] == (
        "better",
        5,
    )
    assert result.computed == 5 + 5 + 10 * 3
    assert pretend(blocks=10, race=True).computed == 0


def test_looks_are_fixed_before_the_first_cell(pretend: Callable[..., StudyResult]) -> None:
    pretend(blocks=10, race=True)
    with pytest.raises(ValueError, match="was begun as a race"):
        pretend(blocks=12, race=True)
    with pytest.raises(ValueError, match="was begun as a race"):
        pretend(blocks=10)


def test_a_study_without_looks_cannot_become_a_race(pretend: Callable[..., StudyResult]) -> None:
    pretend(blocks=5)
    with pytest.raises(ValueError, match="was begun without --race"):
        pretend(blocks=10, race=True)


def test_no_block_is_begun_that_would_go_beyond_the_hours(
    pretend: Callable[..., StudyResult],
) -> None:
    result = pretend(blocks=5, max_device_hours=12)  # an hour a cell, five cells a block
    assert result.computed == 10 and "--max-device-hours 12" in result.stopped
    assert result.outcomes.groupby("block").size().tolist() == [5, 5]
    rest = pretend(blocks=5)
    assert rest.computed == 15 and rest.stopped == ""


def test_a_cell_that_fails_is_said_left_out_and_tried_again(
    pretend: Callable[..., StudyResult],
) -> None:
    failing = jobs_of(components)["without implicit", 2].name
    first = pretend(failing=frozenset({failing}))
    assert (first.outcomes["state"] == "errored").sum() == 1
    assert any("killed" in note for note in first.findings.notes)
    second = pretend()
    assert second.computed == 1 and not (second.outcomes["state"] == "errored").any()


def test_cells_of_other_work_are_marked_and_one_is_computed_again(
    pretend: Callable[..., StudyResult], tmp_path: Path
) -> None:
    for at in (("full", 0), ("full", 1)):
        job = jobs_of(components)[at]
        write_cell(tmp_path, job, accuracy(job))
    result = pretend()
    assert result.computed == 23 and result.outcomes.loc[
        result.outcomes["reused"], "block"
    ].tolist() == [0, 1]
    assert any("equal to the last bit" in note for note in result.findings.notes)
    shutil.rmtree(tmp_path / "studies")
    assert any("DIFFER" in note for note in pretend(again=0.123).findings.notes)
    shutil.rmtree(tmp_path / "studies")
    pretend(check=False)
    record = read(tmp_path, "made")
    assert record is not None and record.check is None


def test_the_record_says_all_that_a_comparison_needs(
    pretend: Callable[..., StudyResult], tmp_path: Path
) -> None:
    pretend()
    record = read(tmp_path, "made")
    assert (
        record is not None and record.question == components.question and record.test_images == 600
    )
    assert record.cells["full"] == [jobs_of(components)["full", i].name for i in range(5)]
    assert record.changes["without dropping"]["dropping"] == ["none", "tail"]


def test_a_forecast_before_anything_is_there(tmp_path: Path) -> None:
    told = forecast("made", components, Compute(storage=tmp_path))
    assert (told.cells, told.done, told.prepared, told.seconds, told.sd) == (
        25,
        0,
        False,
        None,
        None,
    )
    assert 2.2 < told.detectable < 3.2  # 1.7 standard deviations for one comparison, more for four
    stated = forecast("made", components, Compute(storage=tmp_path), sd=0.01)
    assert stated.detectable == pytest.approx(told.detectable / 100)


def test_a_forecast_goes_by_what_is_finished(project: Path, first: str) -> None:
    """Where the tiny study lies, its cells are recognised, also under another name, and give the
    time.
    """
    study = replace(sys.modules["tiny_study"].study, blocks=5)
    where = Compute(storage=project / "s")
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
    project: Path, server: Server, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dfkd.notebook import run_study

    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(str(project))
    result = run_study("tiny_study", blocks=2, storage="s", tracking_uri=server.uri, quiet=True)
    assert result.computed == 0 and result.effects["variant"].tolist() == ["no dropping"]
    assert len(result.outcomes) == 4 and result.figures()["effects"]._repr_svg_().startswith("<svg")
    with pytest.raises(ValueError, match="needs a name"):
        run_study(replace(components, blocks=2))


def test_a_study_is_asked_of_another_recipe(project: Path) -> None:
    asked = run("ablate", "--recipe", "own_loss", "--dry-run", "--storage", "none", folder=project)
    assert asked.returncode == 0 and "25 cells, 0 done already" in asked.stdout, asked.stderr
    assert "standard deviations of the paired differences; state one: --sd" in asked.stdout
    assert not (project / "none").exists()
