"""Values: how a frozen dataclass becomes readable parameters and an identity.

A *piece* (a selection rule, a loss, a network, a task, ...) is a frozen, keyword-only dataclass:
its fields are its configuration, and its class attribute `version` is raised when its mathematics
changes. Two functions read pieces: `spec` for identity (what is hashed into a cell's key) and
`flat` for people (MLflow's params, tables).
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any, Self, TypeAlias, cast

Scalar: TypeAlias = bool | int | float | str
Json: TypeAlias = "Scalar | list[Json] | dict[str, Json] | None"
# types of fields whose whole numbers are floats as well
FLOATS = ("float", float, "float | None", float | None)


class Piece:
    """What a piece may inherit: `example`, by which lists, tables and tests of pieces know it."""

    @classmethod
    def example(cls) -> Self:
        """Return an instance with likely values: all defaults, unless the class says otherwise."""
        return cls()


def later(default: Any) -> Any:
    """Return a field that is added after cells exist, and is no identity while it is `default`.

    So no finished cell goes stale. The value that is left out stays what it was when the field was
    introduced, even if the default changes one day: write
    `field(default=new, metadata={"left_out_at": old})` then.
    """
    return dataclasses.field(default=default, metadata={"left_out_at": default})


def location(**kwargs: Any) -> Any:
    """Return a field that says where something lies; the digest of what lies there is identity."""
    return dataclasses.field(metadata={"location": True}, **kwargs)


def location_fields(piece: object) -> set[str]:
    """Return the fields of a piece that say where something lies; none for what is no piece."""
    if not is_piece(piece):
        return set()
    return {f.name for f in dataclasses.fields(cast(Any, piece)) if f.metadata.get("location")}


def location_of(piece: Any) -> str:
    """Return where a piece reads from, "" for nowhere: two places are two sources of data.

    A piece that holds others in a tuple, such as a mixture of pools, reads from where they do.
    """
    values = [getattr(piece, f.name) for f in dataclasses.fields(piece)]
    places = [getattr(piece, name) for name in sorted(location_fields(piece))]
    held = [value for value in values if isinstance(value, tuple) and all(map(is_piece, value))]
    return "\n".join([*places, *(location_of(part) for parts in held for part in parts)])


def limit(default: Any) -> Any:
    """Return a field that only stops a run where something is beyond it: it is no identity."""
    return dataclasses.field(default=default, metadata={"limit": True})


def name_of(piece: object) -> str:
    """Return "pooled_features" for a PooledFeatures; a user's own class keeps its module."""
    return name_of_kind(type(piece))


def name_of_kind(kind: type[Any]) -> str:
    """Return what pieces of this class are called, such as "my_project.losses.Mine"."""
    if kind.__module__.split(".")[0] != "dfkd":
        return f"{kind.__module__}.{kind.__qualname__}"
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", kind.__name__).lower()


def is_piece(value: object) -> bool:
    """Return whether a value is an instance of a dataclass."""
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def own_pieces(piece: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the pieces whose classes are not ours, each with the name of the field that holds it.

    They are looked for at any depth, and `piece` itself is one of them if it is not ours.
    """
    if not is_piece(piece):
        return
    if type(piece).__module__.split(".")[0] != "dfkd":
        yield name, piece
    for field in dataclasses.fields(piece):
        value = getattr(piece, field.name)
        for part in value if isinstance(value, tuple) else (value,):
            yield from own_pieces(part, field.name)


def spec(piece: Any) -> dict[str, Json]:
    """Return what a piece computes, as JSON: name, version and fields, the input of identities.

    Raises TypeError for what is no piece, and for a field that is neither a scalar, None, a tuple
    nor a piece.
    """
    if not is_piece(piece):  # it would have no identity: two configurations of it would be one cell
        raise TypeError(
            f"a part of an experiment must be an instance of a frozen dataclass, but got {piece!r}"
        )
    result: dict[str, Json] = {"piece": name_of(piece), "version": getattr(piece, "version", 1)}
    for field in dataclasses.fields(piece):
        value = getattr(piece, field.name)
        left_out = "left_out_at" in field.metadata and value == field.metadata["left_out_at"]
        if not left_out and not field.metadata.keys() & {"location", "limit"}:
            result[field.name] = _json(value, field)
    return result


def _plain(value: Any) -> Any:
    """Return a scalar of NumPy's or PyTorch's as one of Python's, and all else as it is."""
    return value.item() if getattr(value, "shape", None) == () else value


def _json(value: Any, field: dataclasses.Field[Any]) -> Json:
    value = _plain(value)
    if is_piece(value):
        return spec(value)
    if isinstance(value, tuple):
        return [_json(item, field) for item in value]
    if field.type in FLOATS and isinstance(value, int | float):
        return float(value)  # weight=1 and weight=1.0 are one experiment
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(
        f"the field {field.name} must hold a scalar, None, a tuple or a piece, but got {value!r}"
    )


def flat(piece: Any, prefix: str) -> dict[str, Scalar]:
    """Return a piece as parameters, such as {"selection": "balanced", "selection.ratio": 0.2}."""
    if piece is None:
        return {prefix: "none"}
    result: dict[str, Scalar] = {prefix: name_of(piece)}
    for field in dataclasses.fields(piece):
        value = _plain(getattr(piece, field.name))
        name = f"{prefix}.{field.name}"
        if is_piece(value):
            result |= flat(value, name)
        elif isinstance(value, tuple) and value and all(map(is_piece, value)):  # a mixture's pools
            for index, part in enumerate(value):
                result |= flat(part, f"{name}.{index}")
        elif isinstance(value, bool | int | float | str):
            result[name] = float(value) if field.type in FLOATS else value
        else:
            result[name] = "none" if value is None else str(value)
    return result


def digest(value: Json, length: int = 20) -> str:
    """Return the SHA-256 of canonical JSON, the first `length` hexadecimal digits of it."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:length]
