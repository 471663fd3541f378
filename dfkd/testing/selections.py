"""What every selection rule promises. N rows, K classes."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dfkd.identity import Scalar
from dfkd.method.defaults import with_defaults
from dfkd.method.selection import BaseSelection, Selection
from dfkd.method.selection.selecting import select
from dfkd.scores import Scores
from dfkd.testing.runs import resumed_is_uninterrupted, small_experiment
from dfkd.testing.scores import random_scores, read_only, table
from dfkd.testing.suite import PieceSuite

ROWS = 400
RATIOS = (0.001, 0.01, 0.1, 1 / 3, 0.5, 0.999, 1.0)


class SelectionSuite(PieceSuite):
    """Runs each of `pieces`, selection rules, through what runs and reports rely on.

        class TestMine(SelectionSuite):
            pieces = (Mine(ratio=0.1),)

    A rule whose budget cannot be set (`at_budget`) is tested at its own alone, which the made-up
    pool of 400 rows must hold.
    """

    def test_rows_are_sorted_distinct_and_as_many_as_the_budget_says(
        self, piece: Selection
    ) -> None:
        for rule in (piece, *(_at(piece, ratio=ratio) for ratio in RATIOS)):
            chosen = rule.select(random_scores(), 1)
            assert chosen.dtype == np.int64
            assert len(chosen) == (rule.rows or max(1, round((rule.ratio or 0) * ROWS)))
            assert (np.diff(chosen) > 0).all()
            assert chosen[0] >= 0 and chosen[-1] < ROWS

    @pytest.mark.parametrize("rows", [1, 2, 9, 10])
    def test_pools_may_have_fewer_rows_than_classes(self, piece: Selection, rows: int) -> None:
        rule = with_defaults(piece, BaseSelection).at_budget(ratio=0.5)
        if rule is not None:
            assert len(rule.select(random_scores(rows), 1)) == max(1, round(0.5 * rows))

    @pytest.mark.parametrize("rows", [1, 10, 57, 399, 400])
    def test_a_number_of_rows_is_the_same_choice_as_that_share(
        self, piece: Selection, rows: int
    ) -> None:
        scores = random_scores()
        chosen = _at(piece, ratio=rows / ROWS).select(scores, 1)
        assert chosen.tolist() == _at(piece, rows=rows).select(scores, 1).tolist()

    def test_more_rows_than_there_are_are_refused(self, piece: Selection) -> None:
        rule = with_defaults(piece, BaseSelection).at_budget(rows=ROWS + 1)
        if rule is not None:
            with pytest.raises(ValueError, match="401"):
                rule.select(random_scores(), 1)

    def test_a_seed_gives_the_same_rows_again(self, piece: Selection) -> None:
        scores = random_scores()
        assert piece.select(scores, 1).tolist() == piece.select(scores, 1).tolist()

    def test_scores_are_only_read(self, piece: Selection) -> None:
        piece.select(read_only(random_scores()), 1)

    def test_the_order_of_the_rows_does_not_matter_unless_they_are_drawn(
        self, piece: Selection
    ) -> None:
        scores, order_N = random_scores(), np.random.default_rng(5).permutation(ROWS)
        turned = order_N[piece.select(scores.take(order_N), 1)]
        assert _drawn(piece) or set(turned) == set(piece.select(scores, 1))

    def test_among_equal_rows_the_earlier_ones_are_taken_unless_they_are_drawn(
        self, piece: Selection
    ) -> None:
        scores = table(*[(0, 0.5)] * ROWS, classes=2)
        chosen = piece.select(scores, 1)
        assert _drawn(piece) or chosen.tolist() == list(range(len(chosen)))

    def test_it_reads_no_columns_but_those_it_says(self, piece: Selection) -> None:
        """Every other column is one that cannot be indexed."""
        scores, probe_P = random_scores(), np.arange(0, ROWS, 7)
        names = with_defaults(piece, BaseSelection).columns
        left_N = np.setdiff1d(np.arange(ROWS), probe_P)
        rule = _at(piece, ratio=0.3)
        whole = left_N[rule.select(scores.take(left_N), 3)]
        assert select(rule, _bare(scores, names), probe_P, 3).tolist() == whole.tolist()

    def test_what_is_drawn_again_lies_in_the_selection(self, piece: Selection) -> None:
        redraw = with_defaults(piece, BaseSelection).redraw
        if redraw is not None:
            rng = np.random.default_rng(0)
            efficiency_N, label_N = rng.random(100), rng.integers(0, 10, 100)
            drawn = redraw.draw(efficiency_N, label_N, 10)
            assert redraw.every >= 1 and 1 <= len(drawn) <= 100
            assert (np.diff(drawn) > 0).all() and drawn[0] >= 0 and drawn[-1] < 100
            assert drawn.tolist() == redraw.draw(efficiency_N, label_N, 10).tolist()

    def test_a_resumed_run_is_the_uninterrupted_one(self, piece: Selection) -> None:
        """An epoch is one step, so that what is drawn again is drawn in between."""
        assert resumed_is_uninterrupted(replace(small_experiment(), selection=_at(piece, rows=16)))


def _at(piece: Selection, **budget: Scalar) -> Selection:
    """Return the rule at this budget, or at its own where it has no other."""
    return with_defaults(piece, BaseSelection).at_budget(**budget) or piece  # type: ignore[arg-type]


def _drawn(piece: Selection) -> bool:
    """Return whether the rule listens to its seed."""
    chosen = [_at(piece, ratio=0.3).select(random_scores(), seed).tolist() for seed in range(4)]
    return any(rows != chosen[0] for rows in chosen)


def _bare(scores: Scores, names: tuple[str, ...] | None) -> Scores:
    """Return the scores without the columns that are not named; row ids and sizes stay."""
    if names is None:
        return scores
    kept = {"row_id_N", "logits_NK", *(f"{name}_N" for name in names)}
    arrays: dict[str, Any] = {n: v if n in kept else None for n, v in vars(scores).items()}
    return Scores(**arrays)
