"""Selecting from files column by column: the same rows as from scores in memory, without logits and features."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from dfkd.cluster.selecting import select, select_here
from dfkd.cluster.session import Compute, session
from dfkd.method.selection import SELECTIONS, Balanced, Dynamic, Prototype, Selection
from dfkd.probe import draw_probe
from dfkd.scores import Scores, _table, read_columns, scores_of

ON_COLUMNS = [kind for kind in SELECTIONS if hasattr(kind, "columns")]


@pytest.fixture(scope="module")
def scores() -> Scores:
    """7,000 rows with many ties."""
    rng = np.random.default_rng(0)
    logits_NK = (rng.normal(size=(7000, 10)) * 2 + np.linspace(0, 2, 10)).round(1).astype(np.float32)
    return scores_of(np.arange(7000), logits_NK, rng.normal(size=(7000, 4)).astype(np.float32))


@pytest.fixture(scope="module")
def paths(scores: Scores, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three score files, as the product writes them."""
    folder = tmp_path_factory.mktemp("scores")
    result = []
    for index, rows in enumerate(np.split(np.arange(7000), [3000, 3001])):
        result.append(folder / f"{index}.parquet")
        pq.write_table(_table(scores.take(rows)), result[-1])
    return result


def in_memory(rule: Selection, scores: Scores) -> list[int]:
    others = draw_probe(scores).others(len(scores))
    return others[rule.select(scores.take(others), 3)].tolist()


def made(kind: type) -> Selection:
    return Dynamic(rule=Balanced(ratio=0.2)) if kind is Dynamic else kind(ratio=0.2)


def test_every_rule_but_the_prototype_works_on_columns():
    assert set(SELECTIONS) - set(ON_COLUMNS) == {Prototype}


@pytest.mark.parametrize("kind", ON_COLUMNS, ids=lambda kind: kind.__name__)
def test_the_same_rows_are_selected_from_files(kind, scores, paths, monkeypatch):
    monkeypatch.setattr("dfkd.scores.READ_TOGETHER", 999)  # pieces that end anywhere
    assert select_here(made(kind), paths, 10, 3).tolist() == in_memory(made(kind), scores)


def test_columns_are_4_bytes_a_row_and_only_those_asked_for(scores, paths):
    keep_N = np.arange(7000) % 3 > 0
    columns = read_columns(paths, ("pseudo_label", "confidence"), 10, keep_N)
    assert len(columns) == keep_N.sum() and columns.classes == 10
    assert (columns.pseudo_label_N == scores.pseudo_label_N[keep_N]).all() and columns.pseudo_label_N.itemsize == 4
    assert (columns.confidence_N == scores.confidence_N[keep_N]).all() and columns.confidence_N.itemsize == 4
    with pytest.raises(KeyError):
        _ = columns.margin_N


@pytest.mark.parametrize("rule", [Prototype(ratio=0.2), Dynamic(rule=Prototype(ratio=0.2))], ids=["rule", "dynamic"])
def test_a_rule_that_needs_features_is_refused(rule, paths):
    with pytest.raises(ValueError, match="only rules that name the columns they read select from files"):
        select_here(rule, paths, 10, 3)


def test_selecting_is_a_task_on_the_cluster(scores, paths, tmp_path):
    rule = replace(Balanced(ratio=0.2), threshold=0.5)
    with session(Compute(storage=tmp_path)):
        found = select(rule, paths, 10, 3)
    assert found.rows.tolist() == in_memory(rule, scores)
    assert found.seconds > 0 and found.peak_bytes > 1e6
