"""Views: what all augmentations promise, and how stored pixels become what a network sees."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch

from dfkd.data.images.mixing import CutMix, MixUp
from dfkd.data.images.resized_crop import RandomResizedCrop
from dfkd.data.images.transforms import Crop, RandAugment, View, to_tensor
from dfkd.data.images.views import VIEWS
from dfkd.data.tasks import Digits

OF_ONE_IMAGE: dict[type, Callable[[], View]] = {
    Crop: Crop,
    RandAugment: RandAugment,
    RandomResizedCrop: RandomResizedCrop,
}
RECIPES = {**OF_ONE_IMAGE, MixUp: MixUp, CutMix: CutMix}
each_view = pytest.mark.parametrize("kind", VIEWS, ids=lambda kind: kind.__name__)
each_of_one_image = pytest.mark.parametrize("kind", OF_ONE_IMAGE, ids=lambda kind: kind.__name__)
each_mixture = pytest.mark.parametrize("kind", (MixUp, CutMix), ids=lambda kind: kind.__name__)


def images(batch: int = 64, side: int = 12, channels: int = 3) -> np.ndarray:
    """Every pixel's value says where it was, and none is black."""
    return np.random.default_rng(0).integers(1, 256, (batch, side, side, channels), dtype=np.uint8)


# ---- what all views have in common


def test_every_listed_view_is_tested():
    assert set(RECIPES) == set(VIEWS)


@each_view
@pytest.mark.parametrize("shape", [(5, 12, 12, 3), (1, 8, 16, 1)])
def test_views_are_images_like_those_given(kind, shape):
    given = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    given.flags.writeable = False  # as views of shared memory are
    view = RECIPES[kind]().augment(given, seed=1)
    assert view.shape == given.shape and view.dtype == np.uint8
    assert not np.shares_memory(view, given)


@each_view
def test_a_seed_gives_the_same_view_again(kind):
    rule = RECIPES[kind]()
    one, again, other = (rule.augment(images(), seed) for seed in (1, 1, 2))
    assert (one == again).all() and (one != other).any()


@each_view
def test_tensors_become_the_same_views_as_arrays(kind):
    rule, given = RECIPES[kind](), images()
    view = rule.augment_tensor(torch.from_numpy(given), seed=1)
    assert (view.numpy() == rule.augment(given, seed=1)).all()


@each_of_one_image
def test_images_are_augmented_each_by_itself(kind):
    given = images(2)
    same = np.repeat(given[:1], 64, axis=0)
    views = RECIPES[kind]().augment(same, seed=1)
    assert len(np.unique(views.reshape(64, -1), axis=0)) > 10
    mixed = same.copy()
    mixed[1::2] = given[1]
    assert (RECIPES[kind]().augment(mixed, seed=1)[::2] == views[::2]).all()


@each_view
def test_the_global_random_state_does_not_move(kind):
    before = torch.random.get_rng_state()
    RECIPES[kind]().augment(images(4), seed=1)
    assert torch.random.get_rng_state().equal(before)


@each_of_one_image
def test_views_refuse_other_answers(kind):
    with pytest.raises(
        ValueError, match=r'views.answer must be "cached" or "live", but got answer=.clean.'
    ):
        kind(answer="clean")
    with pytest.raises(
        ValueError, match=r"views.per_row must be 0, for fresh views, or a number of views"
    ):
        kind(per_row=-1)


@pytest.mark.parametrize("kind", (Crop, RandAugment))
def test_crops_refuse_a_negative_padding(kind):
    with pytest.raises(
        ValueError, match=r"views.padding must be 0 pixels or more, but got padding=-1"
    ):
        kind(padding=-1)


# ---- RandAugment


def test_rand_augment_changes_more_than_a_crop_does_and_more_at_a_higher_magnitude():
    def distance(view: View) -> float:
        return float(np.abs(view.augment(images(), seed=1).astype(int) - images()).mean())

    strong, weak = (RandAugment(padding=0, flip=False, magnitude=m) for m in (30, 1))
    assert distance(strong) > distance(weak) > distance(Crop(padding=0, flip=False)) == 0


def test_rand_augment_starts_from_the_crop():
    nothing = RandAugment(magnitude=0, operations=1)
    views, crops = nothing.augment(images(), seed=1), Crop().augment(images(), seed=1)
    # all but contrast, equalisation and the like
    assert (views == crops).all((1, 2, 3)).mean() > 0.5


@pytest.mark.parametrize("fields", [{"operations": 0}, {"magnitude": -1}, {"magnitude": 31}])
def test_rand_augment_refuses_impossible_strengths(fields):
    with pytest.raises(
        ValueError, match=r"views.operations must be 1 or more and views.magnitude lie in 0..30"
    ):
        RandAugment(**fields)


# ---- mixtures


def test_mix_up_fades_two_images_of_the_batch_into_each_other():
    ends = np.array([40, 200], dtype=np.uint8)
    given = np.broadcast_to(ends[:, None, None, None], (2, 4, 4, 1))
    views = [MixUp().augment(given, seed) for seed in range(200)]
    flat = np.stack(views).reshape(200, 2, 16)
    assert (flat == flat[:, :, :1]).all()  # one share for a whole image
    mixed = flat[(flat[:, 0, 0] != 40) | (flat[:, 1, 0] != 200), :, 0]
    assert len(mixed) > 60 and ((mixed >= 40) & (mixed <= 200)).all()
    assert mixed.mean() == pytest.approx(120, abs=8)  # Beta(1, 1) is even


def test_cut_mix_shows_each_pixel_of_one_of_the_two():
    ends = np.array([40, 200], dtype=np.uint8)
    given = np.broadcast_to(ends[:, None, None, None], (2, 8, 8, 1))
    views = np.stack([CutMix().augment(given, seed) for seed in range(50)])
    assert set(np.unique(views)) == {40, 200}
    assert (views[:, 0] == 200).any() and (views[:, 0] == 40).any()


def test_cut_mix_replaces_a_rectangle_of_the_share_that_was_drawn():
    views = CutMix().own(np.full(64, 0.75), (28, 28), np.random.default_rng(0)) == 0
    whole = 0
    for view in views:
        rows, columns = np.flatnonzero(view.any(1)), np.flatnonzero(view.any(0))
        assert view[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        assert view.sum() == len(rows) * len(columns) <= 14 * 14 + 28 + 1
        whole += view.sum() in (13 * 13, 13 * 14, 14 * 14, 14 * 15, 15 * 15)
    assert whole > 10  # a quarter of the area, where the border cuts off nothing


@each_mixture
def test_mixtures_ask_the_teacher_and_say_why(kind):
    with pytest.raises(ValueError, match=r'none to a mixture: views.answer must be "live"'):
        kind(answer="cached")
    with pytest.raises(ValueError, match=r"views.alpha must be above 0, but got alpha=0"):
        kind(alpha=0)


# ---- crops


def test_a_crop_is_a_shifted_and_perhaps_flipped_image():
    given, padding = images(), 2
    seen = set()
    for image, view in zip(
        given, Crop(padding=padding, flip=True).augment(given, seed=3), strict=True
    ):
        padded = np.pad(image, ((padding, padding), (padding, padding), (0, 0)))
        places = [
            (top, left, flipped)
            for top in range(2 * padding + 1)
            for left in range(2 * padding + 1)
            for flipped in (False, True)
            if (view == padded[top : top + 12, left : left + 12][:, :: -1 if flipped else 1]).all()
        ]
        assert len(places) == 1
        seen.add(places[0])
    assert {top for top, _, _ in seen} == {left for _, left, _ in seen} == {0, 1, 2, 3, 4}
    assert {flipped for _, _, flipped in seen} == {False, True}


def test_a_crop_without_padding_and_flip_changes_nothing():
    assert (Crop(padding=0, flip=False).augment(images(), seed=1) == images()).all()


def test_half_of_the_images_are_flipped_if_any():
    left = np.zeros((400, 8, 8, 1), dtype=np.uint8)
    left[:, :, 0] = 255
    assert (
        Crop(padding=0, flip=True).augment(left, seed=0)[:, 0, -1, 0] == 255
    ).mean() == pytest.approx(0.5, abs=0.1)
    assert (Crop(padding=0, flip=False).augment(left, seed=0) == left).all()


# ---- to tensors


@dataclasses.dataclass(frozen=True)
class Colours(Digits):
    mean = (0.1, 0.5, 0.9)
    std = (0.2, 0.3, 0.4)


def test_pixels_are_normalised_with_the_tasks_statistics():
    given = images()
    expected = (given / 255 - np.array(Colours.mean)) / np.array(Colours.std)
    tensor = to_tensor(given, Colours())
    assert tensor.shape == (64, 3, 12, 12)
    np.testing.assert_allclose(tensor.permute(0, 2, 3, 1).numpy(), expected, atol=1e-5)


def test_the_teachers_training_images_have_mean_0_and_deviation_1():
    tensor = to_tensor(Digits().train().images, Digits())
    assert tensor.mean().item() == pytest.approx(0, abs=1e-3)
    assert tensor.std().item() == pytest.approx(1, abs=1e-3)


# ---- crops of another size


def test_resized_crops_are_torchvisions_of_the_same_part():
    from torchvision.transforms.v2 import functional

    given = images(batch=40, side=28)
    views = RandomResizedCrop(flip=False).augment(given, seed=3)
    rng = np.random.default_rng(3)
    tall_B, wide_B = RandomResizedCrop()._sizes(40, 28, 28, rng)
    top_B, left_B = rng.integers(0, 28 - tall_B + 1), rng.integers(0, 28 - wide_B + 1)
    for image, view, *part in zip(given, views, top_B, left_B, tall_B, wide_B, strict=True):
        expected = functional.resized_crop(
            torch.from_numpy(image).permute(2, 0, 1).float(), *map(int, part), [28, 28]
        )
        assert np.abs(expected.permute(1, 2, 0).numpy() - view).max() < 0.51  # it was rounded


def test_resized_crops_have_the_areas_and_aspects_that_were_asked_for():
    rule = RandomResizedCrop(scale=0.25)
    tall_B, wide_B = rule._sizes(4000, 200, 200, np.random.default_rng(0))
    area_B, aspect_B = tall_B * wide_B / 200**2, wide_B / tall_B
    assert area_B.min() > 0.245 and 0.3 < np.median(area_B) < 0.65 and area_B.max() > 0.95
    assert aspect_B.min() > 0.74 and aspect_B.max() < 1.35
    assert np.log(aspect_B).mean() == pytest.approx(0, abs=0.02)


def test_resized_crops_of_the_whole_are_the_image_or_its_mirror():
    given = images(batch=8)
    views = RandomResizedCrop(scale=1).augment(given, seed=0)
    plain = (views == given).all((1, 2, 3))
    assert (plain | (views == given[:, :, ::-1]).all((1, 2, 3))).all() and 0 < plain.sum() < 8
    assert RandomResizedCrop(scale=1, flip=False).canonical() is None


@pytest.mark.parametrize("fields", [{"scale": 0}, {"scale": 1.1}, {"ratio": 0.9}])
def test_resized_crops_refuse_impossible_parts(fields):
    with pytest.raises(ValueError, match=r"views.scale must lie above 0 and up to 1"):
        RandomResizedCrop(**fields)
