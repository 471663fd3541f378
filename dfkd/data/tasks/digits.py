"""Scikit-learn's handwritten digits: the embedded development task.

N images, H height, W width. Images are uint8, 0 to 255, channels last.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dfkd.data.scikit_learn import file_of
from dfkd.data.tasks.task import BaseTask, Split

_TRAIN, _VALIDATION, _TEST = 897, 300, 600
_SPLIT_SEED = 2302_08771


@dataclass(frozen=True, kw_only=True)
class Digits(BaseTask):
    """Holds 1,797 real handwritten digits: the development task, on which the defaults were found.

    Source: scikit-learn's `load_digits`, the test part of UCI's "Optical Recognition of Handwritten
    Digits": 32x32 bitmaps, of which each pixel here counts the ink in 4x4. So 8x8 in 17 grey
    levels, doubled to 16x16.
    Splits: 897 train, 300 validation, 600 test, each with the classes in the proportion of the
    whole.
    Who wrote a digit is not recorded: the splits share writers.
    Range: no fields.
    """

    version: ClassVar[int] = 1
    classes: ClassVar[int] = 10
    image_shape: ClassVar[tuple[int, int, int]] = (16, 16, 1)
    mean: ClassVar[tuple[float, ...]] = (0.3062,)
    std: ClassVar[tuple[float, ...]] = (0.3195,)

    def class_shown(self, character: str) -> int | None:
        """Return the class of a bare digit, which is what pools of glyphs draw."""
        return int(character) if re.fullmatch(r"\d", character) else None

    def train(self) -> Split:
        return _copy_of(0, _TRAIN)

    def validation(self) -> Split:
        return _copy_of(_TRAIN, _TRAIN + _VALIDATION)

    def test(self) -> Split:
        return _copy_of(_TRAIN + _VALIDATION, _TRAIN + _VALIDATION + _TEST)


def _copy_of(start: int, stop: int) -> Split:
    """Return a copy, so that a caller who writes into it does not change what the next one gets."""
    images_NHWC, labels_N = _digits_in_split_order()
    return Split(images_NHWC[start:stop].copy(), labels_N[start:stop].copy())


@cache
def _digits_in_split_order() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    table = np.loadtxt(file_of("datasets", "data", "digits.csv.gz"), np.int64, delimiter=",")
    labels_N = table[:, -1]
    order_N = _split_order(labels_N, _SPLIT_SEED)
    images_NHW = _doubled(table[:, :-1].reshape(-1, 8, 8))
    return images_NHW[order_N, :, :, None], labels_N[order_N]


def _split_order(labels_N: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return an order of which each stretch holds the classes in the proportion of the whole.

    Each image gets a random rank within its class; (rank + 1/2) / class size interleaves the
    classes evenly. Within a split the order is random again: a periodic one would be a trap for who
    takes every tenth image. Uniform draws rather than `Generator.permutation`: NumPy may change the
    latter between versions.
    """
    keys_N = np.random.Generator(np.random.PCG64(seed)).random(len(labels_N))
    place_N = np.empty(len(labels_N))
    for label in np.unique(labels_N):
        members = np.flatnonzero(labels_N == label)
        place_N[members[np.argsort(keys_N[members])]] = (np.arange(len(members)) + 0.5) / len(
            members
        )
    order_N = np.lexsort((keys_N, place_N))
    splits = np.split(order_N, [_TRAIN, _TRAIN + _VALIDATION])
    return np.concatenate([split[np.argsort(keys_N[split])] for split in splits])


def _doubled(levels_NHW: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return images of 8x8 resized bilinearly to 16x16, and 0..16 scaled to 0..255.

    It is done in integers, so that all machines get the same pixels.
    """
    side = levels_NHW.shape[1]
    quarters = np.zeros((2 * side, side), dtype=np.int64)  # of the source rows, for each new row
    for row in range(2 * side):
        source, neighbour = row // 2, row // 2 + (1 if row % 2 else -1)
        quarters[row, source] += 3
        quarters[row, min(max(neighbour, 0), side - 1)] += 1
    sums_NHW = quarters @ levels_NHW @ quarters.T  # 16 times the value, which is 0..16: at most 256
    return ((sums_NHW * 255 + 128) // 256).astype(np.uint8)
