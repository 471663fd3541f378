"""The protocol of the method comparison: its tasks and pools, what it pairs, and its tables."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.protocol import results
from benchmarks.protocol.plan import (
    GENERATOR,
    METHODS,
    NEW,
    ORACLE,
    PLAIN,
    ROUNDS,
    SETTINGS,
    at,
    cell,
    tasks,
)
from benchmarks.protocol.tasks import (
    BARS,
    LETTERS,
    SMALL,
    TAUGHT_FONTS,
    TEST_FONTS,
    Letters,
    ManyBars,
    OtherGlyphs,
    SmallLetters,
)
from dfkd.data.pools import TrainingImages
from dfkd.testing import TaskSuite


class TestLetters(TaskSuite):
    pieces = (Letters(), SmallLetters())


def test_the_letters_are_tested_in_fonts_that_no_teacher_has_seen():
    assert not set(TAUGHT_FONTS) & set(TEST_FONTS) and len(TAUGHT_FONTS) == 12
    assert np.bincount(Letters().test().labels, minlength=10).min() > 150


def test_most_of_the_lopsided_pool_are_bars_and_none_of_it_are_the_ten_letters():
    _, images_NHWC, characters = ManyBars(rows=400).render_shard(0, (16, 16, 1))
    assert len(images_NHWC) == 400 and not set(characters) & set(LETTERS)
    assert 0.6 < np.mean([bool(c) and c in BARS for c in characters]) < 0.72


def test_every_method_is_tuned_over_as_many_settings_at_equal_steps():
    for old in tasks().values():
        for method in METHODS:
            made = [at(method, old, setting) for setting in SETTINGS]
            assert len({e.fingerprint() for e in made}) == len(SETTINGS)
            for e in made:
                steps = (e.schedule.steps, e.schedule.batch)
                assert steps == (old.schedule.steps, old.schedule.batch)
                assert isinstance(e.pool, TrainingImages) == (method == ORACLE)
                assert not e.reads_labels


def test_plain_kd_has_the_rows_and_batches_of_the_new_recipe_and_nothing_else():
    old = tasks()["digits"]
    new, plain = (at(method, old, SETTINGS[2]) for method in (NEW, PLAIN))
    assert plain == replace(new, dropping=None, explicit=None, implicit=None)


def test_blocks_differ_in_seed_pool_and_teacher_and_the_oracle_has_one_pool():
    old = tasks()["digits"]
    blocks = [block for of in ROUNDS for block in of.confirming("digits")]
    for name in ("seed", "draw", "teacher"):
        assert len({getattr(block, name) for block in blocks}) == len(blocks)
    assert cell(old, blocks[0]).block == blocks[0]
    assert cell(at(ORACLE, old, SETTINGS[0]), blocks[0]).block == replace(blocks[0], draw=0)


def test_the_third_round_trains_four_times_as_long_and_its_generator_as_before():
    old, of = tasks()["small"], ROUNDS[2]
    steps = {m: of.at(m, old, SETTINGS[5]).schedule.steps for m in of.methods}
    assert steps.pop(GENERATOR) == old.schedule.steps == 400
    assert set(steps.values()) == {1_600}
    assert all(set(places) == set(of.methods) for places in of.chosen.values())


def test_the_pool_of_small_letters_shows_none_of_them():
    _, _, characters = OtherGlyphs(rows=400).render_shard(0, (16, 16, 1))
    assert len(characters) == 400 and not set(characters) & set(SMALL)


TESTS: dict[str, Any] = {name: [0.7, 0.71, 0.73] for name in ROUNDS[0].rivals}
TESTS |= {NEW: [0.8, 0.81, 0.84], ORACLE: [0.85, 0.87, 0.88]}


def test_the_tables_say_by_how_much_the_new_recipe_leads_and_what_is_left():
    rows = results.rival_table("digits", TESTS, ROUNDS[0]).splitlines()
    assert "| new | 81.7 | | | | |" in rows
    [old] = [row for row in rows if row.startswith("| old")]
    assert old.split(" | ")[1:4] == ["71.3", "+10.3", "+8.9 to +11.8"]
    [gap] = [
        row
        for row in results.gap_table({"digits": TESTS}, ROUNDS[0]).splitlines()
        if "| digits" in row
    ]
    assert "+15.3" in gap and "+5.0" in gap and "67 %" in gap


@pytest.mark.parametrize("probes", [(0.3, 0.9, 0.5), (0.3, 0.9, 0.9)])
def test_the_best_setting_is_the_first_with_the_highest_probe(probes):
    class Found:
        def __init__(self, probe: float) -> None:
            self.metrics = {"probe": probe}

    assert results.best([Found(probe) for probe in probes]) == 1
