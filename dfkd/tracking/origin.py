"""Who wrote a run, and by which command: what MLflow's UI shows as "Created by" and "Source"."""

import getpass
import shlex
import sys

from dfkd.tracking.address import without_credentials

USER, SOURCE, SOURCE_TYPE = "mlflow.user", "mlflow.source.name", "mlflow.source.type"


def origin(uri: str, shown_uri: str) -> dict[str, str]:
    """Return the tags that say who called which command.

    uri: that of MLflow, which may stand in the command and is shown as `shown_uri`.
    """
    if "ipykernel" in sys.modules:
        return {USER: _user(), SOURCE: "notebook", SOURCE_TYPE: "NOTEBOOK"}
    arguments = [argument.replace(uri, shown_uri) for argument in sys.orig_argv[1:]]
    command = without_credentials(shlex.join(["python", *arguments]))
    return {USER: _user(), SOURCE: command, SOURCE_TYPE: "LOCAL"}


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return "unknown"
