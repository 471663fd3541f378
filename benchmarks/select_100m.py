"""Selection from a score table of 100 million rows.

Seconds, memory, and whether the rows are the right ones.

    python benchmarks/select_100m.py [--rows 100000000] [--folder /tmp]

writes the columns as a pack has them (2.8 GB in all at 100 million; they are deleted afterwards),
lets every rule that reads single columns select a tenth of them in a Ray task, and prints a
Markdown table. Memory is the task's largest resident size (ru_maxrss), Python, libraries and the
mapped parts of the files included. Confidences, entropies and margins are rounded, so that
thousands of rows tie. With 5 million rows or fewer, each choice is
compared with an exact one: a stable sort of the whole table, rule by rule, written down here again.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray

# run from a checkout that is not installed
sys.path.append(str(Path(__file__).resolve().parents[1]))

from dfkd.execution.compute import Compute
from dfkd.execution.session import session
from dfkd.method.selection import (
    Balanced,
    Confident,
    Entropy,
    Hardest,
    Margin,
    Mixture,
    Random,
    Selection,
)
from dfkd.method.selection.mixture import clean_posterior
from dfkd.method.selection.selecting import select
from dfkd.scores import Scores
from dfkd.storage import open_storage
from dfkd.training.probe import probe_rows

SHARD, CLASSES, RATIO, SEED = 1_000_000, 1000, 0.1, 0
COMPARED = 5_000_000  # rows up to which a full sort is affordable
LIMIT = 6e9  # bytes
RULES: tuple[type, ...] = (Balanced, Confident, Entropy, Margin, Hardest, Mixture, Random)

Table = dict[str, NDArray[Any]]


def shard(index: int, rows: int) -> Table:
    """Frequent and rare pseudo-classes, sure and unsure rows; values on a grid of 2^-16."""
    rng = np.random.default_rng([SEED, index])
    label = np.minimum(rng.exponential(CLASSES / 5, rows), CLASSES - 1).astype(np.int64)
    confidence = np.where(
        rng.random(rows) < 0.4, rng.beta(20, 1.2, rows), rng.beta(2, 3, rows)
    ).clip(1 / CLASSES, 1)
    columns = {
        "confidence": confidence,
        "entropy": (1 - confidence) * rng.uniform(1, 6, rows),
        "margin": -np.log1p(-confidence.clip(0, 0.9999)) * rng.uniform(0.5, 1.5, rows),
    }
    grid = {
        name: (np.round(values * 2**16) / 2**16).astype(np.float32)
        for name, values in columns.items()
    }
    return {"row_id": np.arange(index * SHARD, index * SHARD + rows), "pseudo_label": label, **grid}


def write(folder: Path, rows: int) -> None:
    """Shard after shard, one file for each column."""
    for index in range(-(-rows // SHARD)):
        for name, values in shard(index, min(SHARD, rows - index * SHARD)).items():
            with (folder / name).open("ab") as file:
                values.tofile(file)


def table_of(folder: Path) -> Table:
    kinds = {"row_id": np.int64, "pseudo_label": np.int64}
    return {
        path.name: np.memmap(path, kinds.get(path.name, np.float32), "r")
        for path in folder.iterdir()
    }


@dataclass(frozen=True)
class Selected:
    rows: NDArray[np.int64]
    seconds: float
    peak_bytes: int


def selected(rule: Selection, folder: Path) -> Selected:
    """What a rule chooses of the table in this folder."""
    started = time.monotonic()
    columns = {f"{name}_N": values for name, values in table_of(folder).items()}
    rows = len(columns["row_id_N"])
    # a rule on columns reads no logits and no features
    nothing = np.broadcast_to(np.float32(0), (rows, CLASSES))
    chosen = select(
        rule, Scores(**columns, logits_NK=nothing, features_ND=nothing), probe_rows(rows), SEED
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB
    return Selected(chosen, time.monotonic() - started, peak)


@ray.remote(num_cpus=1, max_calls=1)  # a process of its own: its memory is measured
def selected_apart(rule: Selection, folder: Path) -> Selected:
    return selected(rule, folder)


def expected(rule: Selection, table: Table) -> NDArray[np.int64]:
    """The exact choice by stable sorts of the rows without the probe."""
    keep = np.ones(len(table["row_id"]), dtype=np.bool_)
    keep[probe_rows(len(keep))] = False
    others = np.flatnonzero(keep)
    part = {name: values[others] for name, values in table.items()}
    count = max(1, round(RATIO * len(others)))
    return np.sort(others[EXACT[type(rule)](part, count)])


def first(values: NDArray[Any], count: int) -> NDArray[np.int64]:
    return np.argsort(values, kind="stable")[:count]


def exact_balanced(table: Table, count: int) -> NDArray[np.int64]:
    label, confidence = table["pseudo_label"], table["confidence"].astype(np.float64)
    sizes, sums = (
        np.bincount(label, minlength=CLASSES),
        np.bincount(label, weights=confidence, minlength=CLASSES),
    )
    means = sums / np.maximum(sizes, 1)
    best = np.argsort(-confidence, kind="stable")
    by_class = best[np.argsort(label[best], kind="stable")]
    rank = np.empty(len(label), dtype=np.int64)
    rank[by_class] = np.arange(len(label)) - (np.cumsum(sizes) - sizes)[label[by_class]]
    in_quota = (rank < count // CLASSES) & (confidence >= (0.95 * means / means.max())[label])
    return np.lexsort((-confidence, ~in_quota))[:count]


def exact_mixture(table: Table, count: int) -> NDArray[np.int64]:
    posterior = clean_posterior(-np.log(table["confidence"].astype(np.float64)))
    clean = np.flatnonzero(posterior > 0.5)
    if len(clean) > count:
        return np.random.default_rng(SEED).choice(clean, count, replace=False)
    return np.lexsort((-table["confidence"], -posterior))[:count]


EXACT: dict[type, Callable[[Table, int], NDArray[np.int64]]] = {
    Balanced: exact_balanced,
    Confident: lambda table, count: first(-table["confidence"], count),
    Entropy: lambda table, count: first(table["entropy"], count),
    Margin: lambda table, count: first(-table["margin"], count),
    Hardest: lambda table, count: first(-table["entropy"], count),
    Mixture: exact_mixture,
    Random: lambda table, count: np.random.default_rng(SEED).choice(
        len(table["row_id"]), count, replace=False
    ),
}


def verdict(rule: Selection, found: Selected, table: Table | None) -> str:
    if table is None:
        return "not compared"
    return "equal" if np.array_equal(found.rows, expected(rule, table)) else "DIFFERENT"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--folder", type=Path, help="where the table is written for the time being")
    arguments = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder, started = Path(name) / "table", time.monotonic()
        folder.mkdir()
        write(folder, arguments.rows)
        size = sum(path.stat().st_size for path in folder.iterdir())
        print(
            f"{arguments.rows:,} rows, {size / 1e9:.2f} GB, written in "
            f"{time.monotonic() - started:.0f} s\n"
        )
        table = table_of(folder) if arguments.rows <= COMPARED else None
        print(
            "| rule | rows | seconds | memory, GB | against a full sort |\n|---|---|---|---|---|",
            flush=True,
        )
        with session(Compute(storage=open_storage(Path(name) / "storage"))):
            for kind in RULES:
                rule = kind(ratio=RATIO)
                found = ray.get(selected_apart.remote(rule, folder))
                result = verdict(rule, found, table)
                failed |= result == "DIFFERENT" or found.peak_bytes > LIMIT
                cost = f"{found.seconds:.1f} | {found.peak_bytes / 1e9:.2f}"
                print(f"| {kind.__name__} | {len(found.rows):,} | {cost} | {result} |", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
