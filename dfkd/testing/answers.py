"""What every loss on the teacher's answer promises. B batch, K classes."""

import pytest
import torch

from dfkd.method.defaults import with_defaults
from dfkd.method.dropping import Random, Tail
from dfkd.method.losses import AnswerLoss, BaseAnswerLoss
from dfkd.seeding import generator
from dfkd.testing.outputs import outputs
from dfkd.testing.suite import PieceSuite


class AnswerLossSuite(PieceSuite):
    """Runs each of `pieces`, losses in the place of KD, through what the training loop relies on.

        class TestMine(AnswerLossSuite):
            pieces = (Mine(temperature=4.0),)

    What reads labels is not asked about dropping, which it never meets.
    """

    def test_it_is_one_finite_number_and_moves_the_student(self, piece: AnswerLoss) -> None:
        for scale in (1e-3, 1.0, 1e3):
            student_BK = outputs(1, 1, scale=scale).logits_BK.requires_grad_()
            loss = piece(student_BK, outputs(1, 2, scale=scale).logits_BK, None, False)
            loss.backward()
            assert loss.shape == () and loss.isfinite()
            assert student_BK.grad is not None and student_BK.grad.isfinite().all()
            assert (student_BK.grad.abs().sum(1) > 0).any()

    def test_it_says_the_temperature_at_which_it_reads_logits(self, piece: AnswerLoss) -> None:
        assert with_defaults(piece, BaseAnswerLoss).temperature > 0

    @pytest.mark.parametrize("masks_student", [False, True])
    def test_nothing_dropped_is_the_loss_without_dropping(
        self, piece: AnswerLoss, masks_student: bool
    ) -> None:
        student_BK, teacher_BK = outputs(1, 1).logits_BK, outputs(1, 2).logits_BK
        kept = piece(student_BK, teacher_BK, torch.ones(16, 10, dtype=torch.bool), masks_student)
        plain = piece(student_BK, teacher_BK, None, masks_student)
        assert kept.item() == pytest.approx(plain.item(), rel=1e-9)

    @pytest.mark.parametrize("dropping", [Tail(rate=0.8), Random(rate=0.5)], ids=str)
    def test_dropped_classes_are_left_out_of_the_answer(
        self, piece: AnswerLoss, dropping: Tail | Random
    ) -> None:
        """Logits that are dropped do not matter; those of the student are left alone if masked."""
        if with_defaults(piece, BaseAnswerLoss).reads_labels:
            return
        student_BK, teacher_BK = outputs(1, 1).logits_BK.requires_grad_(), outputs(1, 2).logits_BK
        keep_BK = dropping.keep(teacher_BK, generator(0, "dropping", 0))
        loss = piece(student_BK, teacher_BK, keep_BK, dropping.masks_student)
        other_BK = torch.where(keep_BK, teacher_BK, teacher_BK.min() - 1)
        other = piece(student_BK, other_BK, keep_BK, dropping.masks_student)
        assert other.item() == pytest.approx(loss.item(), rel=1e-9)
        loss.backward()
        assert student_BK.grad is not None and student_BK.grad.isfinite().all()
        if dropping.masks_student:
            assert (student_BK.grad[~keep_BK] == 0).all()
