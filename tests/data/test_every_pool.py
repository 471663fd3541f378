"""Every pool that is listed, through the suite that a user's own pool can run."""

from pathlib import Path

import pytest
from small_pieces import small_pool

from dfkd.data.pools import POOLS, Pool, WildGarments
from dfkd.data.pools.pool import InOnePiece
from dfkd.testing import PoolSuite


class TestEveryPool(PoolSuite):
    @pytest.fixture(params=[kind for kind in POOLS if kind is not WildGarments])
    def piece(
        self, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Pool:
        monkeypatch.setattr("dfkd.data.pools.glyphs.ROWS_PER_SHARD", 50)
        monkeypatch.setattr("dfkd.data.pools.original.ROWS_PER_SHARD", 300)
        monkeypatch.setattr("dfkd.data.pools.image_folder.rows_per_shard", lambda shape: 10)
        return small_pool(request.param, tmp_path / "outside")

    def test_nothing_is_found_where_nothing_was_made(self, piece, storage) -> None:
        builder = piece.builder(self.image_shape, storage)
        assert isinstance(builder, InOnePiece) or builder.found() is None


class TestWildGarments(PoolSuite):
    image_shape = (28, 28, 1)

    @pytest.fixture
    def piece(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pool:
        monkeypatch.setattr("dfkd.data.pools.glyphs.ROWS_PER_SHARD", 50)
        return small_pool(WildGarments, tmp_path / "outside")
