"""A study or sweep goes by its name, with the cells that nothing else uses, and no other."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from searches import write_sweep
from synthetic import STUDY, jobs_of, write_cell, write_study

from dfkd.reporting.console import Console
from dfkd.runs.removing import remove_by_name
from dfkd.storage import FolderStorage, layout
from dfkd.studies import Study
from dfkd.studies.record import StudyRecord, recorded, write

SWEEP = "digits-174ed102"
OTHER = Study(
    question="Two of them again?",
    variants={name: STUDY.variants[name] for name in ("full", "without dropping")},
    baseline="full",
    blocks=8,
)


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    """Two studies that share 16 cells, computed by the first; one cell is of a run by hand."""
    write_study(tmp_path, "components", STUDY, {})
    jobs = jobs_of(OTHER)
    names = {at: job.name for at, job in jobs.items()}
    record = StudyRecord.of("other", OTHER, names, test_images=600)
    write(FolderStorage(tmp_path), record)
    by_hand = jobs_of(STUDY)["without explicit", 3]
    FolderStorage(tmp_path).delete(layout.cell(by_hand.name))
    write_cell(tmp_path, by_hand, 0.9)
    return FolderStorage(tmp_path)


def gone(storage: FolderStorage, before: list[str]) -> set[str]:
    return set(before) - set(storage.list(layout.CELLS))


def test_a_dry_run_says_it_and_changes_nothing(
    storage: FolderStorage, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(storage.root.rglob("*"))
    console = Console()
    remove_by_name("study", "components", storage, False, console)
    said = capsys.readouterr().out
    assert "23 cells that nothing else uses" in said and "17 cells stay" in said
    assert "platform.clean --study components --remove" in said
    assert sorted(storage.root.rglob("*")) == before
    assert len(console.document.result["unused"]) == 24


def test_cells_that_others_use_or_have_computed_stay(storage: FolderStorage) -> None:
    before, jobs = storage.list(layout.CELLS), jobs_of(STUDY)
    remove_by_name("study", "components", storage, True, Console(quiet=True))
    shared = {job.name for (variant, _), job in jobs.items() if variant in OTHER.variants}
    by_hand = jobs["without explicit", 3].name
    assert gone(storage, before) == {job.name for job in jobs.values()} - shared - {by_hand}
    assert recorded(storage) == ["other"]


def test_the_last_user_of_cells_leaves_those_that_it_did_not_compute(
    storage: FolderStorage,
) -> None:
    before = storage.list(layout.CELLS)
    remove_by_name("study", "other", storage, True, Console(quiet=True))
    assert gone(storage, before) == set() and recorded(storage) == ["components"]


@pytest.mark.parametrize("names_cells", [True, False])
def test_a_sweep_goes_with_its_trials(
    storage: FolderStorage, capsys: pytest.CaptureFixture[str], names_cells: bool
) -> None:
    """Since results name the cells of choice and confirmation, these go as well."""
    write_sweep(storage.root)
    confirmed = jobs_of(replace(STUDY, blocks=9))["full", 8]
    write_cell(storage.root, confirmed, 0.9)
    [result] = (storage.root / "sweeps" / SWEEP).glob("result-*.json")
    if names_cells:
        saved = json.loads(result.read_text(encoding="utf-8")) | {"cells": [confirmed.name]}
        result.write_text(json.dumps(saved), encoding="utf-8")
    before = storage.list(layout.CELLS)
    remove_by_name("sweep", SWEEP, storage, True, Console())
    assert len(gone(storage, before)) == 24 + names_cells
    assert ("older record" in capsys.readouterr().out) == (not names_cells)
    assert recorded(storage) == ["components", "other"] and not storage.list(layout.SWEEPS)


def test_a_name_that_there_is_not(storage: FolderStorage) -> None:
    for kind, name in (("study", "component"), ("sweep", "components")):
        with pytest.raises(ValueError, match=f"there is no {kind} '{name}' in"):
            remove_by_name(kind, name, storage, True, Console(quiet=True))


def test_nothing_goes_while_somebody_works_there(storage: FolderStorage) -> None:
    lease = storage.lease(layout.in_use("abc"))
    assert lease.acquire()
    before = sorted(storage.root.rglob("*.json"))
    with pytest.raises(ValueError, match="a command is at work in"):
        remove_by_name("study", "components", storage, True, Console(quiet=True))
    lease.release()
    assert sorted(storage.root.rglob("*.json")) == before
