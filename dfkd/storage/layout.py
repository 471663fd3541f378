"""Where everything lies below a storage: the only file that names places there.

A place is a `Key`, relative to the storage and with "/" between its parts, so that a folder and an
object store mean the same by it. Names in capital letters stand for files inside such a place.

    cells/<cell>/          one experiment in one block: the ledger
    scores/<teacher>/      the teacher's answers, a file for each shard of a pool
    packs/<digest>/        images and answers as memory maps, made again from the two above
    pools/<name>/          shards of images
    teachers/<digest>/     teachers that were trained here
    prepared/<key>.json    which of them a recipe's teacher and pool turned out to be
    studies/<name>/        a study's record, report and sync state; alike: sweeps/, retunings/
    inspections/<key>/     reports on whether a pool can teach
    reports/<name>/        studies and sweeps side by side
    exports/<cell>/        students as files, for others
    tune/ train/           scratch of Ray while a search or a Train group runs
    mlflow.db mlartifacts/ MLflow's record, unless a server is named
    .in-use-<id>           a command at work in this storage
"""

import re
from pathlib import PurePosixPath

Key = PurePosixPath

ROOT = Key(".")  # the storage itself
CELLS, SCORES, PACKS, POOLS, TEACHERS = map(Key, ("cells", "scores", "packs", "pools", "teachers"))
STUDIES, SWEEPS, RETUNINGS = map(Key, ("studies", "sweeps", "retunings"))
PREPARED = Key("prepared")
INSPECTIONS, REPORTS, EXPORTS = map(Key, ("inspections", "reports", "exports"))
TUNE_SCRATCH, TRAIN_SCRATCH = Key("tune"), Key("train")
SMOKE_FILES = Key("smoke")  # what `platform.reproduce --scale smoke` makes up
DATABASE, ARTIFACTS = Key("mlflow.db"), Key("mlartifacts")

FOLDERS = (
    *(CELLS, SCORES, PACKS, POOLS, TEACHERS, PREPARED, STUDIES, SWEEPS, RETUNINGS),
    *(INSPECTIONS, REPORTS, EXPORTS, SMOKE_FILES),
)

SCRATCH_NOTE = "scratch.txt"  # in a folder of scratch: it may go when nobody works here
LEASE = "lease"  # in the folder of a cell, a sweep or a retuning: who computes it now
IN_USE = ".in-use-"  # how the leases of commands begin


def check_below(key: Key) -> None:
    """Raise ValueError for a key that would lead out of the storage."""
    if key.is_absolute() or ".." in key.parts:
        raise ValueError(f"a name must lie below the storage, but got {str(key)!r}")


def in_use(identity: str) -> Key:
    """Return the lease of a command, directly in the storage."""
    return Key(f"{IN_USE}{identity}")


# ---- cells

RECORD = "record.json"  # written last: the cell is finished, diverged or pruned
CURVE = "curve.parquet"
WEIGHTS = "student.safetensors"
TEST = "test.json"
CHECKPOINT = "checkpoint.pt"
ERROR = "error.txt"


def cell(name: str) -> Key:
    """Return a cell's folder. name: its key and environment."""
    return CELLS / name


# ---- teachers, scores and memory maps

TEACHER_NOTE = "teacher.json"  # written last: the teacher is complete
TEACHER_WEIGHTS = "teacher.safetensors"
PACK_NOTE = "pack.json"  # what a memory map was made from
SELECTIONS = "selections"  # in a memory map's folder: rows that rules chose from it


def teacher(digest: str) -> Key:
    """Return the folder of a teacher that was trained here. digest: of how."""
    return TEACHERS / digest


def scores_of_teacher(teacher_digest: str) -> Key:
    """Return the folder with all scores of the teacher with this digest."""
    return SCORES / teacher_digest[:12]


def scores(teacher_digest: str, digest: str) -> Key:
    """Return the scores of one shard. digest: of all that they depend on."""
    return scores_of_teacher(teacher_digest) / f"{digest}.parquet"


def pack(digest: str) -> Key:
    """Return the folder of a memory map. digest: of what it is made from."""
    return PACKS / digest


def prepared(inputs: str) -> Key:
    """Return the note of what a teacher and pool turned out to be. inputs: `inputs_key`."""
    return PREPARED / f"{inputs}.json"


# ---- pools

POOL_MANIFEST = "pool.json"  # written last: a drawn pool is complete


def pool(name: str) -> Key:
    """Return the folder of a pool, or of all states of an imported one."""
    return POOLS / name


def mixtures() -> Key:
    """Return the folder that all mixtures of pools share."""
    return POOLS / "mixtures"


def drawn_shard(index: int) -> str:
    """Return the file of a shard of a drawn pool."""
    return f"shard-{index:05d}.parquet"


def training_shard(index: int, digest: str) -> str:
    """Return the file of a shard of a task's own training images."""
    return f"{index:05d}-{digest[:16]}.parquet"


def imported_shard(part: str, index: int) -> str:
    """Return the file of a shard of an imported part. part: its key."""
    return f"{part}-{index:04d}.parquet"


def shard_without_repeats(shard: str, digest: str) -> str:
    """Return the file of what is left of a shard without the rows that have this digest."""
    return f"{shard.removesuffix('.parquet')}-less-{digest}.parquet"


def pool_manifest(pool: str) -> str:
    """Return the manifest of an imported pool in one state: written last."""
    return f"pool-{pool}.json"


def part_record(part: str) -> str:
    """Return the record of an imported part: written last."""
    return f"{part}.json"


def part_shard(part: str) -> str:
    """Return the file of a part that is one shard: a decoded file, or a part of a mixture."""
    return f"{part}.parquet"


def part_rejects(part: str) -> str:
    """Return the table of what could not be read of an imported part."""
    return f"{part}.rejected.parquet"


def pool_rejects(pool: str) -> str:
    """Return the table of what is set aside of an imported pool or a mixture."""
    return f"rejected-{pool}.parquet"


def listing(digest: str) -> str:
    """Return the list of the files of an image folder in one state."""
    return f"listing-{digest}.parquet"


def pool_memory(folder: Key) -> Key:
    """Return what is known of a user's own Parquet files: beside the folder of the pool."""
    return folder.with_suffix(".json")


# ---- studies, sweeps and retunings

STUDY = "study.json"  # what a study is and which cells it has
CHECK = "check"  # in a study's folder: a ledger for a cell that is computed again
TRIALS = "trials"  # in the folder of a sweep or retuning: a file for each trial
OPTUNA_LOG = "optuna.log"
NOTE = "note.json"  # what people say of a study or sweep, in its folder
SYNC_STATE = "tracked.json"  # which MLflow was told what
REPORT = "report"  # in the folder of a study or sweep
PAGE = "index.html"
RESULT = re.compile(r"result-(\d+)-(\d+)\.json")


def study(name: str) -> Key:
    """Return the folder of a study."""
    return STUDIES / name


def run_context(study: str) -> Key:
    """Return what all cells of a study share: environment, digests, tags."""
    return STUDIES / study / "setting.json"


def sweep(name: str) -> Key:
    """Return the folder of a sweep."""
    return SWEEPS / name


def retuning(identity: str) -> Key:
    """Return the folder of a variant that is tuned. identity: of what it is tuned for."""
    return RETUNINGS / identity


def trial(number: int) -> str:
    """Return a trial's file in the folder of trials."""
    return f"{number:05d}.json"


def sweep_result(trials: int, blocks: int) -> str:
    """Return the result of a sweep with so many trials and blocks of confirmation."""
    return f"result-{trials}-{blocks}.json"


def retuning_result(trials: int) -> str:
    """Return the result of a retuning with so many trials."""
    return f"result-{trials}.json"


def is_result(file: str) -> bool:
    """Return whether a file in the folder of a sweep or retuning is a result."""
    return re.fullmatch(r"result-\d+(-\d+)?\.json", file) is not None


# ---- inspections, reports, exports and scratch

INSPECTION_SUMMARY = "summary.json"  # written last: the inspection is complete


def inspection(key: str) -> Key:
    """Return the folder of an inspection."""
    return INSPECTIONS / key


def overview(name: str) -> Key:
    """Return the folder of a page that shows several studies and sweeps."""
    return REPORTS / name


def export(cell: str) -> Key:
    """Return the folder of an exported student, unless the user names another one."""
    return EXPORTS / cell
