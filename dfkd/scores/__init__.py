"""The teacher's answer to every row of a pool: scored once, stored, mapped into memory."""

from dfkd.scores.scorer import Scorer, score_images
from dfkd.scores.scores import (
    Columns,
    Scores,
    Summary,
    missing_shards,
    read_scores,
    score_path,
    score_shard,
    scores_of,
    write_scores,
)

__all__ = [
    "Columns",
    "Scorer",
    "Scores",
    "Summary",
    "missing_shards",
    "read_scores",
    "score_images",
    "score_path",
    "score_shard",
    "scores_of",
    "write_scores",
]
