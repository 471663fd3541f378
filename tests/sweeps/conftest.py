"""A space whose function has a body of the test's own, and what its trials share."""

from collections.abc import Callable
from pathlib import Path

import pytest
from written_spaces import HEAD, trial_context

from dfkd.storage import FolderStorage
from dfkd.sweeps.context import TrialContext


@pytest.fixture
def context_of(write_module: Callable[..., None], tmp_path: Path) -> Callable[[str], TrialContext]:
    """`context_of(body)`: what the trials of a space share whose function has this body."""

    def context(body: str) -> TrialContext:
        write_module("written_space", HEAD + body)
        return trial_context("written_space", FolderStorage(tmp_path / "runs"))

    return context
