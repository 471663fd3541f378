"""`ray up` accepts ray_cluster.yaml, and its variant in comments for machines of one's own."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray.autoscaler
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

TEXT = (Path(__file__).parents[2] / "ray_cluster.yaml").read_text()
Config = dict[str, Any]


def cloud() -> Config:
    config: Config = yaml.safe_load(TEXT)
    return config


def own_machines() -> Config:
    """What the comments say: three keys taken out, the lines after `#:` put in."""
    variant: Config = yaml.safe_load("\n".join(re.findall(r"^#: ?(.*)$", TEXT, re.MULTILINE)))
    left_out = {"max_workers", "head_node_type", "available_node_types"}
    return {key: value for key, value in cloud().items() if key not in left_out} | variant


@pytest.mark.parametrize("config", [cloud(), own_machines()], ids=["cloud", "own machines"])
def test_ray_accepts_it(config: Config) -> None:
    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
    jsonschema.validate(config, schema)
    validate_config(prepare_config(config))


def test_no_work_on_the_head_and_no_idle_machines() -> None:
    types = cloud()["available_node_types"]
    assert types[cloud()["head_node_type"]]["resources"] == {"CPU": 0}
    assert all(
        kind["min_workers"] == 0
        for name, kind in types.items()
        if name != cloud()["head_node_type"]
    )


def test_nobody_gets_in_without_the_token() -> None:
    config = cloud()
    assert "--env RAY_AUTH_MODE=token" in config["docker"]["run_options"]
    assert "~/.ray/auth_token" in config["file_mounts"].values()
    assert any(
        "--dashboard-host=127.0.0.1" in command for command in config["head_start_ray_commands"]
    )


def test_the_image_has_the_ray_of_the_constraints() -> None:
    constraints = (Path(__file__).parents[2] / "constraints.txt").read_text()
    version = re.search(r"^ray==(.+)$", constraints, re.MULTILINE)
    assert version is not None
    assert cloud()["docker"]["image"].startswith(f"rayproject/ray:{version[1]}-py311")
