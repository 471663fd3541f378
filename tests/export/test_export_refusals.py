"""What cannot be exported is one line, and leaves nothing."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from synthetic import write_cell
from torch import Tensor, nn

from dfkd.experiment import Experiment
from dfkd.export.folder import is_export_of
from dfkd.export.handover import export, student_of
from dfkd.models.networks import SmallResNet
from dfkd.models.networks.network import BaseNetwork
from dfkd.reporting.console import Console
from dfkd.runs.finding import find_outcome
from dfkd.storage import FolderStorage
from dfkd.storage.ledger import Ledger
from dfkd.storage.outcome import Outcome
from dfkd.training.jobs import Job


def test_a_folder_of_something_else_is_left_alone(
    exported: tuple[Path, Any], tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="holds something else: name another folder with --out"):
        is_export_of(FolderStorage(tmp_path), "any")
    with pytest.raises(ValueError, match="holds the student of the cell"):
        is_export_of(FolderStorage(exported[0]), "another")
    assert not is_export_of(FolderStorage(tmp_path / "new"), "any")


def test_an_unknown_cell_is_one_line_with_the_nearest(
    finished: tuple[Path, Outcome], run_command: Callable[..., Any], tmp_path: Path
) -> None:
    storage, outcome = finished
    wrong = f"x{outcome.cell[:8]}"
    done = run_command("export", wrong, "--storage", str(storage), folder=tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert f"there is no cell '{wrong}'" in done.stderr and outcome.cell in done.stderr
    assert not list(tmp_path.iterdir()) and not (storage / "exports").exists()


@pytest.mark.parametrize(
    ("state", "said"),
    [("diverged", "diverged at step 20: it has no student"), ("pruned", "was pruned at step 20")],
)
def test_a_cell_without_a_student_is_one_line(
    state: str, said: str, tiny: Experiment, job_of: Callable[..., Job], tmp_path: Path
) -> None:
    outcome = write_cell(tmp_path, job_of(tiny), 0.1, state=state)
    with pytest.raises(ValueError, match=said):
        student_of(
            find_outcome(outcome.cell, FolderStorage(tmp_path), None), FolderStorage(tmp_path), []
        )


def test_a_student_whose_weights_are_elsewhere_is_one_line(
    finished: tuple[Path, Outcome], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"are not in .*: name the storage that has them"):
        student_of(finished[1], FolderStorage(tmp_path), [])


@dataclass(frozen=True, kw_only=True)
class Elsewise(BaseNetwork):
    """Answers otherwise when it is exported, as networks with a fast path for inference may."""

    version: ClassVar[int] = 1

    def build(self, classes: int, channels: int) -> nn.Module:
        return ElsewiseModule(SmallResNet(width=8, stem_stride=2).build(classes, channels))


class ElsewiseModule(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images_BCHW: Tensor) -> Tensor:
        logits_BK: Tensor = self.network(images_BCHW)
        return logits_BK + 0.01 if torch.compiler.is_compiling() else logits_BK


@dataclass(frozen=True, kw_only=True)
class Untraceable(BaseNetwork):
    """Looks into its images: no graph can."""

    version: ClassVar[int] = 1

    def build(self, classes: int, channels: int) -> nn.Module:
        return UntraceableModule(classes)


class UntraceableModule(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(256, classes)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        logits_BK: Tensor = self.head(images_BCHW.flatten(1))
        return -logits_BK if logits_BK.sum().item() > 0 else logits_BK


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (Elsewise(), "torch.export export does not agree with the student: .* 0.01 on 300 images"),
        (Untraceable(), "does not fit into torch.export"),
    ],
)
def test_an_export_that_does_not_agree_leaves_nothing(
    network: Any, said: str, tiny: Experiment, job_of: Callable[..., Job], tmp_path: Path
) -> None:
    experiment = replace(tiny, student=network)
    job = job_of(experiment)
    outcome = write_cell(tmp_path, job, 0.9)
    weights = {
        name: value.contiguous() for name, value in network.build(10, 1).state_dict().items()
    }
    storage = tmp_path / "other"
    Ledger(FolderStorage(storage)).write(outcome, weights)
    student = student_of(outcome, FolderStorage(storage), [__name__])
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=said) as raised:
        export(
            student,
            outcome,
            FolderStorage(storage),
            FolderStorage(tmp_path / "exports" / "one"),
            Console(quiet=True),
        )
    assert "\n" not in str(raised.value) and sorted(tmp_path.rglob("*")) == before


def test_what_writes_onnx_is_an_extra(
    finished: tuple[Path, Outcome], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder, outcome = finished
    storage, target = FolderStorage(folder), FolderStorage(tmp_path / "student")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ValueError, match=r"needs onnxruntime: pip install 'dfkd-platform\[export"):
        export(student_of(outcome, storage, ()), outcome, storage, target, Console(quiet=True))
    assert not target.root.exists()
