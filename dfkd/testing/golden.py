"""Golden identities: what each piece's example hashes to, for ever, in one data file.

    python -m dfkd.testing.golden

writes the file of the checkout. What is new is added; a value that has changed is refused, because
all recorded cells that hold the piece would be orphans, unless it is named with --accept.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dfkd.experiment import Schedule
from dfkd.experiment.families import FAMILIES
from dfkd.identity import digest, name_of, spec

FILE = Path("tests/golden/identities.json")


def identities() -> dict[str, str]:
    """Return the identity of each piece's example, by "family.name"."""
    families: dict[str, tuple[Any, ...]] = {**FAMILIES, "schedule": (Schedule,)}
    examples = {family: [kind.example() for kind in kinds] for family, kinds in families.items()}
    return {
        f"{family}.{name_of(piece)}": digest(spec(piece))
        for family, pieces in examples.items()
        for piece in pieces
    }


def changed(known: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the names whose recorded identity is now another one, or that are gone."""
    return [name for name, value in known.items() if now.get(name) != value]


def update(file: Path, now: Mapping[str, str], accepted: Iterable[str] = ()) -> list[str]:
    """Write the file and return the names that were added.

    ValueError, and nothing written, where a recorded identity has changed that is not accepted.
    """
    known: dict[str, str] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    refused = [name for name in changed(known, now) if name not in set(accepted)]
    if refused:
        raise ValueError(
            f"{', '.join(refused)}: no longer the recorded identity, so all cells that hold it "
            "would be orphans. Give a new field its default with dfkd.identity.later; where the "
            f"numbers do change, raise `version` and repeat with --accept {' '.join(refused)}"
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
    return [name for name in now if name not in known]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; exit code 2 where an identity has changed."""
    parser = argparse.ArgumentParser(prog="python -m dfkd.testing.golden", description=__doc__)
    parser.add_argument("--accept", nargs="+", default=[], metavar="NAME", help="changes meant")
    parser.add_argument("--file", type=Path, default=FILE)
    given = parser.parse_args(arguments)
    try:
        added = update(given.file, identities(), given.accept)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{given.file}: {len(added)} added {' '.join(added)}".rstrip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
