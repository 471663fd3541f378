"""The model registry: a student under a name that people and services load it by."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # MLflow takes seconds to import
    from mlflow import MlflowClient

CHAMPION = "champion"  # the alias of the version that was registered last


def check_model_name(name: str) -> None:
    """Raise ValueError for a name that MLflow's registry refuses, before anything is computed."""
    if not name.strip() or set(name) & set("/:") or name in (".", ".."):
        raise ValueError(
            f"a registered model needs a name without / and :, such as digits-student, but got "
            f"{name!r}"
        )


def register(
    client: MlflowClient, name: str, run_id: str, model_uri: str, tags: dict[str, str]
) -> None:
    """Give this logged model the alias CHAMPION of the registered model, as a version of its own.

    tags: of the version; `cell_key` among them tells one student from another, so that the same
    one is no new version. Raises what MLflow raises.
    """
    _make_name(client, name)
    versions = client.search_model_versions(f"run_id = '{run_id}'")
    same = [v for v in versions if v.name == name and v.tags.get("cell_key") == tags["cell_key"]]
    version = same[0] if same else None
    if version is None:
        # not by the model's URI: a database looks that up at the address of the environment
        model = client.get_logged_model(model_uri.removeprefix("models:/"))
        place, known = model.artifact_location, {"run_id": run_id, "model_id": model.model_id}
        version = client.create_model_version(name, place, **known, tags=tags, await_creation_for=0)
    client.set_registered_model_alias(name, CHAMPION, version.version)


def _make_name(client: MlflowClient, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
