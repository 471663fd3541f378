"""The published tables: what each promises, at every scale, and what RESULTS.md says of them."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands import run

from benchmarks.protocol import plan
from dfkd.experiment.recipes import RECIPES
from dfkd.reproduction.cost import cost_of
from dfkd.reproduction.driver import files_for
from dfkd.reproduction.published import published
from dfkd.reproduction.results import PAGE, written
from dfkd.reproduction.rows import DFND, EARLIER, FULL, GENERATOR, LABELS, MIXTURES, ORACLE, RANDOM
from dfkd.reproduction.small_tasks import NOTES
from dfkd.reproduction.table import EVALUATIONS, PAPER, SMALL, SMOKE, Files, Table
from dfkd.reproduction.tables import ALL, check_scale, table_of
from dfkd.storage import FolderStorage

HAS_PAPER = [table for table in ALL if PAPER in table.blocks]


@pytest.mark.parametrize("table", ALL, ids=lambda table: table.name)
def test_every_row_at_every_scale_is_an_experiment_of_its_own(table: Table, tmp_path: Path) -> None:
    for scale in table.blocks:
        small = scale == SMOKE and table.name == "fashion"  # its content is part of the experiment
        files = table.write_smoke_files(tmp_path) if small else Files()
        studies = table.studies(scale, files)
        assert list(studies) == list(table.study_names(scale))
        for name, study in studies.items():
            assert study.blocks == table.blocks[scale] and name.endswith(f"-{scale}")
            prints = [e.fingerprint() for e in study.variants.values()]
            assert len(set(prints)) == len(prints)
        rows = set(studies[table.study_name(table.columns[0], scale)].variants)
        assert {FULL, "labels", "KD on original", "DFND", "without selection"} <= rows
        assert (GENERATOR in rows) == (table.name != "imagenet" or scale == SMOKE)


@pytest.mark.parametrize("name", ["digits", "fashion"])
def test_rows_of_the_small_tables_are_the_protocols_methods_at_their_settings(name: str) -> None:
    """The rows by the protocol's own code, at the places in its list that its tuning chose."""
    table, old, chosen = table_of(name), plan.tasks()[name], plan.ROUNDS[2].chosen[name]
    variants = table.studies(SMALL, Files())[f"{name}-w16-w8-small"].variants
    longer = {FULL: RECIPES[f"{name}_maps"](), MIXTURES: RECIPES[f"{name}_cut_mix"]()}
    rivals = {
        FULL: (plan.MAPS, chosen[plan.MAPS]),
        ORACLE: (plan.ORACLE, chosen[plan.ORACLE]),
        RANDOM: (plan.RANDOM, chosen[plan.RANDOM]),
        DFND: (plan.DFND, chosen[plan.DFND]),
        GENERATOR: (plan.GENERATOR, chosen[plan.GENERATOR]),
        EARLIER: (plan.OLD, 3),  # 8, 0.1, 2 in the first round
    }
    made = {row: plan.at(method, old, plan.SETTINGS[at]) for row, (method, at) in rivals.items()}
    for row, expected in (made | longer).items():
        schedule = replace(expected.schedule, evaluations=EVALUATIONS)
        assert variants[row].fingerprint() == replace(expected, schedule=schedule).fingerprint()
    steps = {row: e.schedule.steps for row, e in variants.items()}
    assert steps.pop(MIXTURES) == 4 * old.schedule.steps
    assert set(steps.values()) == {old.schedule.steps}
    rates = [variants[row].schedule.learning_rate for row in (LABELS, ORACLE)]
    assert variants[LABELS].reads_labels and rates[0] == rates[1]


@pytest.mark.parametrize("name", ["digits", "fashion"])
def test_without_a_part_the_full_method_keeps_all_else(name: str) -> None:
    variants = table_of(name).studies(SMALL, Files())[f"{name}-w16-w8-small"].variants
    full = variants[FULL]
    fields = {"balanced batches": "sampling"}
    for part in ("selection", "balanced batches", "dropping", "explicit", "implicit"):
        changed = variants[f"without {part}"].diff(full)
        assert {key.split(".")[0] for key in changed} == {fields.get(part, part)}


@pytest.mark.parametrize("table", HAS_PAPER, ids=lambda table: table.name)
def test_what_is_missing_is_named_with_its_place(table: Table, tmp_path: Path) -> None:
    named = Files(data=str(tmp_path / "data"), pool="", teachers=str(tmp_path))
    with pytest.raises(ValueError, match="at --scale paper also needs") as error:
        files_for(table, PAPER, named, FolderStorage(tmp_path))
    line = str(error.value)
    assert "\n" not in line and str(tmp_path / "data") in line and "--pool" in line


def test_a_smoke_names_no_files_and_a_table_has_only_its_scales(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a smoke makes its own files"):
        files_for(table_of("digits"), SMOKE, Files(data="x"), FolderStorage(tmp_path))
    with pytest.raises(ValueError, match="digits has no scale 'paper'"):
        check_scale(table_of("digits"), PAPER)
    with pytest.raises(ValueError, match="did you mean cifar10"):
        table_of("cifar")


def test_published_numbers_have_a_source_and_ours_to_follow_are_empty() -> None:
    for table in ALL:
        for column in table.columns:
            for one in published(table.name, column.name):
                assert one.source and (one.accuracy is None or 1 < one.accuracy <= 100)
    [first, *_] = table_of("cifar10").columns
    [eikd] = [one for one in published("cifar10", first.name) if one.method.startswith("EIKD")]
    assert eikd.accuracy is None and eikd.shown == "not available"


def test_what_a_table_costs_counts_shared_cells_once() -> None:
    table = table_of("cifar10")
    studies = table.studies(PAPER, Files())
    cost = cost_of(studies.values())
    cells = sum(len(study.variants) * study.blocks for study in studies.values())
    assert cells - cost.cells == table.blocks[PAPER]  # the full method of the first column
    assert cost.device_hours > 1 and math.isfinite(cost.device_hours)


def test_results_say_what_was_not_run(tmp_path: Path) -> None:
    wanted = [(table, scale) for table in ALL for scale in table.blocks]
    page = written(wanted, FolderStorage(tmp_path))[PAGE]
    for table, scale in wanted:
        assert all(f"- `{name}`" in page for name in table.study_names(scale))
    assert "94.02" in page and "DFND" in page  # published, beside nothing of ours


def test_the_command_lists_tables_and_says_what_one_costs(
    run_command: Callable[..., Any], tmp_path: Path
) -> None:
    listed = run_command("reproduce", "--json", folder=tmp_path)
    assert listed.returncode == 0, listed.stderr
    names = [module["name"] for module in json.loads(listed.stdout)["result"]["modules"]]
    assert names == [table.name for table in ALL]
    bad = run_command("reproduce", "cifar10", folder=tmp_path)
    assert bad.returncode == 2 and "--scale" in bad.stderr and not list(tmp_path.iterdir())


@pytest.mark.slow  # a cell is tried
def test_a_dry_run_says_what_a_small_table_takes_here(
    run_command: Callable[..., Any], tmp_path: Path
) -> None:
    call = ("reproduce", "digits", "--scale", "small", "--blocks", "2", "--dry-run")
    asked = run_command(*call, "--storage", "none", folder=tmp_path)
    assert asked.returncode == 0, asked.stderr
    assert "cells    26, of which the storage has 0" in asked.stdout
    assert "tried on this machine" in asked.stdout and not (tmp_path / "none").exists()


@pytest.mark.slow  # a minute
def test_a_smoke_runs_every_row_and_a_second_call_computes_nothing(tmp_path: Path) -> None:
    call = ("reproduce", "fashion", "--scale", SMOKE, "--storage", "runs")
    done = run(*call, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "errored" not in done.stdout, done.stdout
    assert "26 cells computed" in done.stdout and "smoke: not a result" in done.stdout
    again = run(*call, folder=tmp_path)
    assert again.returncode == 0 and "0 cells computed" in again.stdout, again.stderr
    page = (tmp_path / "runs" / "reports" / f"fashion-{SMOKE}" / PAGE).read_text(encoding="utf-8")
    assert "| generator |" in page and "smoke: not a result" in page
    assert all(page.count(note) == 1 for note in NOTES)  # of the methods, not of the images used
