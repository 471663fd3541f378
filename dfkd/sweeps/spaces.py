"""Search spaces as people write them: pieces and tuples as choices, parameters that are fixed."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, TypeVar, cast

import numpy as np

from dfkd.identity import Scalar
from dfkd.reporting.nearest import nearest

Piece = TypeVar("Piece")


def choose(trial: Any, name: str, options: Mapping[str, Piece]) -> Piece:
    """Return the piece that a trial suggests among `options`: names -> pieces, or None for none.

    The name is what is recorded and shown. Raises ValueError where the options have no such form.
    """
    named = isinstance(options, Mapping) and all(isinstance(option, str) for option in options)
    if not named or not options:
        raise ValueError(
            f"choose(trial, {name!r}, ...) takes names and pieces, as in "
            f'{{"rkd": RKD(weight=1.0), "none": None}}, but got {options!r}'
        )
    return options[str(trial.suggest_categorical(name, list(options)))]


class SpaceTrial:
    """A trial as a space sees it. Some parameters may be fixed: these are not asked for.

    A choice that Optuna cannot store, such as a tuple, stands as its text in all records. Errors
    name the parameter.
    """

    def __init__(self, trial: Any, fixed: Mapping[str, Scalar] = MappingProxyType({})) -> None:
        self._trial, self._fixed = trial, fixed
        self.asked: list[str] = []  # the names of all parameters so far, fixed ones included

    def suggest_float(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Return the fixed value, else the trial's."""
        return self._asked(name, self._trial.suggest_float, *args, **kwargs)

    def suggest_int(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Return the fixed value, else the trial's."""
        return self._asked(name, self._trial.suggest_int, *args, **kwargs)

    def suggest_uniform(self, name: str, low: float, high: float) -> Any:
        """Return what `suggest_float` does; so Optuna called it once."""
        return self.suggest_float(name, low, high)

    def suggest_loguniform(self, name: str, low: float, high: float) -> Any:
        """Return what `suggest_float` does on a log scale; so Optuna called it once."""
        return self.suggest_float(name, low, high, log=True)

    def suggest_discrete_uniform(self, name: str, low: float, high: float, q: float) -> Any:
        """Return what `suggest_float` does with a step; so Optuna called it once."""
        return self.suggest_float(name, low, high, step=q)

    def suggest_categorical(self, name: str, choices: Iterable[Any]) -> Any:
        """Return the fixed choice, else the trial's. Raises ValueError for pieces as choices."""
        values = [value.item() if isinstance(value, np.generic) else value for value in choices]
        labels = [_label(name, value) for value in values]
        twice = [label for label, count in Counter(map(repr, labels)).items() if count > 1]
        if twice:
            raise ValueError(f"the parameter {name!r} of the space has a choice twice: {twice[0]}")
        texts = {label: v for label, v in zip(labels, values, strict=True) if not _is_scalar(v)}
        asked = self._asked(name, self._trial.suggest_categorical, labels)
        if asked not in labels:  # a fixed one
            known = nearest(str(asked), map(str, labels))
            raise ValueError(f"the parameter {name!r} of the space has no {asked!r}: {known}")
        return texts.get(asked, asked)

    def _asked(self, name: str, suggest: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if not isinstance(name, str):
            raise ValueError(f"the name of a parameter of the space must be text, but got {name!r}")
        self.asked.append(name)
        if name in self._fixed:
            return self._fixed[name]
        try:
            _require_finite([*args, *kwargs.values()])
            return suggest(name, *args, **kwargs)
        except ValueError as error:
            raise ValueError(f"the parameter {name!r} of the space: {error}") from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trial, name)


def _require_finite(bounds: Iterable[object]) -> None:
    endless = [bound for bound in bounds if isinstance(bound, float) and not math.isfinite(bound)]
    if endless:
        raise ValueError(f"bounds must be finite, but got {endless[0]}")


def _is_scalar(value: object) -> bool:
    """Return whether JSON and a search have the value as it is: no member of an enum, no NaN."""
    if isinstance(value, Enum) or (isinstance(value, float) and not math.isfinite(value)):
        return False
    return value is None or isinstance(value, bool | int | float | str)


def _is_plain(value: object) -> bool:
    """Return whether the value is made of scalars only, so that its text says all of it."""
    if isinstance(value, tuple | list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(map(_is_plain, [*value, *value.values()]))
    return _is_scalar(value)


def _label(name: str, value: object) -> Scalar | None:
    """Return how a choice stands in records: itself, its name in an enum, or its text."""
    if _is_scalar(value):
        return cast("Scalar | None", value)
    if isinstance(value, Enum):
        return value.name
    if _is_plain(value) or isinstance(value, float):
        return repr(value)
    kind = value.__name__ if isinstance(value, type) else type(value).__name__
    raise ValueError(
        f"the parameter {name!r} of the space has a {kind} among its choices: give pieces a name, "
        f'with `from dfkd import choose`: choose(trial, {name!r}, {{"{kind.lower()}": ..., '
        '"none": None})'
    )
