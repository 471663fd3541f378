"""What a command has to say as one JSON document, for scripts and agents: `--json`.

`output.schema.json` beside this file says what is in it; its `version` is raised when something is
removed or changes its meaning. Accuracies and differences are fractions, times are seconds, and a
number that does not exist is null.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

VERSION = 1
SCHEMA = "output.schema.json"
DONE, FAILED = "done", "failed"


@dataclass
class Document:
    """What a command gathers while it works.

    result: by kind, such as "studies". written: paths of files and folders. notes: lines that a
    reader has to know.
    """

    storage: str | None = None
    result: dict[str, Any] = field(default_factory=dict)
    written: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, kind: str, value: Any) -> None:
        """Add one of several things of a kind, such as a study to "studies"."""
        self.result.setdefault(kind, []).append(as_json(value))

    def put(self, kind: str, value: Any) -> None:
        """Say the one thing of a kind, such as the "forecast"."""
        self.result[kind] = as_json(value)

    def wrote(self, *paths: object) -> None:
        """Add paths to what was written, each once."""
        self.written += [str(path) for path in paths if str(path) not in self.written]

    def text(self, command: str, code: int = 0, message: str = "") -> str:
        """Return the document. code: the exit code; message: the line of error, where not 0."""
        document = {
            "version": VERSION,
            "command": command,
            "status": FAILED if code else DONE,
            "storage": self.storage,
            "result": self.result,
            "written": self.written,
            "notes": self.notes,
            "error": {"code": code, "message": message} if code else None,
        }
        return json.dumps(document, indent=1) + "\n"


def schema() -> dict[str, Any]:
    """Return the JSON Schema of these documents."""
    text = files("dfkd.reporting").joinpath(SCHEMA).read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def as_json(value: Any) -> Any:
    """Return a value as JSON has it: NaN and infinity as null, arrays as lists, paths as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return as_json({f.name: getattr(value, f.name) for f in dataclasses.fields(value)})
    if isinstance(value, Mapping):
        return {str(name): as_json(inside) for name, inside in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json(inside) for inside in value]
    if hasattr(value, "tolist"):  # a number or an array of NumPy's
        return as_json(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)
