"""The experiment that all runs stand in, with its files inside the storage that they belong to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlparse

from dfkd.storage import layout

if TYPE_CHECKING:  # MLflow takes seconds to import
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

NOTE = "mlflow.note.content"  # what MLflow's UI shows as the description
DESCRIPTION = (
    "Distillation without data: each run is one student (a cell: a recipe in a block), below the "
    "run of its study or sweep, whose description has the findings. `test`, `probe` and "
    "`validation` are final values, as fractions; `training/...` is their course. To compare an "
    "ablation, open a study with its +, tick its first run and, with the shift key, its last, "
    "choose Compare, and in the box plot `variant` against `test`."
)


def experiment_id(client: MlflowClient, name: str, artifacts: Path | None) -> str:
    """Return the id of the active experiment of this name, which is made where there is none.

    artifacts: where its files have to lie; None leaves that to the server. Raises MlflowException
    for one that was deleted.
    """
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is not None and not found.experiment_id:
        raise MlflowException("something answers there that is no MLflow")
    if found is not None and found.lifecycle_stage != "active":
        raise MlflowException(
            f"its experiment {name} was deleted: restore it there, or delete it for good"
        )
    if found is not None and artifacts is not None and _is_elsewhere(found, artifacts):
        _set_aside(client, found)
        found = None
    if found is None:
        return _made(client, name, artifacts)
    if NOTE not in found.tags:
        client.set_experiment_tag(found.experiment_id, NOTE, DESCRIPTION)
    return str(found.experiment_id)


def _made(client: MlflowClient, name: str, artifacts: Path | None) -> str:
    from mlflow.exceptions import MlflowException

    location = None if artifacts is None else artifacts.as_uri()
    try:
        made = client.create_experiment(name, artifact_location=location)
    except MlflowException:  # another driver may have been faster
        found = client.get_experiment_by_name(name)
        if found is None:
            raise
        return str(found.experiment_id)
    client.set_experiment_tag(made, NOTE, DESCRIPTION)
    return str(made)


def _is_elsewhere(experiment: Experiment, artifacts: Path) -> bool:
    """Return whether the experiment's files go to another storage, from which this one was copied.

    A location that somebody chose, say a bucket, is nobody's storage and stays.
    """
    place = urlparse(experiment.artifact_location)
    path = Path(unquote(place.path))
    ours = place.scheme in ("", "file") and path.name == layout.ARTIFACTS.name
    return ours and path != artifacts


def _set_aside(client: MlflowClient, experiment: Experiment) -> None:
    """Rename the experiment of a storage that was copied or moved; a new one takes its name.

    MLflow cannot change where the files of an experiment go. All of its runs stay as they are, and
    what the ledger knows is written to the new one by the commands of its studies and sweeps.
    """
    former = urlparse(experiment.artifact_location).path
    aside = f"{experiment.name} of {Path(unquote(former)).parent}"
    if client.get_experiment_by_name(aside) is not None:
        aside = f"{aside}, experiment {experiment.experiment_id}"
    client.rename_experiment(experiment.experiment_id, aside)
