"""Runs of an MLflow experiment, looked up page by page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # MLflow takes seconds to import
    from mlflow import MlflowClient
    from mlflow.entities import Run

PAGE = 1000  # runs that MLflow gives at a time, at the most
OLDEST_FIRST = ["attributes.start_time ASC", "attributes.run_id ASC"]


def runs_that(client: MlflowClient, experiment_id: str, condition: str) -> Iterator[Run]:
    """Yield the runs that meet MLflow's filter, the oldest first.

    Should two drivers ever have made one run twice, all go on with the same one.
    """
    token = None
    while True:
        page = client.search_runs(
            [experiment_id], condition, max_results=PAGE, order_by=OLDEST_FIRST, page_token=token
        )
        yield from page
        token = page.token
        if not token:
            return
