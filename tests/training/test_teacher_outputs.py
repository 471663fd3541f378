"""The teacher's answer in a step: cached, live, or kept for each of a row's fixed views.

B batch, K classes.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from dfkd.data.images.transforms import Crop, RandAugment, to_tensor
from dfkd.experiment import Experiment, Schedule
from dfkd.method.losses import AttentionTransfer, NTXent
from dfkd.models.networks import SmallResNet
from dfkd.models.networks.network import BaseNetwork
from dfkd.models.teachers import TeacherFile
from dfkd.testing.runs import resumed_is_uninterrupted, run_of
from dfkd.training.distill import Inputs, Run
from dfkd.training.teacher_outputs import TOGETHER

CROP = Crop(padding=1, flip=False)
LIVE, PER_ROW = replace(CROP, answer="live"), replace(CROP, answer="live", per_row=3)


@pytest.fixture(scope="module")
def plain(tiny) -> Experiment:
    return replace(
        tiny, explicit=None, implicit=None, schedule=Schedule(steps=12, batch=16, evaluations=2)
    )


def answered(run: Run, step: int) -> torch.Tensor:
    rows_B = run.batch(step)
    return run.answers(rows_B, step, run.views(rows_B, step)[0]).logits_BK


def asked(run: Run, inputs: Inputs, images_BCHW: torch.Tensor) -> torch.Tensor:
    """The teacher's own answer to these images."""
    with torch.inference_mode():
        return inputs.teacher.build(run.experiment.task).eval()(images_BCHW)


def state(run: Run) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in run.objective.state_dict().items()}


# ---- identity


def test_the_answer_is_part_of_the_identity_and_the_cached_one_is_what_it_always_was(plain):
    prints = [
        replace(plain, views=views).fingerprint()
        for views in (CROP, LIVE, PER_ROW, replace(CROP, per_row=3))
    ]
    assert len(set(prints)) == 4
    assert (
        replace(plain, views=Crop(padding=1, flip=False, answer="cached", per_row=0)).fingerprint()
        == prints[0]
    )


@pytest.mark.parametrize(
    "loss", [{"explicit": AttentionTransfer()}, {"implicit": NTXent()}], ids=str
)
def test_losses_on_maps_or_two_views_ask_the_teacher_in_any_case(plain, loss):
    cached, live = (replace(plain, views=views, **loss) for views in (CROP, LIVE))
    assert cached.fingerprint() == live.fingerprint() and cached.asks_teacher and live.asks_teacher
    assert cached.canonical().views == LIVE and not cached.diff(live)


def test_views_that_change_nothing_leave_the_answer_that_is_cached(plain):
    still = replace(plain, views=Crop(padding=0, flip=False, answer="live", per_row=2))
    assert still.fingerprint() == plain.fingerprint() and not still.asks_teacher


# ---- live


@pytest.mark.parametrize("views", [LIVE, PER_ROW, RandAugment(padding=1, flip=False)], ids=str)
def test_a_live_answer_is_the_one_to_the_view(plain, inputs, views):
    run = run_of(replace(plain, views=views), inputs)
    for step in (0, 3):
        (view_BCHW,) = run.views(run.batch(step), step)
        torch.testing.assert_close(
            answered(run, step), asked(run, inputs, view_BCHW), atol=1e-4, rtol=1e-4
        )


def test_a_cached_answer_is_the_one_to_the_clean_image(plain, inputs):
    run = run_of(replace(plain, views=replace(CROP, per_row=3)), inputs)
    assert run.teacher is None
    clean_BCHW = to_tensor(inputs.images_NHWC[run.batch(0)], plain.task)
    torch.testing.assert_close(
        answered(run, 0), asked(run, inputs, clean_BCHW), atol=1e-4, rtol=1e-4
    )


def test_maps_without_views_are_those_of_the_clean_image(plain, inputs):
    run = run_of(replace(plain, explicit=AttentionTransfer()), inputs)
    rows_B = run.batch(0)
    answers = run.answers(rows_B, 0, run.views(rows_B, 0)[0])
    assert [tuple(m.shape) for m in answers.maps] == [(16, 8, 8, 8), (16, 16, 4, 4), (16, 32, 2, 2)]
    given = inputs.scores.logits_NK[rows_B]
    torch.testing.assert_close(answers.logits_BK, torch.from_numpy(given), atol=1e-4, rtol=1e-4)


def test_a_material_without_its_teacher_cannot_be_asked(plain, inputs):
    alone = replace(inputs, teacher=None)
    assert run_of(plain, alone).teacher is None
    with pytest.raises(
        ValueError, match="asks the teacher in every step, but its inputs hold answers only"
    ):
        run_of(replace(plain, views=LIVE), alone)


# ---- per view


def test_a_row_has_so_many_views_and_no_more_and_a_view_is_the_same_in_any_company(plain, inputs):
    run = run_of(replace(plain, views=replace(PER_ROW, padding=2)), inputs)
    row = int(run.rows_N[5])
    views = {
        run.look.numbered(np.array([row]), np.array([n])).numpy().tobytes() for n in (0, 1, 2, 0, 1)
    }
    assert len(views) == 3
    company = run.look.numbered(np.array([*run.rows_N[:3], row]), np.array([2, 0, 1, 1]))
    assert company[3:].equal(run.look.numbered(np.array([row]), np.array([1])))
    assert set(np.concatenate([run.look.numbers(16, step) for step in range(12)])) == {0, 1, 2}


def test_a_second_view_is_never_the_first_one_again(plain, inputs):
    run = run_of(replace(plain, views=PER_ROW, implicit=NTXent()), inputs)
    for step in range(5):
        assert not (run.look.numbers(16, step) == run.look.numbers(16, step, "second views")).any()


def test_the_teacher_is_asked_once_for_each_group_of_rows_and_view(plain, inputs):
    run = run_of(replace(plain, views=PER_ROW), inputs)
    asked: list[int] = []
    ask = run.per_view.ask
    run.per_view.ask = lambda images: asked.append(len(images)) or ask(images)
    run.advance(12)
    groups = -(-len(run.rows_N) // TOGETHER)
    assert 0 < len(asked) <= 3 * groups and sum(asked) <= 3 * len(run.rows_N)
    before = len(asked)
    for step in range(12):
        answered(run, step)
    assert len(asked) == before


def test_an_answer_does_not_depend_on_what_was_asked_before(plain, inputs):
    forwards, backwards = (run_of(replace(plain, views=PER_ROW), inputs) for _ in range(2))
    one = [answered(forwards, step) for step in range(6)]
    other = [answered(backwards, step) for step in reversed(range(6))]
    assert all(a.equal(b) for a, b in zip(one, reversed(other), strict=True))


@pytest.mark.parametrize("views", [LIVE, PER_ROW, RandAugment(per_row=2)], ids=str)
def test_a_resumed_run_is_the_uninterrupted_one(plain, inputs, views):
    assert resumed_is_uninterrupted(replace(plain, views=views), inputs, stops=(5,))


def test_another_block_draws_other_views(plain, inputs):
    one, other = (run_of(replace(plain, views=PER_ROW), inputs, seed) for seed in (0, 1))
    rows_B = one.batch(0)
    assert not one.look.of(rows_B, 0).equal(other.look.of(rows_B, 0))


# ---- what networks draw


@dataclass(frozen=True, kw_only=True)
class Forgetful(BaseNetwork):
    """A user's own network with dropout."""

    version: ClassVar[int] = 1

    def build(self, classes: int, channels: int) -> nn.Module:
        return nn.Sequential(
            nn.Flatten(), nn.Linear(256, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, classes)
        )


def test_dropout_is_drawn_from_the_block_and_the_step(plain, inputs):
    experiment = replace(plain, student=Forgetful())
    before = torch.random.get_rng_state()
    whole, parts = run_of(experiment, inputs), run_of(experiment, inputs)
    whole.advance(6)
    torch.manual_seed(1)
    parts.advance(3)
    resumed = run_of(experiment, inputs)
    resumed.restore(parts.state())
    torch.manual_seed(2)
    resumed.advance(6)
    mine, others = state(whole), state(resumed)
    assert all(mine[name].equal(others[name]) for name in mine)
    torch.random.set_rng_state(before)


def test_networks_without_stages_serve_all_losses_but_those_on_maps(plain, inputs):
    run_of(replace(plain, student=Forgetful(), views=CROP, implicit=NTXent()), inputs).advance(2)
    with pytest.raises(ValueError, match=r"but Forgetful names none: give it `stages`"):
        run_of(replace(plain, student=Forgetful(), explicit=AttentionTransfer()), inputs)
    nameless = TeacherFile(path="", network=Forgetful()).network
    with pytest.raises(ValueError, match=r"but Forgetful names none: give it `stages`"):
        run_of(
            replace(plain, student=SmallResNet(width=8), explicit=AttentionTransfer()),
            replace(inputs, teacher=replace(inputs.teacher, network=nameless)),
        )
