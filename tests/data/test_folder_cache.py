"""The cache of tasks from folders: images are decoded once, by one process, and mapped."""

import os
import shutil

import numpy as np
import pytest
from image_trees import labelled

from dfkd.data.images.decoded import decoded
from dfkd.data.tasks.labelled_files import files_in

pytestmark = pytest.mark.usefixtures("cache")


def test_images_are_decoded_once_and_mapped(root, cache, monkeypatch):
    first = labelled(root)
    images = first.test().images
    monkeypatch.setattr("dfkd.data.images.decoded.decode", None)  # to decode again would fail
    monkeypatch.setattr("dfkd.data.tasks.labelled_files._digest", None)
    again = labelled(root)
    assert np.array_equal(again.test().images, images)
    assert type(images) is np.ndarray and isinstance(images.base, np.memmap)
    images[:] = 0  # the caller's own
    assert again.test().images.any()
    [path] = (cache / "images").glob("*.npy")
    assert path.stat().st_size == 128 + images.size


@pytest.mark.parametrize("left", [b"", b"\x93NUMPY\x01\x00v\x00{'descr'", b'{"content": "a'])
def test_what_was_cut_off_in_the_cache_is_made_again(root, cache, left):
    whole = labelled(root)
    images = whole.test().images.copy()
    files = [*(cache / "images").glob("*.npy"), *(cache / "found").glob("*.json")]
    assert len(files) > 1
    for file in files:
        file.write_bytes(left)
    again = labelled(root)
    assert again.content == whole.content and np.array_equal(again.test().images, images)


def test_an_interrupted_decoding_leaves_nothing_that_counts(root, cache):
    whole = (root / "test" / "dog" / "002.png").read_bytes()
    (root / "test" / "dog" / "002.png").write_bytes(whole[:60])
    with pytest.raises(
        ValueError, match=r"the image .*test/dog/002.png cannot be read \(truncated or damaged"
    ):
        labelled(root).check()
    assert len(list((cache / "images").glob("*.npy"))) == 1  # the validation split's
    assert not list((cache / "images").glob(".*"))
    (root / "test" / "dog" / "002.png").write_bytes(whole)
    labelled(root).check()


def test_a_cache_without_room_or_right_to_write_is_one_line(root, cache, monkeypatch):
    found = labelled(root)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: shutil._ntuple_diskusage(1, 1, 100))
    with pytest.raises(
        ValueError,
        match=r"take 0.0 GB, but the cache .* has 0.0 GB free: make room, or .* DFKD_CACHE",
    ):
        found.test()
    monkeypatch.setenv("DFKD_CACHE", str(root / "test" / "dog" / "001.png"))
    with pytest.raises(ValueError, match=r"the cache .* cannot be written \(Not a directory\)"):
        found.test()


def test_several_processes_decode_a_split_once(root, cache):
    """The second one waits for what the first one makes."""
    files = files_in(root / "test")
    pids = []
    for _ in range(3):
        if (pid := os.fork()) == 0:
            decoded(files.paths, files.stamp, (16, 16, 1), 0)
            os._exit(0)
        pids.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0, 0, 0]
    assert len(list((cache / "images").glob("*.npy"))) == 1
