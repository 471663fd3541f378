"""Fashion-MNIST and its wild pool, on small files of the format and on the published ones."""

import gzip
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from fashion_files import idx, write_fashion

from dfkd.data.pools import read_characters, read_shard
from dfkd.data.pools.garments import SHIFTS, WildGarments, shifted
from dfkd.data.pools.glyphs import Glyphs
from dfkd.data.tasks.fashion_mnist import FashionMnist, content_of, download
from dfkd.experiment import Cell
from dfkd.experiment.recipes import fashion, original
from dfkd.seeding import Block
from dfkd.storage import FolderStorage
from dfkd.training.inputs import check

SHAPE = (28, 28, 1)
NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


@pytest.fixture
def published() -> FashionMnist:
    task = FashionMnist()
    try:
        task.check()
    except ValueError as error:
        pytest.skip(str(error))
    return task


# ---- the task


def test_half_of_the_training_images_is_held_out(tmp_path: Path) -> None:
    task = write_fashion(tmp_path)
    splits = (task.train(), task.validation(), task.held_out())
    assert [len(split) for split in splits] == [90, 10, 100] and len(task.test()) == 100
    raw = np.frombuffer((tmp_path / NAMES[0]).read_bytes(), np.uint8, offset=16).reshape(
        200, *SHAPE
    )
    assert np.array_equal(np.concatenate([split.images for split in splits]), raw)
    assert np.concatenate([split.labels for split in splits]).tolist() == [
        i % 10 for i in range(200)
    ]


def test_a_caller_may_write_into_a_split_but_not_into_the_held_out_half(tmp_path: Path) -> None:
    task = write_fashion(tmp_path)
    task.train().images[:] = 0
    assert task.train().images.any()
    with pytest.raises(ValueError, match="read-only"):
        task.held_out().images[:] = 0


def test_content_is_identity_and_the_folder_is_not(tmp_path: Path) -> None:
    one, same, other = (
        write_fashion(tmp_path / name, seed) for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    everything = b"".join((tmp_path / "a" / name).read_bytes() for name in NAMES)
    assert (
        one.content == same.content == hashlib.sha256(everything).hexdigest()[:20] != other.content
    )
    with pytest.raises(
        ValueError, match=f"content is {one.content}, expected {FashionMnist().content}"
    ) as error:
        FashionMnist(path=one.path).train()
    assert "\n" not in str(error.value)


def test_packed_files_and_torchvisions_folder_are_the_same_task(tmp_path: Path) -> None:
    task = write_fashion(tmp_path / "plain")
    below = tmp_path / "root" / "FashionMNIST" / "raw"
    below.mkdir(parents=True)
    for name in NAMES:
        (below / f"{name}.gz").write_bytes(gzip.compress((tmp_path / "plain" / name).read_bytes()))
    assert content_of(str(tmp_path / "root")) == task.content


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The address of a server of this machine that has what lies in the folder `site`."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "site"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_torchvision_downloads_to_where_the_task_looks(
    tmp_path: Path, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import FashionMNIST

    content = write_fashion(tmp_path / "site").content
    for name in NAMES:
        (tmp_path / "site" / f"{name}.gz").write_bytes(
            gzip.compress((tmp_path / "site" / name).read_bytes())
        )
    monkeypatch.setattr(FashionMNIST, "mirrors", [site])
    monkeypatch.setattr(FashionMNIST, "resources", [(f"{name}.gz", None) for name in NAMES])
    monkeypatch.setattr("dfkd.data.tasks.fashion_mnist.DEBIAN", tmp_path / "no package")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    with pytest.raises(
        ValueError, match=r"there is no train-images-idx3-ubyte\(.gz\) .* apt-get install"
    ):
        FashionMnist().check()
    assert download() == FashionMnist() and content_of("") == content
    assert content_of(download(str(tmp_path / "mine")).path) == content


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (NAMES[1], None, "there is no file .* four files"),
        (
            NAMES[0],
            idx(np.zeros((200, 28, 28), np.uint8))[:-1],
            "must be an idx file .* is it cut off",
        ),
        (NAMES[0], b"", "must be an idx file .* but got 0 bytes"),
        (NAMES[0], idx(np.zeros((200, 16, 16), np.uint8)), "N images of 28x28"),
        (NAMES[1], idx(np.zeros(199, np.uint8)), "N images of 28x28 and N labels"),
        (NAMES[3], idx(np.full(100, 10, np.uint8)), "labels must lie below 10, but got 10"),
        (f"{NAMES[2]}.gz", gzip.compress(bytes(5000))[:-20], "cannot be unpacked .* Get it again"),
        (f"{NAMES[2]}.gz", b"<html>", "cannot be unpacked .*Not a gzipped file"),
    ],
    ids=[
        "absent",
        "cut off",
        "empty",
        "other size",
        "too few labels",
        "odd label",
        "gzip cut off",
        "no gzip",
    ],
)
def test_a_bad_file_is_one_line(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    write_fashion(tmp_path / "good")
    for file in NAMES:
        if file != name.removesuffix(".gz"):
            (tmp_path / file).write_bytes((tmp_path / "good" / file).read_bytes())
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        FashionMnist(path=str(tmp_path)).check()
    assert "\n" not in str(error.value)


def test_the_published_files(published: FashionMnist) -> None:
    splits = (published.train(), published.validation(), published.test(), published.held_out())
    assert [len(split) for split in splits] == [27_000, 3_000, 10_000, 30_000]
    assert all(np.bincount(split.labels).min() > 0.08 * len(split) for split in splits)
    scaled = splits[0].images.astype(np.float32) / 255
    assert published.mean == pytest.approx((scaled.mean(),), abs=5e-5)
    assert published.std == pytest.approx((scaled.std(),), abs=5e-5)


def test_missing_files_are_told_before_anything_is_computed(tmp_path: Path) -> None:
    here, lost = write_fashion(tmp_path / "files"), FashionMnist(path=str(tmp_path / "lost"))
    full = replace(fashion(), task=lost)
    for e in (full, original(full), replace(full, task=here, pool=WildGarments(task=lost))):
        with pytest.raises(
            ValueError, match=r"there is no train-images-idx3-ubyte\(.gz\) .* in .*lost: apt-get"
        ):
            check(Cell(experiment=e, block=Block(seed=0)), FolderStorage(tmp_path / "storage"))
    assert not (tmp_path / "storage").exists()


# ---- the pool


def test_the_share_of_garments_and_their_classes_stand_in_a_column_of_their_own(
    tmp_path: Path,
) -> None:
    pool = WildGarments(rows=1_000, task=write_fashion(tmp_path / "files"))
    [shard] = pool.files(SHAPE, FolderStorage(tmp_path)).shards
    shown = read_characters(shard.path)
    garments = [character for character in shown if character.startswith("garment ")]
    assert len(garments) / len(shown) == pytest.approx(0.3, abs=0.05)
    assert set(garments) == {f"garment {label}" for label in range(10)}
    row_id_N, images_NHWC = read_shard(shard.path, SHAPE)
    assert row_id_N.tolist() == list(range(1_000)) and images_NHWC.shape == (1_000, *SHAPE)


def test_garments_are_shifted_images_of_the_held_out_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = write_fashion(tmp_path)
    pool = WildGarments(rows=100, share=1.0, task=task)
    originals = {
        image.tobytes() for split in (task.train(), task.held_out()) for image in split.images
    }
    _, images_NHWC, _ = pool.render_shard(0, SHAPE)
    assert not originals & {image.tobytes() for image in images_NHWC}
    # all but one shift taken away: what is left over is one of the held-out images
    for name in SHIFTS:
        monkeypatch.setattr("dfkd.data.pools.garments.SHIFTS", {name: 1.0})
        _, images_NHWC, _ = pool.render_shard(0, SHAPE)
        assert not originals & {image.tobytes() for image in images_NHWC}
        if name == "inverted":
            inverted = {(255 - image).tobytes() for image in images_NHWC}
            assert inverted <= {image.tobytes() for image in task.held_out().images}


def test_every_garment_is_shifted_and_its_shape_kept(published: FashionMnist) -> None:
    held_out = published.held_out()
    for row in range(200):
        garment_HW = held_out.images[row, :, :, 0]
        image_HW = shifted(np.random.default_rng(row), garment_HW)
        assert image_HW.shape == (28, 28) and image_HW.dtype == np.uint8
        assert np.abs(image_HW.astype(int) - garment_HW).mean() > 2


def test_without_garments_it_is_glyphs_at_their_own_draws(tmp_path: Path) -> None:
    task = write_fashion(tmp_path)
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([1, 0, 5])))
    generator.random()  # whether it is a garment
    _, images_NHWC, shown = WildGarments(rows=100, share=0.0, task=task).render_shard(0, SHAPE)
    image_HWC, character = Glyphs().draw_row(generator, SHAPE)
    assert np.array_equal(images_NHWC[5], image_HWC) and shown[5] == character


def test_a_larger_pool_begins_with_the_rows_of_a_smaller_one_and_draws_differ(
    tmp_path: Path,
) -> None:
    task = write_fashion(tmp_path)
    small, large = (WildGarments(rows=rows, task=task) for rows in (100, 150))
    assert np.array_equal(small.render_shard(0, SHAPE)[1], large.render_shard(0, SHAPE)[1][:100])
    assert not np.array_equal(
        small.render_shard(0, SHAPE)[1], small.render_shard(0, SHAPE, draw=1)[1]
    )


def test_pools_of_other_files_or_shares_lie_apart(tmp_path: Path) -> None:
    tasks = [write_fashion(tmp_path / str(seed), seed) for seed in range(2)]
    pools = [
        WildGarments(rows=100, task=task, share=share) for task in tasks for share in (0.2, 0.3)
    ]
    assert len({pool.place(SHAPE) for pool in pools}) == 4
    assert len({pool.files(SHAPE, FolderStorage(tmp_path)).digest for pool in pools}) == 4


def test_a_pool_that_cannot_be_drawn_says_so_before_anything_is_written(tmp_path: Path) -> None:
    task = write_fashion(tmp_path / "files")
    with pytest.raises(
        ValueError, match=r"share, of garments in the pool, must lie in \[0, 1\], but got .*1.5"
    ):
        WildGarments(share=1.5)
    with pytest.raises(
        ValueError, match=r"wild garments are \(28, 28, 1\) \(H, W, C\), but got .*\(16, 16, 1\)"
    ):
        WildGarments(task=task).files((16, 16, 1), FolderStorage(tmp_path / "storage"))
    with pytest.raises(ValueError, match="expected Fashion-MNIST: content is"):
        WildGarments(task=FashionMnist(path=task.path)).files(
            SHAPE, FolderStorage(tmp_path / "storage")
        )
    assert not (tmp_path / "storage").exists()
