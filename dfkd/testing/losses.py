"""What every explicit or implicit loss promises.

B batch, D feature width.
"""

import copy
from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from dfkd.method.losses import Loss, Outputs, Sizes, needs_of
from dfkd.testing.outputs import EQUAL, WIDER, built, pair
from dfkd.testing.runs import resumed_is_uninterrupted, run_of, small_experiment, small_inputs
from dfkd.testing.suite import PieceSuite

each_size = pytest.mark.parametrize("sizes", [EQUAL, WIDER], ids=["equal widths", "other widths"])


class LossSuite(PieceSuite):
    """Runs each of `pieces`, losses, through what the training loop relies on.

    class TestMine(LossSuite):
        pieces = (Mine(weight=1.0),)
    """

    @each_size
    def test_it_is_one_finite_number(self, piece: Loss, sizes: Sizes) -> None:
        for scale in (1e-3, 1.0, 1e3):
            loss = built(piece, sizes)(*pair(sizes, scale=scale))
            assert loss.shape == () and loss.isfinite()

    @each_size
    def test_gradients_reach_every_image_and_all_that_is_trained(
        self, piece: Loss, sizes: Sizes
    ) -> None:
        module, (student, teacher) = built(piece, sizes), pair(sizes)
        said = _leaves(student)
        module(student, teacher).backward()
        reached = [tensor.grad for tensor in said if tensor.grad is not None]
        assert reached
        for gradient in reached:
            assert gradient.isfinite().all()
            assert (gradient.flatten(1).abs().sum(1) > 0).all()
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name

    def test_no_gradient_becomes_nan_where_features_are_0_or_equal(self, piece: Loss) -> None:
        """A ReLU may be dead for an image; two rows may be the same image."""
        module, (student, teacher) = built(piece, WIDER), pair(WIDER)
        assert student.second is not None
        for said in (student, student.second):
            said.features_BD[0] = 0
            said.features_BD[1] = said.features_BD[2]
            for map_BCHW in said.maps:
                map_BCHW[0] = 0
                map_BCHW[1] = map_BCHW[2]
        leaves = _leaves(student)
        module(student, teacher).backward()
        assert all(tensor.grad.isfinite().all() for tensor in leaves if tensor.grad is not None)

    @each_size
    def test_it_reads_nothing_that_it_does_not_say_it_needs(
        self, piece: Loss, sizes: Sizes
    ) -> None:
        (student, teacher), needs = pair(sizes), needs_of(piece)
        if "maps" not in needs:
            student, teacher = replace(student, maps=()), replace(teacher, maps=())
        if "second_view" not in needs:
            student = replace(student, second=None)
        if "rows" not in needs:
            teacher = replace(teacher, rows_B=None, seed=None)
        student, teacher = replace(student, rows_B=None, seed=None), replace(teacher, second=None)
        value = built(piece, sizes)(student, teacher)
        assert value.equal(built(piece, sizes)(*pair(sizes)))

    @each_size
    def test_the_order_of_the_batch_does_not_matter(self, piece: Loss, sizes: Sizes) -> None:
        """A loss that needs rows may draw something for each place in the batch."""
        student, teacher = pair(sizes)
        order = torch.randperm(16, generator=torch.Generator().manual_seed(3))
        turned = [o.each(lambda tensor: tensor[order]) for o in (student, teacher)]
        value, other = built(piece, sizes)(student, teacher), built(piece, sizes)(*turned)
        assert "rows" in needs_of(piece) or other.item() == pytest.approx(value.item(), rel=1e-9)

    def test_it_does_not_apply_its_own_weight(self, piece: Loss) -> None:
        if "weight" in {field.name for field in fields(piece)}:  # type: ignore[arg-type]  # a piece
            heavier: Loss = replace(piece, weight=7.0)  # type: ignore[type-var]
            assert built(heavier, WIDER)(*pair(WIDER)).equal(built(piece, WIDER)(*pair(WIDER)))

    def test_what_is_trained_and_remembered_is_in_the_state(self, piece: Loss) -> None:
        """A module that is built anew and given the state goes on to the last bit."""
        calm = built(piece, WIDER)
        for seed in (1, 2):
            calm(*pair(WIDER, seed=seed))
        resumed = built(piece, WIDER, seed=5)
        resumed.load_state_dict(copy.deepcopy(calm.state_dict()))
        assert calm(*pair(WIDER, seed=3)).equal(resumed(*pair(WIDER, seed=3)))

    # ---- in the training loop

    def test_it_trains_all_that_it_holds_and_leaves_the_teacher_alone(self, piece: Loss) -> None:
        run = run_of(replace(small_experiment(), explicit=piece))
        before = {name: value.clone() for name, value in run.objective.named_parameters()}
        run.advance(4)
        for name, value in run.objective.named_parameters():
            assert not value.equal(before[name]), name
        assert 0 <= run.evaluate()["train.explicit"] < 1e6
        if run.teacher is not None:
            after, given = run.teacher.network.network.state_dict(), small_inputs().teacher
            assert given is not None and not run.teacher.network.training
            assert all(value.equal(after[name]) for name, value in given.weights.items())

    def test_it_changes_what_the_student_learns_but_not_its_start(self, piece: Loss) -> None:
        experiment = small_experiment()
        runs = run_of(experiment), run_of(replace(experiment, implicit=piece))
        states = [run.objective.student.state_dict() for run in runs]
        assert all(states[0][name].equal(states[1][name]) for name in states[0])
        for run in runs:
            run.advance(8)
        assert any(not states[0][name].equal(states[1][name]) for name in states[0])

    def test_a_resumed_run_is_the_uninterrupted_one(self, piece: Loss) -> None:
        assert resumed_is_uninterrupted(replace(small_experiment(), explicit=piece))


def _leaves(given: Outputs) -> list[Tensor]:
    """Return all that a network says, as tensors that ask for gradients."""
    said = [given.logits_BK, given.features_BD, *given.maps]
    second = _leaves(given.second) if given.second else []
    return [tensor.requires_grad_() for tensor in said] + second
