"""Pools that are synthesised: what every pool promises, their teacher, their cost in the record."""

import json
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from dfkd.data.pools import BasePool, Glyphs, MixedPool
from dfkd.data.tasks import Digits
from dfkd.execution.compute import Compute
from dfkd.execution.local_executor import local_executor
from dfkd.experiment import Cell
from dfkd.experiment.rebuild import experiment
from dfkd.experiment.recipes import generator
from dfkd.models.networks import SmallResNet
from dfkd.reporting.console import Console
from dfkd.seeding import Block
from dfkd.storage import FolderStorage, layout
from dfkd.storage.ledger import Ledger
from dfkd.storage.outcome import SYNTHESIS
from dfkd.synthesis import SYNTHESISED, Dafl, FastDfkd, Synthesised
from dfkd.testing import PieceSuite, PoolSuite
from dfkd.testing.runs import small_inputs
from dfkd.training.inputs import check
from dfkd.training.recorded_inputs import Absent, probe_images

SMALL = (
    Dafl(rows=100, steps=8, batch=25, width=2, latent=5),
    FastDfkd(rows=100, batch=40, steps=2, warm_up=1, width=2, latent=5),
)


@dataclass(frozen=True, kw_only=True)
class FromTeacher(BasePool):
    """The pool as the small teacher gives it."""

    version: ClassVar[int] = 1
    pool: Synthesised

    def builder(self, image_shape, storage, draw=0):
        return self.pool.builder_from(small_inputs().teacher, Digits(), storage, draw)


class TestSynthesisedPieces(PieceSuite):
    pieces = SMALL


class TestSynthesisedPools(PoolSuite):
    pieces = tuple(FromTeacher(pool=pool) for pool in SMALL)

    def test_it_has_as_many_rows_as_it_says(self, piece, storage) -> None:
        files = piece.files(self.image_shape, storage)
        assert files.rows == piece.pool.rows and files.seconds > 0

    def test_another_teacher_gives_other_images(self, piece, storage) -> None:
        teacher, first = small_inputs().teacher, piece.files(self.image_shape, storage)
        weights = {name: 0.9 * w if w.dim() > 1 else w for name, w in teacher.weights.items()}
        other = replace(teacher, weights=weights, digest="another")
        assert piece.pool.builder_from(other, Digits(), storage).files().digest != first.digest


def test_every_kind_is_tested():
    assert {type(pool) for pool in SMALL} == set(SYNTHESISED)


@pytest.mark.parametrize("pool", SMALL, ids=lambda pool: type(pool).__name__)
def test_it_is_no_part_of_a_mixture(pool, tmp_path):
    mixed = MixedPool(pools=(Glyphs(rows=100), pool), shares=(0.5, 0.5), rows=50)
    with pytest.raises(ValueError, match="must be the experiment's pool itself"):
        mixed.files((16, 16, 1), FolderStorage(tmp_path))


def test_a_teacher_without_statistics_is_refused_before_anything_is_made(tiny, tmp_path):
    teacher = replace(tiny.teacher, network=SmallResNet(width=8, stem_stride=2, norm="group"))
    for pool in SMALL:
        cell = Cell(experiment=replace(tiny, pool=pool, teacher=teacher), block=Block(seed=0))
        if isinstance(pool, Dafl):
            check(cell, FolderStorage(tmp_path))
        else:
            with pytest.raises(ValueError, match="has none: take the pool dafl"):
                check(cell, FolderStorage(tmp_path))
    assert not (tmp_path / str(layout.POOLS)).exists()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"rows": 99}, "rows must be 100 or more"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"one_hot": -1.0}, "one_hot must be 0 or more"),
        ({"one_hot": float("nan")}, "one_hot must be 0 or more"),
        ({"rows": 20_000_000}, "rows must be 10,000,000 at most"),
    ],
)
def test_impossible_numbers_are_one_line(fields, said):
    for pool in (Dafl(), FastDfkd()):
        with pytest.raises(ValueError, match=said):
            replace(pool, **fields)


def test_too_few_steps_and_a_start_beyond_its_copy_are_refused():
    with pytest.raises(ValueError, match="second half of the steps must make all rows"):
        Dafl(rows=1_000, steps=10, batch=100)
    with pytest.raises(ValueError, match="common must lie in"):
        FastDfkd(common=1.5)


def test_dafl_keeps_images_of_its_second_half():
    assert Dafl(rows=300, steps=10, batch=100).kept_steps() == {9, 8, 6}


def test_a_cell_learns_from_it_and_its_synthesis_counts_in_the_record(tiny, tmp_path):
    """From the teacher to a judged student; again from the ledger; and what the images were."""
    storage, pool = FolderStorage(tmp_path), SMALL[1]
    e = replace(generator(tiny), pool=pool)
    assert experiment(e.params()) == e
    cell = Cell(experiment=e, block=Block(seed=0, draw=3))
    check(cell, storage)
    with local_executor([cell], Compute(storage=storage), Console()) as executor:
        job = executor.run_context.job(cell, read_test=True)
        done, failures = executor.compute("test", [job], lambda outcome: None)
    assert not failures
    outcome = Ledger(storage).read(job.name)
    assert outcome == done[job.name] and outcome.metrics["test"] >= 0
    [folder] = (tmp_path / str(layout.POOLS)).iterdir()
    record = json.loads((folder / layout.POOL_MANIFEST).read_text())
    assert record["digest"] == outcome.tags["pool"]
    assert outcome.tags[SYNTHESIS] == f"{record['seconds']:.1f}"
    assert outcome.synthesis == float(outcome.tags[SYNTHESIS]) > 0
    assert len(probe_images(e, cell.block, outcome.tags, storage)) == 15
    with pytest.raises(Absent):
        probe_images(e, Block(seed=0, draw=4), outcome.tags, storage)


def test_a_synthesis_that_diverges_is_one_line(tmp_path):
    from torch import nan

    teacher = small_inputs().teacher
    broken = {n: w * nan if n.endswith("0.weight") else w for n, w in teacher.weights.items()}
    for pool in SMALL:
        other = replace(teacher, weights=broken, digest="broken")
        builder = pool.builder_from(other, Digits(), FolderStorage(tmp_path))
        with np.errstate(invalid="ignore"), pytest.raises(ValueError, match="has diverged"):
            builder.files()
        assert builder.found() is None
