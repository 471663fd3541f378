"""The teacher's answer to every row of a pool, computed once and found again by content.

N rows, K classes, D feature width. One Parquet file per pool shard lies under the digest of
(teacher, shard, task's preprocessing, scoring version), so whoever needs the same answer finds it,
and an interrupted scoring goes on where it stopped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dfkd.data.pools import PoolFiles, Shard
from dfkd.data.tasks import Task
from dfkd.identity import Json, digest, spec
from dfkd.scores.not_finite import check_finite
from dfkd.scores.scorer import BATCH, Scorer
from dfkd.scores.top_k import COLUMNS, TopK, TopLogits
from dfkd.storage import Storage, StoredFile, layout
from dfkd.storage.layout import Key
from dfkd.storage.storage import DAMAGED, Damaged

VERSION = 1  # raised when the numbers in a score file change their meaning


class Summary(Protocol):
    """Has one number per row for each column: what rules need that work on tables of any size.

    `Scores` is one, `Columns` another.
    """

    def __len__(self) -> int:
        """Return N."""

    @property
    def classes(self) -> int:
        """K, the number of the teacher's classes."""

    @property
    def pseudo_label_N(self) -> NDArray[Any]:
        """The most likely class."""

    @property
    def confidence_N(self) -> NDArray[np.float32]:
        """The largest probability."""

    @property
    def entropy_N(self) -> NDArray[np.float32]:
        """The entropy of the answer in nats."""

    @property
    def margin_N(self) -> NDArray[np.float32]:
        """The largest minus the second largest logit."""

    @property
    def bn_distance_N(self) -> NDArray[np.float32] | None:
        """How far activations are from the teacher's BatchNorm statistics; None: not computed."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Holds the teacher's clean answer to N rows, at temperature 1.

    Arrays may be read-only views of shared memory.
    logits_NK: an array, or what stands for one where only the largest of each row are kept; index
    it by rows.
    bn_distance_N: see bn_distance.py; in no score file, but computed for rules that ask for it.
    """

    row_id_N: NDArray[np.int64]
    pseudo_label_N: NDArray[np.int64]  # argmax
    confidence_N: NDArray[np.float32]  # largest probability
    entropy_N: NDArray[np.float32]  # in nats
    margin_N: NDArray[np.float32]  # largest minus second largest logit
    logits_NK: NDArray[np.float32] | TopLogits
    features_ND: NDArray[np.float32]  # pooled
    bn_distance_N: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.row_id_N)

    @property
    def classes(self) -> int:
        return int(self.logits_NK.shape[1])

    def take(self, rows: NDArray[np.int64]) -> Scores:
        """Return the scores at these positions, in that order."""
        return Scores.of(
            {name: values[rows] for name, values in self.columns().items()}, self.classes
        )

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return all arrays by name, as files hold them.

        Where only the largest logits are kept, their arrays stand in the place of the logits.
        """
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        if self.bn_distance_N is None:
            del plain["bn_distance_N"]
        if not isinstance(self.logits_NK, TopLogits):
            return plain
        del plain["logits_NK"]
        return plain | self.logits_NK.columns()

    @classmethod
    def of(cls, columns: dict[str, NDArray[Any]], classes: int) -> Scores:
        """Return the scores from what `columns` gave."""
        if "logits_NK" in columns:
            return cls(**columns)
        plain = {name: values for name, values in columns.items() if name not in COLUMNS}
        return cls(
            logits_NK=TopLogits(classes=classes, **{name: columns[name] for name in COLUMNS}),
            **plain,
        )


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Holds some columns of N rows, 4 bytes each, where logits and features fill the memory.

    arrays: by the columns' names in the files; asking for one that was not read is a KeyError.
    """

    rows: int
    classes: int
    arrays: dict[str, NDArray[Any]]

    def __len__(self) -> int:
        return self.rows

    @property
    def pseudo_label_N(self) -> NDArray[Any]:
        return self.arrays["pseudo_label"]

    @property
    def confidence_N(self) -> NDArray[np.float32]:
        return self.arrays["confidence"]

    @property
    def entropy_N(self) -> NDArray[np.float32]:
        return self.arrays["entropy"]

    @property
    def margin_N(self) -> NDArray[np.float32]:
        return self.arrays["margin"]

    @property
    def bn_distance_N(self) -> NDArray[np.float32] | None:
        return self.arrays.get("bn_distance")


def scores_of(
    row_id_N: NDArray[np.int64], logits_NK: NDArray[np.float32], features_ND: NDArray[np.float32]
) -> Scores:
    """Return the logits with the columns that follow from them, computed in float64.

    They are kept in float32. Raises NotFinite, a ValueError in one line with counts, where logits
    or features are NaN or infinite.
    """
    check_finite(row_id_N, logits_NK, features_ND)
    shifted_NK = logits_NK.astype(np.float64) - logits_NK.max(axis=1, keepdims=True)
    log_p_NK = shifted_NK - np.log(np.exp(shifted_NK).sum(axis=1, keepdims=True))
    top_two = np.partition(logits_NK, -2, axis=1)[:, -2:]
    return Scores(
        row_id_N=row_id_N,
        pseudo_label_N=logits_NK.argmax(axis=1),
        confidence_N=np.exp(log_p_NK.max(axis=1)).astype(np.float32),
        entropy_N=-(np.exp(log_p_NK) * log_p_NK).sum(axis=1).astype(np.float32),
        margin_N=top_two[:, 1] - top_two[:, 0],
        logits_NK=logits_NK,
        features_ND=features_ND,
    )


def score_path(
    storage: Storage, teacher_digest: str, shard: Shard, task: Task, cache: TopK | None = None
) -> Path:
    """Return where the scores of one pool shard can be read on this machine."""
    return storage.local(score_key(teacher_digest, shard, task, cache))


def score_key(teacher_digest: str, shard: Shard, task: Task, cache: TopK | None = None) -> Key:
    """Return where the scores of one pool shard lie, named by all that they depend on.

    cache: what is kept of the logits; None is all.
    """
    preprocessing: list[Json] = [*task.image_shape, *task.mean, *task.std]
    kept: list[Json] = [] if cache is None else [spec(cache.canonical(task.classes))]
    key = digest([VERSION, BATCH, teacher_digest, shard.digest, preprocessing, *kept])
    return layout.scores(teacher_digest, key)


def missing_shards(
    storage: Storage, teacher_digest: str, pool: PoolFiles, task: Task, cache: TopK | None = None
) -> list[Shard]:
    """Return the shards of the pool that have no scores yet."""
    there = set(storage.list(layout.scores_of_teacher(teacher_digest)))
    return [
        shard
        for shard in pool.shards
        if score_key(teacher_digest, shard, task, cache).name not in there
    ]


def score_shard(
    storage: Storage, scorer: Scorer, shard: Shard, cache: TopK | None = None
) -> StoredFile:
    """Score one pool shard, put its file in place, whole or not at all, and return it.

    Raises NotFinite, and writes no file, where the teacher answers NaN or infinity for some images.
    """
    row_id_N, images_NHWC = shard.read(scorer.task.image_shape)
    logits_NK, features_ND = scorer(images_NHWC)
    return write_scores(storage, scorer, shard, row_id_N, logits_NK, features_ND, cache)


def write_scores(
    storage: Storage,
    scorer: Scorer,
    shard: Shard,
    row_id_N: NDArray[np.int64],
    logits_NK: NDArray[np.float32],
    features_ND: NDArray[np.float32],
    cache: TopK | None = None,
) -> StoredFile:
    """Put the file with the answers to a shard in place, whole or not at all, and return it."""
    task = scorer.task
    scores = scores_of(row_id_N, logits_NK, features_ND)
    if cache is not None:
        scores = replace(scores, logits_NK=cache.canonical(task.classes).kept(logits_NK))
    file = storage.file(score_key(scorer.teacher.digest, shard, task, cache))
    # floats that hardly repeat: a dictionary of them is half as much again in a small file
    file.replace(lambda half: pq.write_table(_table(scores), half, use_dictionary=False))
    return file


def _table(scores: Scores) -> pa.Table:
    columns = {}
    for name, values in scores.columns().items():
        flat = pa.array(values.reshape(-1))
        columns[name.rsplit("_", 1)[0]] = (
            flat if values.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
        )
    table = pa.table(columns)
    metadata = {"classes": str(scores.classes), "digest": _content_digest(table)}
    return table.replace_schema_metadata(metadata)


def read_scores(paths: Sequence[Path]) -> Scores:
    """Return the scores of these files, in the order of the pool's shards.

    Raises Damaged, a ValueError in one line, for a file that is not as it was written.
    """
    table = pa.concat_tables(_read(path) for path in paths).combine_chunks()
    names = {name.rsplit("_", 1)[0]: name for name in (*Scores.__dataclass_fields__, *COLUMNS)}
    columns = {names[name]: _array(table.column(name)) for name in table.column_names}
    classes = (table.schema.metadata or {}).get(b"classes", 0)  # files of whole logits need none
    return Scores.of(columns, int(classes))


def _read(path: Path) -> pa.Table:
    """Return the table of one file; those of earlier versions have no digest."""
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise Damaged(f"the scores {path} {DAMAGED}") from error
    metadata = table.schema.metadata or {}
    written = metadata.pop(b"digest", None)
    if written is not None and written.decode() != _content_digest(table):
        raise Damaged(f"the scores {path} {DAMAGED}")
    return table.replace_schema_metadata(metadata)


def _content_digest(table: pa.Table) -> str:
    """Return a SHA-256 of all columns."""
    content = hashlib.sha256()
    for name in sorted(table.column_names):
        values = np.ascontiguousarray(_array(table.column(name)))
        content.update(f"{name} {values.dtype} {values.shape} ".encode())
        content.update(values.data)
    return content.hexdigest()


def holds_scores(file: StoredFile) -> bool:
    """Return whether `score_shard` wrote this file; looks at the footer only."""
    try:
        with file.open() as opened:
            names = pq.read_schema(opened).names
    except (pa.ArrowInvalid, OSError):
        return False
    return {"row_id", "pseudo_label", "confidence", "entropy", "margin", "features"} <= set(names)


def _array(column: pa.ChunkedArray) -> Any:
    chunk = column.combine_chunks()
    if pa.types.is_fixed_size_list(chunk.type):
        values = chunk.flatten().to_numpy(zero_copy_only=False)
        return values.reshape(len(chunk), chunk.type.list_size)
    return chunk.to_numpy(zero_copy_only=False)
