"""Files of which a bit is flipped or the end is lost are told by their digest and never used."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from dfkd.experiment import Experiment
from dfkd.scores import read_scores
from dfkd.storage import FolderStorage
from dfkd.storage.storage import Damaged
from dfkd.training.inputs import Inputs, InputSource, load, obtain, score_here

Damage = Callable[[bytes], bytes]
TOLD = "does not hold what was written there"


def flipped(content: bytes) -> bytes:
    """One bit in the middle, where the data lie."""
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


damages = pytest.mark.parametrize("damage", [flipped, cut])


@pytest.fixture
def storage(inputs: Inputs, source_storage: Path, tmp_path: Path) -> FolderStorage:
    """A storage of one's own with the tiny teacher, pool, scores and memory map."""
    return FolderStorage(shutil.copytree(source_storage, tmp_path / "runs"))


def source_in(storage: FolderStorage, tiny: Experiment) -> InputSource:
    from dfkd.experiment import Cell
    from dfkd.seeding import Block

    return obtain(Cell(experiment=tiny, block=Block(seed=0)), storage)


def damaged(storage: FolderStorage, pattern: str, damage: Damage) -> Path:
    [path] = storage.root.glob(pattern)
    path.write_bytes(damage(path.read_bytes()))
    return path


@damages
def test_a_damaged_shard_is_named(storage: FolderStorage, tiny: Experiment, damage: Damage) -> None:
    shard = source_in(storage, tiny).pool.shards[0]
    path = damaged(storage, "pools/*/shard-00000.parquet", damage)
    with pytest.raises(ValueError, match=path.name) as raised:
        shard.read(tiny.task.image_shape)
    assert "\n" not in str(raised.value)


@damages
def test_damaged_scores_are_named(storage: FolderStorage, damage: Damage) -> None:
    path = damaged(storage, "scores/*/*.parquet", damage)
    with pytest.raises(Damaged, match=TOLD) as raised:
        read_scores([path])
    assert "\n" not in str(raised.value) and str(path) in str(raised.value)


def test_scores_of_earlier_versions_are_read_as_they_are(storage: FolderStorage) -> None:
    import pyarrow.parquet as pq

    [path] = storage.root.glob("scores/*/*.parquet")
    table = pq.read_table(path)
    kept = {k: v for k, v in table.schema.metadata.items() if k != b"digest"}
    assert len(kept) == len(table.schema.metadata) - 1
    expected = read_scores([path]).features_ND
    pq.write_table(table.replace_schema_metadata(kept), path)
    assert (read_scores([path]).features_ND == expected).all()


@damages
def test_a_damaged_memory_map_is_made_again(
    storage: FolderStorage, tiny: Experiment, inputs: Inputs, damage: Damage
) -> None:
    source = source_in(storage, tiny)
    load(source, storage)
    damaged(storage, "packs/*/features_ND.npy", damage)
    again = load(source, storage)
    assert (again.scores.features_ND == inputs.scores.features_ND).all()
    damaged(storage, "packs/*/pack.json", damage)
    assert (load(source, storage).images_NHWC == inputs.images_NHWC).all()


def test_a_teacher_whose_weights_have_changed_is_trained_again(
    storage: FolderStorage, tiny: Experiment
) -> None:
    before = source_in(storage, tiny).teacher.digest
    [path] = storage.root.glob("teachers/*/teacher.safetensors")
    weights = load_file(path)
    name = max(weights, key=lambda one: weights[one].size)
    weights[name] = weights[name] + np.float32(1)
    save_file(weights, path)
    assert source_in(storage, tiny).teacher.digest == before
    for damage in (flipped, cut):
        path.write_bytes(damage(path.read_bytes()))
        assert source_in(storage, tiny).teacher.digest == before
    score_here(source_in(storage, tiny), storage)  # nothing is left to score
    assert len(list(storage.root.glob("scores/*"))) == 1
