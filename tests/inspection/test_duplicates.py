"""Near-duplicates: planted copies are found, other pictures are not, and the cost is bounded."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dfkd.inspection import duplicates
from dfkd.inspection.duplicates import find_duplicates, reduced

Images = NDArray[np.uint8]


def pictures(count: int, side: int = 32, channels: int = 3, seed: int = 0) -> Images:
    """Smooth random pictures: no two alike."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 6, 6, channels), dtype=np.uint8)
    return np.stack(
        [
            _of(Image.fromarray(c if channels == 3 else c[..., 0]).resize((side, side)))
            for c in coarse
        ]
    )


def _of(image: Image.Image) -> Images:
    array = np.asarray(image)
    return array if array.ndim == 3 else array[..., None]


def compressed(image: Images) -> Images:
    """As a JPEG gives it back."""
    written = io.BytesIO()
    Image.fromarray(image).save(written, "JPEG", quality=85)
    return np.asarray(Image.open(written))


def darker(image: Images) -> Images:
    return (image * 0.7).astype(np.uint8)


def smaller(image: Images) -> Images:
    """Made half as large and large again."""
    side = image.shape[0]
    return np.asarray(Image.fromarray(image).resize((side // 2, side // 2)).resize((side, side)))


def test_planted_copies_are_found_and_nothing_else() -> None:
    images = pictures(500)
    planted = [
        images[3],
        compressed(images[10]),
        darker(images[10]),
        smaller(images[20]),
        images[3],
    ]
    found = find_duplicates(np.concatenate([images, np.stack(planted)]))
    assert np.flatnonzero(found.exact_N).tolist() == [500, 504]
    assert np.flatnonzero(found.near_N).tolist() == [501, 502, 503]
    assert set(found.groups) == {(10, 501, 502), (20, 503)} and found.groups[0] == (10, 501, 502)
    assert not found.blank_N.any() and found.looked_at == 505


def test_pictures_without_anything_in_them_are_blank_and_no_copies() -> None:
    flat = np.stack([np.full((16, 16, 1), level, dtype=np.uint8) for level in (0, 0, 120, 122)])
    found = find_duplicates(np.concatenate([pictures(5, 16, 1), flat]))
    assert np.flatnonzero(found.blank_N).tolist() == [5, 6, 7, 8]
    assert not found.exact_N.any() and not found.near_N.any()


def test_a_shifted_picture_and_its_negative_are_other_pictures() -> None:
    images = pictures(3)
    other = np.stack([np.roll(images[0], 4, axis=1), 255 - images[1]])
    assert not find_duplicates(np.concatenate([images, other])).near_N.any()


@pytest.mark.parametrize("shape", [(5, 7, 1), (16, 16, 1), (64, 48, 3)])
def test_images_of_any_size(shape: tuple[int, int, int]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, *shape), dtype=np.uint8)
    images[39] = images[7]
    found = find_duplicates(images)
    assert np.flatnonzero(found.exact_N).tolist() == [39] and not found.near_N.any()


def test_areas_are_means_of_their_pixels() -> None:
    grey = np.arange(36, dtype=np.float64).reshape(1, 6, 6)
    # rows 0 to 1, columns 0 to 2 and 3 to 5
    assert reduced(grey, 3, 2)[0, 0].tolist() == [4.0, 7.0]
    thirds = reduced(np.array([[[0.0, 3.0, 30.0]]]), 1, 2)
    assert thirds[0, 0].tolist() == [1.0, 21.0]  # the middle pixel is half of each


def test_of_a_larger_pool_so_many_rows_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "MOST", 10)
    found = find_duplicates(np.repeat(pictures(1), 100, axis=0))
    assert found.looked_at == 10 and found.exact_N.sum() == 9 and len(found.exact_N) == 100


def test_hundreds_of_copies_of_one_picture_are_one_group() -> None:
    """More than are compared with one row: they are joined over each other."""
    one = pictures(1)[0].astype(np.int64)
    noise = np.random.default_rng(1).integers(-3, 4, (300, *one.shape))
    found = find_duplicates(
        np.concatenate([pictures(50, seed=2), np.clip(one + noise, 0, 255).astype(np.uint8)])
    )
    assert found.near_N.sum() == 299 and len(found.groups[0]) == 300
