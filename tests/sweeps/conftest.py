"""A space whose function has a body of the test's own, and what its trials share."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from space_head import HEAD

from dfkd.execution.compute import Compute
from dfkd.experiment import Cell
from dfkd.seeding import Block
from dfkd.storage import FolderStorage
from dfkd.sweeps.context import TrialContext
from dfkd.sweeps.search_space import SearchSpace
from dfkd.sweeps.sweep import SEARCH
from dfkd.training.environment import this_environment
from dfkd.training.inputs import inputs_key
from dfkd.training.jobs import RunContext


@pytest.fixture
def context_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """`context_of(body)`: what the trials of a space share whose function has this body."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(body: str) -> TrialContext:
        (tmp_path / "written_space.py").write_text(HEAD + body)
        default = importlib.import_module("written_space").default
        cell = Cell(experiment=default, block=Block(seed=SEARCH))
        digests = {inputs_key(cell): ("teacher", "pool")}
        return TrialContext(
            space=SearchSpace(module="written_space"),
            block=cell.block,
            run_context=RunContext(environment=this_environment("cpu"), digests=digests),
            compute=Compute(storage=FolderStorage(tmp_path / "runs")),
        )

    yield write
    sys.modules.pop("written_space", None)
