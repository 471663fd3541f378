"""What every task promises.

N images, H height, W width, C channels, K classes.
"""

from pathlib import Path

import pytest

from dfkd.data.tasks import NoSplit, Split, Task
from dfkd.testing.pools import stamps
from dfkd.testing.suite import PieceSuite


class TaskSuite(PieceSuite):
    """Runs each of `pieces`, tasks, through what teachers, runs and reports rely on.

    class TestMine(TaskSuite):
        pieces = (Mine(),)
    """

    def test_its_constants_fit_together(self, piece: Task) -> None:
        height, width, channels = piece.image_shape
        assert piece.classes >= 2 and min(height, width) >= 1 and channels in (1, 3, 4)
        assert len(piece.mean) == len(piece.std) == channels
        assert all(0 <= mean <= 1 for mean in piece.mean), "of pixels scaled to 0..1"
        assert all(std > 0 for std in piece.std)
        assert len(piece.class_names) == len(set(piece.class_names)) == piece.classes

    def test_splits_hold_images_of_the_shape_and_labels_of_the_classes(self, piece: Task) -> None:
        for split in splits_of(piece).values():
            assert len(split) > 0
            assert split.images.shape == (len(split), *piece.image_shape)
            assert split.labels.min() >= 0 and split.labels.max() < piece.classes

    def test_a_split_that_is_missing_is_known_before_it_is_read(self, piece: Task) -> None:
        for name, ask in (("train", piece.train), ("test", piece.test)):
            try:
                piece.require(name)
            except NoSplit as error:
                assert "\n" not in str(error)
                with pytest.raises(NoSplit):
                    ask()

    def test_a_split_is_the_same_each_time_whoever_writes_into_it(self, piece: Task) -> None:
        kept = {}
        for name, split in splits_of(piece).items():
            kept[name] = Split(split.images.copy(), split.labels.copy())
            split.images[:], split.labels[:] = 0, 0
        for name, split in splits_of(piece).items():
            assert (split.images == kept[name].images).all(), f"{name} was written into"
            assert (split.labels == kept[name].labels).all(), f"{name} was written into"

    def test_check_accepts_and_writes_nothing_but_what_it_remembers(
        self, piece: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        piece.check()  # what it remembers of its files lies in the user's cache from now on
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        before = stamps(tmp_path)
        piece.check()
        assert stamps(tmp_path) == before

    def test_what_a_drawn_pool_noted_of_a_row_is_a_class_or_none(self, piece: Task) -> None:
        for character in ("", "3", "garment 1", "a word"):
            shown = piece.class_shown(character)
            assert shown is None or isinstance(shown, int)


def splits_of(task: Task) -> dict[str, Split]:
    """Return the splits that the task has."""
    splits: dict[str, Split] = {}
    for name, ask in (("train", task.train), ("validation", task.validation), ("test", task.test)):
        try:
            split = ask()
        except NoSplit:
            continue
        if split is not None:
            splits[name] = split
    return splits
