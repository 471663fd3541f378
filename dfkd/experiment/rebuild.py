"""Experiments from flat parameters: any run again, from what ledger, MLflow or report say of it.

`experiment(e.params())` is `e`, also when every value has become text on the way. Only our own
classes are found by name; a user's class must lie in a module that the user names, so that no
tracking server chooses what is imported.
"""

import ast
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, replace
from importlib import import_module
from inspect import formatannotation
from typing import Any

from dfkd.experiment import Experiment, Schedule
from dfkd.experiment.families import FAMILIES
from dfkd.identity import Scalar, name_of_kind
from dfkd.reporting.nearest import nearest

LOSSES = (*FAMILIES["explicit"], *FAMILIES["implicit"])
KINDS = FAMILIES | {  # by the name of the field that holds the piece
    "student": FAMILIES["network"],
    "rule": FAMILIES["selection"],
    **dict.fromkeys(("explicit", "implicit", "first", "second"), LOSSES),
}
ALL_KINDS = tuple({kind: None for kinds in KINDS.values() for kind in kinds})
SCALARS: dict[str, Callable[[str], Any]] = {"int": int, "float": float, "str": str}


def experiment(
    params: Mapping[str, Scalar],
    changes: Mapping[str, str] | None = None,
    modules: Iterable[str] = (),
) -> Experiment:
    """Return the experiment with these parameters, `changes` in the place of some of them.

    A piece of another kind takes over what it has in common with the one it replaces. ValueError
    for a name or a value that does not fit, with the nearest ones.
    """
    changes = changes or {}
    reader = _Reader({n: str(v) for n, v in params.items()}, dict(changes), tuple(modules))
    parts = {
        field.name: reader.part(field.name, field)
        for field in fields(Experiment)
        if field.name != "schedule"
    }
    result = Experiment(**parts, schedule=reader.build(Schedule, "schedule"))
    reader.check_all_used()
    return result


def piece(params: Mapping[str, Scalar], name: str, modules: Iterable[str] = ()) -> Any:
    """Return one piece from its parameters alone, the reverse of `flat(piece, name)`."""
    return _Reader({n: str(v) for n, v in params.items()}, {}, tuple(modules)).part(name)


def changed(e: Experiment, changes: Mapping[str, str], modules: Iterable[str] = ()) -> Experiment:
    """Return `e` with some parameters changed; the modules of its own classes need no naming."""
    if not changes:
        return e
    result = experiment(e.params(), changes, {*modules, *modules_of(e.params())})
    same = {
        f.name: getattr(e, f.name)
        for f in fields(e)
        if getattr(e, f.name) == getattr(result, f.name)
    }
    # a part may hold more than its parameters say, such as a user's module
    return replace(result, **same)


def modules_of(params: Mapping[str, Scalar]) -> list[str]:
    """Return the modules of the user's own classes among these parameters."""
    parts = {name: name.split(".")[-1] for name in params}
    kinds = [str(params[name]) for name, part in parts.items() if part in KINDS or part.isdecimal()]
    return sorted({kind.rpartition(".")[0] for kind in kinds if "." in kind})


def module_options(params: Mapping[str, Scalar]) -> str:
    """Return the options by which commands are given the modules of these classes."""
    return "".join(f" --module {module}" for module in modules_of(params))


@dataclass
class _Reader:
    """Reads parameters by name and remembers which were asked for."""

    params: dict[str, str]
    changes: dict[str, str]
    modules: tuple[str, ...]

    def __post_init__(self) -> None:
        self.asked: list[str] = []
        # pieces whose kind was changed: what they leave over is forgotten
        self.replaced: list[str] = []

    def text(self, name: str) -> str | None:
        self.asked.append(name)
        return self.changes.get(name, self.params.get(name))

    def part(self, name: str, field: Field[Any] | None = None) -> Any:
        """Return the piece at this name, or None.

        field: of an experiment; the run may be older than it.
        """
        kind = self.text(name)
        if kind is None and field is not None and "left_out_at" in field.metadata:
            return field.metadata["left_out_at"]
        if kind is None:
            raise ValueError(
                f"the parameters do not say what {name} is: {nearest(name, self.params, most=3)}"
            )
        if kind != self.params.get(name):
            self.replaced.append(name)
        return None if kind == "none" else self.build(self._class(name, kind), name)

    def _class(self, name: str, kind: str) -> type[Any]:
        ours = {name_of_kind(found): found for found in KINDS.get(name.split(".")[-1], ALL_KINDS)}
        if kind in ours:
            return ours[kind]
        if "." in kind:
            return self._users_class(name, kind)
        raise ValueError(f"{name} has no kind {kind!r}: {nearest(kind, ours, most=3)}")

    def _users_class(self, name: str, kind: str) -> type[Any]:
        module, _, attribute = kind.rpartition(".")
        if module not in self.modules:
            raise ValueError(
                f"{name} is {kind}, a class of your own: name its module with --module {module}"
            )
        try:
            found = getattr(import_module(module), attribute, None)
        except ModuleNotFoundError as error:
            raise ValueError(
                f"{name} is {kind}, but there is no module {error.name} here"
            ) from error
        if not isinstance(found, type):
            raise ValueError(f"{name} is {kind}, but the module {module} has no class {attribute}")
        return found

    def build(self, kind: type[Any], prefix: str) -> Any:
        """Return a piece of this class from the parameters below `prefix`."""
        given = {
            field.name: self._field(field, f"{prefix}.{field.name}")
            for field in fields(kind)
            if field.init
        }
        given |= dict.fromkeys(self._displaced(kind, prefix))
        return kind(**{name: value for name, value in given.items() if value is not MISSING})

    def _displaced(self, kind: type[Any], prefix: str) -> list[str]:
        """Return the fields that a changed one replaces, being its alternatives (`either`)."""
        fields = {name: f"{prefix}.{name}" for name in getattr(kind, "either", ())}
        if all(self.changes.get(full, "none") == "none" for full in fields.values()):
            return []
        return [name for name, full in fields.items() if full not in self.changes]

    def _field(self, field: Field[Any], name: str) -> Any:
        scalar = _scalar(field)
        if scalar is None and (field.name in KINDS or name in self.params):
            return self.part(name)
        if f"{name}.0" in {*self.params, *self.changes}:
            return self._parts(name)
        text = self.text(name)
        if text is not None:
            return _parsed(text, scalar or [str(field.type)], name)
        if "left_out_at" in field.metadata:  # the run is older than the field
            return field.metadata["left_out_at"]
        if field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(
                f"the parameters do not say what {name} is: set it with --set {name}=..."
            )
        return MISSING

    def _parts(self, name: str) -> tuple[Any, ...]:
        """Return the pieces of a tuple, which are called name.0, name.1, ..."""
        known = {*self.params, *self.changes}
        count = next(index for index in itertools.count() if f"{name}.{index}" not in known)
        return tuple(self.part(f"{name}.{index}") for index in range(count))

    def check_all_used(self) -> None:
        """Raise ValueError for a change of nothing, or a parameter that nobody knows."""
        for name in self.changes:
            if name not in self.asked:
                raise ValueError(
                    f"there is no parameter {name!r}: {nearest(name, self.asked, most=3)}"
                )
        for name in self.params.keys() - set(self.asked):
            if not any(name.startswith(f"{piece}.") for piece in self.replaced):
                raise ValueError(
                    f"the run has a parameter {name!r} that this version does not know"
                )


def _scalar(field: Field[Any]) -> list[str] | None:
    """Return the types of a field that holds no piece, None for one that does."""
    said = field.type if isinstance(field.type, str) else formatannotation(field.type)
    types = [part.strip() for part in said.split("|")]
    scalars = (*SCALARS, "bool", "None")
    return types if all(part in scalars or part.startswith("tuple") for part in types) else None


def _parsed(text: str, types: list[str], name: str) -> Any:
    if text == "none" and "None" in types:
        return None
    if "bool" in types and text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in types:
        try:
            if kind in SCALARS:
                return SCALARS[kind](text)
            if kind.startswith("tuple"):
                value = ast.literal_eval(text)  # of one channel also without a comma: 0.3
                return tuple(value) if isinstance(value, tuple | list) else (value,)
        except (ValueError, SyntaxError, TypeError):
            continue
    raise ValueError(f"{name} must be {' or '.join(types)}, but got {text!r}")


def parse_changes(settings: Iterable[str]) -> dict[str, str]:
    """Return changes by name from `name=value`. Raises ValueError for any other form."""
    changes = dict[str, str]()
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not (name and equals and value):
            raise ValueError(
                f"--set takes name=value, as in --set selection.ratio=0.3, but got {setting!r}"
            )
        name, value = name.strip(), value.strip()
        if changes.setdefault(name, value) != value:
            raise ValueError(
                f"--set gives {name} twice, {changes[name]} and {value}: leave one out"
            )
    return changes
