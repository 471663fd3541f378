"""Glyphs: the embedded pool, frozen for ever, drawn in parts and completed."""

import sysconfig
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context

import numpy as np
import pytest
from matplotlib import get_data_path
from matplotlib.ft2font import FT2Font

from dfkd.data.importing.shards import write_shard
from dfkd.data.pools import PoolFiles, read_characters, read_shard
from dfkd.data.pools.drawing import DIGITS, KINDS
from dfkd.data.pools.glyphs import ROWS_PER_SHARD, Glyphs
from dfkd.storage import FolderStorage

SHAPE = (16, 16, 1)
# The default pool, frozen before anything was distilled from it, and never to be changed because of
# what was.
# Drawing anything else makes another pool: raise `Glyphs.version`.
FROZEN = "e98e1bee775cc9992c451909231a904a6bd740eb8f5e05f256e58088ca148f04"
DRAWN_WITH = {
    "pillow": "13.0.0",
    "matplotlib": "3.11.2",
    "scikit-learn": "1.9.1",
    "platform": "linux-x86_64",
}


@pytest.fixture(scope="module")
def default_pool(tmp_path_factory) -> PoolFiles:
    """Drawn by two processes, which is also how to draw a large one."""
    pool, storage = Glyphs(), tmp_path_factory.mktemp("default")
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        shards = list(
            processes.map(
                partial(pool.make_shard, image_shape=SHAPE, storage=FolderStorage(storage)),
                range(8),
            )
        )
    files = pool.files(SHAPE, FolderStorage(storage))
    assert files.shards == tuple(shards)
    return files


def test_the_default_pool_is_frozen(default_pool):
    here = {name: version(name) for name in DRAWN_WITH if name != "platform"}
    here["platform"] = sysconfig.get_platform()
    if default_pool.digest != FROZEN and here != DRAWN_WITH:
        pytest.skip(f"other libraries draw other pixels: frozen with {DRAWN_WITH}, here {here}")
    assert default_pool.digest == FROZEN


def test_the_default_pool_has_the_documented_mixture(default_pool):
    characters = [c for shard in default_pool.shards for c in read_characters(shard.path)]
    share = {
        "digits": sum(c != "" and c in DIGITS for c in characters) / len(characters),
        "photographs": sum(c == "" for c in characters) / len(characters),
    }
    assert default_pool.rows == len(characters) == 20_000
    assert share["digits"] <= 0.30
    assert share == pytest.approx({"digits": 0.28, "photographs": 0.15}, abs=0.01)


def test_every_font_has_every_character():
    for _, characters, fonts in KINDS:
        for font in fonts:
            charmap = FT2Font(f"{get_data_path()}/fonts/ttf/{font}.ttf").get_charmap()
            assert not {c for c in characters if ord(c) not in charmap}, font


def test_row_ids_are_the_positions_in_the_pool(default_pool):
    row_ids = np.concatenate([read_shard(shard.path, SHAPE)[0] for shard in default_pool.shards])
    assert (row_ids == np.arange(20_000)).all()


def test_hardly_any_image_is_empty_or_twice_there(default_pool):
    images = np.concatenate([read_shard(shard.path, SHAPE)[1] for shard in default_pool.shards])
    contrast = images.max((1, 2, 3)).astype(int) - images.min((1, 2, 3))
    assert (contrast < 32).mean() < 0.03  # sky, in photographs
    assert len(np.unique(images.reshape(len(images), -1), axis=0)) > 19_900


def test_a_shard_drawn_alone_is_the_one_in_the_whole_pool(default_pool):
    # of a smaller pool
    row_ids, images, characters = Glyphs(rows=2 * ROWS_PER_SHARD + 100).render_shard(2, SHAPE)
    shard = default_pool.shards[2].path
    assert (row_ids == read_shard(shard, SHAPE)[0][:100]).all()
    assert (images == read_shard(shard, SHAPE)[1][:100]).all()
    assert characters == read_characters(shard)[:100]


def test_another_draw_gives_other_rows():
    pool = Glyphs(rows=100)
    first, again, other = (pool.render_shard(0, SHAPE, draw)[1] for draw in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any(axis=(1, 2, 3)).all()


def test_a_class_that_draws_other_rows_has_a_place_of_its_own():
    @dataclass(frozen=True, kw_only=True)
    class Black(Glyphs):
        share: float = 1.0

    places = [pool.place((16, 16, 1)) for pool in (Glyphs(), Black(), Black(share=0.5))]
    assert places[0].name == "glyphs-v1-20000-16x16x1-draw0" and len(set(places)) == 3


def test_other_sizes_and_three_equal_channels():
    images = Glyphs(rows=100).render_shard(0, (32, 24, 3))[1]
    assert images.shape == (100, 32, 24, 3)
    assert (images[..., :1] == images).all()


def test_an_interrupted_pool_is_completed_and_not_trusted(tmp_path, monkeypatch):
    monkeypatch.setattr("dfkd.data.pools.glyphs.ROWS_PER_SHARD", 50)
    pool, folder = Glyphs(rows=220), tmp_path / Glyphs(rows=220).place(SHAPE)
    kept, cut, damaged = (
        pool.make_shard(index, SHAPE, FolderStorage(tmp_path)).path for index in (4, 0, 1)
    )
    cut.write_bytes(cut.read_bytes()[:-20])
    damaged.write_bytes(damaged.read_bytes()[:1000] + b"damage" + damaged.read_bytes()[1006:])
    # a shard of another pool
    write_shard(folder / "shard-00002.parquet", np.arange(5), np.zeros((5, *SHAPE), np.uint8))
    (folder / ".shard-00003.parquet.0123").write_bytes(b"half")
    before = kept.stat().st_mtime_ns
    files = pool.files(SHAPE, FolderStorage(tmp_path))
    assert kept.stat().st_mtime_ns == before
    assert [shard.rows for shard in files.shards] == [50, 50, 50, 50, 20]
    for index, shard in enumerate(files.shards):
        assert (read_shard(shard.path, SHAPE)[1] == pool.render_shard(index, SHAPE)[1]).all()


def test_a_lost_shard_of_a_finished_pool_is_drawn_again(tmp_path):
    pool = Glyphs(rows=100)
    files = pool.files(SHAPE, FolderStorage(tmp_path))
    files.shards[0].path.unlink()
    assert pool.files(SHAPE, FolderStorage(tmp_path)) == files
    assert files.shards[0].path.is_file()


def test_glyphs_refuse_what_they_cannot_draw(tmp_path):
    with pytest.raises(ValueError, match=r"rows must be 100 to 10,000,000, but got rows=5"):
        Glyphs(rows=5)
    with pytest.raises(
        ValueError, match=r"8 to 128 pixels a side .* but got image_shape=\(4, 16, 1\)"
    ):
        Glyphs().files((4, 16, 1), FolderStorage(tmp_path))
    with pytest.raises(ValueError, match=r"draw must be 0 or more, but got draw=-1"):
        Glyphs().files(SHAPE, FolderStorage(tmp_path), draw=-1)
    with pytest.raises(ValueError, match=r"index must be 0 to 7, but got index=8"):
        Glyphs().render_shard(8, SHAPE)
    assert not list(tmp_path.iterdir())
