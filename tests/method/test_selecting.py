"""Selecting from memory maps, column by column: the rows as from memory, each choice once."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from dfkd.method.selection import (
    SELECTIONS,
    Balanced,
    Dynamic,
    Energy,
    Prototype,
    Random,
    Rows,
    Selection,
)
from dfkd.method.selection.budget import Budget
from dfkd.method.selection.selecting import columns_of, select
from dfkd.scores import Scores, scores_of
from dfkd.storage import FolderStorage
from dfkd.training.probe import probe_rows


@pytest.fixture(scope="module")
def scores() -> Scores:
    """7,000 rows with many ties."""
    rng = np.random.default_rng(0)
    logits_NK = (
        (rng.normal(size=(7000, 10)) * 2 + np.linspace(0, 2, 10)).round(1).astype(np.float32)
    )
    made = scores_of(np.arange(7000), logits_NK, rng.normal(size=(7000, 4)).astype(np.float32))
    return replace(made, bn_distance_N=rng.gamma(2.0, size=7000).round(1).astype(np.float32))


def in_memory(rule: Selection, scores: Scores) -> list[int]:
    others = np.setdiff1d(np.arange(7000), probe_rows(7000))
    return others[rule.select(scores.take(others), 3)].tolist()


def test_every_rule_but_two_works_on_columns():
    """A rule that reads logits or features does not reach pools beyond memory: declare columns."""
    whole = {kind for kind in SELECTIONS if kind.example().columns is None}
    assert whole == {Energy, Prototype}


@pytest.mark.parametrize("kind", SELECTIONS, ids=lambda kind: kind.__name__)
def test_the_same_rows_are_selected_column_by_column(kind, scores):
    rule = kind.example().at_budget(ratio=0.2)
    assert select(rule, scores, probe_rows(7000), 3).tolist() == in_memory(rule, scores)


def test_only_the_columns_asked_for_of_the_rows_that_are_kept(scores):
    keep_N = np.arange(7000) % 3 > 0
    columns = columns_of(scores, ("pseudo_label", "confidence"), keep_N)
    assert len(columns) == keep_N.sum() and columns.classes == 10
    assert (columns.pseudo_label_N == scores.pseudo_label_N[keep_N]).all()
    assert (columns.confidence_N == scores.confidence_N[keep_N]).all()
    with pytest.raises(KeyError):
        _ = columns.margin_N


def test_a_choice_is_made_once(scores, tmp_path: Path):
    probe_P = probe_rows(7000)
    first = select(Balanced(ratio=0.2), scores, probe_P, 3, FolderStorage(tmp_path))
    (file,) = tmp_path.iterdir()
    np.save(file, first[:5])
    assert (
        select(Balanced(ratio=0.2), scores, probe_P, 3, FolderStorage(tmp_path)).tolist()
        == first[:5].tolist()
    )
    select(Balanced(ratio=0.3), scores, probe_P, 3, FolderStorage(tmp_path))
    select(Random(ratio=0.2), scores, probe_P, 3, FolderStorage(tmp_path))
    select(Random(ratio=0.2), scores, probe_P, 4, FolderStorage(tmp_path))
    assert len(list(tmp_path.iterdir())) == 4


@dataclass(frozen=True, kw_only=True)
class FirstRows(Budget):
    """A user's own rule, whose code may be another one in the next process."""

    version: ClassVar[int] = 1

    def select(self, scores: Scores, seed: int) -> Rows:
        return np.arange(self.count(len(scores)))


@pytest.mark.parametrize("rule", [FirstRows(rows=5), Dynamic(rule=FirstRows(rows=5))])
def test_the_choice_of_an_own_rule_is_never_read_again(rule, scores, tmp_path: Path):
    assert len(select(rule, scores, probe_rows(7000), 3, FolderStorage(tmp_path))) == 5
    assert list(tmp_path.iterdir()) == []


@dataclass(frozen=True, kw_only=True)
class Odd(Budget):
    """A rule of the user's that gives back what it was told to."""

    version: ClassVar[int] = 1
    what: str = ""

    def select(self, scores: Scores, seed: int) -> object:
        odd = {"mask": np.ones(len(scores), np.bool_), "float": np.array([1.0, 2.0])}
        odd |= {"negative": np.array([-1, 2]), "beyond": np.array([3, len(scores)])}
        odd |= {"twice": np.array([1, 1, 2]), "none": np.array([], np.int64), "list": [1, 2]}
        odd |= {"two": np.zeros((2, 2), np.int64), "nothing": None, "good": np.array([5, 3])}
        return odd[self.what]


@pytest.mark.parametrize(
    "what", ["mask", "float", "negative", "beyond", "twice", "none", "list", "two", "nothing"]
)
def test_what_is_no_choice_of_rows_is_refused(what, scores):
    with pytest.raises(ValueError, match=r"Odd must return positions, .* np\.flatnonzero\(mask\)"):
        select(Odd(ratio=0.5, what=what), scores, probe_rows(7000), 3)
    assert len(select(Odd(ratio=0.5, what="good"), scores, probe_rows(7000), 3)) == 2
