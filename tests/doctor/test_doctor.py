"""The doctor: a line for each finding, and nothing left behind."""

import json
import os
import resource
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from jsonschema import Draft202012Validator

from dfkd.doctor.examination import examine, token
from dfkd.execution.checks.finding import BROKEN, OK, SKIPPED
from dfkd.execution.checks.limits import Limits, limits_here, limits_of
from dfkd.execution.compute import Compute
from dfkd.reporting.document import schema
from dfkd.storage import FolderStorage
from dfkd.storage.layout import Key

Run = Callable[..., CompletedProcess[str]]
NOBODY = "http://127.0.0.1:9"


class Overwriting(FolderStorage):
    """A storage without conditional puts."""

    def put_if_absent(self, key: Key, content: bytes) -> bool:
        self.delete(key)
        return super().put_if_absent(key, content)


def test_a_round_trip_leaves_nothing_and_tells_who_overwrites(tmp_path: Path) -> None:
    FolderStorage(tmp_path).check_round_trip()
    with pytest.raises(ValueError, match="lets a second writer put its file over the first"):
        Overwriting(tmp_path).check_round_trip()
    assert not list(tmp_path.iterdir())


def test_limits() -> None:
    well = limits_of("here", limits_here())
    assert [one.check for one in well] == ["disk", "open files"]
    full = Limits(folder="/tmp", free=4, total=100, files=1023)
    assert [one.state for one in limits_of("there", full)] == [BROKEN, BROKEN]
    free = Limits(folder="/tmp", free=6, total=100, files=resource.RLIM_INFINITY)
    assert [one.state for one in limits_of("there", free)] == [OK, OK]


def test_the_token_is_looked_for_and_never_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    assert token().state == BROKEN and "--generate" in token().mend
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    assert token().state == OK and "secret" not in token().line()


@pytest.mark.slow
def test_a_laptop_that_is_well(tmp_path: Path, run_command: Run) -> None:
    done = run_command("doctor", "--json", "--storage", "a/b", folder=tmp_path)
    document = json.loads(done.stdout)
    Draft202012Validator(schema()).validate(document)
    found = {one["check"]: one["state"] for one in document["result"]["findings"]}
    assert done.returncode == 0, done.stdout
    assert found.pop("GPU") in (OK, SKIPPED) and found.pop("two workers") in (OK, SKIPPED)
    assert {"versions", "storage", "MLflow", "Ray", "scoring"} < found.keys()
    assert set(found.values()) == {OK} and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_what_is_broken_is_said_with_how_to_mend_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    where = Compute(storage=FolderStorage(tmp_path / "file" / "runs"))
    found = {one.check: one for one in examine(where, NOBODY.replace("//", "//me:secret@"))}
    assert "secret" not in found["MLflow"].line() and NOBODY in found["MLflow"].line()
    assert found["storage"].state == found["MLflow"].state == BROKEN
    assert "--tracking-uri" in found["MLflow"].mend and found["Ray"].state == SKIPPED
    assert os.listdir(tmp_path) == ["file"]
