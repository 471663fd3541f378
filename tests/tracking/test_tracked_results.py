"""Studies and sweeps in the real MLflow: their runs, results, files and students."""

import json
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pandas as pd
import pytest
from mlflow_records import Record, outcome
from torch import Tensor, nn

from dfkd.experiment.recipes import digits
from dfkd.models.networks.network import BaseNetwork
from dfkd.storage import FolderStorage
from dfkd.storage.ledger import Ledger
from dfkd.tracking import check_model_name


def test_a_parent_is_found_by_its_identity(record: Record) -> None:
    first = record.parent()
    assert first == record.parent() != record.parent(identity="a2")
    record.tracker.close()
    record.tracker = record.another()
    assert record.parent() == first
    run = record.client.get_run(first.run_id)
    assert run.info.run_name == "sweep/digits" and run.info.status == "RUNNING"
    assert run.data.params == {"trials": "3"}
    assert {"kind": "sweep", "identity": "a1", "task": "d"}.items() <= run.data.tags.items()


def test_a_parent_is_running_finished_or_stopped(record: Record) -> None:
    done, stopped = record.parent(), record.parent("other", "a2")
    record.tracker.finish(done, metrics={}, tables={}, files={})
    record.tracker.close()
    assert record.client.get_run(done.run_id).info.status == "FINISHED"
    assert record.client.get_run(stopped.run_id).info.status == "KILLED"
    record.parent()
    assert record.client.get_run(done.run_id).info.status == "RUNNING"


def test_results_stand_on_the_parent_and_can_be_written_again(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", record.tracker.uri)  # load_table looks nowhere else
    figure = tmp_path / "any_name.png"
    figure.write_bytes(b"png")
    table = pd.DataFrame({"variant": ["full", "plain"], "effect": [0.0, -0.02]})
    for best in (0.8, 0.9):
        record.tracker.finish(
            record.parent(),
            metrics={"best": best, "difference/KD, ratio=0.1+dropping": best},
            tables={"effects.tex": f"best {best}", "effects": table, "more.json": table},
            files={"figures/effects.png": figure, "copy.png": str(figure)},
        )
    run = record.client.get_run(record.parent().run_id)
    assert run.data.metrics == {"best": 0.9, "difference/KD_ ratio_0.1_dropping": 0.9}
    folder = Path(record.client.download_artifacts(run.info.run_id, "", tmp_path))
    assert (folder / "effects.tex").read_text() == "best 0.9"
    assert (
        (folder / "figures" / "effects.png").read_bytes()
        == (folder / "copy.png").read_bytes()
        == b"png"
    )
    loaded = record.client.load_table(run.info.experiment_id, "effects.json")
    pd.testing.assert_frame_equal(loaded, table)
    assert len(json.loads(run.data.tags["mlflow.loggedArtifacts"])) == 2
    assert (record.storage / "mlartifacts").is_dir()


class Untraceable(nn.Module):
    """What it does depends on what it sees: no graph can hold that."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(1, 10)

    def forward(self, images: Tensor) -> Tensor:
        mean = images.mean((1, 2, 3))[:, None]
        return self.head(mean if mean.sum().item() > 0 else -mean)


@dataclass(frozen=True, kw_only=True)
class UntraceableNetwork(BaseNetwork):
    version: ClassVar[int] = 1

    def build(self, classes: int, channels: int) -> nn.Module:
        return Untraceable()


def test_a_student_that_cannot_be_exported_is_one_calm_line(record: Record) -> None:
    """A user's own network may be anything; all else is written."""
    experiment = replace(digits(), student=UntraceableNetwork())
    Ledger(FolderStorage(record.storage)).write(outcome("untraceable"), Untraceable().state_dict())
    parent = record.parent()
    record.tracker.student(parent, outcome("untraceable"), experiment)
    record.cell(outcome("next"), parent)
    assert record.run(outcome("next")).info.status == "FINISHED"
    [line] = record.lines
    assert (
        line.startswith("MLflow has no model of a student (torch.export cannot trace it")
        and "\n" not in line
    )
    assert "student_model" not in record.client.get_run(parent.run_id).data.tags
    record.lines.clear()


def test_a_student_is_registered_on_request_once(record: Record) -> None:
    experiment, first, second = digits(), outcome("first"), outcome("second")
    for cell in (first, first, second, first):
        Ledger(FolderStorage(record.storage)).write(
            cell, experiment.student.build(10, 1).state_dict()
        )
        parent = record.parent()
        record.tracker.student(parent, cell, experiment)
        record.tracker.register(parent, cell, "it's mine")
        assert record.tracker.close()
        record.tracker = record.another()
        champion = record.client.get_model_version_by_alias("it's mine", "champion")
        assert champion.tags["cell_key"] == cell.cell and champion.run_id == parent.run_id
    versions = record.client.search_model_versions(f"run_id = '{parent.run_id}'")
    assert len(versions) == 2


def test_a_name_that_the_registry_refuses_is_bad_input() -> None:
    for name in ("a/b", "a:b", " ", ".", ".."):
        with pytest.raises(ValueError, match="a registered model needs a name"):
            check_model_name(name)


def test_a_copied_storage_keeps_its_files_to_itself(tmp_path: Path) -> None:
    """MLflow's database names the folder of the original by its absolute path."""
    original = Record(tmp_path / "a b", "dfkd")
    for record in (original, Record(tmp_path / "copy", "dfkd")):
        if record is not original:
            shutil.copytree(original.storage, record.storage)
        parent = record.parent()
        record.cell(outcome("c1"), parent)
        record.tracker.finish(parent, metrics={}, tables={"t.txt": record.storage.name}, files={})
        assert record.tracker.close() and record.lines == []
        run = record.client.get_run(parent.run_id)
        assert run.info.artifact_uri.startswith((record.storage / "mlartifacts").as_uri())
        assert len(record.runs(cell_key="c1")) == 1
    assert [f.read_text() for f in (tmp_path / "a b").rglob("t.txt")] == ["a b"]
    names = {experiment.name for experiment in record.client.search_experiments()}
    assert names >= {"dfkd", f"dfkd of {tmp_path / 'a b'}"}
    again = record.another()
    again.parent(kind="sweep", name="digits", identity="a1", params={}, tags={})
    assert again.close() and len(record.client.search_experiments()) == len(names)


def test_findings_are_the_description_and_a_command_is_the_source(
    record: Record, tmp_path: Path
) -> None:
    parent, text = record.parent(), "a line of findings\n" * 1000
    page = tmp_path / "index.html"
    page.write_text("the report")
    files: dict[str, Path | str] = {"report/index.html": page}
    record.tracker.finish(parent, metrics={}, tables={}, files=files, description=text)
    tags = record.client.get_run(parent.run_id).data.tags
    link, _, findings = tags["mlflow.note.content"].partition("\n\n")
    assert text.startswith(findings) and findings.endswith("a line of findings")
    assert f"/runs/{parent.run_id}/artifacts/report/index.html)" in link
    assert tags["mlflow.user"] and sys.argv[0].split("/")[-1] in tags["mlflow.source.name"]
    experiment = record.client.get_experiment(parent.experiment_id)
    assert "box plot" in experiment.tags["mlflow.note.content"]


def test_the_same_student_is_exported_once(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment, parent, cell = digits(), record.parent(), outcome("exported")
    Ledger(FolderStorage(record.storage)).write(cell, experiment.student.build(10, 1).state_dict())
    for _ in range(2):
        record.tracker.student(parent, cell, experiment)
        record.tracker.close()
        record.tracker = record.another()
    models = record.client.search_logged_models([parent.experiment_id])
    assert [(model.name, model.status) for model in models] == [("student", "READY")]
    assert (
        models[0].source_run_id == parent.run_id and models[0].params["student"] == "small_res_net"
    )
    [held] = record.client.get_run(parent.run_id).outputs.model_outputs
    assert (
        record.client.get_run(parent.run_id).data.tags["student_model"]
        == f"models:/{held.model_id}"
    )
