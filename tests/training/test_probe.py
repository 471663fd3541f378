"""The probe: the same rows for all, apart from every selection, and a mean over classes.

P probe rows, N pool rows.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dfkd.scores import Scores, scores_of
from dfkd.training.measures import AGREEMENT, SOFT, judged
from dfkd.training.probe import STRATA, Probe, draw_probe


def random_scores(rows: int, seed: int = 0) -> Scores:
    rng = np.random.default_rng(seed)
    logits_NK = rng.normal(size=(rows, 10)).astype(np.float32) * 3
    return scores_of(np.arange(rows), logits_NK, np.zeros((rows, 4), dtype=np.float32))


@pytest.mark.parametrize(
    ("rows", "count"), [(2, 1), (10, 2), (600, 90), (20_000, 3000), (50_000, 3000)]
)
def test_15_percent_of_the_pool_and_at_most_3000_rows(rows, count):
    probe = draw_probe(random_scores(rows))
    assert len(probe.rows_P) == len(probe.label_P) == len(probe.stratum_P) == count
    assert (np.diff(probe.rows_P) > 0).all() and probe.rows_P.max() < rows


def test_every_teacher_has_the_same_rows_and_its_own_labels():
    one, other = (draw_probe(random_scores(600, seed)) for seed in (0, 1))
    assert (one.rows_P == other.rows_P).all()
    assert (one.label_P == random_scores(600, 0).pseudo_label_N[one.rows_P]).all()
    assert (one.label_P != other.label_P).any()


def test_the_rows_are_golden():
    assert draw_probe(random_scores(600)).rows_P[:6].tolist() == [8, 21, 27, 32, 37, 40]


def test_no_run_selects_a_row_of_the_probe(tiny, inputs, job_of):
    from dfkd.method.selection import SELECTIONS, Dynamic, Random
    from dfkd.training.distill import Run

    for kind in SELECTIONS:
        rule = Dynamic(rule=Random(ratio=1.0)) if kind is Dynamic else kind(ratio=1.0)
        run = Run(job_of(replace(tiny, selection=rule)).cell, inputs)
        assert set(run.rows_N) == set(range(600)) - set(inputs.probe.rows_P)


def test_strata_are_thirds_by_the_teachers_confidence():
    scores = random_scores(600)
    probe = draw_probe(scores)
    assert np.bincount(probe.stratum_P).tolist() == [30, 30, 30]
    low, middle, high = (
        scores.confidence_N[probe.rows_P[probe.stratum_P == index]] for index in range(len(STRATA))
    )
    assert low.max() <= middle.min() and middle.max() <= high.min()


LABEL_P = np.array([0, 0, 0, 0, 0, 0, 1, 1, 3])


def sure_of(answer_P: list[int] | np.ndarray) -> torch.Tensor:
    """Return logits of a student that is all but certain of these classes."""
    return 50 * torch.nn.functional.one_hot(torch.as_tensor(answer_P), 4).float()


def hand_probe() -> Probe:
    """Class 0 six times, class 1 twice, class 3 once; one stratum for each third."""
    return Probe(
        rows_P=np.arange(9),
        label_P=LABEL_P,
        answer_PK=np.array([[0.9, 0.1, 0, 0]] * 6 + [[0, 1, 0, 0]] * 2 + [[0.25] * 4], np.float32),
        stratum_P=np.array([0, 0, 0, 1, 1, 1, 2, 2, 2]),
    )


def test_agreement_is_a_mean_over_the_classes_that_are_there():
    agreement = hand_probe().agreement(sure_of([0, 0, 0, 1, 1, 1, 1, 0, 2]))
    assert agreement["probe"] == pytest.approx((3 / 6 + 1 / 2 + 0 / 1) / 3)
    assert agreement["probe.low"] == 1.0
    assert agreement["probe.middle"] == 0.0
    assert agreement["probe.high"] == pytest.approx((1 / 2 + 0) / 2)


def test_a_student_that_knows_one_frequent_class_agrees_little():
    assert hand_probe().agreement(sure_of([0] * 9))["probe"] == pytest.approx(1 / 3)
    assert hand_probe().agreement(sure_of(LABEL_P))["probe"] == 1.0


def test_soft_agreement_is_the_chance_that_both_draw_the_same_class():
    sure = hand_probe().agreement(sure_of([0, 0, 0, 1, 1, 1, 1, 0, 2]))["probe.soft"]
    assert sure == pytest.approx(((3 * 0.9 + 3 * 0.1) / 6 + 1 / 2 + 0.25) / 3)
    unsure = hand_probe().agreement(torch.zeros(9, 4))["probe.soft"]
    assert unsure == pytest.approx(1 / 4)


def test_the_probe_has_the_teachers_probabilities():
    scores = random_scores(600)
    probe = draw_probe(scores)
    np.testing.assert_allclose(probe.answer_PK.sum(1), 1, rtol=1e-5)
    assert (probe.answer_PK.argmax(1) == probe.label_P).all()
    np.testing.assert_allclose(probe.answer_PK.max(1), scores.confidence_N[probe.rows_P], rtol=1e-4)


def test_a_point_that_is_too_old_for_a_measure_says_what_to_do():
    assert judged({"probe": 0.5}, AGREEMENT) == 0.5
    with pytest.raises(ValueError, match=r"before probe.soft was recorded: .*--probe agreement"):
        judged({"probe": 0.5}, SOFT)
