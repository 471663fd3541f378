"""`platform.inspect`: a starved class is found, rules take what runs take, the page is whole,
nothing is made twice.
"""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from balanced_tags import BalancedTags
from commands import ROOT, run

from dfkd.data.importing.shards import SetAside, write_shard
from dfkd.data.pools import PoolFiles, read_characters
from dfkd.execution.preparing import PreparedInputs
from dfkd.execution.session import Compute
from dfkd.experiment import Cell, Experiment
from dfkd.inspection import page as fitness_page
from dfkd.inspection import tables as fitness_tables
from dfkd.inspection.driver import inspect
from dfkd.inspection.fitness import (
    COVERED,
    MISSING,
    STARVED,
    THIN,
    Choice,
    ClassFit,
    Copies,
    Fitness,
    Profile,
)
from dfkd.inspection.inspecting import Inspection, inspection_key
from dfkd.inspection.verdict import advice, largest_ratio, ranges, verdict
from dfkd.method.dropping import WholeClass
from dfkd.method.selection import Balanced, Confident, Dynamic
from dfkd.reporting.console import Console
from dfkd.scores import scores_of
from dfkd.seeding import Block
from dfkd.training.distill import Inputs, Run
from dfkd.training.inputs import InputSource
from dfkd.training.probe import draw_probe

ROWS, CLASSES = 3000, 10
SURE, UNSURE = 6.0, 1.0  # logits above the others: confidence .98 and .23


def inspected(experiment: Experiment, source: InputSource, inputs: Inputs) -> Fitness:
    inspection = Inspection(
        Cell(experiment=experiment, block=Block(seed=0)), "tiny", source, inputs
    )
    assert len(list(inspection.parts())) == inspection.count
    return inspection.fitness()


@pytest.fixture(scope="module")
def fitness(tiny: Experiment, source: InputSource, inputs: Inputs) -> Fitness:
    return inspected(tiny, source, inputs)


@pytest.fixture(scope="module")
def page(fitness: Fitness) -> str:
    return fitness_page.html(fitness)


# ---- known answers


def made(source: InputSource, folder: Path) -> tuple[InputSource, Inputs]:
    """Noise, 300 rows a class, all sure; but of class 7, among what may be selected, 4 are. Two
    copies are planted.
    """
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (ROWS, 16, 16, 1), dtype=np.uint8)
    images[[100, 2000]] = images[5]
    label_N = np.arange(ROWS) % CLASSES
    logits = np.eye(CLASSES, dtype=np.float32)[label_N] * SURE
    logits += rng.random((ROWS, CLASSES), dtype=np.float32) / 10  # no ties
    scores = scores_of(np.arange(ROWS), logits, rng.random((ROWS, 4), dtype=np.float32))
    probe = draw_probe(scores)
    of_seven = np.setdiff1d(np.flatnonzero(label_N == 7), probe.rows_P)
    logits[of_seven[4:]] *= UNSURE / SURE
    scores = scores_of(np.arange(ROWS), logits, scores.features_ND)
    set_aside = SetAside(folder / "rejected.parquet", (("truncated", 3),))
    pool = PoolFiles((write_shard(folder / "a.parquet", np.arange(ROWS), images),), set_aside)
    validation = source.task.validation()
    inputs = Inputs(
        images_NHWC=images,
        scores=scores,
        probe=probe,
        validation=validation,
        teacher=source.teacher,
        selections=None,
    )
    return replace(source, pool=pool), inputs


def test_a_starved_class_is_found_with_its_numbers(
    tiny: Experiment, source: InputSource, tmp_path: Path
) -> None:
    other, inputs = made(source, tmp_path)
    found = inspected(replace(tiny, selection=Balanced(ratio=0.2)), other, inputs)
    assert (found.available, found.own.rows, found.fair) == (2550, 510, 51.0)
    seven = found.classes[7]
    assert (seven.confident, seven.taken, found.state(seven)) == (4, 4, STARVED)
    assert [found.state(c) for c in found.classes if c.label != 7] == [COVERED] * 9
    assert verdict(found) == (
        "This pool can teach 9 of 10 classes (0 to 6, 8, 9). Class 7 is starved: balanced at ratio "
        "0.2 takes 4 of its "
        "fair share of 51 rows, and 4 rows of the pool have a confidence of 0.9 or more."
    )
    [todo] = [line for line in advice(found) if line.startswith("Class 7")]
    assert "add images that look like class 7" in todo and "--set selection.ratio=0.015" in todo
    assert largest_ratio(found) == 0.015  # 4 sure rows for each of 10 classes, of 2,550
    assert (found.copies.exact, found.copies.near) == (2, 0)
    assert found.set_aside == {
        "truncated": 3
    } and "<td>truncated</td><td>3</td>" in fitness_page.html(found)
    assert found.inside is None and "Evaluation of the selection" not in fitness_page.html(found)


def test_what_rules_take_is_what_runs_take(
    tiny: Experiment, inputs: Inputs, fitness: Fitness
) -> None:
    for rule in (tiny.selection, Confident(ratio=0.3)):
        rows_N = Run(
            Cell(experiment=replace(tiny, selection=rule), block=Block(seed=0)), inputs
        ).rows_N
        choice = fitness.at_own_budget()["balanced" if rule is tiny.selection else "confident"]
        label_S = np.asarray(inputs.scores.pseudo_label_N)[rows_N]
        assert choice.counts == tuple(np.bincount(label_S, minlength=10).tolist())
        assert choice.lowest == np.asarray(inputs.scores.confidence_N)[rows_N].min()
    assert fitness.own.rows == 153 and fitness.rule == "balanced"
    assert fitness.rules == (
        "balanced",
        "confident",
        "random",
        "entropy",
        "margin",
        "prototype",
        "mixture",
        "hardest",
    )
    assert [c.ratio for c in fitness.choices[:5]] == [0.05, 0.1, 0.2, 0.3, 0.5]


def test_sheets_show_what_is_taken_and_what_is_left_and_never_the_probe(fitness: Fitness) -> None:
    for sheets in fitness.sheets:
        assert sheets.selected.rows + sheets.rejected.rows == fitness.available == 510
        both = np.add(list(sheets.selected.counts.values()), list(sheets.rejected.counts.values()))
        assert both.tolist() == [c.rows for c in fitness.classes]


def test_what_a_drawn_pool_shows_is_told_apart(
    tiny: Experiment, source: InputSource, inputs: Inputs, fitness: Fitness
) -> None:
    """28 % of the glyphs are digits."""
    assert fitness.inside is not None and 100 < fitness.inside < 190
    header, rows = fitness_tables.evaluation(fitness)
    assert header[3] == "in the domain" and len(rows) == len(fitness.choices)
    for c in fitness.choices:
        assert c.inside_K is not None and c.right_K is not None
        assert all(
            0 <= r <= i <= n for r, i, n in zip(c.right_K, c.inside_K, c.counts, strict=True)
        )
    characters = [c for shard in source.pool.shards for c in read_characters(shard.path)]
    rows_N = Run(Cell(experiment=tiny, block=Block(seed=0)), inputs).rows_N
    assert sum(fitness.own.inside_K or ()) == sum(characters[row].isdigit() for row in rows_N)
    label_N = inputs.scores.pseudo_label_N
    assert sum(fitness.own.right_K or ()) == sum(
        characters[row] == str(label_N[row]) for row in rows_N
    )


def test_the_teacher_is_asked_on_validation_images(fitness: Fitness, source: InputSource) -> None:
    from dfkd.models.teachers import accuracy

    validation = source.task.validation()
    assert fitness.profile.accuracy == accuracy(
        source.teacher.build(source.task), validation, source.task
    )
    assert fitness.profile.images == sum(fitness.profile.histogram) == 300
    assert sum(fitness.histogram) == fitness.available


def test_a_task_without_validation_says_so(
    tiny: Experiment, source: InputSource, inputs: Inputs
) -> None:
    found = inspected(tiny, source, replace(inputs, validation=None))
    assert found.profile.accuracy is None and found.classes[0].teacher is None
    assert any("no validation split" in fact for fact in fitness_tables.facts(found))
    assert "teacher&#x27;s recall" not in fitness_page.html(found)


def test_dropped_classes_and_dynamic_rules(
    tiny: Experiment, source: InputSource, inputs: Inputs
) -> None:
    e = replace(tiny, dropping=WholeClass(rate=0.3), selection=Dynamic(rule=Confident(rows=100)))
    found = inspected(e, source, inputs)
    run_rows = Run(Cell(experiment=e, block=Block(seed=0)), inputs).rows_N
    assert found.rule == "confident" and found.own.rows == len(run_rows) < 100
    assert any("it begins with what confident takes" in note for note in found.notes)


# ---- words


def plain(**changes: object) -> Fitness:
    """1,000 rows that may be selected, 50 a class selected, everything in order."""
    classes = tuple(
        ClassFit(label=k, rows=100, confident=60, mean_confidence=0.9, taken=50) for k in range(10)
    )
    profile = Profile(
        accuracy=0.99,
        images=100,
        confident=0.9,
        histogram=(5,) * 20,
        pool_mean=(0.3,),
        task_mean=(0.3,),
        task_std=(0.3,),
    )
    own = Choice(
        rule="balanced",
        ratio=0.5,
        own_budget=True,
        rows=500,
        lowest=0.8,
        mean=0.9,
        counts=(50,) * 10,
        copies=0,
    )
    found = Fitness(
        recipe="r",
        rule="balanced",
        rows=1200,
        held_out=200,
        histogram=(50,) * 20,
        very_sure=100,
        classes=classes,
        choices=(own,),
        copies=Copies(exact=0, near=0, blank=0, looked_at=1200),
        profile=profile,
    )
    return replace(found, **changes)


def test_of_several_poor_classes_the_worst_are_named_with_their_numbers() -> None:
    classes = tuple(
        replace(c, taken=20 + c.label) if c.label in (1, 4, 5, 8) else c for c in plain().classes
    )
    assert verdict(plain(classes=classes)) == (
        "This pool can teach all 10 classes. 4 classes are thin: of a fair share of 50 rows "
        "balanced at ratio 0.5 "
        "takes 21 for class 1 (60 sure ones in the pool), 24 for class 4 (60 sure ones in the "
        "pool), 25 for class 5 "
        "(60 sure ones in the pool), and alike 8."
    )


def with_class(**changes: object) -> Fitness:
    first, *others = plain().classes
    return plain(classes=(replace(first, **changes), *others))


def test_nothing_wrong_asks_for_nothing() -> None:
    assert verdict(plain()) == "This pool can teach all 10 classes." and advice(plain()) == []


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"taken": 0}, MISSING),
        ({"taken": 16}, STARVED),
        ({"taken": 17}, THIN),
        ({"taken": 45}, COVERED),
        ({"confident": 4}, STARVED),
        ({"confident": 5}, THIN),
        ({"confident": 13}, COVERED),
    ],
)
def test_states_of_a_class(changes: dict, state: str) -> None:
    found = with_class(**changes)
    assert found.state(found.classes[0]) == state


PROFILE = plain().profile
CASES = {
    "weak teacher": (
        {"profile": replace(PROFILE, accuracy=0.3)},
        "right on 30 % of the validation images",
    ),
    "inverted": ({"profile": replace(PROFILE, pool_mean=(0.7,))}, "lies 1.3 deviations from"),
    "sure of nothing": (
        {"classes": tuple(replace(c, confident=2) for c in plain().classes)},
        "confident of 2.0 % of the rows only",
    ),
    "sure of all": ({"very_sure": 900}, "exceeds 0.99 on 90 % of the rows"),
    "one class": (
        {"classes": (replace(plain().classes[0], rows=600), *plain().classes[1:])},
        "Class 0: 60 % of the rows",
    ),
    "copies": (
        {"copies": Copies(exact=100, near=50, blank=60, looked_at=1200)},
        "12 % of the rows repeat",
    ),
    "set aside": (
        {"set_aside": {"not an image": 90, "truncated": 10}},
        "most of them (90) because: not an image",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_said(case: str) -> None:
    changes, expected = CASES[case]
    assert any(expected in line for line in advice(plain(**changes)))


def test_quotas_are_advised_where_they_help() -> None:
    balanced = plain().own
    crowd = replace(balanced, rule="confident", counts=(0, *(50,) * 8, 100))
    found = plain(choices=(crowd, balanced), rule="confident", classes=with_class(taken=0).classes)
    assert any("--set selection=balanced" in line for line in advice(found))


def test_ranges() -> None:
    assert ranges([0, 1, 2, 3, 5, 7, 8]) == "0 to 3, 5, 7, 8" and ranges([]) == ""
    assert ranges(list(range(0, 60, 2))).endswith("22 and others")


# ---- the page


def test_the_page_needs_nothing_from_elsewhere_and_its_tags_are_closed(page: str) -> None:
    assert not re.search(r"<(script|iframe|object)|@import|src=\"(?!data:)|url\((?!#)", page)
    assert all(link.startswith(("#", "data:")) for link in re.findall(r'href="([^"]*)"', page))
    BalancedTags().feed(page)
    assert page.count("<svg") == 3 and len(page) < 3_000_000
    for heading in (
        "What to do",
        "Classes",
        "What each rule would take",
        "What is taken and what is left",
        "Copies and near-duplicates",
        "Evaluation of the selection",
        "Provenance",
    ):
        assert f"<h2>{heading}</h2>" in page


def test_the_same_inputs_give_the_same_bytes(
    tiny: Experiment, source: InputSource, inputs: Inputs, fitness: Fitness
) -> None:
    assert fitness_page.written(inspected(tiny, source, inputs)) == fitness_page.written(fitness)


def test_a_thousand_classes_stay_readable(fitness: Fitness) -> None:
    classes = tuple(
        ClassFit(label=k, rows=k, confident=k // 2, mean_confidence=0.5, taken=k // 4)
        for k in range(1000)
    )
    numbers = tuple(range(1000))
    choices = tuple(
        replace(c, counts=numbers, inside_K=numbers, right_K=numbers) for c in fitness.choices
    )
    found = replace(fitness, classes=classes, choices=choices)
    text = fitness_page.html(found)
    assert "The 40 of 1000 classes with the least" in text and len(text) < 3_000_000
    assert len(fitness_page.written(found)["classes.csv"].splitlines()) == 1001


def test_csv_holds_every_class_and_choice(fitness: Fitness) -> None:
    rows = list(csv.DictReader(io.StringIO(fitness_page.written(fitness)["classes.csv"])))
    assert [int(row["rows"]) for row in rows] == [c.rows for c in fitness.classes]
    assert [int(row["balanced@0.3"]) for row in rows] == list(fitness.own.counts)


# ---- the command


TINY = (
    "pool.rows=600",
    "teacher.network.width=8",
    "teacher.steps=30",
    "teacher.batch=32",
    "selection.ratio=0.3",
    "schedule.steps=20",
    "schedule.batch=16",
    "schedule.evaluations=4",
)


def test_the_command_writes_a_page_once(
    tiny: Experiment, source: InputSource, inputs: Inputs, source_storage: Path, tmp_path: Path
) -> None:
    """On a pool that is scored already: scoring on Ray is what tests/studies/test_study.py waits
    for.
    """
    storage = tmp_path / "runs"
    shutil.copytree(source_storage, storage)
    done = run("inspect", "digits", "--set", *TINY, "--storage", "runs", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    [folder] = (storage / "inspections").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == [
        "classes.csv",
        "duplicates.csv",
        "index.html",
        "summary.json",
    ]
    assert json.loads((folder / "summary.json").read_text())["verdict"] in done.stdout
    assert (
        f"written to {folder}" in done.stdout
        and "next:  python -m platform.distill digits --set" in done.stdout
    )
    before = stamps(storage)
    cell = Cell(experiment=tiny, block=Block(seed=0))
    nothing_to_compute_from: Any = None
    prepared = PreparedInputs(source=source, mapped=nothing_to_compute_from)
    assert (
        inspect(cell, "digits", prepared, Compute(storage=storage), Console(quiet=True)) == folder
    )
    assert stamps(storage) == before


def stamps(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_the_key_follows_what_is_inspected(tiny: Experiment, source: InputSource) -> None:
    cell = Cell(experiment=tiny, block=Block(seed=0))
    changed = replace(cell, experiment=replace(tiny, selection=Confident(ratio=0.3)))
    longer = replace(cell, experiment=replace(tiny, schedule=replace(tiny.schedule, steps=40)))
    assert inspection_key(cell, "r", source) != inspection_key(changed, "r", source)
    assert inspection_key(cell, "r", source) == inspection_key(longer, "r", source)


def test_a_command_run_by_its_file_still_finds_the_standard_inspect() -> None:
    """`python platform/score.py` puts the folder, with a file inspect.py, in front of the standard
    library.
    """
    code = "import inspect, dataclasses; print(inspect.signature(dataclasses.replace))"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path.insert(0, {str(ROOT / 'platform')!r}); {code}",
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0 and done.stdout.startswith("(obj"), done.stderr
