"""What every rule of class dropping promises. B batch, K classes, N rows."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from dfkd.method.defaults import with_defaults
from dfkd.method.dropping import BaseDropping, Dropping
from dfkd.method.losses import KD
from dfkd.seeding import generator
from dfkd.testing.runs import resumed_is_uninterrupted, small_experiment
from dfkd.testing.scores import random_scores, read_only
from dfkd.testing.suite import PieceSuite


class DroppingSuite(PieceSuite):
    """Runs each of `pieces`, rules of class dropping, through what the training loop relies on.

    class TestMine(DroppingSuite):
        pieces = (Mine(rate=0.3), Mine(rate=0.0))
    """

    @pytest.mark.parametrize("classes", [2, 3, 10, 100])
    def test_the_most_likely_class_is_always_kept(self, piece: Dropping, classes: int) -> None:
        teacher_BK = _logits(classes=classes)
        keep_BK = piece.keep(teacher_BK, _generator())
        assert keep_BK.dtype == torch.bool and keep_BK.shape == teacher_BK.shape
        assert keep_BK[torch.arange(64), teacher_BK.argmax(1)].all()

    def test_among_equal_classes_the_one_that_counts_as_the_answer_is_kept(
        self, piece: Dropping
    ) -> None:
        teacher_BK = _logits().round()  # many ties
        keep_BK = piece.keep(teacher_BK, _generator())
        assert keep_BK[torch.arange(64), torch.from_numpy(teacher_BK.numpy().argmax(1))].all()
        assert piece.keep(torch.zeros(4, 10), _generator())[:, 0].all()

    def test_the_canonical_rule_drops_the_same(self, piece: Dropping) -> None:
        """Where it is None, nothing is dropped: neither classes nor rows, and no term is added."""
        canonical, keep_BK = piece.canonical(10), piece.keep(_logits(), _generator())
        rows_N = np.arange(0, 400, 3)
        stay_N = with_defaults(piece, BaseDropping).filter(random_scores(), rows_N)
        if canonical is None:
            assert keep_BK.all()
            assert stay_N.tolist() == rows_N.tolist()
            term = with_defaults(piece, BaseDropping).term()
            assert term is None or term.weight == 0
        else:
            assert canonical.canonical(10) == canonical
            assert canonical.keep(_logits(), _generator()).equal(keep_BK)
            again_N = with_defaults(canonical, BaseDropping).filter(random_scores(), rows_N)
            assert again_N.tolist() == stay_N.tolist()

    def test_a_rule_that_keeps_everything_is_plain_distillation(self, piece: Dropping) -> None:
        teacher_BK, student_BK = _logits(), _logits(seed=1)
        keep_BK = piece.keep(teacher_BK, _generator())
        loss = KD()(student_BK, teacher_BK, keep_BK, piece.masks_student)
        plain = KD()(student_BK, teacher_BK, None, False)
        assert not keep_BK.all() or loss.item() == pytest.approx(plain.item(), rel=1e-6)

    def test_masks_are_the_same_for_the_same_generator(self, piece: Dropping) -> None:
        teacher_BK = _logits()
        before = torch.random.get_rng_state(), teacher_BK.clone()
        first, again = (piece.keep(teacher_BK, _generator()) for _ in range(2))
        assert first.equal(again)
        assert torch.random.get_rng_state().equal(before[0])  # nothing else is drawn from
        assert teacher_BK.equal(before[1])

    def test_fixed_masks_follow_from_the_row_alone(self, piece: Dropping) -> None:
        if not with_defaults(piece, BaseDropping).fixed:
            pytest.skip("the rule may draw")
        teacher_BK, other = _logits(), generator(1, "dropping", 5)
        alone = [piece.keep(row_1K, other) for row_1K in teacher_BK.split(1)]
        assert torch.cat(alone).equal(piece.keep(teacher_BK, _generator()))

    def test_dropped_logits_are_pushed_down_unless_they_are_masked(self, piece: Dropping) -> None:
        teacher_BK, student_BK = _logits(), _logits(seed=1).requires_grad_()
        keep_BK = piece.keep(teacher_BK, _generator())
        KD()(student_BK, teacher_BK, keep_BK, piece.masks_student).backward()
        gradient_BK = student_BK.grad
        assert gradient_BK is not None and gradient_BK.isfinite().all()
        assert (gradient_BK[keep_BK] != 0).any()
        if piece.masks_student:
            assert (gradient_BK[~keep_BK] == 0).all()
        else:
            assert (gradient_BK[~keep_BK] > 0).all()

    def test_rows_that_stay_are_some_of_the_selected_in_their_order(self, piece: Dropping) -> None:
        scores, rows_N = read_only(random_scores()), np.arange(0, 400, 3)
        stay_N = with_defaults(piece, BaseDropping).filter(scores, rows_N)
        assert stay_N.dtype == np.int64 and len(stay_N) > 0
        assert (np.diff(stay_N) > 0).all() and set(stay_N) <= set(rows_N)

    def test_a_resumed_run_is_the_uninterrupted_one(self, piece: Dropping) -> None:
        """What a rule trains as well."""
        assert resumed_is_uninterrupted(replace(small_experiment(), dropping=piece))


def _logits(classes: int = 10, seed: int = 0) -> Tensor:
    return torch.randn(64, classes, generator=torch.Generator().manual_seed(seed)) * 3


def _generator() -> torch.Generator:
    return generator(0, "dropping", 0)
