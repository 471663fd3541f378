"""Maps of other sizes: averaged to fewer places or repeated to more.

By products with small matrices instead of `adaptive_avg_pool2d` and `interpolate`, whose gradients
PyTorch cannot compute deterministically on a GPU. The numbers are the same. B batch, C channels, H
height, W width.
"""

from functools import cache

import torch
from torch import Tensor


def averaged(map_BCHW: Tensor, height: int, width: int) -> Tensor:
    """Return means over as many even parts, as `adaptive_avg_pool2d` cuts them."""
    return _multiplied(
        map_BCHW, _means(map_BCHW.shape[2], height), _means(map_BCHW.shape[3], width)
    )


def repeated(map_BCHW: Tensor, height: int, width: int) -> Tensor:
    """Return the nearest place's value, as `interpolate(mode="nearest")` takes it."""
    return _multiplied(
        map_BCHW, _nearest(map_BCHW.shape[2], height), _nearest(map_BCHW.shape[3], width)
    )


def _multiplied(map_BCHW: Tensor, down: Tensor, across: Tensor) -> Tensor:
    # a large tensor times a small matrix is one product; the other way round it would be one for
    # each map
    across_BCHW = map_BCHW @ across.to(map_BCHW).T
    return (across_BCHW.transpose(2, 3) @ down.to(map_BCHW).T).transpose(2, 3)


@cache
def _means(given: int, wanted: int) -> Tensor:
    matrix = torch.zeros(wanted, given, dtype=torch.float64)
    for place in range(wanted):
        start, end = place * given // wanted, -(-(place + 1) * given // wanted)
        matrix[place, start:end] = 1 / (end - start)
    return matrix


@cache
def _nearest(given: int, wanted: int) -> Tensor:
    matrix = torch.zeros(wanted, given, dtype=torch.float64)
    for place in range(wanted):
        matrix[place, place * given // wanted] = 1
    return matrix
