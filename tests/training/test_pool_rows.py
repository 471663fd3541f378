"""Rows that were copied to a device are those that lie in memory; here the device is the CPU."""

from dataclasses import replace

import numpy as np
import pytest

from dfkd.scores.top_k import TopK
from dfkd.testing.runs import small_inputs
from dfkd.training.pool_rows import DeviceRows, HostRows, pool_rows

ROWS_M = np.sort(np.random.default_rng(0).choice(200, 64, replace=False))


@pytest.fixture(params=[None, TopK(k=3)], ids=["all logits", "the largest logits"])
def host(request) -> HostRows:
    inputs, cache = small_inputs(), request.param
    if cache is not None:
        kept = cache.canonical(10).kept(inputs.scores.logits_NK)
        inputs = replace(inputs, scores=replace(inputs.scores, logits_NK=kept))
    return HostRows(inputs, "cpu")


def test_copied_rows_are_the_same_rows(host):
    rows_B = np.random.default_rng(1).choice(ROWS_M, 16)
    copied = DeviceRows(host, ROWS_M)
    assert len(copied.images_MHWC) == len(ROWS_M)
    assert copied.images(rows_B).equal(host.images(rows_B))
    one, other = copied.answers(rows_B), host.answers(rows_B)
    assert one.logits_BK.equal(other.logits_BK) and one.features_BD.equal(other.features_BD)


def test_without_a_gpu_nothing_is_copied():
    inputs = small_inputs()
    rows = pool_rows(inputs, ROWS_M, "cpu")
    assert isinstance(rows, HostRows) and np.shares_memory(rows.images_NHWC, inputs.images_NHWC)
