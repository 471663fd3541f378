"""Parquet pools: a folder of the user's own, raw or encoded, read where it lies."""

import hashlib
import io
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dfkd.data.importing.columns import ROW_ID_STRIDE
from dfkd.data.importing.shards import write_shard
from dfkd.data.pools import ParquetPool, read_characters, read_shard
from dfkd.storage import FolderStorage

SHAPE = (16, 16, 1)


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


@pytest.fixture
def storage(tmp_path) -> Path:
    return tmp_path / "storage"


def test_raw_pixels_come_back_as_they_were(folder, storage):
    images = some_images(6)
    write_shard(folder / "a.parquet", np.array([7, 3, 5]), images[:3])
    write_shard(folder / "b.parquet", np.array([1, 2, 4]), images[3:])
    files = ParquetPool(path=str(folder)).files(SHAPE, FolderStorage(storage))
    assert [shard.path.name for shard in files.shards] == ["a.parquet", "b.parquet"]
    row_ids, pixels = read_shard(files.shards[0].path, SHAPE)
    assert row_ids.tolist() == [7, 3, 5]
    assert (pixels == images[:3]).all()
    pixels[:] = 0  # the caller's own


def test_a_shard_of_many_row_groups_and_slices_is_read_in_order(folder):
    images = some_images(9)
    column = pa.array([image.tobytes() for image in images], pa.binary(256))
    schema = pa.schema([pa.field("image", column.type)], metadata={"shape": "16, 16, 1"})
    pq.write_table(pa.table([column], schema=schema), folder / "a.parquet", row_group_size=2)
    assert (read_shard(folder / "a.parquet", SHAPE)[1] == images).all()


@pytest.mark.parametrize("shape", [SHAPE, (16, 16, 3), (24, 20, 3)])
@pytest.mark.parametrize("as_struct", [False, True])
def test_encoded_images_are_converted_and_resized(folder, storage, shape, as_struct):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8))
    write_encoded(folder / "a.parquet", [png(image)], as_struct)
    files = ParquetPool(path=str(folder)).files(shape, FolderStorage(storage))
    mode = {1: "L", 3: "RGB"}[shape[2]]
    expected = image.convert(mode).resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    assert (
        read_shard(files.shards[0].path, shape)[1][0] == np.asarray(expected).reshape(shape)
    ).all()


def test_rows_without_ids_are_numbered_by_file_name_and_position(folder, storage):
    encoded = [png(Image.new("L", (8, 8), level)) for level in (0, 1, 2)]
    write_encoded(folder / "m.parquet", encoded)
    pool = ParquetPool(path=str(folder))
    before = pool.files(SHAPE, FolderStorage(storage)).shards[0]
    row_ids = read_shard(before.path, SHAPE)[0]
    assert (row_ids % ROW_ID_STRIDE).tolist() == [0, 1, 2]
    assert (row_ids >= 0).all()
    write_encoded(folder / "a.parquet", encoded)
    first, second = pool.files(SHAPE, FolderStorage(storage)).shards
    assert second == before
    assert not set(row_ids) & set(read_shard(first.path, SHAPE)[0])
    assert first.digest != second.digest  # the same images, but other rows


def test_files_are_hashed_once_and_again_when_they_change(folder, storage, monkeypatch):
    hashed = []
    hash_file = hashlib.file_digest

    def spy(file, algorithm):
        hashed.append(Path(file.name).name)
        return hash_file(file, algorithm)

    monkeypatch.setattr("hashlib.file_digest", spy)
    pool = ParquetPool(path=str(folder))
    for number, name in enumerate("ab"):
        write_shard(folder / f"{name}.parquet", np.array([number]), some_images(1))
    first, before = pool.files(SHAPE, FolderStorage(storage)), stamps(storage)
    assert pool.files(SHAPE, FolderStorage(storage)) == first
    assert stamps(storage) == before
    write_shard(folder / "b.parquet", np.array([1]), some_images(1) // 2)
    changed = pool.files(SHAPE, FolderStorage(storage))
    assert hashed == ["a.parquet", "b.parquet", "b.parquet"]
    assert changed.shards[0] == first.shards[0]
    assert changed.digest != first.digest


def test_the_same_files_at_another_size_are_another_pool(folder, storage):
    write_encoded(folder / "a.parquet", [png(Image.new("L", (8, 8)))])
    pool = ParquetPool(path=str(folder))
    assert (
        pool.files((16, 16, 1), FolderStorage(storage)).digest
        != pool.files((32, 32, 1), FolderStorage(storage)).digest
    )


def refused(folder: Path, storage: Path, match: str, draw: int = 0) -> None:
    """One line, and nothing written."""
    with pytest.raises(ValueError, match=match) as error:
        ParquetPool(path=str(folder)).files(SHAPE, FolderStorage(storage), draw)
    assert "\n" not in str(error.value)
    assert not storage.exists()


def test_a_folder_that_is_not_a_pool_is_refused(folder, storage):
    refused(folder / "absent", storage, r"path must be a folder .*absent, which is not a folder")
    refused(
        folder,
        storage,
        r"must have \*\.parquet files .* but got nothing in .*own; write the images there",
    )
    (folder / "cat.png").touch()
    refused(folder, storage, r"but got 1 other entries, such as 'cat\.png'")
    (folder / "a.parquet").write_text("not one")
    refused(folder, storage, r"must be a Parquet file, but got .*a\.parquet, which is not one")
    with pytest.raises(ValueError, match=r"path must name a folder.* but got path=''"):
        ParquetPool(path="")


def test_draws_and_channels_that_a_folder_cannot_give_are_refused(folder, storage):
    write_shard(folder / "a.parquet", np.array([1]), some_images(1))
    refused(folder, storage, r"one draw, 0, but got draw=1", draw=1)
    with pytest.raises(
        ValueError, match=r"one of \[1, 3, 4\] channels .* but got image_shape=\(8, 8, 2\)"
    ):
        ParquetPool(path=str(folder)).files((8, 8, 2), FolderStorage(storage))


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        (
            {"label": [1]},
            r"must have a column with images, .* but got only \['label'\] in .*a\.parquet: name it",
        ),
        ({"image": [1.5]}, r"binary.* or raw uint8 pixels .* but got double in .*a\.parquet"),
        (
            {"image": [b"x"], "row_id": ["1"]},
            r"row_id must be int64, but got string in .*a\.parquet; cast it",
        ),
        (
            {"image": pa.array([b"x" * 255], pa.binary(255))},
            r"shape='16,16,1' and 256 bytes .* got shape='absent' and 255 bytes",
        ),
        ({"image": pa.array([], pa.binary())}, r"must have rows, but got 1 empty shards in .*own"),
    ],
)
def test_a_shard_that_cannot_be_read_is_refused(folder, storage, columns, match):
    pq.write_table(pa.table(columns), folder / "a.parquet")
    refused(folder, storage, match)


def test_two_columns_of_one_name_and_a_link_to_nothing_are_refused(folder, storage):
    png = pa.array([b"x" * 90, b"y" * 90])
    pq.write_table(pa.table([png, png], names=["image", "image"]), folder / "a.parquet")
    refused(folder, storage, r"different names, but got \['image', 'image'\] in .*a\.parquet")
    (folder / "a.parquet").unlink()
    (folder / "a.parquet").symlink_to(folder / "nowhere")
    refused(folder, storage, r"a\.parquet in .*own is not \(unreadable, No such file")


def test_a_damaged_parquet_file_is_named(folder, storage):
    rows = pa.table({"image": [row.tobytes() for row in some_images(9)]})
    pq.write_table(rows, folder / "a.parquet")
    whole = (folder / "a.parquet").read_bytes()
    (folder / "a.parquet").write_bytes(whole[:-200] + bytes(192) + whole[-8:])
    refused(folder, storage, r"must be a Parquet file, but got .*a\.parquet, which is not one")
    (folder / "a.parquet").write_bytes(whole[:4] + bytes(200) + whole[204:])
    with pytest.raises(ValueError, match=r"a\.parquet is damaged \(.*\): fetch or write it again"):
        ParquetPool(path=str(folder)).files(SHAPE, FolderStorage(storage))


def test_raw_pixels_of_another_shape_are_refused(folder, storage):
    write_shard(folder / "a.parquet", np.array([1]), np.zeros((1, 32, 32, 3), np.uint8))
    refused(
        folder,
        storage,
        r"but got shape='32,32,3' and 3072 bytes in .*a\.parquet; write them at that size",
    )


def test_row_ids_must_be_unique_and_there(folder, storage):
    write_shard(folder / "a.parquet", np.array([1, 2]), some_images(2))
    write_shard(folder / "b.parquet", np.array([3, 2]), some_images(2))
    refused(
        folder,
        storage,
        r"row_id must be unique in the pool, but got 1 repeated, such as 2 in .*b\.parquet",
    )
    encoded = [png(Image.new("L", (8, 8)))] * 2
    pq.write_table(pa.table({"image": encoded, "row_id": [1, None]}), folder / "b.parquet")
    refused(folder, storage, r"every row must have a row_id, but got 1 nulls in .*b\.parquet")


def test_encoded_rows_that_cannot_be_read_are_set_aside(folder, storage):
    good = png(Image.fromarray(some_images(1)[0, :, :, 0]))
    deep = png(Image.fromarray(np.full((8, 8), 40_000, np.uint16)))
    write_encoded(folder / "a.parquet", [good, good[:60], good, None, deep, good])
    write_encoded(folder / "b.parquet", [good, good])
    files = ParquetPool(path=str(folder)).files(SHAPE, FolderStorage(storage))
    assert [
        (read_shard(shard.path, SHAPE)[0] % ROW_ID_STRIDE).tolist() for shard in files.shards
    ] == [[0, 2, 5], [0, 1]]
    rejects = pq.read_table(files.set_aside.path).to_pylist()
    assert [(reject["name"], reject["reason"]) for reject in rejects] == [
        ("a.parquet row 1", "truncated or damaged"),
        ("a.parquet row 3", "empty"),
        ("a.parquet row 4", "not 8 bits per channel"),
    ]
    assert files.set_aside.counts == (
        ("empty", 1),
        ("not 8 bits per channel", 1),
        ("truncated or damaged", 1),
    )
    write_encoded(folder / "a.parquet", [good, b"", b"", b"", good[:60], good])
    with pytest.raises(ValueError, match=r"4 of the 8 images of the pool cannot be used"):
        ParquetPool(path=str(folder), most_rejected=0.4).files(SHAPE, FolderStorage(storage))


def test_what_an_encoded_shard_is_called_has_not_changed(folder, storage):
    """Cells that learned from such a pool are found again."""
    (folder / "a.parquet").write_bytes(b"")
    write_encoded(folder / "a.parquet", [png(Image.new("L", (8, 8)))])
    of_bytes = hashlib.sha256((folder / "a.parquet").read_bytes()).hexdigest()
    expected = hashlib.sha256(f"{of_bytes} {SHAPE} a.parquet".encode()).hexdigest()
    assert (
        ParquetPool(path=str(folder)).files(SHAPE, FolderStorage(storage)).shards[0].digest
        == expected
    )


def test_parquet_below_a_uri_is_the_pool_that_it_is_here(folder, storage):
    write_shard(folder / "a.parquet", np.array([7, 3, 5]), some_images(3))
    write_encoded(folder / "b.parquet", [png(Image.new("L", (8, 8)))])
    store = fsspec.filesystem("memory")
    for path in folder.iterdir():
        store.pipe(f"/parquet-{folder.parent.name}/{path.name}", path.read_bytes())
    here = ParquetPool(path=str(folder)).files(SHAPE, FolderStorage(storage))
    there = ParquetPool(path=f"memory://parquet-{folder.parent.name}")
    there.check(SHAPE)
    assert there.files(SHAPE, FolderStorage(storage)).digest == here.digest


def test_only_drawn_pools_know_their_characters(folder):
    path = write_shard(folder / "a.parquet", np.array([1]), some_images(1)).path
    with pytest.raises(
        ValueError, match=r"only a drawn pool knows its characters, but got .*a\.parquet"
    ):
        read_characters(path)


def some_images(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, *SHAPE), np.uint8)


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def write_encoded(path: Path, encoded: list[bytes | None], as_struct: bool = False) -> None:
    values = [{"bytes": image, "path": "x.png"} for image in encoded] if as_struct else encoded
    pq.write_table(pa.table({"image": values}), path)


def stamps(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
