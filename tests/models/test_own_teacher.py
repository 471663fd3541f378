"""A teacher of the user's own, from its file to a first look at what it says of a pool."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import in_forks
from image_trees import write_tree
from PIL import Image

from dfkd.data.pools.glyphs import Glyphs
from dfkd.data.tasks import Digits
from dfkd.reporting.console import Console
from dfkd.runs.teacher import doubtful, print_by_class, profile
from dfkd.scores import Scores, scores_of
from dfkd.storage import FolderStorage
from dfkd.training.inputs import InputSource

RECIPE = """
from dataclasses import replace

from dfkd.data.pools import Glyphs
from dfkd.data.tasks import Unlabelled
from dfkd.experiment import Schedule
from dfkd.method.selection import Balanced
from dfkd.models.networks import SmallResNet
from dfkd.models.teachers import TeacherFile
from dfkd.experiment.recipes import digits

SMALL = SmallResNet(width=8, stem_stride=2)
experiment = replace(
    digits(),
    task=Unlabelled(classes=10, image_shape=(16, 16, 1), mean=(0.3062,), std=(0.3195,)),
    pool=Glyphs(rows=600),
    teacher=TeacherFile(path="mine.pt", network=SMALL),
    student=SMALL,
    selection=Balanced(ratio=0.3),
    schedule=Schedule(steps=20, batch=16, evaluations=4),
)
"""
SETTINGS = [
    "pool.rows=600",
    "teacher=teacher_file",
    "teacher.path=mine.pt",
    "teacher.network.width=8",
]


@pytest.fixture(scope="module")
def run() -> Iterator[Callable[..., Any]]:
    with in_forks() as run:
        yield run


@pytest.fixture
def project(tmp_path: Path, source: InputSource) -> Path:
    """A user's folder: a checkpoint of the tiny teacher as training leaves it, and a recipe."""
    folder = tmp_path / "project"
    folder.mkdir()
    named = {f"module.{name}": value for name, value in source.teacher.weights.items()}
    torch.save({"epoch": 9, "state_dict": named}, folder / "mine.pt")
    (folder / "my_recipe.py").write_text(RECIPE)
    return folder


def test_a_teacher_file_without_labels_all_the_way_to_a_student(
    project: Path, run: Callable[..., Any]
) -> None:
    where = ("--storage", "runs")
    taught = run("teach", "my_recipe", *where, folder=project)
    assert taught.returncode == 0, taught.stderr
    for said in (
        "from mine.pt, its 'state_dict', without the prefix 'module.'",
        "images: 16x16, channels 1, normalised with mean 0.3062 and std 0.3195, 10 classes",
        "the task has no validation split: recipes are compared without labels, by the probe",
        "What the teacher says of 600 images of the pool",
        "confidence: median ",
        "conf >= 90 %",
        "next:  python -m platform.score my_recipe",
    ):
        assert said in taught.stdout
    assert "accuracy" not in taught.stdout
    done = run("distill", "my_recipe", *where, folder=project)
    assert done.returncode == 0, done.stderr
    assert "finished at step 20" in done.stdout and "probe" in done.stdout
    assert "validation" not in done.stdout and "test accuracy" not in done.stdout


@pytest.mark.slow
def test_what_a_task_without_labels_cannot_do_is_said_before_anything_is_spent(
    project: Path, run: Callable[..., Any]
) -> None:
    (project / "my_study.py").write_text(
        "from dataclasses import replace\nfrom my_recipe import experiment\nfrom dfkd.studies "
        "import Study\nvariants = {'full': experiment, 'plain': replace(experiment, "
        "dropping=None)}\nstudy = Study(question='?', variants=variants, baseline='full', "
        "blocks=2)\n"
    )
    (project / "my_space.py").write_text(
        "from dataclasses import replace\nfrom my_recipe import experiment as default\ndef "
        "space(trial):\n    rate = trial.suggest_float('dropping.rate', 0, 0.5)\n    return "
        "replace(default, dropping=replace(default.dropping, rate=rate))\n"
    )
    (project / "my_originals.py").write_text(
        "from dataclasses import replace\nfrom my_recipe import experiment as e\nfrom "
        "dfkd.data.pools import TrainingImages\nexperiment = replace(e, "
        "pool=TrainingImages(task=e.task))\n"
    )
    trained_here = ("--set", "teacher=supervised_teacher")
    for command, message in (
        (
            ("distill", "my_recipe", "--test"),
            "its test split: do without --test and compare by the probe",
        ),
        (("ablate", "my_study"), "its test split"),
        (("sweep", "my_space"), "its test split"),
        (("teach", "my_recipe", *trained_here), "its train split: name a teacher that is trained"),
        (("score", "my_originals"), "its train split"),
    ):
        done = run(*command, "--storage", "runs", folder=project)
        assert done.returncode == 2 and message in done.stderr, done.stderr
        assert len([line for line in done.stderr.splitlines() if "error: " in line]) == 1
    assert not (project / "runs").exists()


def test_a_teacher_and_a_labelled_folder_named_on_the_command_line(
    project: Path, run: Callable[..., Any]
) -> None:
    split = Digits().validation()
    for i, (image, label) in enumerate(zip(split.images, split.labels, strict=True)):
        (project / "photographs" / "val" / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(
            project / "photographs" / "val" / str(label) / f"{i}.png"
        )
    folder = (
        "task=labelled_folder task.path=photographs task.image_shape=16,16,1 task.mean=0.3062, "
        "task.std=0.3195,"
    )
    taught = run(
        "teach",
        "digits",
        "--set",
        *SETTINGS,
        *folder.split(),
        folder=project,
        DFKD_CACHE=str(project / "c"),
    )
    assert taught.returncode == 0, taught.stderr
    [accuracy] = [
        line for line in taught.stdout.splitlines() if line.startswith("validation accuracy")
    ]
    assert accuracy.endswith("n 300") and float(accuracy.split()[2]) > 60  # a guess is 10
    assert "test accuracy" not in taught.stdout and "What the teacher says" not in taught.stdout
    known = run("teach", "digits", "--set", *SETTINGS, folder=project)
    assert "validation accuracy" in known.stdout and "test accuracy" in known.stdout


NETWORK = '''
from torch import nn

class Net(nn.Module):
    """Knows nothing of ours."""

    def __init__(self):
        super().__init__()
        convolution = nn.Conv2d(1, 8, 5, stride=2)
        self.body = nn.Sequential(convolution, nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.head = nn.Linear(32, 10)

    def forward(self, images):
        return self.head(self.body(images))
'''
MODULE = """
from dataclasses import replace

import torch

from my_network import Net
from my_recipe import experiment as from_file
from dfkd.models.teachers import ModuleTeacher

torch.manual_seed(0)
experiment = replace(from_file, teacher=ModuleTeacher(module=Net()))
"""


# 10 to 20 s, most of it Ray: what travels is tested with pickles in test_unfit_teacher_files.py
@pytest.mark.slow
def test_a_module_of_ones_own_teaches_on_rays_workers(
    project: Path, run: Callable[..., Any]
) -> None:
    (project / "my_network.py").write_text(NETWORK)
    (project / "my_module.py").write_text(MODULE)
    where = ("--set", "selection.ratio=0.4", "--storage", "runs")
    scored = run("score", "my_module", *where, folder=project)
    assert scored.returncode == 0, scored.stderr
    assert "Pool of 600 rows" in scored.stdout
    assert list((project / "runs" / "scores").rglob("*.parquet"))


# ---- the first look


class Named(Digits):
    class_names = tuple(f"class-{k}" for k in range(30))


def answers(logits_NK: np.ndarray) -> Scores:
    rows = len(logits_NK)
    return scores_of(np.arange(rows), logits_NK.astype(np.float32), np.zeros((rows, 2), np.float32))


def test_a_profile_says_how_sure_a_teacher_is_and_of_how_many_classes() -> None:
    scores = answers(np.array([[9.0, 0, 0, 0], [9, 0, 0, 0], [0, 9, 0, 0], [1, 0, 0, 0]]))
    assert profile(scores) == (
        "confidence: median 100 %, at least 50 % on 75 % of them, 90 % on 75 % of them, 99 % on 75 "
        "% of them; classes: 2 of 4, the largest 75 %"
    )
    assert doubtful(scores) is None


def test_of_many_classes_the_largest_and_smallest_are_shown_by_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    counts = [*range(1, 31)]
    scores = answers(9.0 * np.eye(30)[np.repeat(np.arange(30), counts)])
    print_by_class("Pool", scores, Named(), Console())
    out = capsys.readouterr().out
    assert "Pool, the largest and smallest 10 of 30 classes" in out
    shown = [line.split()[:2] for line in out.splitlines() if line.startswith("class-")]
    assert shown == [[f"class-{k}", str(k + 1)] for k in (*range(29, 19, -1), *range(9, -1, -1))]


def test_answers_that_no_one_can_learn_from_are_doubted() -> None:
    one_class = np.zeros((5, 10))
    one_class[:, 3] = 9
    assert "says class 3 of every image" in str(doubtful(answers(one_class)))
    guesses = np.random.default_rng(0).normal(0, 0.1, (50, 10))
    assert "hardly surer than a guess among 10" in str(doubtful(answers(guesses)))


def test_a_sample_of_a_pool_does_not_import_all_of_it(tmp_path: Path) -> None:
    from dfkd.data.pools import ImageFolder, ParquetPool, Pool

    def sample(pool: Pool, most: int = 1000) -> Any:
        return pool.builder((16, 16, 1), FolderStorage(tmp_path / "runs")).sample(most)

    assert sample(Glyphs(rows=20_000), 100).shape == (100, 16, 16, 1)
    [drawn] = tmp_path.rglob("*.parquet")
    assert sample(ParquetPool(path=str(drawn.parent)), 100).shape == (100, 16, 16, 1)
    write_tree(tmp_path / "tree", ("a", "b"), each=5)
    (tmp_path / "tree" / "a" / "001.png").write_bytes(b"half a file")
    assert sample(ImageFolder(path=str(tmp_path / "tree"))).shape == (9, 16, 16, 1)
