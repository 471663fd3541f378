"""What a storage and its S3 server tell of the commands that ran: counted by others than they."""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from dfkd.storage import Storage, layout

PUT = re.compile(r'"PUT /([^"? ]*/cells/[^/]+/([\w.]+)) HTTP/1.1" 200 ')
FOR_GOOD = (layout.RECORD, layout.CURVE, layout.WEIGHTS)


def puts_of_cells(log: Path, below: str = "") -> str:
    """Say how often a server that logs its requests took each kind of file of each cell.

    A cell that is computed puts its curve and its weights, then its record. What was under way when
    its worker died has put none of them, or is put once more: that is said apart.
    """
    found = Counter(PUT.findall(log.read_text(errors="replace")))
    said = []
    for kind in FOR_GOOD:
        counts = [n for (key, name), n in found.items() if name == kind and below in key]
        said.append(f"{kind}: {len(counts)}, more than once: {sum(n > 1 for n in counts)}")
    return "; ".join(said)


def scratch(storage: Storage) -> list[str]:
    """Return what is left of work that has ended: checkpoints, errors, Ray's own scratch."""
    kinds = (layout.CHECKPOINT, layout.ERROR)
    rays = [f"{key}/" for key in (layout.TUNE_SCRATCH, layout.TRAIN_SCRATCH)]
    keys = [entry.key for entry in storage.walk(layout.ROOT)]
    return [str(key) for key in keys if key.name in kinds or str(key).startswith(tuple(rays))]


def tables(root: Path) -> dict[str, object]:
    """Return what a storage's studies and sweeps say, as JSON, but for places and seconds."""
    names = [f.name for kind in (layout.STUDIES, layout.SWEEPS) for f in _folders(root / kind)]
    found = {}
    for name in names:
        command = [sys.executable, "-m", "platform.compare", name, "--storage", str(root), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found[name] = json.loads(done.stdout, object_hook=_calm)["result"]
    return found


def _folders(place: Path) -> list[Path]:
    return sorted(place.iterdir()) if place.exists() else []


def _calm(facts: dict[str, object]) -> dict[str, object]:
    return {k: v for k, v in facts.items() if k not in ("seconds", "wrote")}
