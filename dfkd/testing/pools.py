"""What every pool promises.

N images, H height, W width, C channels.
"""

import pickle
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from dfkd.data.importing.shards import ImageShape, PoolFiles
from dfkd.data.pools import Pool
from dfkd.storage import FolderStorage, Storage
from dfkd.testing.suite import PieceSuite


class PoolSuite(PieceSuite):
    """Runs each of `pieces`, pools, through what all that reads pools relies on.

    class TestMine(PoolSuite):
        pieces = (Mine(rows=100),)

    image_shape: (H, W, C) that the pools can make; keep pools and images small.
    """

    image_shape: ClassVar[ImageShape] = (16, 16, 1)

    @pytest.fixture
    def storage(self, tmp_path: Path) -> Storage:
        """Return an empty storage."""
        return FolderStorage(tmp_path / "storage")

    @pytest.fixture
    def other(self, tmp_path: Path) -> Storage:
        """Return another empty storage."""
        return FolderStorage(tmp_path / "other")

    def test_check_accepts_and_writes_nothing(
        self, piece: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "here").mkdir()
        piece.check(self.image_shape)  # once before, so that what it remembers elsewhere is there
        monkeypatch.chdir(tmp_path / "here")
        before = stamps(tmp_path)
        piece.check(self.image_shape)
        assert stamps(tmp_path) == before

    def test_shards_hold_images_of_the_shape_in_rows_with_unique_ids(
        self, piece: Pool, storage: Storage
    ) -> None:
        files = piece.files(self.image_shape, storage)
        row_id_N, images_NHWC = everything(files, self.image_shape)
        assert files.rows == len(row_id_N) > 0
        assert row_id_N.dtype == np.int64 and len(np.unique(row_id_N)) == len(row_id_N)
        assert images_NHWC.dtype == np.uint8
        assert images_NHWC.shape == (files.rows, *self.image_shape)

    def test_a_second_call_finds_the_same_and_writes_nothing(
        self, piece: Pool, storage: Storage, tmp_path: Path
    ) -> None:
        first = piece.files(self.image_shape, storage)
        before = stamps(tmp_path / "storage")
        assert piece.files(self.image_shape, storage) == first
        assert set(stamps(tmp_path / "storage").items()) == set(before.items())

    def test_it_is_the_same_in_every_storage(
        self, piece: Pool, storage: Storage, other: Storage
    ) -> None:
        one, two = (piece.files(self.image_shape, where) for where in (storage, other))
        assert one.digest == two.digest
        (ids_N, images_NHWC), (others_N, again_NHWC) = (
            everything(files, self.image_shape) for files in (one, two)
        )
        assert (ids_N == others_N).all() and (images_NHWC == again_NHWC).all()

    def test_steps_made_elsewhere_and_in_another_order_give_the_same(
        self, piece: Pool, storage: Storage, other: Storage
    ) -> None:
        builder = piece.builder(self.image_shape, storage)
        for steps in builder.rounds():
            for step in reversed(list(steps)):
                elsewhere, sent = pickle.loads(pickle.dumps((builder, step)))
                elsewhere.make(sent)
        assert builder.finish().digest == piece.files(self.image_shape, other).digest

    def test_an_interrupted_build_goes_on(
        self, piece: Pool, storage: Storage, other: Storage
    ) -> None:
        builder = piece.builder(self.image_shape, storage)
        for steps in builder.rounds():
            for step in list(steps)[: len(steps) // 2]:
                builder.make(step)
            break
        whole = piece.files(self.image_shape, other)
        assert piece.files(self.image_shape, storage).digest == whole.digest

    def test_it_is_found_where_it_lies_whole(self, piece: Pool, storage: Storage) -> None:
        files = piece.files(self.image_shape, storage)
        assert piece.builder(self.image_shape, storage).found() == files

    def test_a_sample_is_a_few_of_its_images(
        self, piece: Pool, storage: Storage, other: Storage
    ) -> None:
        few_NHWC = piece.builder(self.image_shape, storage).sample(8)
        assert few_NHWC.dtype == np.uint8 and few_NHWC.shape[1:] == self.image_shape
        assert 1 <= len(few_NHWC) <= 16
        _, images_NHWC = everything(piece.files(self.image_shape, other), self.image_shape)
        known = {image.tobytes() for image in images_NHWC}
        assert any(image.tobytes() in known for image in few_NHWC), "none is of the pool"

    def test_another_draw_is_another_pool_or_refused_in_one_line(
        self, piece: Pool, storage: Storage
    ) -> None:
        first = piece.files(self.image_shape, storage)
        try:
            other = piece.files(self.image_shape, storage, draw=1)
        except ValueError as error:
            assert "\n" not in str(error)
        else:
            assert other.digest != first.digest


def everything(
    files: PoolFiles, image_shape: ImageShape
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Return all row ids (N,) and images (N, H, W, C) of a pool, in its order."""
    parts = [shard.read(image_shape) for shard in files.shards]
    row_ids, images = zip(*parts, strict=True)
    return np.concatenate(row_ids), np.concatenate(images)


def stamps(folder: Path) -> dict[str, int]:
    """Return when each file below a folder was written, in ns; folders are there with 0."""
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns if path.is_file() else 0
        for path in folder.rglob("*")
    }
