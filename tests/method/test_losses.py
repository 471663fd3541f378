"""Losses: what all of ours promise. Their formulas: test_explicit_formulas, test_implicit_formulas.

B batch, D feature width.
"""

import math
from dataclasses import replace

import pytest
import torch

from dfkd.method.losses import (
    CRD,
    LOSSES,
    PKT,
    RKD,
    SP,
    AttentionTransfer,
    FitNet,
    Loss,
    NTXent,
    PooledFeatures,
    ReviewKD,
    Similarity,
    Sizes,
    TeacherContrast,
    ViewAgreement,
    needs_of,
)
from dfkd.testing import LossSuite
from dfkd.testing.outputs import EQUAL, MAPS, ROWS, WIDER, built, outputs, pair

each_loss = pytest.mark.parametrize("kind", LOSSES, ids=lambda kind: kind.__name__)
each_size = pytest.mark.parametrize("sizes", [EQUAL, WIDER], ids=["equal widths", "projected"])


def made(kind: type[Loss], sizes: Sizes, seed: int = 0) -> torch.nn.Module:
    return built(kind.example(), sizes, seed)


class TestLosses(LossSuite):
    pieces = tuple(kind.example() for kind in LOSSES)


@each_loss
@each_size
def test_a_loss_is_never_below_0(kind, sizes):
    for scale in (1e-3, 1.0, 1e3):
        assert made(kind, sizes)(*pair(sizes, scale=scale)) >= 0


@each_loss
def test_equal_features_cost_nothing(kind):
    """Unless something is trained in between, or other images are told apart."""
    if list(made(kind, EQUAL).parameters()) or kind in (NTXent, TeacherContrast):
        return
    same = outputs(12, 1)
    assert made(kind, EQUAL)(same, same).item() == pytest.approx(0, abs=1e-12)


@each_size
@pytest.mark.parametrize("kind", [kind for kind in LOSSES if kind is not ViewAgreement])
def test_no_loss_on_features_reads_the_logits(kind, sizes):
    blind = [replace(o, logits_BK=torch.full_like(o.logits_BK, math.nan)) for o in pair(sizes)]
    assert made(kind, sizes)(*blind).equal(made(kind, sizes)(*pair(sizes)))


@pytest.mark.parametrize(
    "kind", [PooledFeatures, AttentionTransfer, Similarity, RKD, SP, PKT, NTXent, TeacherContrast]
)
def test_nothing_is_trained_that_the_widths_do_not_ask_for(kind):
    assert not list(made(kind, EQUAL).parameters())


@each_loss
def test_impossible_weights_and_ramps_are_refused(kind):
    for weight in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="a loss weight must be 0 or more, but got weight="):
            replace(kind.example(), weight=weight)
    for ramp in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match=r"ramp must lie in \[0, 1\]"):
            replace(kind.example(), ramp=ramp)


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        (Similarity, {"tau": 0.0}, r"implicit.tau must be above 0"),
        (
            TeacherContrast,
            {"tau": math.nan},
            r"tau of TeacherContrast must be above 0, but got nan",
        ),
        (NTXent, {"tau": -1.0}, r"tau of NTXent must be above 0"),
        (FitNet, {"stage": 0}, r"stage of FitNet must be 1 or more"),
        (RKD, {"distance": -1.0}, r"distance and angle of RKD must be 0 or more, not both 0"),
        (
            RKD,
            {"distance": 0.0, "angle": 0.0},
            r"distance and angle of RKD must be 0 or more, not both 0",
        ),
        (CRD, {"tau": math.inf}, r"tau of CRD must be above 0"),
        (CRD, {"negatives": 0}, r"CRD needs 1 dimension and 1 negative or more"),
        (CRD, {"momentum": 1.0}, r"momentum of CRD must lie in \[0, 1\)"),
    ],
)
def test_impossible_fields_are_refused(kind, change, message):
    with pytest.raises(ValueError, match=message):
        kind(**{"weight": 1.0, **change})


def test_a_loss_may_not_need_what_there_is_not():
    class Odd(NTXent):
        needs = frozenset({"labels"})

    with pytest.raises(
        ValueError,
        match=r"a loss may need \['maps', 'rows', 'second_view', .*\], but got \['labels'\]",
    ):
        needs_of(Odd())


def test_fitnet_refuses_stages_that_there_are_not_and_sizes_that_have_no_regressor():
    with pytest.raises(
        ValueError, match=r"stage of FitNet must be one of the networks' 2 stages, but got"
    ):
        FitNet(stage=3).module(EQUAL)
    odd = replace(EQUAL, teacher_maps=((8, 8, 8), (16, 7, 7)))
    with pytest.raises(
        ValueError,
        match=r"cannot regress a map of \[4, 4\] to one of \[7, 7\]: choose another stage",
    ):
        FitNet(stage=2).module(odd)


@pytest.mark.parametrize("kind", [FitNet, AttentionTransfer, ReviewKD])
def test_where_stages_are_not_equally_many_the_last_ones_are_paired(kind):
    sizes = replace(WIDER, student_maps=((4, 16, 16), *MAPS))
    student, teacher = pair(sizes)
    value = made(kind, sizes)(student, teacher)
    assert value.equal(made(kind, WIDER)(replace(student, maps=student.maps[1:]), teacher))


# ---- how a loss depends on the batch


def mean_over_batches(kind: type, batch: int) -> float:
    """Over 1,024 images, in batches of this size, all projectors in their first state."""
    sizes = replace(WIDER, rows=1024)
    values = [made(kind, sizes)(*pair(sizes, batch, seed=i)).item() for i in range(1024 // batch)]
    return sum(values) / len(values)


@pytest.mark.parametrize(
    "kind", [PooledFeatures, FitNet, AttentionTransfer, ReviewKD, Similarity, RKD, SP, PKT]
)
def test_the_mean_hardly_depends_on_the_size_of_the_batch(kind):
    """SP and PKT as published would be a quarter: their factor B / 64 is in the loss."""
    assert mean_over_batches(kind, 512) == pytest.approx(mean_over_batches(kind, 128), rel=0.15)


@pytest.mark.parametrize(("kind", "views"), [(NTXent, 2), (TeacherContrast, 1)])
def test_a_contrast_within_the_batch_grows_with_the_logarithm_of_its_size(kind, views):
    difference = mean_over_batches(kind, 256) - mean_over_batches(kind, 64)
    assert difference == pytest.approx(math.log(4), rel=0.25)


def test_angles_are_those_of_the_first_128_images_and_distances_of_all():
    student, teacher = pair(EQUAL, batch=160)
    angles, distances = RKD(distance=0.0).module(EQUAL), RKD(angle=0.0).module(EQUAL)
    first = [o.each(lambda tensor: tensor[:128]) for o in (student, teacher)]
    assert angles(student, teacher).equal(angles(*first))
    assert not distances(student, teacher).equal(distances(*first))


def test_rkd_is_never_computed_in_half_precision():
    student, teacher = (o.each(lambda tensor: tensor.bfloat16()) for o in pair(EQUAL))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = RKD().module(EQUAL)(student, teacher)
    exact = RKD().module(EQUAL)(
        *(o.each(lambda tensor: tensor.float()) for o in (student, teacher))
    )
    assert low.dtype == torch.float32 and low.equal(exact)


# ---- what CRD remembers


def test_negatives_are_other_rows_and_all_of_them_come_up():
    rows_B = torch.arange(ROWS)
    places_BJ = made(CRD, EQUAL)._places(rows_B, seed=1)
    assert (places_BJ[:, 0] == rows_B).all() and (places_BJ[:, 1:] != rows_B[:, None]).all()
    assert set(places_BJ[:, 1:].flatten().tolist()) == set(range(ROWS))


def test_the_banks_move_where_the_batch_is_and_stay_of_length_1_there():
    module, (student, teacher) = made(CRD, WIDER), pair(WIDER)
    before = {name: value.clone() for name, value in module.named_buffers()}
    module(student, teacher)
    for name in ("student.bank_NE", "teacher.bank_NE"):
        bank_NE = dict(module.named_buffers())[name]
        moved_N = (bank_NE != before[name]).any(1)
        assert sorted(moved_N.nonzero()[:, 0].tolist()) == sorted(teacher.rows_B.tolist())
        assert bank_NE[moved_N].norm(dim=1).allclose(torch.ones(16, dtype=torch.float64))


def test_negatives_depend_on_the_seed_of_the_step_alone():
    student, teacher = pair(WIDER)
    one, again, other = (
        made(CRD, WIDER)(student, replace(teacher, seed=seed)) for seed in (1, 1, 2)
    )
    assert one.equal(again) and not one.equal(other)


def test_a_few_and_many_negatives_are_scored_alike():
    """By the whole bank, or row by row where the bank is larger than the draw."""
    from dfkd.method.losses.contrast import _products

    g = torch.Generator().manual_seed(0)
    anchor_BE, bank_NE = (torch.randn(n, 8, generator=g, dtype=torch.float64) for n in (5, ROWS))
    places_BJ = torch.randint(ROWS, (5, 64), generator=g)
    whole = _products(anchor_BE, bank_NE, places_BJ)
    parts = torch.cat(
        [_products(anchor_BE, bank_NE, part) for part in places_BJ.split(16, dim=1)], dim=1
    )
    assert whole.allclose(parts, rtol=1e-12)
