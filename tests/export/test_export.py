"""Exported students: three formats that answer as the original does, a card, or nothing at all."""

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
import yaml
from safetensors.torch import load_file

from dfkd.data.pools.glyphs import Glyphs
from dfkd.experiment import Experiment
from dfkd.export import load
from dfkd.export.checks import Agreement, agreement, as_floats
from dfkd.export.handover import images_to_compare
from dfkd.models.teachers import predict
from dfkd.storage import FolderStorage
from dfkd.storage.ledger import Ledger
from dfkd.storage.outcome import Outcome

FILES = ["README.md", "config.json", "model.onnx", "model.pt2", "model.safetensors"]


def test_the_folder_is_whole_and_the_command_says_what_it_wrote(
    exported: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = exported
    assert sorted(path.name for path in folder.iterdir()) == FILES and list(
        folder.parent.iterdir()
    ) == [folder]
    assert f"written to {folder}" in done.stdout and "300 of 300" in done.stdout
    assert "1 thread" in done.stdout and "images/s" in done.stdout and not done.stderr


def test_onnx_in_its_runtime_gives_the_students_predictions(
    exported: tuple[Path, Any], finished: tuple[Path, Outcome], tiny: Experiment
) -> None:
    storage, outcome = finished
    task = tiny.task
    student = tiny.student.build(task.classes, task.image_shape[2])
    student.load_state_dict(Ledger(FolderStorage(storage)).weights(outcome.cell))
    images = task.validation().images
    session = onnxruntime.InferenceSession(exported[0] / "model.onnx")
    assert session.get_inputs()[0].shape[1:] == [1, 16, 16]
    for batch in (1, 3, 100):
        (logits,) = session.run(["logits"], {"images": as_floats(images[:batch])})
        assert (logits.argmax(axis=1) == predict(student, images[:batch], task)).all()


def test_all_formats_hold_the_same_student(exported: tuple[Path, Any], tiny: Experiment) -> None:
    folder, _ = exported
    images = torch.from_numpy(as_floats(tiny.task.validation().images[:5]))
    graph, module = torch.export.load(folder / "model.pt2").module(), load(folder)
    for some in (images, images[:1]):
        torch.testing.assert_close(graph(some), module(some), rtol=1e-4, atol=1e-4)
    config = json.loads((folder / "config.json").read_text())
    assert config["image"] == [1, 16, 16] and config["classes"] == 10 and config["mean"] == [0.3062]


def test_the_cards_code_runs_and_its_front_matter_is_what_a_hub_reads(
    exported: tuple[Path, Any], finished: tuple[Path, Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, outcome = exported[0], finished[1]
    text = (folder / "README.md").read_text()
    _, front, body = text.split("---\n", 2)
    card = yaml.safe_load(front)
    [model] = card["model-index"]
    values = {
        result["dataset"]["split"]: result["metrics"][0]["value"] for result in model["results"]
    }
    assert values == {
        name: pytest.approx(outcome.metrics[name], abs=1e-6) for name in ("test", "validation")
    }
    blocks = re.findall(r"```python\n(.*?)```", body, re.DOTALL)
    assert len(blocks) == 3 and all(len(block.splitlines()) == 3 for block in blocks)
    monkeypatch.chdir(folder)
    for block in blocks:
        names: dict[str, Any] = {}
        exec(block, names)
        assert tuple(names["logits"].shape) == (4, 10)
    for said in (
        "300 validation images",
        outcome.cell,
        outcome.tags["teacher"],
        "| selection | balanced |",
    ):
        assert said in body
    assert re.search(r" ms \(.* to .*\), n \d+ \|", body)


def test_a_second_call_says_that_it_is_there(
    exported: tuple[Path, Any],
    finished: tuple[Path, Outcome],
    run_command: Callable[..., Any],
    tmp_path: Path,
) -> None:
    storage, outcome = finished
    before = {path.name: path.stat().st_mtime_ns for path in exported[0].iterdir()}
    done = run_command(
        "export",
        outcome.cell,
        "--storage",
        str(storage),
        "--out",
        str(exported[0]),
        folder=tmp_path,
    )
    assert done.returncode == 0 and done.stdout.startswith("it is there: ")
    assert {path.name: path.stat().st_mtime_ns for path in exported[0].iterdir()} == before


def test_agreement_sees_what_is_wrong_in_single_images_and_in_batches(
    exported: tuple[Path, Any], tiny: Experiment
) -> None:
    student, images = load(exported[0]), tiny.task.validation().images[:70]

    def answer(images_BCHW: Any) -> Any:
        return student(torch.from_numpy(images_BCHW)).numpy()

    def wrong_at(batch: int, by: float) -> Agreement:
        return agreement(
            lambda x: answer(x) + np.float32(by if len(x) == batch else 0),
            student,
            images,
            tiny.task,
        )

    assert wrong_at(7, 1.0).holds and wrong_at(7, 1.0).same == 70  # no batch of 7 is asked about
    for batch in (1, 6, 64):
        assert not wrong_at(batch, 0.1).holds
        assert not wrong_at(batch, float("nan")).holds


def test_without_labels_formats_are_compared_on_the_probe_and_without_a_pool_on_noise(
    tiny: Experiment, finished: tuple[Path, Outcome], source_storage: Path, tmp_path: Path
) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Unlabelled(type(tiny.task)):
        def validation(self) -> None:
            return None

    e, outcome = replace(tiny, task=Unlabelled()), finished[1]
    assert isinstance(e.pool, Glyphs)
    images, said = images_to_compare(e, outcome, FolderStorage(source_storage))
    # 15 % of 600 rows
    assert said == "90 held-out images of the pool" and images.shape == (90, 16, 16, 1)
    images, said = images_to_compare(e, outcome, FolderStorage(tmp_path))
    assert said == "256 images of noise" and images.dtype == np.uint8


def test_the_safetensors_file_is_the_ledgers(
    exported: tuple[Path, Any], finished: tuple[Path, Outcome]
) -> None:
    ours, theirs = (
        load_file(exported[0] / "model.safetensors"),
        Ledger(FolderStorage(finished[0])).weights(finished[1].cell),
    )
    assert ours.keys() == theirs.keys() and all(
        torch.equal(ours[name], theirs[name]) for name in ours
    )
