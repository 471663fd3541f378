"""A scored pool in the terminal: how many rows of each pseudo-class, and how sure the teacher is of them."""

from __future__ import annotations

from pathlib import Path

from dfkd.console import Console
from dfkd.scores import read_scores, score_path
from dfkd.sources import Source

LEVELS = (0.5, 0.9, 0.99)  # of the teacher's confidence


def show(source: Source, storage: Path, console: Console) -> None:
    paths = [score_path(storage, source.teacher.digest, shard, source.task) for shard in source.pool.shards]
    scores = read_scores(paths)
    rows = []
    for label in range(scores.classes):
        confidence_N = scores.confidence_N[scores.pseudo_label_N == label]
        sure = [f"{100 * (confidence_N >= level).sum() / max(len(confidence_N), 1):.0f} %" for level in LEVELS]
        rows.append([str(label), str(len(confidence_N)), *sure])
    header = ["class", "rows", *(f"conf >= {level}" for level in LEVELS)]
    console.table(f"Pool of {len(scores)} rows by pseudo-class", header, rows)
    console.line(f"written to {paths[0].parent}")
