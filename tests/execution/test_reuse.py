"""When recorded work is told from the ledger alone, and when everything is prepared first."""

import json
from dataclasses import asdict, replace
from pathlib import Path

from synthetic import ENVIRONMENT

from dfkd.execution.compute import Compute
from dfkd.execution.reuse import known_run_context
from dfkd.storage import FolderStorage
from dfkd.training.environment import this_environment
from dfkd.training.jobs import RunContext

FLOAT32 = Compute(storage=FolderStorage(Path("runs")))


def test_a_run_context_is_known_with_the_same_torch_and_all_inputs() -> None:
    now = this_environment("cpu")
    context = RunContext(environment=now, digests={"a": ("t", "p")}, tags={"git_commit": "abc"})
    saved = json.loads(json.dumps(asdict(context)))
    assert known_run_context(saved, ["a"], FLOAT32) == context
    assert known_run_context(saved, ["a", "b"], FLOAT32) is None
    older = replace(context, environment=replace(ENVIRONMENT, torch="1.0"))
    assert known_run_context(asdict(older), ["a"], FLOAT32) is None


def test_another_precision_is_prepared_anew_and_auto_takes_what_there_is() -> None:
    now = this_environment("cpu")
    context = RunContext(environment=now, digests={"a": ("t", "p")})
    assert known_run_context(asdict(context), ["a"], replace(FLOAT32, precision="bfloat16")) is None
    assert known_run_context(asdict(context), ["a"], replace(FLOAT32, precision="auto")) == context
