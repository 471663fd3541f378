"""Plans: what is missing, what it costs, and that nothing is written for it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from commands import PROJECTS
from jsonschema import Draft202012Validator
from pretended import NOBODY, pretended

from ablations.components import study as components
from dfkd.execution.compute import Compute
from dfkd.experiment import Cell
from dfkd.experiment.recipes import original
from dfkd.planning import timing
from dfkd.planning.cluster import Price, cluster_of
from dfkd.planning.naming import demand_of
from dfkd.planning.plan import LEDGER, NOTHING, TRIAL, Speed, plan
from dfkd.planning.terminal import print_plan
from dfkd.planning.volume import rows_of
from dfkd.reporting.console import Console
from dfkd.reporting.document import schema
from dfkd.seeding import Block
from dfkd.storage import FolderStorage
from dfkd.studies.driver import run_study

COMPONENTS, SPACE = "ablations.components", "search_spaces.digits"
ONE = cluster_of(1, 4, 0)


@pytest.fixture(autouse=True)
def short_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "SECONDS", 0.02)
    monkeypatch.setattr(timing, "MOST_BYTES", 1_000_000)


def test_a_study_before_anything_is_there(tmp_path: Path) -> None:
    where = Compute(storage=FolderStorage(tmp_path / "none"))
    demand = demand_of(COMPONENTS, where, values={"schedule.steps": "20"})
    found = plan(demand, where, cluster_of(2, 4, 0), Price.parse("3/h"), None)
    assert (found.cells, found.done, found.side_by_side) == (25, 0, 8)
    batch = components.variants["full"].schedule.batch
    assert (found.shown, found.volume.rows) == (25 * 20 * batch, 20_000)
    assert found.speed.source == TRIAL and found.speed.images_a_second
    each, scoring = found.speed.cell_seconds, 20_000 / found.speed.images_a_second
    assert each is not None and found.wall_seconds == pytest.approx(4 * each + scoring / 8)
    assert found.money == pytest.approx(3 * 2 * found.wall_seconds / 3600)
    assert not (tmp_path / "none").exists()


def test_a_study_goes_by_its_finished_cells(tmp_path: Path) -> None:
    where = Compute(storage=FolderStorage(tmp_path), tracking_uri=NOBODY)
    study = replace(components, blocks=3)
    run_study("components", study, where, Console(quiet=True), open_executor=pretended())
    found = plan(demand_of(COMPONENTS, where, values={}), where, ONE, Price.parse("2/cpu-h"), None)
    assert (found.cells, found.done, found.speed.source) == (25, 15, LEDGER)
    assert found.speed.cell_seconds == 3600 and found.hours is not None
    assert found.hours - (found.scoring_hours or 0) == pytest.approx(10)
    assert found.money == pytest.approx(2 * found.hours)
    anew = demand_of(COMPONENTS, where, values={}, anew=True)
    assert plan(anew, where, ONE, None, 1_000_000_000).done == 0


def test_a_sweep_and_a_billion_rows(tmp_path: Path) -> None:
    where = Compute(storage=FolderStorage(tmp_path), gpus=1)
    demand = demand_of(SPACE, where, trials=30, blocks=5, values={}, anew=True)
    found = plan(demand, where, cluster_of(4, 16, 2), None, 10**9)
    assert found.cells == 30 + 3 * 3 + 2 * 5 and found.side_by_side == 8
    assert found.volume.rows == 10**9 and found.volume.pool == 256 * 10**9
    # the images are not copied beside the scores: they stay in the pool
    assert found.volume.memory_map == found.volume.scores == 324 * 10**9
    if not timing.measurable(where):
        assert found.speed.source == NOTHING and found.wall_seconds is None
    console = Console(quiet=True)
    print_plan(found, where, console)
    Draft202012Validator(schema()).validate(json.loads(console.document.text("plan")))


def test_what_cannot_be_planned(tmp_path: Path) -> None:
    where = Compute(storage=FolderStorage(tmp_path), cpus=8)
    with pytest.raises(ValueError, match="1 x 8 CPU, but the cluster is 1 machine with 4 CPU:"):
        plan(demand_of(COMPONENTS, where, values={}), where, ONE, None, None)
    with pytest.raises(ValueError, match=r"2\.5/gpu-h for a GPU .* got '3 dollars'"):
        Price.parse("3 dollars")
    with pytest.raises(ValueError, match="neither `study` nor `space`"):
        demand_of("ablations", where, values={})
    with pytest.raises(ValueError, match=r"no module ablations\.component: did you mean"):
        demand_of("ablations.component", where, values={})


def test_a_range_of_workers_is_slower_on_fewer_cpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = Compute(storage=FolderStorage(tmp_path), workers=8, least_workers=2)
    known = Speed(source=LEDGER, cell_seconds=10.0, images_a_second=100.0)
    monkeypatch.setattr("dfkd.planning.plan._speed", lambda *given: known)
    demand = demand_of(COMPONENTS, where, values={}, anew=True)
    whole, half = (plan(demand, where, cluster_of(1, n, 0), None, 100) for n in (8, 4))
    assert whole.hours == half.hours and whole.side_by_side == half.side_by_side == 1
    assert half.wall_seconds - whole.wall_seconds == pytest.approx(10 * half.cells, rel=0.1)
    with pytest.raises(ValueError, match="one cell needs 2 x 1 CPU"):
        plan(demand, where, cluster_of(1, 1, 0), None, None)


@pytest.mark.slow
def test_the_command(tmp_path: Path, run_command) -> None:
    for file in PROJECTS.glob("*.py"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    done = run_command("plan", "tiny_study", "--storage", "runs", "--json", folder=tmp_path)
    document = json.loads(done.stdout)
    Draft202012Validator(schema()).validate(document)
    assert document["result"]["plan"]["cells"] == 4 and not (tmp_path / "runs").exists()


def test_the_rows_of_training_images_are_counted(tmp_path: Path) -> None:
    full = components.variants["full"]
    cell = Cell(experiment=original(full), block=Block(seed=0))
    assert rows_of(cell, FolderStorage(tmp_path)) == len(full.task.train())
