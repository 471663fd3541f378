"""What `platform.compare` says.

A ledger and MLflow tell the same study, and the command says what it wrote.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from synthetic import jobs_of, write_cell, write_study

from ablations.components import study as components
from dfkd.comparison.reports import read_study
from dfkd.seeding import Block
from dfkd.storage import FolderStorage
from dfkd.storage.ledger import Ledger
from dfkd.studies.reading import curves_text, from_ledger, from_mlflow
from dfkd.studies.record import StudyRecord
from dfkd.tracking import Tracker
from dfkd.tracking.reading import Tracked

STUDY = replace(components, blocks=4)


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger and an MLflow database that hold the same study, as `run_study` writes both."""
    storage = tmp_path_factory.mktemp("storage")
    record = write_study(
        storage, "parts", STUDY, {"without selection": -0.08}, diverged=(("without explicit", 1),)
    )
    with closing(Tracker(FolderStorage(storage), warn=pytest.fail)) as tracker:
        track(tracker, record, Ledger(FolderStorage(storage)))
    return storage


def track(tracker: Tracker, record: StudyRecord, ledger: Ledger, **files: str) -> None:
    name = record.name
    parent = tracker.parent(
        kind="study", name=name, identity=f"study {name}", params={}, tags={"study": name}
    )
    for variant, cells in record.cells.items():
        for cell in cells:
            outcome = ledger.read(cell)
            assert outcome is not None
            tracker.cell(
                outcome,
                parent,
                role="variant",
                name=variant,
                tags={"study": name, "variant": variant},
            )
    tracker.finish(parent, metrics={}, tables={"study.json": record.text(), **files}, files={})


def uri(storage: Path) -> str:
    return f"sqlite:///{storage}/mlflow.db"


def test_ledger_and_mlflow_give_the_same_study(storage: Path) -> None:
    ledger, tracked = (
        from_ledger(FolderStorage(storage), "parts"),
        from_mlflow(Tracked(uri(storage)), "parts"),
    )
    assert len(ledger.cells) == 20 and len(ledger.curves) == 60
    pd.testing.assert_frame_equal(tracked.cells, ledger.cells, check_exact=True)
    pd.testing.assert_frame_equal(tracked.curves, ledger.curves, check_exact=True)
    for name in (
        "name",
        "question",
        "baseline",
        "params",
        "changes",
        "blocks",
        "provenance",
        "test_images",
        "looked",
    ):
        assert getattr(tracked, name) == getattr(ledger, name), name


def test_with_the_file_of_curves_no_cell_is_asked_for_its_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    record, ledger = (
        write_study(tmp_path, "parts", replace(STUDY, blocks=2), {}),
        Ledger(FolderStorage(tmp_path)),
    )
    outcomes = [outcome for cell in record.names() if (outcome := ledger.read(cell))]
    with closing(Tracker(FolderStorage(tmp_path), warn=pytest.fail)) as tracker:
        track(tracker, record, ledger, **{"curves.json": curves_text(outcomes)})
    monkeypatch.setattr(
        MlflowClient, "get_metric_history", lambda *_: pytest.fail("a call for a single cell")
    )
    tracked = from_mlflow(Tracked(uri(tmp_path)), "parts")
    pd.testing.assert_frame_equal(
        tracked.curves, from_ledger(FolderStorage(tmp_path), "parts").curves, check_exact=True
    )


def test_a_cell_that_is_not_there_is_left_out_and_one_that_failed_is_errored(
    storage: Path, tmp_path: Path
) -> None:
    record = write_study(tmp_path, "parts", STUDY, {})
    gone, failed = record.cells["without implicit"][2:]
    for cell in (gone, failed):
        shutil.rmtree(Path(Ledger(FolderStorage(tmp_path)).address(cell)))
    (tmp_path / "studies" / "parts" / "study.json").write_text(
        replace(record, errors={failed: "killed"}).text()
    )
    cells = from_ledger(FolderStorage(tmp_path), "parts").cells
    assert len(cells) == 19 and cells.loc[cells["state"] == "errored", "cell"].tolist() == [failed]


def test_a_cell_of_an_extra_block_does_not_join_the_study(storage: Path) -> None:
    other = jobs_of(replace(components, blocks=6))["full", 5]
    write_cell(storage, other, 0.5)
    assert len(from_ledger(FolderStorage(storage), "parts").cells) == 20


@pytest.mark.parametrize(
    "block", [Block(seed=3), Block(seed=0, draw=2), Block(seed=12, draw=1, teacher=4)]
)
def test_a_block_is_read_back_from_its_label(block: Block) -> None:
    assert Block.parse(str(block)) == block


@pytest.fixture(scope="module")
def shown(storage: Path, run_command: Callable[..., Any]) -> Iterator[str]:
    done = run_command("compare", "ablations.parts", "--storage", str(storage), folder=storage)
    assert done.returncode == 0, done.stderr
    yield done.stdout


def test_the_command_shows_the_table_and_says_where_the_report_lies(
    storage: Path, shown: str
) -> None:
    assert "without selection" in shown and "conditional on this teacher" in shown
    report = storage / "studies" / "parts" / "report"
    names = {"index.html", "report.md", "table.tex", "comparisons.csv", "cells.csv"}
    assert {path.name for path in report.iterdir()} == names | {
        "effects.svg",
        "learning.svg",
        "cost.svg",
    }
    assert f"written to {report}" in shown and "next:  python -m platform.show" in shown


def test_the_report_lies_in_mlflow_too_and_the_study_still_stands_as_finished(
    storage: Path, shown: str
) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(uri(storage))
    experiment = client.get_experiment_by_name("dfkd").experiment_id
    [study] = client.search_runs([experiment], "tags.identity = 'study parts'")
    assert study.info.status == "FINISHED"
    assert "report/index.html" in [
        file.path for file in client.list_artifacts(study.info.run_id, "report")
    ]


def test_mlflow_alone_gives_the_same_report_byte_for_byte(
    storage: Path, shown: str, tmp_path: Path, run_command: Callable[..., Any]
) -> None:
    options = ("--storage", "elsewhere", "--tracking-uri", uri(storage), "--no-log")
    again = run_command("compare", "parts", *options, folder=tmp_path)
    assert again.returncode == 0, again.stderr
    for file in (storage / "studies" / "parts" / "report").iterdir():
        assert (
            tmp_path / "elsewhere" / "studies" / "parts" / "report" / file.name
        ).read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    ("name", "tracking_uri", "message"),
    [
        ("part", None, "there is no study 'part' in .*: did you mean parts"),
        (
            "part",
            "sqlite:///{storage}/mlflow.db",
            "there is no study 'part' in .*: did you mean parts",
        ),
        ("parts", "sqlite:///{storage}/nowhere.db", "there is no database .*nowhere.db"),
        ("parts", "http://127.0.0.1:9", "cannot be read"),
    ],
)
def test_what_is_not_there_is_said_with_the_nearest(
    storage: Path, name: str, tracking_uri: str | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message) as error:
        read_study(
            name, FolderStorage(storage), tracking_uri and tracking_uri.format(storage=storage)
        )
    assert "\n" not in str(error.value)
    assert not (storage / "nowhere.db").exists()


def test_an_empty_storage_is_one_line_that_says_what_to_do(
    tmp_path: Path, run_command: Callable[..., Any]
) -> None:
    done = run_command("compare", "--storage", "s", folder=tmp_path)
    assert done.returncode == 2 and "python -m platform.ablate" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and not (tmp_path / "s").exists()
