"""The user's own pieces in an experiment: found, and checked before anything is computed."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from dfkd.data.images.transforms import View
from dfkd.data.pools import Pool
from dfkd.data.tasks import Task
from dfkd.identity import is_piece, name_of
from dfkd.method.dropping import BaseDropping, Dropping
from dfkd.method.losses import AnswerLoss, BaseAnswerLoss, BaseLoss, Loss
from dfkd.method.selection import BaseSelection, Selection
from dfkd.models.networks import Network
from dfkd.models.teachers import Teacher

PROTOCOLS: dict[str, type[Any]] = {  # by the name of the field that holds the piece
    "task": Task,
    "pool": Pool,
    "pools": Pool,
    "teacher": Teacher,
    "student": Network,
    "network": Network,
    "selection": Selection,
    "rule": Selection,
    "dropping": Dropping,
    "kd": AnswerLoss,
    "explicit": Loss,
    "implicit": Loss,
    "first": Loss,
    "second": Loss,
    "views": View,
}
DEFAULTS: dict[type[Any], type[Any]] = {  # what a class of the user's is given if it lacks it
    Selection: BaseSelection,
    Dropping: BaseDropping,
    AnswerLoss: BaseAnswerLoss,
    Loss: BaseLoss,
}
NOT_NEEDED = {"example"}  # of a piece that no list of ours has


def own_pieces(whole: Any) -> Iterator[tuple[str, Any]]:
    """Yield each piece whose class is not ours, at any depth, with the name of its field."""
    for field in fields(whole):
        value = getattr(whole, field.name)
        for part in value if isinstance(value, tuple) else (value,):
            if is_piece(part):
                if type(part).__module__.split(".")[0] != "dfkd":
                    yield field.name, part
                yield from own_pieces(part)


def check_pieces(experiment: Any) -> None:
    """Raise ValueError with one line for an own piece that cannot work, with what to write."""
    for field in fields(experiment):
        value = getattr(experiment, field.name)
        if isinstance(value, type):
            raise ValueError(f"{field.name} must be an instance: write {value.__name__}(...)")
        if value is not None and not is_piece(value):
            raise ValueError(_unfrozen(name_of(value)))
    for name, piece in own_pieces(experiment):
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
    if protocol is None:
        return
    given = dir(DEFAULTS.get(protocol, object))
    for member, declaration in _members(protocol).items():
        if not hasattr(piece, member) and member not in given:
            raise ValueError(
                f"{name} has no `{member}`: write `{declaration}` in the class, as "
                f"{protocol.__name__} in {protocol.__module__} describes it"
            )


def _members(protocol: type[Any]) -> dict[str, str]:
    """The members of a protocol, each as it is declared: `ramp: float`, `def keep(...) -> ...`."""
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
