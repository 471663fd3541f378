"""Images in Parquet files as people write them: under many names, encoded or raw, in any type."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dfkd.data.pools import ParquetPool, read_shard
from dfkd.identity import spec
from dfkd.storage import FolderStorage

SHAPE = (4, 6, 3)
SIZE = 4 * 6 * 3
PIXELS = np.random.default_rng(0).integers(0, 256, (3, *SHAPE), np.uint8)


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


CHANNELS_FIRST = np.ascontiguousarray(PIXELS.transpose(0, 3, 1, 2))
ENCODED = [png(pixels) for pixels in PIXELS]
OTHERS = [png(255 - pixels) for pixels in PIXELS]
LABELS = {"label": [0, 1, 2], "name": ["a", "b", "c"]}


def read(tmp_path: Path, columns: dict[str, Any], **fields: Any) -> np.ndarray:
    """The pixels of the pool that a file with these columns is."""
    (tmp_path / "in").mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), tmp_path / "in" / "a.parquet")
    pool = ParquetPool(path=str(tmp_path / "in"), **fields)
    pool.check(SHAPE)
    files = pool.files(SHAPE, FolderStorage(tmp_path / "out"))
    return np.concatenate([read_shard(shard.path, SHAPE)[1] for shard in files.shards])


@pytest.mark.parametrize(
    "columns",
    [
        {"img": ENCODED},
        {"jpg": ENCODED, "thumb": OTHERS},
        {"image.bytes": ENCODED, "image.path": ["a", "b", "c"]},
        {"image": ["a.png", "b.png", "c.png"], "bytes": ENCODED},
        {"Bild": ENCODED},
        {"scan": [{"bytes": one, "path": None} for one in ENCODED]},
        {"image": ENCODED, "img": OTHERS, "jpg": OTHERS},
        {"photo": ENCODED, "row_id": [5, 3, 4], "sha": pa.array([b"x" * 32] * 3, pa.binary(32))},
    ],
)
def test_the_column_with_the_images_is_found(columns, tmp_path):
    assert np.array_equal(read(tmp_path, LABELS | columns), PIXELS)


def test_a_column_is_taken_by_name_and_its_name_is_identity(tmp_path):
    columns = {"image": OTHERS, "crop": ENCODED}
    found = read(tmp_path, columns)
    assert np.array_equal(read(tmp_path, columns, column="crop"), PIXELS)
    assert np.array_equal(found, 255 - PIXELS)
    digests = {
        ParquetPool(path=str(tmp_path / "in"), column=column)
        .files(SHAPE, FolderStorage(tmp_path / "out"))
        .digest
        for column in ("image", "", "crop")
    }
    assert len(digests) == 2
    assert "column" not in spec(ParquetPool(path="x"))


FLAT = PIXELS.reshape(3, SIZE)
TYPES: dict[str, pa.Array] = {
    "binary_view": pa.array(ENCODED, pa.binary_view()),
    "large_binary": pa.array(ENCODED, pa.large_binary()),
    "dictionary": pa.array(ENCODED).dictionary_encode(),
    "fixed_size_binary": pa.array([one.tobytes() for one in PIXELS], pa.binary(SIZE)),
    "fixed_size_list": pa.FixedSizeListArray.from_arrays(pa.array(FLAT.ravel()), SIZE),
    "list": pa.array(FLAT.tolist(), pa.list_(pa.uint8())),
    "list of int64": pa.array(FLAT.tolist()),
    "lists of lists of lists": pa.array(PIXELS.tolist(), pa.list_(pa.list_(pa.list_(pa.uint8())))),
    "large lists": pa.array(PIXELS.tolist(), pa.large_list(pa.list_(pa.list_(pa.int32())))),
    "a tensor": pa.FixedShapeTensorArray.from_numpy_ndarray(PIXELS),
}


@pytest.mark.parametrize("column", ["image", "img"])
@pytest.mark.parametrize("kind", TYPES)
def test_any_type_that_holds_the_pixels_is_read(kind, column, tmp_path):
    assert np.array_equal(read(tmp_path, LABELS | {column: TYPES[kind]}), PIXELS)


@pytest.mark.parametrize(
    ("columns", "fields", "message"),
    [
        ({"a": ENCODED, "b": OTHERS}, {}, r"more than one that may be, \['a', 'b'\] .*: name it"),
        (LABELS, {}, r"but got only \['label', 'name'\]"),
        (
            {f"pixel{i}": [1] for i in range(784)},
            {},
            r"but got only \['pixel0', 'pixel1', 'pixel2'\] and 781 more in ",
        ),
        ({"image": ENCODED}, {"column": "img"}, r"must name one of \['image'\], but got column="),
        ({"image": ["a.png"]}, {}, r"but got string .*: paths are not followed; take ImageFolder"),
        ({"image": [{"path": "a.png"}]}, {}, r"but got struct.* paths are not followed"),
        ({"image": [1.5]}, {}, r"'image' must hold encoded images .* but got double"),
        (
            {"image": pa.array([FLAT[0, 1:].tolist()], pa.list_(pa.uint8(), SIZE - 1))},
            {},
            r"must have the task's shape \(4, 6, 3\), 72 values .* but got fixed_size_list",
        ),
        (
            {"image": pa.FixedShapeTensorArray.from_numpy_ndarray(CHANNELS_FIRST)},
            {},
            r"must have the task's shape \(4, 6, 3\), 72 values in the order height, width, chan",
        ),
    ],
)
def test_what_cannot_be_read_is_one_line(columns, fields, message, tmp_path):
    with pytest.raises(ValueError, match=message) as raised:
        read(tmp_path, columns, **fields)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [({"bytes": None, "path": "a.png"}, "only a path"), ({"bytes": None, "path": None}, "empty")],
)
def test_rows_without_bytes_are_set_aside_by_what_they_have(bad, reason, tmp_path):
    rows = [{"bytes": ENCODED[0], "path": "x.png"}, bad]
    assert len(read(tmp_path, {"image": rows})) == 1
    files = ParquetPool(path=str(tmp_path / "in")).files(SHAPE, FolderStorage(tmp_path / "out"))
    assert files.set_aside.counts == ((reason, 1),)
    with pytest.raises(ValueError, match=rf"1 of the 1 images .* no image \(1 {reason}\)"):
        read(tmp_path, {"image": [bad]})


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (PIXELS[0].transpose(2, 0, 1).tolist(), "not the task's shape"),  # channels first
        (PIXELS[0, 1:].tolist(), "not the task's shape"),
        ((PIXELS[0].astype(int) + 256).tolist(), "not 8 bits per channel"),
        (None, "empty"),
    ],
)
def test_raw_rows_of_another_shape_are_set_aside(bad, reason, tmp_path):
    assert np.array_equal(read(tmp_path, {"image": [PIXELS[1].tolist(), bad]}), PIXELS[1:2])
    files = ParquetPool(path=str(tmp_path / "in")).files(SHAPE, FolderStorage(tmp_path / "out"))
    assert files.set_aside.counts == ((reason, 1),)
