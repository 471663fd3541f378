"""Samplings: what all promise, and the shares of classes, counted by hand. N rows, K classes."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from dfkd.experiment import Experiment
from dfkd.method.sampling import SAMPLINGS, ClassBalanced
from dfkd.method.sampling.class_balanced import shares
from dfkd.testing import SamplingSuite
from dfkd.testing.runs import run_of, small_experiment
from dfkd.training.batches import Batches, order_of


class TestSamplings(SamplingSuite):
    pieces = tuple(kind.example() for kind in SAMPLINGS)


# pseudo-labels of which 61 % are of one class
lopsided_N = np.random.default_rng(0).permutation(np.repeat([0, 1, 2, 3], [610, 300, 85, 5]))


@pytest.mark.parametrize(
    ("rows_K", "most", "images_K"),
    [
        ([6, 3, 3], 2, [4, 4, 4]),
        ([10, 1, 1], 2, [8, 2, 2]),  # both rare ones have reached 2 * 1
        ([610, 300, 85, 5], 10, [317, 317, 316, 50]),
        ([610, 300, 85, 5], 1000, [250, 250, 250, 250]),
        ([5, 0, 2], 3, [4, 0, 3]),  # a class without rows has no share
        ([2, 1, 1, 1], 5, [2, 1, 1, 1]),
        ([0, 7], 2, [0, 7]),
    ],
)
def test_classes_have_equal_shares_up_to_what_their_rows_allow(rows_K, most, images_K):
    found = shares(np.array(rows_K), most)
    assert found.tolist() == images_K and found.sum() == sum(rows_K)


def test_an_epoch_shows_the_rows_of_a_class_equally_often_up_to_one():
    places = ClassBalanced(most_repeats=10).epoch(lopsided_N, 5, 7)
    seen_N = np.bincount(places, minlength=1000)
    assert seen_N.sum() == 1000 and seen_N.max() == 10
    assert np.bincount(lopsided_N, weights=seen_N).tolist() == [317, 317, 316, 50]
    for k in range(4):
        assert np.ptp(seen_N[lopsided_N == k]) <= 1
    assert (seen_N[lopsided_N == 3] == 10).all()  # as often as it may


def test_rows_of_a_large_class_take_turns():
    epochs = [ClassBalanced().epoch(lopsided_N, 4, seed) for seed in range(40)]
    seen_N = sum(np.bincount(places, minlength=1000) for places in epochs)[lopsided_N == 0]
    assert seen_N.mean() == pytest.approx(40 * 317 / 610)  # 20.8, deviation 3.2
    assert seen_N.min() > 6 and seen_N.max() < 36


def test_every_batch_holds_the_classes_evenly():
    sampling = ClassBalanced(most_repeats=1000)
    batches = Batches(np.arange(1000), 40, 3, order_of(sampling, lopsided_N, 4))
    for step in range(60):  # over two epochs
        counts_K = np.bincount(lopsided_N[batches.at(step)], minlength=4)
        assert counts_K.sum() == 40 and (abs(counts_K - 10) <= 3).all(), step


def test_a_batch_depends_on_block_and_step_alone():
    def batches(seed: int) -> Batches:
        return Batches(np.arange(0, 2000, 2), 48, seed, order_of(ClassBalanced(), labels, 4))

    labels = np.repeat(lopsided_N, 2)  # of the pool: every second row is selected
    straight = batches(1)
    forward = [straight.at(step).tolist() for step in range(50)]
    assert [batches(1).at(step).tolist() for step in reversed(range(50))] == forward[::-1]
    assert batches(2).at(0).tolist() != forward[0]
    assert set(np.concatenate(forward)) <= set(range(0, 2000, 2))


def test_rows_that_become_current_are_shared_out_by_their_own_labels():
    batches = Batches(np.arange(1000), 50, 0, order_of(ClassBalanced(), lopsided_N, 4))
    rows_N = np.flatnonzero(lopsided_N >= 2)  # 85 and 5 of them
    batches.narrow(rows_N, 8)
    seen = np.concatenate([batches.at(step) for step in range(8, 17)])  # 450: five epochs of 90
    assert Counter(lopsided_N[seen].tolist()) == {2: 5 * 45, 3: 5 * 45}


def test_without_a_sampling_an_epoch_is_a_permutation_and_no_identity_moves():
    batches = Batches(np.arange(100), 10, 0, order_of(None, lopsided_N, 4))
    seen = np.concatenate([batches.at(step) for step in range(10)])
    assert sorted(seen) == list(range(100))
    plain = small_experiment()
    assert "sampling" not in plain.spec() and "sampling" not in plain.params()
    balanced = replace(plain, sampling=ClassBalanced())
    assert balanced.spec() == plain.spec() | {
        "sampling": {"piece": "class_balanced", "version": 1, "most_repeats": 10}
    }


def test_a_run_sees_its_classes_evenly():
    experiment: Experiment = small_experiment()
    runs = [run_of(replace(experiment, sampling=s)) for s in (None, ClassBalanced(most_repeats=64))]
    label_M = runs[0].inputs.scores.pseudo_label_N
    plain, even = (
        Counter(label_M[np.concatenate([run.batch(step) for step in range(4)])].tolist())
        for run in runs
    )
    assert plain == Counter(label_M[runs[0].rows_N].tolist()) and max(plain.values()) > 20
    assert max(even.values()) - min(even.values()) <= 1 and even.keys() == plain.keys()


@pytest.mark.parametrize("most_repeats", [1, 0, -3])
def test_a_cap_that_leaves_nothing_to_balance_is_refused(most_repeats):
    with pytest.raises(ValueError, match=r"sampling.most_repeats must be 2 or more"):
        ClassBalanced(most_repeats=most_repeats)


@dataclass(frozen=True, kw_only=True)
class TooShort:
    """A user's own, which shows half of the rows."""

    version: ClassVar[int] = 1

    def epoch(self, label_N: np.ndarray, classes: int, seed: int) -> np.ndarray:
        return np.arange(len(label_N) // 2)


def test_an_own_sampling_that_shows_too_few_rows_is_told_so():
    run = run_of(replace(small_experiment(), sampling=TooShort()))
    with pytest.raises(ValueError, match=r"must return 64 places in 0..63, but got 32 in 0..31"):
        run.advance(1)


@dataclass(frozen=True, kw_only=True)
class Restless:
    """A user's own, which draws from a stream of its own instead of from the seed."""

    version: ClassVar[int] = 1

    def epoch(self, label_N: np.ndarray, classes: int, seed: int) -> np.ndarray:
        return np.random.default_rng().permutation(len(label_N))


def test_the_suite_finds_what_is_broken():
    with pytest.raises(AssertionError):
        SamplingSuite().test_an_epoch_shows_as_many_places_as_there_are_rows(TooShort(), 64, 2)
    with pytest.raises(AssertionError):
        SamplingSuite().test_a_seed_gives_the_same_epoch_again_and_pseudo_labels_are_only_read(
            Restless()
        )
    with pytest.raises(AssertionError):
        SamplingSuite().test_a_resumed_run_is_the_uninterrupted_one(Restless(), redrawn=False)
