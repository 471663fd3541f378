"""An MLflow experiment of somebody else's is compared like a table."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from dfkd.comparison.own_results import Columns, read_own
from dfkd.studies.findings import find
from dfkd.tracking import database_uri, knock, settle


@pytest.fixture(scope="module")
def uri(storage: Path) -> str:
    """A server with an experiment in which two models were trained with four seeds each."""
    uri = database_uri(storage / "mlflow.db")
    settle()
    knock(uri)
    client = MlflowClient(tracking_uri=uri)
    made = client.create_experiment("their/experiment")
    for model, gain in (("small", 0.0), ("large", 0.03)):
        for seed in range(4):
            run = client.create_run(made, tags={"model": model})
            client.log_param(run.info.run_id, "seed", seed)
            client.log_metric(run.info.run_id, "val_acc", 0.8 + gain + 0.01 * seed)
            client.log_metric(run.info.run_id, "loss", 3.5)
            client.set_terminated(run.info.run_id, "FAILED" if seed == 3 else "FINISHED")
    return uri


def test_params_tags_and_metrics_are_columns(uri: str) -> None:
    columns = Columns(variant="model", metric="val_acc", baseline="small")
    data = read_own("mlflow:their/experiment", columns, uri)
    [comparison] = find(data).comparisons
    assert (comparison.variant, comparison.n) == ("large", 3)  # failed runs do not count
    assert comparison.difference == pytest.approx(0.03) and data.blocks == (0, 1, 2)


@pytest.mark.parametrize(
    ("source", "columns", "line"),
    [
        ("mlflow:their", Columns(), r"the MLflow experiment their at sqlite.* does not exist"),
        ("mlflow:their/experiment", Columns(), r"no column 'variant' \(--variant\)"),
        ("mlflow:their/experiment", Columns(variant="model"), "name one with --metric"),
        ("mlflow:their/experiment", Columns(variant="model", metric="acc"), "did you mean val_acc"),
    ],
)
def test_what_is_not_there_is_one_line(uri: str, source: str, columns: Columns, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        read_own(source, columns, uri)
