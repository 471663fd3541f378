"""Losses: how far the student is from the teacher's answer, its features and its relations.

A loss is a frozen dataclass; `module` builds the `nn.Module` that computes it and holds what it
trains (a projector, say). No loss applies its own weight, blends another loss or reads a label:
`Objective` in dfkd/training/objective.py adds them up in one line.
"""

from dfkd.method.losses.both import Both
from dfkd.method.losses.contrast import CRD, NTXent, TeacherContrast
from dfkd.method.losses.explicit import AttentionTransfer, FitNet, PooledFeatures
from dfkd.method.losses.kd import DKD, KD, AnswerLoss, BaseAnswerLoss, StandardisedKD
from dfkd.method.losses.labels import OriginalLabels
from dfkd.method.losses.loss import BaseLoss, Loss, Outputs, Sizes, check_weight, needs_of
from dfkd.method.losses.relations import PKT, RKD, SP, Similarity
from dfkd.method.losses.review import ReviewKD
from dfkd.method.losses.shared_classifier import SharedClassifier
from dfkd.method.losses.view_agreement import ViewAgreement

KDS: tuple[type[AnswerLoss], ...] = (KD, DKD, StandardisedKD, OriginalLabels)
EXPLICIT: tuple[type[Loss], ...] = (
    PooledFeatures,
    FitNet,
    AttentionTransfer,
    ReviewKD,
    SharedClassifier,
    ViewAgreement,
)
IMPLICIT: tuple[type[Loss], ...] = (Similarity, RKD, SP, PKT, CRD, NTXent, TeacherContrast)
LOSSES: tuple[type[Loss], ...] = (*EXPLICIT, *IMPLICIT)

__all__ = [
    "CRD",
    "DKD",
    "EXPLICIT",
    "IMPLICIT",
    "KD",
    "KDS",
    "LOSSES",
    "PKT",
    "RKD",
    "SP",
    "AnswerLoss",
    "AttentionTransfer",
    "BaseAnswerLoss",
    "BaseLoss",
    "Both",
    "FitNet",
    "Loss",
    "NTXent",
    "OriginalLabels",
    "Outputs",
    "PooledFeatures",
    "ReviewKD",
    "SharedClassifier",
    "Similarity",
    "Sizes",
    "StandardisedKD",
    "TeacherContrast",
    "ViewAgreement",
    "check_weight",
    "needs_of",
]
