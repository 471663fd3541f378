"""A space whose function has a body of the test's own, and what its trials share."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from written_spaces import HEAD, trial_context


@pytest.fixture
def context_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """`context_of(body)`: what the trials of a space share whose function has this body."""
    monkeypatch.syspath_prepend(str(tmp_path))
    yield lambda body: trial_context("written_space", HEAD + body, tmp_path)
    sys.modules.pop("written_space", None)
