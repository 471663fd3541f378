"""What every sampling promises. N selected rows."""

from dataclasses import replace

import numpy as np
import pytest

from dfkd.method.sampling import Sampling
from dfkd.method.selection import Dynamic, Random
from dfkd.testing.runs import resumed_is_uninterrupted, small_experiment
from dfkd.testing.suite import PieceSuite


class SamplingSuite(PieceSuite):
    """Runs each of `pieces`, samplings, through what the training loop relies on.

        class TestMine(SamplingSuite):
            pieces = (Mine(),)

    The pseudo-labels are made up: even, lopsided, of one class, of fewer rows than classes.
    """

    @pytest.mark.parametrize("rows", [1, 3, 64, 1000])
    @pytest.mark.parametrize("present", [1, 2, 10])
    def test_an_epoch_shows_as_many_places_as_there_are_rows(
        self, piece: Sampling, rows: int, present: int
    ) -> None:
        rng = np.random.default_rng(rows)
        for label_N in (rng.integers(0, present, rows), rng.integers(0, present, rows) ** 2 // 9):
            places = piece.epoch(label_N, 10, 1)
            assert places.dtype == np.int64 and len(places) == rows
            assert places.min() >= 0 and places.max() < rows

    def test_a_seed_gives_the_same_epoch_again_and_pseudo_labels_are_only_read(
        self, piece: Sampling
    ) -> None:
        label_N = np.random.default_rng(0).integers(0, 10, 200)
        label_N.flags.writeable = False
        first, again = (piece.epoch(label_N, 10, 3).tolist() for _ in range(2))
        assert first == again

    @pytest.mark.parametrize("redrawn", [False, True])
    def test_a_resumed_run_is_the_uninterrupted_one(self, piece: Sampling, redrawn: bool) -> None:
        """Also where rows are drawn again in between: an epoch is then one step."""
        rule = Random(rows=16 if redrawn else 40)
        selection = Dynamic(rule=rule, every=1) if redrawn else rule
        experiment = replace(small_experiment(), sampling=piece, selection=selection)
        assert resumed_is_uninterrupted(experiment)
