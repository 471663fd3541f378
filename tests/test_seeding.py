"""Streams of random numbers: one for each block and purpose, the same for ever."""

import pytest
import torch

from dfkd.seeding import Block, drawing_from, generator, stream


def test_streams_are_golden():
    assert [stream(0, "student"), stream(3, "batches", 7)] == [
        2362970561312117047,
        1755912548192783026,
    ]


def test_generators_are_golden():
    assert torch.randint(1000, (4,), generator=generator(0, "dropping", 5)).tolist() == [
        893,
        694,
        257,
        669,
    ]


def test_streams_are_seeds_and_all_different():
    streams = {
        stream(seed, purpose, *counters)
        for seed in (0, 1, 11)
        for purpose in ("student", "losses", "batches", "selection")
        for counters in ((), (0,), (1,), (0, 1), (1, 0), (11,))
    }
    assert len(streams) == 3 * 4 * 6
    assert all(0 <= value < 2**63 for value in streams)


def test_blocks_are_short_in_tables_and_in_order():
    assert [str(Block(seed=3)), str(Block(seed=3, draw=1, teacher=2))] == ["3", "3.d1.t2"]
    assert sorted([Block(seed=1), Block(seed=0, draw=1), Block(seed=0)])[0] == Block(seed=0)


def test_what_is_drawn_inside_comes_from_the_seed_and_nothing_moves_outside():
    before = torch.random.get_rng_state()
    drawn = []
    for seed in (1, 1, 2):
        with drawing_from(seed, "cpu"):
            drawn.append(torch.rand(3))
    assert drawn[0].equal(drawn[1]) and not drawn[0].equal(drawn[2])
    with pytest.raises(KeyError), drawing_from(3, "cpu"):
        raise KeyError
    assert torch.random.get_rng_state().equal(before)
