"""A student as a logged model, which `mlflow.pytorch.load_model` gives back without code of ours.

The format is torch.export's: unlike a pickle, loading it runs nobody's code, and neither this
package nor the class of the network is needed. The model takes float images [B, C, H, W] scaled to
0..1 - the task's normalisation is in the graph - and returns logits [B, K]. What cannot be
exported, or what a server does not take, raises `NotLogged`.
"""

from __future__ import annotations

import io
import tempfile
from contextlib import redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from dfkd.export.standalone import standalone

if TYPE_CHECKING:  # MLflow takes seconds to import
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.models import ModelSignature

    from dfkd.experiment import Experiment

# Codes of MLflow after which to try again.
AWAY = ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED")
NAME = "student"


class NotLogged(Exception):
    """This model will not get into this MLflow; everything else may."""


def log_student(
    client: MlflowClient,
    experiment_id: str,
    run_id: str,
    experiment: Experiment,
    weights: dict[str, Tensor],
    tags: dict[str, str],
) -> str:
    """Log the student below the run and return the model's URI, for `load_model`.

    Raises NotLogged where the network cannot be traced or the server refuses the model.
    """
    from mlflow.entities import LoggedModelOutput
    from mlflow.exceptions import MlflowException
    from requests import HTTPError

    try:
        params = {name: str(value) for name, value in experiment.params().items()}
        model = client.create_logged_model(experiment_id, NAME, run_id, tags, params)
        _upload(client, model, experiment, weights)
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])
    except MlflowException as error:
        if error.error_code in AWAY:
            raise
        raise NotLogged(str(error)) from error
    except HTTPError as error:  # of the upload: too large, forbidden
        raise NotLogged(str(error)) from error
    return str(model.model_uri)


def _upload(
    client: MlflowClient, model: LoggedModel, experiment: Experiment, weights: dict[str, Tensor]
) -> None:
    """Upload the model's files and say how that ended.

    Otherwise MLflow would go on showing the model as pending.
    """
    status: Literal["READY", "FAILED"] = "FAILED"
    try:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "model"
            _export(folder, model, experiment, weights)
            client.log_model_artifacts(model.model_id, str(folder))
        status = "READY"
    finally:
        client.finalize_logged_model(model.model_id, status)


def _export(
    folder: Path, model: LoggedModel, experiment: Experiment, weights: dict[str, Tensor]
) -> None:
    try:
        # torch.export prints the graph of what it cannot trace
        with redirect_stderr(io.StringIO()):
            _save(folder, model, experiment, weights)
    except (RuntimeError, ValueError, TypeError, AttributeError) as error:
        # what torch.export raises for a network that it cannot trace
        raise NotLogged(f"torch.export cannot trace it: {error}") from error


def _save(
    folder: Path, model: LoggedModel, experiment: Experiment, weights: dict[str, Tensor]
) -> None:
    import mlflow
    import mlflow.pytorch
    from mlflow.models import Model

    height, width, channels = experiment.task.image_shape
    description = Model(
        artifact_path=model.artifact_location,
        run_id=model.source_run_id,
        model_id=model.model_id,
        model_uuid=model.model_id,
    )
    mlflow.pytorch.save_model(
        standalone(experiment, weights),
        str(folder),
        mlflow_model=description,
        signature=_signature(experiment),
        # two images: of one, the size of the batch would be taken for fixed
        input_example=np.zeros((2, channels, height, width), np.float32),
        serialization_format="pt2",  # the other is a pickle
        # named, because MLflow would find them out by loading the model in a process of its own
        pip_requirements=[
            f"torch=={torch.__version__.split('+')[0]}",
            f"mlflow=={mlflow.__version__}",
        ],
    )


def _signature(experiment: Experiment) -> ModelSignature:
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    task, kind = experiment.task, np.dtype(np.float32)
    height, width, channels = task.image_shape
    return ModelSignature(
        inputs=Schema([TensorSpec(kind, (-1, channels, height, width))]),
        outputs=Schema([TensorSpec(kind, (-1, task.classes))]),
    )
