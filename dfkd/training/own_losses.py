"""A user's own losses and dropping are tried on noise before anything is spent on them.

B batch, K classes.
"""

import torch
from torch import Tensor

from dfkd.experiment import Cell, Experiment
from dfkd.identity import own_pieces
from dfkd.method.defaults import with_defaults
from dfkd.method.losses import BaseAnswerLoss, Outputs
from dfkd.models.networks import Tapped, stages_of
from dfkd.seeding import Block, drawing_from
from dfkd.training.objective import Objective, StepInputs
from dfkd.user_modules import users_code

BATCH = 4
TRIED = ("kd", "explicit", "implicit", "first", "second", "dropping")  # fields of experiments


def check_own_losses(experiment: Experiment) -> None:
    """Raise ValueError, with the user's file and line, where code of theirs fails in a step.

    Teacher and student have random weights, the images are noise. Only experiments that hold such a
    class of the user's are tried: it takes as long as building both networks.
    """
    if not any(name in TRIED for name, _ in own_pieces(experiment)):
        return
    with users_code(), drawing_from(0, "cpu"):
        height, width, channels = experiment.task.image_shape
        images_BCHW = torch.randn(BATCH, channels, height, width)
        teacher = _answers(experiment, images_BCHW)
        objective = Objective(
            Cell(experiment=experiment, block=Block(seed=0)),
            teacher_width=teacher.features_BD.shape[1],
            rows=BATCH,
            teacher_accuracy=0.9,
            teacher_maps=tuple((m.shape[1], m.shape[2], m.shape[3]) for m in teacher.maps),
        )
        two = "second_view" in experiment.needs()
        views = (images_BCHW, images_BCHW.flip(3)) if two else (images_BCHW,)
        given = StepInputs(views, teacher, _kept(experiment, teacher), objective.weights(0.0))
        student = objective.look(views)
        for name in ("kd", *objective.losses):
            called = objective.called(name)
            with users_code(called=called):
                term = objective.term(name, student, given)
            objective.check(name, term)
            if not term.requires_grad:
                raise ValueError(
                    f"{called} gave a loss from which nothing can be learned: compute it from the "
                    "student's outputs, without .detach() or .item()"
                )
            with users_code(called=called):
                term.backward(retain_graph=True)


def _answers(experiment: Experiment, images_BCHW: Tensor) -> Outputs:
    network = experiment.teacher.network
    stages = stages_of(network) if "maps" in experiment.needs() else ()
    module = network.build(experiment.task.classes, images_BCHW.shape[1])
    with torch.no_grad():
        logits_BK, features_BD, *maps = Tapped(module, stages).eval()(images_BCHW)
    return Outputs(logits_BK, features_BD, tuple(maps), rows_B=torch.arange(BATCH), seed=0)


def _kept(experiment: Experiment, teacher: Outputs) -> Tensor | None:
    if experiment.dropping is None:
        return None
    temperature = with_defaults(experiment.kd, BaseAnswerLoss).temperature
    return experiment.dropping.keep(teacher.logits_BK, torch.Generator(), temperature)
