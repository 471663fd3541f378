"""Classes by name or by the number in it, and what is said where a teacher has the other order."""

import shutil

import numpy as np
import pytest
from image_trees import labelled, write_tree

from dfkd.data.tasks import LabelledFolder, Split
from dfkd.data.tasks.labelled_files import in_order
from dfkd.identity import spec
from dfkd.runs.teacher import other_order

pytestmark = pytest.mark.usefixtures("cache")
NUMBERS = tuple(map(str, range(12)))
BY_NAME = ("0", "1", "10", "11", "2", "3", "4", "5", "6", "7", "8", "9")


@pytest.fixture
def folder(tmp_path):
    write_tree(tmp_path / "numbers" / "test", NUMBERS)
    return tmp_path / "numbers"


def test_numbered_classes_are_labelled_in_the_order_that_is_asked_for(folder):
    by_name, by_number = labelled(folder), labelled(folder, class_order="number")
    assert by_name.class_names == BY_NAME
    assert by_number.class_names == NUMBERS
    for label in range(12):  # the images of a class, under either label
        mine = by_number.test().images[by_number.test().labels == label]
        other = by_name.test().labels == BY_NAME.index(str(label))
        assert np.array_equal(mine, by_name.test().images[other])


def test_the_default_order_is_no_part_of_the_identity_and_the_content_has_none(folder):
    by_name, by_number = labelled(folder), labelled(folder, class_order="number")
    assert "class_order" not in spec(by_name)
    assert spec(by_number) == spec(by_name) | {"class_order": "number"}
    labelled(folder, class_order="number", content=by_name.content, classes=12).check()


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (("class_10", "class_9", "class_1"), ("class_1", "class_9", "class_10")),
        (("010", "9", "0100"), ("9", "010", "0100")),
        (("v2.10", "v2.9", "v1.11"), ("v1.11", "v2.9", "v2.10")),
        (("1", "01"), ("01", "1")),
    ],
)
def test_the_number_may_stand_anywhere_in_the_name(names, order):
    assert in_order(names, "number") == order


def test_names_without_numbers_have_one_order(root):
    assert labelled(root).renumbered() is None
    with pytest.raises(ValueError, match=r"needs classes with a number .* 'bird', 'cat'"):
        _ = labelled(root, class_order="number").class_names
    with pytest.raises(ValueError, match=r"must be one of \('name', 'number'\), but got .*'size'"):
        labelled(root, class_order="size")


def note(task: LabelledFolder, order: tuple[str, ...], right: float) -> str | None:
    """What is said of a teacher with classes in this order that is right in this share."""
    rng = np.random.default_rng(0)
    shown_N = rng.integers(0, 12, 240)  # numbers of classes
    answers = np.array([order.index(str(number)) for number in shown_N])
    wrong_N = rng.random(240) >= right
    answers[wrong_N] = rng.integers(0, 12, wrong_N.sum())
    labels_N = np.array([task.class_names.index(str(number)) for number in shown_N])
    return other_order(answers, Split(np.zeros((240, 16, 16, 1), np.uint8), labels_N), task)


@pytest.mark.parametrize("right", [1.0, 0.6])
def test_a_teacher_of_the_other_order_is_told(folder, right):
    by_name, by_number = labelled(folder), labelled(folder, class_order="number")
    assert note(by_name, BY_NAME, right) is None and note(by_number, NUMBERS, right) is None
    assert "give the task class_order='number'" in (note(by_name, NUMBERS, right) or "")
    assert "give the task class_order='name'" in (note(by_number, BY_NAME, right) or "")


def test_a_teacher_that_guesses_has_no_order(folder):
    assert note(labelled(folder), NUMBERS, 0.0) is None


def test_a_class_without_images_in_a_split_is_mended_as_the_line_says(root):
    """Its folder is emptied, then removed: either line names the one way that works."""
    moved = (root / "val" / "cat" / "000.png").read_bytes()
    for file in (root / "val" / "cat").iterdir():
        file.rename(file.with_suffix(".heic"))
    with pytest.raises(ValueError, match=r"none in .*cat \(files there: 3 \.heic; .*: move one im"):
        labelled(root)
    shutil.rmtree(root / "val" / "cat")
    with pytest.raises(ValueError, match=r"'cat' is in .*train and not in .*val: make it there,"):
        labelled(root)
    (root / "val" / "cat").mkdir()
    (root / "val" / "cat" / "000.png").write_bytes(moved)
    assert labelled(root).class_names == ("bird", "cat", "dog")
