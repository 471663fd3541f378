"""Provenance: which code a cell was computed with."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def git_commit() -> str:
    """The commit of the checkout that is running, with "+changes" where files differ from it; ""
    outside of one.

    `ray job submit` uploads no .git: DFKD_GIT_COMMIT, set by the submitter, is believed then.
    """
    folder = Path(__file__).parent
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return commit + "+changes" * bool(
            _git(folder, "status", "--porcelain", "--untracked-files=no")
        )
    except (OSError, subprocess.CalledProcessError):
        return os.environ.get("DFKD_GIT_COMMIT", "")


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
