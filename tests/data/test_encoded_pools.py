"""Pools that keep their images encoded are the same pools: digest, rows and images."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_pieces import png, read_all, write_tars

from dfkd.data.images.decoding import MOST_PIXELS
from dfkd.data.importing import encoded
from dfkd.data.importing.columns import is_encoded
from dfkd.data.pools import ImageFolder, ParquetPool, Pool, Shard, WebDatasetTars
from dfkd.data.pools.pool_images import ShardImages, gathered
from dfkd.identity import spec
from dfkd.storage import FolderStorage, file_at
from dfkd.storage.storage import Damaged

SHAPE = (16, 16, 1)


@pytest.fixture(params=["folder", "tars", "parquet"])
def pool(request, folder, tmp_path) -> Pool:
    """Thirty images, one of them twice, and one that cannot be read."""
    (folder / "again.png").write_bytes(next(folder.rglob("*.png")).read_bytes())
    (folder / "broken.png").write_bytes(png(50)[:60])
    if request.param == "folder":
        return ImageFolder(path=str(folder))
    if request.param == "tars":
        return WebDatasetTars(path=str(write_tars(tmp_path / "tars", folder)))
    (tmp_path / "parquet").mkdir()
    encoded = [path.read_bytes() for path in sorted(folder.rglob("*.png"))]
    pq.write_table(pa.table({"image": encoded}), tmp_path / "parquet" / "a.parquet")
    return ParquetPool(path=str(tmp_path / "parquet"))


def test_the_pool_is_the_same(pool, tmp_path):
    kept = replace(pool, keep_encoded=True)
    storage = FolderStorage(tmp_path / "one")  # both lie side by side
    pixels, files = (one.files(SHAPE, storage) for one in (pool, kept))
    assert spec(pool) == spec(kept)
    assert pixels.digest == files.digest and pixels.set_aside.counts == files.set_aside.counts
    for one, other in zip(pixels.shards, files.shards, strict=True):
        assert is_encoded(other.path) and not is_encoded(one.path)
    for one, other in zip(read_all(pixels, SHAPE), read_all(files, SHAPE), strict=True):
        assert np.array_equal(one, other)
    assert kept.builder(SHAPE, storage).found() == files


def test_single_rows_are_decoded(pool, tmp_path, monkeypatch):
    files = replace(pool, keep_encoded=True).files(SHAPE, FolderStorage(tmp_path / "storage"))
    _, images_NHWC = read_all(files, SHAPE)
    decode, decodings = encoded.decode, []
    monkeypatch.setattr(encoded, "decode", lambda *a: decodings.append(a) or decode(*a))
    rows = np.array([0, 7, 29])
    assert (gathered(ShardImages(files, SHAPE), rows)[rows] == images_NHWC[rows]).all()
    assert len(decodings) == 3


@pytest.mark.parametrize("harm", ["other pixels", "no image"])
def test_what_is_decoded_otherwise_is_not_used(harm, folder, tmp_path):
    pool = ImageFolder(path=str(folder), keep_encoded=True)
    (shard,) = pool.files(SHAPE, FolderStorage(tmp_path / "storage")).shards
    table = pq.read_table(shard.path)
    images = table["image"].to_pylist()
    images[3] = images[4] if harm == "other pixels" else images[3][:50]
    column = pa.array(images, pa.binary())
    pq.write_table(table.set_column(1, "image", column), shard.path)
    list(shard.images(np.array([2, 4]), SHAPE))  # the others are as they were
    for read in (lambda: shard.read(SHAPE), lambda: list(shard.images(np.array([3]), SHAPE))):
        with pytest.raises(Damaged, match="does not hold what was written there"):
            read()


def test_large_images_may_be_allowed(folder, tmp_path):
    (folder / "large.png").write_bytes(png(51, (40, 30)))
    few = ImageFolder(path=str(folder), keep_encoded=True, most_pixels=1_000)
    more = replace(few, most_pixels=MOST_PIXELS)
    files = [one.files(SHAPE, FolderStorage(tmp_path / "storage")) for one in (few, more)]
    assert [len(read_all(one, SHAPE)[0]) for one in files] == [30, 31]


def test_a_shard_that_others_have_encoded_is_refused(tmp_path):
    pq.write_table(pa.table({"image": [png(0)]}), tmp_path / "a.parquet")
    shard = Shard(file_at(tmp_path / "a.parquet"), "a digest", 1)
    with pytest.raises(ValueError, match="must have raw pixels, but got encoded images"):
        shard.read(SHAPE)
