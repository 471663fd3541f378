"""deploy/: the RayJob manifest and the Dockerfile say what the rest of the project says."""

import re
import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
CONSTRAINTS = dict(
    line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
)


def job() -> dict[str, Any]:
    manifest: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "rayjob.yaml").read_text())
    return manifest["spec"]


def groups() -> list[dict[str, Any]]:
    cluster = job()["rayClusterSpec"]
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


def test_nobody_gets_in_without_the_token() -> None:
    assert job()["rayClusterSpec"]["authOptions"] == {"mode": "token"}


def test_no_work_on_the_head_and_no_idle_machines() -> None:
    head, *workers = groups()
    assert head["rayStartParams"] == {"num-cpus": "0"}
    assert job()["rayClusterSpec"]["enableInTreeAutoscaling"] and job()["shutdownAfterJobFinishes"]
    assert all(group["minReplicas"] == group["replicas"] == 0 for group in workers)


def test_the_command_is_one_of_ours() -> None:
    _, flag, command, module = shlex.split(job()["entrypoint"])
    assert flag == "-m" and (ROOT / "platform" / f"{command.split('.')[1]}.py").exists()
    assert find_spec(module) is not None


def test_every_pod_has_the_storage_the_server_and_keys_that_stand_in_no_file() -> None:
    """The variables are those of README's table."""
    readme = (ROOT / "README.md").read_text()
    for group in groups():
        [container] = group["template"]["spec"]["containers"]
        names = {variable["name"] for variable in container["env"]}
        assert {"DFKD_STORAGE", "MLFLOW_TRACKING_URI"} <= names
        assert all(f"`{name}`" in readme for name in names - {"AWS_REGION"})
        assert container["envFrom"] == [{"secretRef": {"name": "dfkd-storage"}}]
        assert not any("KEY" in name or "SECRET" in name for name in names)


def test_versions_are_those_of_the_constraints() -> None:
    assert job()["rayClusterSpec"]["rayVersion"] == CONSTRAINTS["ray"]
    assert "boto3" in CONSTRAINTS  # installed into the image under the constraints
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {
        "python:3.11-slim-bookworm"
    }


@pytest.mark.parametrize("line", re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE))
def test_docker_is_sent_what_it_copies(line: str) -> None:
    sent = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    *sources, _ = line.split()
    assert set(sources) <= sent and all((ROOT / source).exists() for source in sources)


def test_the_image_runs_as_nobody_of_importance() -> None:
    *_, user = re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE)
    assert user != "root" and "RAY_AUTH_MODE=token" in DOCKERFILE
