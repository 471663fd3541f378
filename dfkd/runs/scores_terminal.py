"""A scored pool in the terminal: how many rows of each pseudo-class, and how sure the teacher is of
them.
"""

from __future__ import annotations

from pathlib import Path

from dfkd.reporting.console import Console
from dfkd.runs.teaching import print_by_class, profile
from dfkd.scores import read_scores, score_path
from dfkd.training.inputs import InputSource


def print_scores(source: InputSource, storage: Path, console: Console) -> None:
    digest, cache = source.teacher.digest, source.cache
    paths = [score_path(storage, digest, shard, source.task, cache) for shard in source.pool.shards]
    scores = read_scores(paths)
    print_by_class(f"Pool of {len(scores)} rows by pseudo-class", scores, source.task, console)
    console.line(profile(scores))
    console.line(f"written to {paths[0].parent}")
