"""Teachers: trained here, from a file, torchvision's, or the user's own network in memory.

Each is found again by its content.
"""

from dfkd.models.teachers.module_teacher import ModuleTeacher
from dfkd.models.teachers.supervised import SupervisedTeacher
from dfkd.models.teachers.teacher import (
    BaseTeacher,
    Teacher,
    TrainedNetwork,
    accuracy,
    answers,
    predict,
    weights_digest,
)
from dfkd.models.teachers.teacher_file import TeacherFile
from dfkd.models.teachers.torchvision_weights import TorchvisionWeights

TEACHERS: tuple[type[Teacher], ...] = (
    SupervisedTeacher,
    TeacherFile,
    TorchvisionWeights,
    ModuleTeacher,
)

__all__ = [
    "TEACHERS",
    "BaseTeacher",
    "ModuleTeacher",
    "SupervisedTeacher",
    "Teacher",
    "TeacherFile",
    "TorchvisionWeights",
    "TrainedNetwork",
    "accuracy",
    "answers",
    "predict",
    "weights_digest",
]
