"""A real sweep on two workers: its trials and its confirmation in groups that stay."""

import json
import shutil
from pathlib import Path

import pytest
from commands import PROJECTS, run


@pytest.mark.slow  # two groups start, 20 s and more each
def test_a_sweep_on_two_workers_leaves_trials_and_no_scratch(tmp_path: Path) -> None:
    for file in PROJECTS.glob("*.py"):
        shutil.copy(file, tmp_path)
    options = ("--trials", "6", "--blocks", "2", "--workers", "2", "--deterministic")
    done = run("sweep", "tiny_space", *options, "--storage", "runs", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "winner" in done.stdout or "not beaten" in done.stdout
    storage = tmp_path / "runs"
    trials = [json.loads(file.read_text()) for file in storage.glob("sweeps/*/trials/*.json")]
    assert len(trials) == 6
    assert {trial["state"] for trial in trials} <= {"finished", "diverged"}  # the first batch
    for trial in trials:
        record = json.loads((storage / "cells" / trial["cell"] / "record.json").read_text())
        assert record["environment"]["workers"] == 2 and record["state"] == trial["state"]
    assert not [file for file in storage.rglob("*") if file.name == "lease"]
    assert not list(storage.glob("train/*")) and not list(storage.glob("tune/*"))
