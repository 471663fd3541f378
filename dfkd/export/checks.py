"""Checks of an export: the original's answers on real images, singly and in batches, and its speed.

N images, B batch, C channels, H height, W width, K classes.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from dfkd.data.images.transforms import to_tensor
from dfkd.data.tasks import Task
from dfkd.export.formats import Answer
from dfkd.export.standalone import Standalone

# of the largest logit: runtimes sum in another order, and differ in the last bits of float32
TOLERANCE = 1e-4
SINGLE, BATCH = 8, 64  # images that are asked about one by one; images of a batch
LATENCY_RUNS, THROUGHPUT_RUNS, WARM_UP, PATIENCE_S = 200, 20, 5, 5.0


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far an export is from its original on n images.

    difference: the largest of a logit, in absolute value. largest: the largest logit. same: images
    with the same answer.
    """

    difference: float
    largest: float
    same: int
    images: int

    @property
    def holds(self) -> bool:
        """Whether the logits are equal within rounding.

        An answer may then differ only where two classes are as good as equal.
        """
        return self.difference <= TOLERANCE * max(1.0, self.largest)


def agreement(
    answer: Answer, original: Standalone, images_NHWC: NDArray[np.uint8], task: Task
) -> Agreement:
    """Compare with the student as it is trained and judged here, normalised before the network.

    The first images go in one by one, and all of them in batches of 64, the last of which may be
    smaller.
    """
    expected_NK = _expected(original, images_NHWC, task)
    images_NCHW = as_floats(images_NHWC)
    single_BK = np.concatenate(
        [answer(images_NCHW[i : i + 1]) for i in range(min(SINGLE, len(images_NCHW)))]
    )
    found_NK = np.concatenate(
        [answer(images_NCHW[i : i + BATCH]) for i in range(0, len(images_NCHW), BATCH)]
    )
    apart = [
        np.abs(single_BK - expected_NK[: len(single_BK)]).max(),
        np.abs(found_NK - expected_NK).max(),
    ]
    return Agreement(
        difference=float(max(apart)) if np.isfinite(apart).all() else float("inf"),
        largest=float(np.abs(expected_NK).max()),
        same=int((found_NK.argmax(axis=1) == expected_NK.argmax(axis=1)).sum()),
        images=len(images_NHWC),
    )


def _expected(
    original: Standalone, images_NHWC: NDArray[np.uint8], task: Task
) -> NDArray[np.float32]:
    with torch.inference_mode():
        parts = [
            original.network(to_tensor(images_NHWC[i : i + BATCH], task))
            for i in range(0, len(images_NHWC), BATCH)
        ]
    return torch.cat(parts).numpy()


def as_floats(images_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the images as float32 [N, C, H, W] in 0..1, as exported students take them."""
    return np.ascontiguousarray(
        images_NHWC.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
    )


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Milliseconds for one image, and images per second in batches of 64.

    median_ms: of `runs` runs; 8 of 10 lie between low_ms and high_ms. images_per_s: the median over
    `batches` batches.
    """

    median_ms: float
    low_ms: float
    high_ms: float
    runs: int
    images_per_s: float
    batches: int


def speed(answer: Answer, image_shape: tuple[int, int, int]) -> Speed:
    """Measure on random images.

    A slow student is measured less often, at least 3 times: each part ends after PATIENCE_S
    seconds.
    """
    one_ms = 1000 * np.array(list(_seconds(answer, _random(1, image_shape), LATENCY_RUNS)))
    many_s = np.array(list(_seconds(answer, _random(BATCH, image_shape), THROUGHPUT_RUNS)))
    low, median, high = np.quantile(one_ms, [0.1, 0.5, 0.9])
    return Speed(
        median_ms=float(median),
        low_ms=float(low),
        high_ms=float(high),
        runs=len(one_ms),
        images_per_s=float(BATCH / np.median(many_s)),
        batches=len(many_s),
    )


def _seconds(answer: Answer, images_BCHW: NDArray[np.float32], runs: int) -> Iterator[float]:
    for _ in range(WARM_UP):
        answer(images_BCHW)
    end = time.perf_counter() + PATIENCE_S
    for run in range(runs):
        started = time.perf_counter()
        if run >= 3 and started > end:
            return
        answer(images_BCHW)
        yield time.perf_counter() - started


def _random(batch: int, image_shape: tuple[int, int, int]) -> NDArray[np.float32]:
    height, width, channels = image_shape
    return np.random.default_rng(0).random((batch, channels, height, width), dtype=np.float32)
