"""docs/tutorial.md, run as it is written on made-up files, some of them broken."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import ROOT
from PIL import Image

from dfkd.data.pools.drawing import draw_row
from dfkd.data.tasks import Digits
from dfkd.models.networks import SmallResNet
from dfkd.models.teachers import SupervisedTeacher
from dfkd.storage import FolderStorage

PAGE = (ROOT / "docs" / "tutorial.md").read_text()
BLOCKS = re.findall(r"^```(python|sh)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
ON_MANY_CELLS = ("ablate", "sweep", "compare")
LONG = pytest.mark.slow  # 1 to 2 minutes; the commands have tests of their own


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the page's reader has."""
    folder = tmp_path_factory.mktemp("reader")
    teacher = SupervisedTeacher(network=SmallResNet(width=16, stem_stride=2), steps=150, batch=64)
    torch.save(
        teacher.obtain(Digits(), FolderStorage(tmp_path_factory.mktemp("elsewhere"))).weights,
        folder / "teacher.pt",
    )
    (folder / "images").mkdir()
    generator = np.random.default_rng(0)
    for i in range(1500):
        path = folder / "images" / f"{i:04d}.png"
        Image.fromarray(draw_row(generator, (16, 16, 1))[0][..., 0]).save(path)
        if i < 5:
            path.write_bytes(path.read_bytes()[:60])
    for name, split in (("val", Digits().validation()), ("test", Digits().test())):
        for i, (image, label) in enumerate(zip(split.images, split.labels, strict=True)):
            path = folder / "labelled" / name / str(label) / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[..., 0]).save(path)
    return folder


@LONG
@pytest.mark.parametrize(
    "left_out", [pytest.param(ON_MANY_CELLS, id="short"), pytest.param((), id="whole")]
)
def test_the_page_runs_as_it_is_written(
    left_out: tuple[str, ...], files: Path, tmp_path: Path, run_command: Callable[..., Any]
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    for entry in files.iterdir():
        (folder / entry.name).symlink_to(entry)
    said = _follow(folder, left_out, run_command)
    assert "validation accuracy" in said["teach"]
    assert (
        "1495 images, 5 set aside (5 truncated or damaged)" in said["inspect"]
        and "This pool can" in said["inspect"]
    )
    [accuracy] = re.findall(r"^test accuracy .*$", said["distill"], re.MULTILINE)
    assert said["use_student"].strip() == accuracy
    if not left_out:
        assert "undecided" in said["ablate"]
        assert "winner: selection.ratio" in said["sweep"] and "side by side" in said["compare"]


def _follow(
    folder: Path, left_out: tuple[str, ...], run_command: Callable[..., Any]
) -> dict[str, str]:
    """Return what each command of the page said; blocks of Python become the files they name."""
    said: dict[str, str] = {}
    for kind, text in BLOCKS:
        if kind == "python":
            path = folder / text.splitlines()[0].removeprefix("# ")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            continue
        for line in text.splitlines():
            cell = re.search(r"^Cell (\S+):", said.get("distill", ""), re.MULTILINE)
            name, done = _run(
                line.replace("CELL", cell[1] if cell else "CELL"), folder, left_out, run_command
            )
            if done is not None:
                assert done.returncode == 0, done.stderr
                said[name] = done.stdout
    return said


def _run(
    line: str, folder: Path, left_out: tuple[str, ...], run_command: Callable[..., Any]
) -> tuple[str, subprocess.CompletedProcess[str] | None]:
    python, *words = line.split()
    assert python == "python"
    if words[0] != "-m":
        command = [sys.executable, *words]
        return Path(words[0]).stem, subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False
        )
    name = words[1].removeprefix("platform.")
    if name in left_out:
        return name, None
    return name, run_command(
        name, *words[2:], folder=folder, DFKD_CACHE=str(folder.parent / "cache")
    )


def test_the_page_names_every_step() -> None:
    commands = re.findall(r"^python -m platform\.(\w+)", PAGE, re.MULTILINE)
    assert commands == ["teach", "inspect", "distill", "ablate", "sweep", "compare", "export"]
