"""Contracts of a user's own pieces, checked before anything is computed with them."""

import inspect
from dataclasses import fields
from typing import Any

from dfkd.data.images.transforms import BaseView, View
from dfkd.data.pools import Pool
from dfkd.data.pools.pool import BasePool
from dfkd.data.tasks import Task
from dfkd.data.tasks.task import BaseTask
from dfkd.identity import digest, is_piece, name_of, own_pieces, spec
from dfkd.method.dropping import BaseDropping, Dropping
from dfkd.method.finishing import Finishing
from dfkd.method.losses import AnswerLoss, BaseAnswerLoss, BaseLoss, Loss
from dfkd.method.sampling import Sampling
from dfkd.method.selection import BaseSelection, Selection
from dfkd.models.networks import Network
from dfkd.models.networks.network import BaseNetwork
from dfkd.models.teachers import Teacher
from dfkd.models.teachers.teacher import BaseTeacher

PROTOCOLS: dict[str, type[Any]] = {  # by the name of the field that holds the piece
    "task": Task,
    "pool": Pool,
    "pools": Pool,
    "teacher": Teacher,
    "student": Network,
    "network": Network,
    "selection": Selection,
    "rule": Selection,
    "sampling": Sampling,
    "dropping": Dropping,
    "kd": AnswerLoss,
    "explicit": Loss,
    "implicit": Loss,
    "first": Loss,
    "second": Loss,
    "views": View,
    "finishing": Finishing,
}
BASES: dict[type[Any], type[Any]] = {  # the defaults of optional members
    Task: BaseTask,
    Pool: BasePool,
    Teacher: BaseTeacher,
    Network: BaseNetwork,
    Selection: BaseSelection,
    Dropping: BaseDropping,
    AnswerLoss: BaseAnswerLoss,
    Loss: BaseLoss,
    View: BaseView,
}
# given the defaults without inheriting them
COMPLETED = (Selection, Dropping, AnswerLoss, Loss, View)
NOT_NEEDED = {"example"}  # of a piece that no list of ours has


def check_pieces(experiment: Any) -> None:
    """Raise ValueError with one line for an own piece that cannot work, with what to write."""
    for field in fields(experiment):
        value = getattr(experiment, field.name)
        if isinstance(value, type):
            raise ValueError(f"{field.name} must be an instance: write {value.__name__}(...)")
        if value is None:
            continue
        if not is_piece(value):
            raise ValueError(_unfrozen(name_of(value)))
        _check_fields(name_of(value), value)
    for name, piece in own_pieces(experiment):
        if piece is not experiment:
            _check(piece, PROTOCOLS.get(name))


def _unfrozen(name: str) -> str:
    return (
        f"{name} is no frozen dataclass, so that its fields cannot tell its results apart: write "
        "`@dataclass(frozen=True, kw_only=True)` above the class"
    )


def _check(piece: Any, protocol: type[Any] | None) -> None:
    kind, name = type(piece), name_of(piece)
    if not kind.__dataclass_params__.frozen:
        raise ValueError(_unfrozen(name))
    if type(getattr(kind, "version", None)) is not int:
        raise ValueError(
            f"{name} has no integer `version`: write `version: ClassVar[int] = 1` in the class, "
            "and raise it when its code begins to compute something else"
        )
    _check_fields(name, piece)
    if protocol is not None:
        _check_members(name, piece, protocol)


def _check_fields(name: str, piece: Any) -> None:
    """Raise ValueError where a field's value is no part of an identity, such as a list or a NaN."""
    try:
        digest(spec(piece))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} cannot be told apart by its fields ({error}): let each hold a finite number, "
            "a text, True, False, None, a tuple of such or another piece"
        ) from error


def _check_members(name: str, piece: Any, protocol: type[Any]) -> None:
    base = BASES.get(protocol, object)
    missing = {m: said for m, said in _members(protocol).items() if not hasattr(piece, m)}
    for member, declaration in missing.items():
        if member not in dir(base):
            raise ValueError(
                f"{name} has no `{member}`: write `{declaration}` in the class, as "
                f"{protocol.__name__} in {protocol.__module__} describes it"
            )
    if missing and protocol not in COMPLETED:
        raise ValueError(
            f"{name} has no {', '.join(f'`{m}`' for m in missing)}: inherit {base.__name__} of "
            f"{base.__module__}, which has defaults"
        )


def _members(protocol: type[Any]) -> dict[str, str]:
    """Return a protocol's members by name, as they are declared: `ramp: float`, `def keep(...)`."""
    found: dict[str, str] = {}
    for base in reversed(protocol.__mro__[:-1]):
        for name, value in (inspect.get_annotations(base) | dict(vars(base))).items():
            if (name == "__call__" or not name.startswith("_")) and name not in NOT_NEEDED:
                found[name] = _declaration(name, value)
    return found


def _declaration(name: str, value: Any) -> str:
    if inspect.isfunction(value):
        return f"def {name}{inspect.signature(value)}".replace("'", "")
    if isinstance(value, property):
        value = inspect.get_annotations(value.fget)["return"]  # type: ignore[arg-type]
    return f"{name}: {inspect.formatannotation(value)}".replace("'", "")
