"""What an inspection finds: a starved class with its numbers, and of each rule what runs take."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from inspections import inspected, made

from dfkd.data.pools import read_characters
from dfkd.experiment import Cell, Experiment
from dfkd.inspection import page as fitness_page
from dfkd.inspection import tables as fitness_tables
from dfkd.inspection.advice import advice, largest_ratio
from dfkd.inspection.fitness import COVERED, STARVED, Fitness
from dfkd.inspection.inspecting import inspection_key
from dfkd.inspection.verdict import verdict
from dfkd.method.dropping import WholeClass
from dfkd.method.losses import FitNet
from dfkd.method.selection import Balanced, Confident, Dynamic
from dfkd.models.teachers import accuracy
from dfkd.seeding import Block
from dfkd.training.distill import Inputs, Run
from dfkd.training.inputs import InputSource


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
        "0.2 takes 4 of its fair share of 51 rows, and 4 rows of the pool have a confidence of 0.9 "
        "or more."
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
        "energy",
        "flexible",
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


def test_the_key_follows_what_is_inspected(tiny: Experiment, source: InputSource) -> None:
    cell = Cell(experiment=tiny, block=Block(seed=0))
    changed = replace(cell, experiment=replace(tiny, selection=Confident(ratio=0.3)))
    longer = replace(cell, experiment=replace(tiny, schedule=replace(tiny.schedule, steps=40)))
    assert inspection_key(cell, "r", source) != inspection_key(changed, "r", source)
    assert inspection_key(cell, "r", source) == inspection_key(longer, "r", source)
    maps = replace(cell, experiment=replace(tiny, explicit=FitNet()))  # it is advised otherwise
    assert inspection_key(cell, "r", source) != inspection_key(maps, "r", source)
