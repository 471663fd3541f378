"""Defaults: every member that the loop asks a piece for, with what a class may leave out.

Each family has a Protocol, in which all members stand, and a small base class with the defaults of
the optional ones: `BaseSelection`, `BaseDropping`, `BaseLoss`, `BaseAnswerLoss`. A class inherits
the base or declares all; a user's class that does neither is given the defaults by `with_defaults`.
"""

import dataclasses
from typing import Any, TypeVar, cast

P = TypeVar("P")


def with_defaults(piece: P, base: type[Any]) -> P:
    """Return the piece where its class inherits `base`, else its equal that does.

    The equal has the same fields, the same name and so the same identity; it is made for the moment
    and never stored, since pickle would not find its class.
    """
    if isinstance(piece, base):
        return piece
    kind: type[Any] = type(piece)
    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    completed = type(kind.__name__, (kind, base), names)  # what it declares itself comes first
    whole: Any = object.__new__(completed)
    for field in dataclasses.fields(kind):
        object.__setattr__(whole, field.name, getattr(piece, field.name))
    return cast(P, whole)
