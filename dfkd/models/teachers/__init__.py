"""Teachers: trained here, read from a file, or the user's own network. Found again by content."""

from dfkd.models.teachers.supervised import SupervisedTeacher
from dfkd.models.teachers.teacher import Teacher, TrainedNetwork, accuracy, predict, weights_digest
from dfkd.models.teachers.teacher_file import TeacherFile

TEACHERS: tuple[type[Teacher], ...] = (SupervisedTeacher, TeacherFile)

__all__ = [
    "TEACHERS",
    "SupervisedTeacher",
    "Teacher",
    "TeacherFile",
    "TrainedNetwork",
    "accuracy",
    "predict",
    "weights_digest",
]
