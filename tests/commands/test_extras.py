"""What is installed on demand: where it is missing, one line says which extra to install."""

import sys
import tomllib
from pathlib import Path

import pytest

from dfkd.stats.designs import fractional_levels
from dfkd.storage import open_storage

ROOT = Path(__file__).parents[2]


def test_a_fractional_design(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydoe", None)
    with pytest.raises(ValueError, match=r"pip install 'dfkd-platform\[designs\]'"):
        fractional_levels(["a", "b", "c"], resolution=3)


def test_a_storage_in_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(ValueError, match=r"pip install 'dfkd-platform\[cloud\]'"):
        open_storage("s3://a-bucket/runs")


def test_all_is_every_extra_that_a_command_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    [every] = extras["all"]
    named = every.removeprefix("dfkd-platform[").rstrip("]").split(",")
    assert set(named) == extras.keys() - {"all", "dev", "docs"}
    assert "dfkd-platform[all]" in extras["dev"]
